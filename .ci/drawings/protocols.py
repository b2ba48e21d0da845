"What each protocol may see before an image of a new category is scored."
from drawings.svg import LIGHT, LINE, STRONG, Drawing

ROWS = [ # name, what it may see, tiles
    ('zero-shot', 'other categories only', ['triangle', 'square', 'hexagon', 'square', 'triangle']),
    ('few-shot', 'a handful of normal images', ['ring', 'ring', 'ring']),
    ('one-class', 'many normal images', ['ring'] * 7),
    ('transductive', 'the other test images, no labels', ['unknown'] * 5),
]
SIDE, TOP, STEP = 42, 56, 84
SHAPES = { # points on a tile of 42 x 42
    'triangle': '21,9 34,32 8,32', 'square': '10,10 32,10 32,32 10,32',
    'hexagon': '14,9 28,9 35,21 28,33 14,33 7,21',
}


def _tile(drawing, x, y, kind):
    "An image of a category: the tested one is the ring."
    is_other = kind in SHAPES
    fill = {'ring': LIGHT['blue'], 'unknown': LIGHT['yellow'], 'test': LIGHT['yellow']}
    drawing.add('rect', x=x, y=y, width=SIDE, height=SIDE, rx=4, stroke=LINE,
                fill=fill.get(kind, LIGHT['grey']))
    if is_other:
        corners = [point.split(',') for point in SHAPES[kind].split()]
        points = ' '.join(f'{x + int(a)},{y + int(b)}' for a, b in corners)
        drawing.add('polygon', points=points, fill=STRONG['grey'])
        return
    colour = STRONG['blue'] if kind == 'ring' else '#8a6100'
    drawing.add('circle', cx=x + 21, cy=y + 21, r=12, fill='none', stroke=colour, stroke_width=5)
    if kind != 'ring':
        drawing.text((x + 21, y + 26), '?', 14, font_weight='bold')


def protocols():
    "A row for each protocol."
    drawing = Drawing(746, TOP + STEP * len(ROWS) + 46, 'What each protocol may see')
    for x, words in [(20, 'protocol'), (146, 'may use before the test'), (640, 'is tested on')]:
        drawing.text((x, 32), words, 13.5, text_anchor='start', font_weight='bold')
    for k, (name, words, tiles) in enumerate(ROWS):
        y = TOP + STEP * k
        drawing.line((16, y - 8), (730, y - 8), stroke='#cccccc', stroke_width=1)
        drawing.text((20, y + 30), name, 14, text_anchor='start', font_weight='bold')
        for i, kind in enumerate(tiles):
            _tile(drawing, 146 + 52 * i, y, kind)
        drawing.text((146, y + SIDE + 19), words, 12.5, text_anchor='start', fill='#555555')
        drawing.arrow((556, y + 21), (636, y + 21))
        _tile(drawing, 660, y, 'test')
    _legend(drawing, TOP + STEP * len(ROWS) - 6)
    return drawing


def _legend(drawing, y):
    "The meaning of the tiles."
    drawing.line((16, y - 2), (730, y - 2), stroke='#cccccc', stroke_width=1)
    marks = [
        (20, 'grey', 'image of another category'), (240, 'blue', 'normal image of the category'),
        (488, 'yellow', 'test image, label unknown'),
    ]
    for x, colour, words in marks:
        drawing.add('rect', x=x, y=y + 16, width=16, height=16, rx=3, fill=LIGHT[colour],
                    stroke=LINE)
        drawing.text((x + 24, y + 29), words, 12.5, text_anchor='start')


DRAWINGS = {'protocols': protocols()}
