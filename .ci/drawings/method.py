"The whole method: what happens, the function that does it, and its equation in the paper."
from drawings.svg import Drawing

WIDTH, HEIGHT = 124, 58
BOXES = { # name: x, y, words, colour
    'features': (14, 152, 'frozen backbone\n`patches_at`\nEq. 14, F', 'grey'),
    'adaptor': (164, 152, 'adaptor G\n`Adaptor`\nEq. 14', 'grey'),
    'scores': (312, 40, 'scores of images\n`patch_scores`\nEq. 17', 'yellow'),
    'rule': (460, 40, 'threshold\n`fit_iqr`\nEq. 6', 'yellow'),
    'weights': (608, 40, 'weights\n`soft_weights`\nEq. 5', 'yellow'),
    'noise': (312, 152, 'add noise\n`add_noise`\nEq. 15', 'blue'),
    'margin': (460, 152, 'discriminator D\n`margin_loss`\nEq. 16', 'blue'),
    'weighted': (608, 152, 'weighted loss\n`weighted_loss`\nEq. 7', 'blue'),
    'contrast': (386, 264, 'contrastive loss\n`contrastive_loss`\nEq. 1-3', 'green'),
    'total': (608, 264, 'one loss\n`objective`\nEq. 4, 10, 13', 'grey'),
    'penalty': (386, 376, 'weight of penalty\n`penalty_weight`\nEq. 9', 'red'),
    'inner': (608, 376, 'inner loop\n`adapt`\nEq. 11', 'pink'),
    'pairs': (386, 472, 'pairs of losses\n`LossWindow`\nEq. 8', 'red'),
    'outer': (608, 472, 'outer loop\n`outer_step`\nEq. 12', 'pink'),
}
SIDEWAYS = [
    'features adaptor', 'adaptor noise', 'noise margin', 'margin weighted', 'scores rule',
    'rule weights', 'contrast total',
]
DOWN = ['weights weighted', 'weighted total', 'total inner', 'inner outer']
LABELS = [ # x, y, words
    (312, 30, 'how much each image counts'), (312, 142, 'normal against noisy patches'),
    (386, 254, 'patches against patches'), (386, 366, 'how the two losses move'),
]


def pipeline():
    "Figure 1 of the paper, drawn from the functions of the code."
    drawing = Drawing(746, 566, 'The training of CoZAD, from features to the two loops')
    drawn = {}
    for name, (x, y, words, colour) in BOXES.items():
        drawn[name] = drawing.box((x, y, WIDTH, HEIGHT), words, colour, 12.5)
    for x, y, words in LABELS:
        drawing.text((x, y), words, 12, text_anchor='start', fill='#555555')
    for pair in SIDEWAYS:
        start, end = (drawn[name] for name in pair.split())
        drawing.arrow(start.right, end.left)
    for pair in DOWN:
        start, end = (drawn[name] for name in pair.split())
        drawing.arrow(start.bottom, end.top)
    _bent_arrows(drawing, drawn)
    return drawing


def _bent_arrows(drawing, drawn):
    "Those that go around a corner."
    adaptor, total = drawn['adaptor'], drawn['total']
    corner = drawn['scores'].left[1]
    drawing.arrow(adaptor.top, (adaptor.top[0], corner), drawn['scores'].left)
    middle = adaptor.bottom[0] + 30
    low = drawn['contrast'].left[1]
    drawing.arrow((middle, adaptor.bottom[1]), (middle, low), drawn['contrast'].left)
    drawing.arrow(drawn['outer'].left, drawn['pairs'].right)
    drawing.arrow(drawn['pairs'].top, drawn['penalty'].bottom)
    y = drawn['penalty'].right[1]
    drawing.arrow((510, y), (560, y), (560, total.left[1] + 16), (608, total.left[1] + 16))
    x, floor = adaptor.bottom[0] - 30, 548
    start = drawn['outer'].bottom
    drawing.arrow(start, (start[0], floor), (x, floor), (x, adaptor.bottom[1]),
                  stroke_dasharray='6 4')
    drawing.text((x + 10, floor - 8), 'new G and D', 12, text_anchor='start', fill='#555555')


DRAWINGS = {'pipeline': pipeline()}
