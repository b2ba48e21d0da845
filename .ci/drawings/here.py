"The strip that stands at the top of each page of the course: you are here."
from drawings.svg import STRONG, Drawing

ROWS = [ # what the row is about, colour, words of each box
    ('scoring\nan image', 'grey', [
        ('01', 'images'), ('03', 'features'), ('05', 'head G, D'), ('', 'score, map'),
        ('02', 'metrics'), ('13', 'new category'),
    ]),
    ('training\nthe head', 'blue', [
        ('10', 'settings'), ('06', 'contrast'), ('07', 'weights'), ('08', 'penalty'),
        ('09', 'two loops'), ('11', 'one loss'), ('12', 'training'),
    ]),
    ('other\nways', 'green', [
        ('04', 'no training'), ('14', 'painted defects'), ('15', 'symmetry'), ('16', 'one image'),
    ]),
    ('the\nwhole', 'yellow', [
        ('00', 'start here'), ('17', 'CoZAD in 150 lines'), ('18', 'glossary'),
    ]),
]
PAGES = [ # file, word in the line below the strip
    ('00_start_here', 'start here'), ('01_images', 'images'), ('02_metrics', 'metrics'),
    ('03_features', 'features'), ('04_baselines', 'baselines'), ('05_simplenet', 'SimpleNet'),
    ('06_contrastive', 'contrast'), ('07_confidence', 'weights'), ('08_covariance', 'penalty'),
    ('09_maml', 'two loops'), ('10_config', 'settings'), ('11_objective', 'one loss'),
    ('12_training', 'training'), ('13_why_zero_shot_is_hard', 'new category'),
    ('14_painted_defects', 'painted defects'), ('15_symmetry', 'symmetry'),
    ('16_zero_shot', 'one image'), ('17_cozad_in_150_lines', 'in 150 lines'),
    ('18_glossary', 'glossary'),
]
LEFT, WIDTH, STEP, HEIGHT = 76, 720, 40, 28


def strip(current):
    "The rows, with the box of one page filled."
    names = dict(page.split('_', 1) for page, _ in PAGES)
    drawing = Drawing(WIDTH, len(ROWS) * STEP + 12, f'You are here: {current} {names[current]}')
    for k, (name, colour, boxes) in enumerate(ROWS):
        y = 12 + k * STEP
        drawing.lines((38, y + HEIGHT / 2), name, 12, fill='#555555')
        _row(drawing, y, boxes, colour, current)
    return drawing


def _row(drawing, y, boxes, colour, current):
    "One row of boxes; arrows between them where one follows from the other."
    width = (WIDTH - LEFT - 10) / len(boxes)
    before = None
    for k, (page, words) in enumerate(boxes):
        here = page == current
        place = LEFT + k * width, y, width - 14, HEIGHT
        style = dict(fill=STRONG['blue'], stroke='#000000', stroke_width=2) if here else {}
        box = drawing.box(place, '', colour, **style)
        bold = dict(fill='#ffffff', font_weight='bold') if here else {}
        drawing.lines(box.middle, words, 12, **bold)
        if before and colour == 'grey':
            drawing.arrow(before.right, box.left)
        before = box


def breadcrumb(current):
    "The pages of the course as links, the current one in bold."
    words = []
    for page, word in PAGES:
        is_here = page.startswith(current)
        words.append(f'**{word}**' if is_here else f'[{word}]({page}.ipynb)')
    return ' · '.join(words)


def markdown(page):
    "What stands under the title of a page."
    links = f'{breadcrumb(page[:2])}\n'
    if f'here/{page}' not in DRAWINGS:
        return links
    name = page[3:].replace('_', ' ')
    return f'![You are here: {name}](../images/here/{page}.svg)\n\n{links}'


BOXES = {page for _, _, boxes in ROWS for page, _ in boxes} # these pages have a place in the strip
DRAWINGS = {f'here/{page}': strip(page[:2]) for page, _ in PAGES if page[:2] in BOXES}
