"From an image to the feature of a patch, and the head that scores it."
from drawings.svg import LIGHT, LINE, MONO, STRONG, Drawing


def _grid(drawing, place, count, **style):
    "A square of count x count cells; returns the length of a cell."
    x, y, side = place
    cell = side / count
    drawing.add('rect', x=x, y=y, width=side, height=side, **dict(fill='#ffffff') | style)
    for k in range(count + 1):
        drawing.line((x + k * cell, y), (x + k * cell, y + side), stroke_width=.8)
        drawing.line((x, y + k * cell), (x + side, y + k * cell), stroke_width=.8)
    return cell


def _cells(drawing, place, cell, colour, size=1):
    "A filled square of size x size cells."
    x, y = place
    drawing.add('rect', x=x, y=y, width=size * cell, height=size * cell, fill=colour,
                stroke=LINE)


def _image(drawing, x, y, side):
    "A part with a scratch."
    drawing.add('rect', x=x, y=y, width=side, height=side, fill='#d8d8d4', stroke=LINE)
    drawing.add('circle', cx=x + side / 2, cy=y + side / 2, r=side * .36, fill='#8d8d88')
    drawing.add('circle', cx=x + side / 2, cy=y + side / 2, r=side * .15, fill='#d8d8d4')
    drawing.line((x + 66, y + 24), (x + 80, y + 38), stroke=STRONG['red'], stroke_width=4)


def _layer(drawing, y, count, name, colour):
    "One map of the backbone with a neighbourhood of 3 x 3, and its mean."
    side = 112
    cell = _grid(drawing, (232, y, side), count)
    where = 232 + cell * (count * 5 // 8 - 1), y + cell * (count // 4 - 1)
    _cells(drawing, where, cell, LIGHT[colour], 3)
    _cells(drawing, (where[0] + cell, where[1] + cell), cell, STRONG[colour])
    drawing.text((288, y + side + 17), name, 12.5)
    middle = y + side / 2
    drawing.arrow((352, middle), (400, middle))
    box = drawing.box((400, middle - 27, 108, 54), 'mean of\n3 × 3 patches', colour, 12.5)
    return box


def patches():
    "Image, two maps, neighbourhoods, and the concatenated feature."
    drawing = Drawing(746, 320, 'From an image to the feature of a patch')
    _image(drawing, 14, 104, 104)
    drawing.text((66, 228), 'image', 12.5)
    drawing.lines((66, 250), '`(3, 128, 128)`', 12)
    backbone = drawing.box((134, 126, 78, 60), 'frozen\nbackbone', 'grey', 12.5)
    drawing.line((118, 156), backbone.left)
    first = _layer(drawing, 20, 16, 'layer 2: 16 × 16', 'blue')
    second = _layer(drawing, 176, 8, 'layer 3: 8 × 8', 'yellow')
    drawing.arrow(backbone.top, (173, 76), (226, 76))
    drawing.arrow(backbone.bottom, (173, 232), (226, 232))
    drawing.lines((454, 286), 'stretched to\n16 × 16', 12.5)
    _feature(drawing, first, second)
    return drawing


def _feature(drawing, first, second):
    "The two parts of a feature, one below the other."
    parts = [('blue', 84, 60, '512'), ('yellow', 144, 92, '1024')]
    for colour, y, height, words in parts:
        drawing.add('rect', x=560, y=y, width=40, height=height, fill=LIGHT[colour], stroke=LINE)
        drawing.text((580, y + height / 2 + 5), words, 12.5, font_family=MONO)
    drawing.arrow(first.right, (556, 110))
    drawing.arrow(second.right, (556, 194))
    drawing.text((530, 158), 'concat', 12.5)
    drawing.lines((672, 160), 'the feature o\nof one patch:\n1536 numbers', 13)
    drawing.lines((650, 266), 'all patches:', 12.5)
    drawing.lines((650, 286), '`(1536, 16, 16)`', 12)


def _bar(drawing, x, words, height, colour):
    "A vector, as tall as it is long."
    middle = 118
    drawing.add('rect', x=x, y=middle - height / 2, width=22, height=height, fill=LIGHT[colour],
                stroke=LINE)
    drawing.text((x + 11, middle + height / 2 + 18), words, 12.5, font_family=MONO)


def head():
    "G and D with the shapes between them."
    drawing = Drawing(746, 262, 'The adaptor G and the discriminator D, with shapes')
    y, height = 84, 68
    drawing.add('rect', x=78, y=24, width=126, height=190, rx=8, fill='none',
                stroke=STRONG['blue'], stroke_dasharray='5 4')
    drawing.add('rect', x=290, y=24, width=356, height=190, rx=8, fill='none',
                stroke=STRONG['green'], stroke_dasharray='5 4')
    drawing.text((141, 44), 'adaptor G', 13.5, font_weight='bold')
    drawing.text((468, 44), 'discriminator D', 13.5, font_weight='bold')
    for x, words, tall, colour in [(24, '1536', 110, 'grey'), (228, '1536', 110, 'blue'),
                                   (424, '1024', 84, 'green'), (682, '1', 18, 'white')]:
        _bar(drawing, x, words, tall, colour)
    boxes = [(96, 90, 'linear\nno bias', 'blue'), (306, 90, 'linear', 'green'),
             (464, 90, 'batch norm\nleaky ReLU', 'green'), (572, 62, 'linear', 'green')]
    drawn = [drawing.box((x, y, w, height), words, c, 12.5) for x, w, words, c in boxes]
    stops = [(46, drawn[0].x), (186, 228), (250, drawn[1].x), (396, 424), (446, drawn[2].x),
             (554, drawn[3].x), (634, 682)]
    for start, end in stops:
        drawing.arrow((start, 118), (end, 118))
    for x, words in [(35, 'feature o'), (239, 'q'), (693, 'D(q)')]:
        drawing.text((x + 4, 56 if x != 693 else 100), words, 12.5)
    drawing.text((373, 240), 'D(q) is high for a normal patch; the anomaly score is −D(q).', 13)
    return drawing


DRAWINGS = {'patches': patches(), 'head': head()}
