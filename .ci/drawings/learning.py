"What the losses compare, what the threshold rests on, and the two loops."
import math
from drawings.svg import LINE, STRONG, Drawing


def _on_circle(angle, radius=128, centre=(160, 164)):
    "A point of the circle, the angle in degrees."
    turn = math.radians(angle)
    return centre[0] + radius * math.cos(turn), centre[1] - radius * math.sin(turn)


def _mark(drawing, at, kind):
    "A point of a kind, distinguished by its shape as well as its colour."
    x, y = at
    if kind == 'negative':
        for s in (-1, 1):
            drawing.line((x - 6, y - 6 * s), (x + 6, y + 6 * s), stroke=STRONG['red'],
                         stroke_width=3)
    elif kind == 'neighbour':
        drawing.add('rect', x=x - 6, y=y - 6, width=12, height=12, fill=STRONG['green'])
    elif kind == 'noisy':
        drawing.dot(at, 'green', 7, fill='#ffffff', stroke=STRONG['green'], stroke_width=3)
    else:
        drawing.dot(at, 'blue', 9)


MARKS = { # kind: angles on the circle, what it is
    'anchor': ([75], 'the anchor: a normal patch', 'Eq. 1: x'),
    'noisy': ([88], 'positive: the same patch with noise', 'Eq. 1: x̃ = x + δ'),
    'neighbour': ([55, 106], 'positives: its nearest patches', 'Eq. 2: k of them'),
    'negative': (
        [10, 160, 205, 248, 292, 330], 'negatives: all other patches', 'Eq. 1, 2: the rest',
    ),
}


def contrast():
    "An anchor on the circle of directions, with its positives and negatives."
    drawing = Drawing(746, 330, 'An anchor, its positives and its negatives')
    drawing.add('circle', cx=160, cy=164, r=128, fill='none', stroke='#bbbbbb')
    drawing.lines((160, 164), 'every feature\nas a direction', 12.5, fill='#555555')
    for k, (kind, (angles, words, equation)) in enumerate(MARKS.items()):
        for angle in angles:
            _mark(drawing, _on_circle(angle), kind)
        y = 60 + 42 * k
        _mark(drawing, (346, y), kind)
        drawing.text((366, y + 5), words, 13, text_anchor='start')
        drawing.text((620, y + 5), equation, 12.5, text_anchor='start', fill='#555555')
    for start, end in [(108, 94), (52, 68)]:
        drawing.arrow(_on_circle(start, 106), _on_circle(end, 106), stroke=STRONG['green'])
    for start, end in [(22, 4), (140, 158)]:
        drawing.arrow(_on_circle(start, 106), _on_circle(end, 106), stroke=STRONG['red'])
    drawing.box((338, 226, 388, 70), 'The loss is small when the anchor is much closer\n'
                'to its positives than to its negatives. Training pulls\n'
                'positives towards the anchor and pushes negatives away.', 'grey', 12.5)
    return drawing


SCORES = [.6, 1.1, 1.4, 1.7, 1.9, 2.1, 2.3, 2.5, 2.8, 3.0, 3.4, 3.9, 6.1, 8.4]
KAPPA = 1.5


def _quantile(share):
    "Linear interpolation between the sorted scores, as `fit_iqr` does it."
    place = share * (len(SCORES) - 1)
    low = math.floor(place)
    return SCORES[low] + (place - low) * (SCORES[min(low + 1, len(SCORES) - 1)] - SCORES[low])


def _x(score):
    "Where a score stands on the page."
    return 60 + 70 * score


def box_plot():
    "Quartiles, threshold and weights over one axis of scores."
    drawing = Drawing(746, 392, 'The box plot behind Eq. 6, and the weights of Eq. 5')
    q1, q3 = _quantile(.25), _quantile(.75)
    threshold = q3 + KAPPA * (q3 - q1)
    _box_plot_row(drawing, q1, q3, threshold)
    _weight_row(drawing, q1, threshold)
    drawing.line((_x(threshold), 34), (_x(threshold), 340), stroke='#000000',
                 stroke_dasharray='6 4')
    drawing.text((_x(threshold), 26), 'τ = Q3 + κ · (Q3 − Q1)', 13, font_weight='bold')
    return drawing


def _box_plot_row(drawing, q1, q3, threshold):
    "Scores as dots, and their box."
    drawing.text((16, 52), 'one dot for each training image', 12.5, text_anchor='start',
                 fill='#555555')
    for score in SCORES:
        is_outlier = score > threshold
        drawing.dot((_x(score), 76), 'red' if is_outlier else 'blue', 6)
        if is_outlier:
            drawing.dot((_x(score), 76), 'red', 10, fill='none', stroke=STRONG['red'])
    last = max(score for score in SCORES if score <= threshold)
    drawing.line((_x(SCORES[0]), 124), (_x(last), 124))
    drawing.box((_x(q1), 104, _x(q3) - _x(q1), 40), '', 'blue', rx=0)
    median = _quantile(.5)
    drawing.line((_x(median), 104), (_x(median), 144), stroke_width=2.5)
    drawing.text((_x(q1), 162), 'Q1', 13)
    drawing.text((_x(q3), 162), 'Q3', 13)
    drawing.text((_x((q1 + q3) / 2), 180), 'half of the images', 12.5, fill='#555555')
    drawing.text((_x(7.2), 106), 'suspicious images', 12.5, fill=STRONG['red'])


def _weight_row(drawing, q1, threshold):
    "The weight over the score: 1 up to the threshold, then falling."
    top, bottom = 222, 340
    drawing.line((_x(0), bottom), (_x(9.4), bottom))
    drawing.line((_x(0), top - 8), (_x(0), bottom))
    drawing.text((_x(0) - 8, top + 5), '1', 13, text_anchor='end')
    drawing.text((_x(0) - 8, bottom + 5), '0', 13, text_anchor='end')
    drawing.text((_x(0) + 10, top - 10), 'weight w of the image', 12.5, text_anchor='start')
    drawing.text((_x(9.4), bottom + 20), 'anomaly score a', 12.5, text_anchor='end')

    def height(score):
        weight = 1 if score <= threshold else (threshold - q1) / (score - q1)
        return bottom - weight * (bottom - top)

    points = [(_x(k / 10), height(k / 10)) for k in range(94)]
    drawing.line(*points, stroke=STRONG['blue'], stroke_width=3)
    for score in SCORES:
        drawing.dot((_x(score), height(score)), 'red' if score > threshold else 'blue', 5)
    drawing.text((_x(1.9), bottom - 60), 'counts in full', 13, fill=STRONG['blue'])
    drawing.text((_x(7.3), bottom - 22), 'counts less, but never nothing', 13, fill=STRONG['red'])
    drawing.text((_x(0), bottom + 40), 'w = (τ − Q1) / (a − Q1) beyond τ; the paper prints τ / a, '
                 'which needs scores above 0', 12.5, text_anchor='start', fill='#555555')


def loops():
    "Inner and outer loop for three tasks."
    drawing = Drawing(746, 388, 'The inner and the outer loop of meta-learning')
    start = drawing.box((20, 142, 116, 72), 'start θ\n= {G, D}', 'grey', 14)
    gather = drawing.box((592, 142, 134, 72), 'mean gradient\nover the tasks', 'pink', 13)
    drawing.text((373, 30), 'inner loop, once for each task: Eq. 11, step length α', 13,
                 font_weight='bold', fill=STRONG['blue'])
    for k, name in enumerate(['bricks', 'coins', 'gravel']):
        _task(drawing, 48 + 92 * k, name, start, gather)
    floor = 336
    drawing.arrow(gather.bottom, (gather.bottom[0], floor), (start.bottom[0], floor), start.bottom,
                  stroke=STRONG['red'], stroke_width=2.5)
    drawing.text((373, floor + 24), 'outer loop: θ moves so that the losses after adaptation fall: '
                 'Eq. 12, step length β', 13, font_weight='bold', fill='#a84a00')
    return drawing


def _task(drawing, y, name, start, gather):
    "Support set, adapted parameters, query set."
    middle = y + 34
    support = drawing.box((186, y, 122, 68), f'support set\n{name}: learn\nfrom these', 'blue')
    adapted = drawing.box((344, y + 10, 66, 48), 'θ′', 'white', 15)
    query = drawing.box((446, y, 110, 68), f'query set\n{name}: loss\non others', 'yellow')
    bend = start.right[0] + 22
    drawing.arrow(start.right, (bend, start.right[1]), (bend, middle), support.left)
    drawing.arrow(support.right, adapted.left, stroke=STRONG['blue'], stroke_width=2.5)
    drawing.arrow(adapted.right, query.left)
    bend = gather.left[0] - 18
    drawing.arrow(query.right, (bend, middle), (bend, gather.left[1]), gather.left, stroke=LINE)


DRAWINGS = {'contrast': contrast(), 'box_plot': box_plot(), 'loops': loops()}
