"One style for all diagrams: boxes, arrows and words as SVG, on a light card."
from html import escape

FONT = 'DejaVu Sans, Verdana, Arial, Helvetica, sans-serif' # one of them is on every machine
MONO = 'DejaVu Sans Mono, Menlo, Consolas, monospace'
INK, LINE, CARD = '#1a1a1a', '#555555', '#fcfcfa'
STRONG = { # the colours of Okabe and Ito, as in cozad.plots
    'grey': '#777777', 'blue': '#0072B2', 'red': '#D55E00', 'green': '#009E73',
    'pink': '#CC79A7', 'yellow': '#E69F00',
}
LIGHT = {
    'grey': '#eeeeec', 'blue': '#dcebf5', 'red': '#fbe6da', 'green': '#d9f0e8',
    'pink': '#f5e6ee', 'yellow': '#fcf0d4', 'white': '#ffffff',
}
HEAD = ('<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="10" '
        'markerHeight="10" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path d="M0 0L10 5L0 10z" fill="{LINE}"/></marker>')


def number(value):
    "A coordinate with at most one decimal."
    return f'{value:.1f}'.rstrip('0').rstrip('.')


class Box:
    "A place on the page, and the middles of its sides."

    def __init__(self, x, y, width, height):
        self.x, self.y, self.width, self.height = x, y, width, height
        self.middle = x + width / 2, y + height / 2
        self.left, self.right = (x, self.middle[1]), (x + width, self.middle[1])
        self.top, self.bottom = (self.middle[0], y), (self.middle[0], y + height)


class Drawing:
    "A diagram of a given size; each method draws one thing."

    def __init__(self, width, height, title):
        self.size, self.title, self.parts = (width, height), title, []
        self.add('rect', x=.5, y=.5, width=width - 1, height=height - 1, rx=8, fill=CARD,
                 stroke='#cccccc')

    def add(self, tag, content='', **attributes):
        "One element."
        words = []
        for name, value in attributes.items():
            value = number(value) if isinstance(value, (int, float)) else escape(str(value))
            words.append(f'{name.rstrip("_").replace("_", "-")}="{value}"')
        end = f'>{content}</{tag}>' if content else '/>'
        self.parts.append(f'<{tag} {" ".join(words)}{end}')

    def text(self, at, words, size=13, **more):
        "A line of words, in the middle of a place unless `text_anchor` says otherwise."
        more = {'text_anchor': 'middle', 'fill': INK} | more
        self.add('text', escape(words), x=at[0], y=at[1], font_size=size, **more)

    def lines(self, at, words, size=13, **more):
        "Several lines around a place; `code` is set in a fixed width."
        rows = words.split('\n')
        step = size * 1.3
        y = at[1] + size * .36 - step * (len(rows) - 1) / 2
        for k, row in enumerate(rows):
            font = {'font_family': MONO} if row.startswith('`') else {}
            self.text((at[0], y + k * step), row.strip('`'), size - .5 * bool(font), **font, **more)

    def box(self, place, words='', colour='grey', size=13, **more):
        "A rounded box with words in it; `place` is x, y, width, height."
        box = Box(*place)
        style = dict(fill=LIGHT[colour], stroke=LINE, stroke_width=1, rx=6)
        self.add('rect', x=box.x, y=box.y, width=box.width, height=box.height, **style | more)
        if words:
            self.lines(box.middle, words, size)
        return box

    def arrow(self, *points, **more):
        "A line through some points, with a head at the end."
        path = 'M' + 'L'.join(f'{number(x)} {number(y)}' for x, y in points)
        style = dict(fill='none', stroke=LINE, stroke_width=1.5, marker_end='url(#head)')
        self.add('path', d=path, **style | more)

    def line(self, *points, **more):
        "A line through some points."
        self.arrow(*points, **dict(marker_end='none') | more)

    def dot(self, at, colour, radius=6, **more):
        "A filled circle."
        self.add('circle', cx=at[0], cy=at[1], r=radius, **dict(fill=STRONG[colour]) | more)

    def svg(self):
        "The file."
        width, height = self.size
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}" role="img" font-family="{FONT}">')
        rows = [head, f'<title>{escape(self.title)}</title>', f'<defs>{HEAD}</defs>']
        return '\n'.join([*rows, *self.parts, '</svg>']) + '\n'
