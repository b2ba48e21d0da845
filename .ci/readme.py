#!/usr/bin/env python3
"""README.md from nbs/index.ipynb: prose, code and stored text outputs; no Quarto needed.

    .ci/readme.py           write it
    .ci/readme.py --check   exit 1 when it differs

Pictures are files in nbs/images; what a cell draws is left out.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r'^#\|\s*(hide|echo: *false)', re.M)
NOTE = '<!-- made from nbs/index.ipynb by .ci/readme.py; edit that -->\n\n'


def outputs(cell):
    "What a cell shows, as markdown: rendered markdown as it is, text in a block."
    for output in cell.get('outputs', []):
        data = output.get('data', {})
        if 'text/markdown' in data:
            yield data['text/markdown'].strip()
        elif 'image/png' not in data:
            text = (data.get('text/plain') or output.get('text', '')).strip()
            if text:
                yield f'```\n{text}\n```'


def parts(cell):
    "A cell as pieces of markdown."
    if cell.cell_type == 'markdown':
        yield cell.source.strip()
        return
    if not HIDDEN.search(cell.source):
        yield f'```python\n{cell.source.strip()}\n```'
    yield from outputs(cell)


def readme():
    "The text of README.md, its links seen from the top folder."
    import nbformat
    cells = nbformat.read(ROOT/'nbs'/'index.ipynb', 4).cells
    pieces = [piece for cell in cells for piece in parts(cell) if piece]
    text = re.sub(r'\]\((images/|[\w/]+\.ipynb)', r'](nbs/\1', '\n\n'.join(pieces))
    return NOTE + text + '\n'


def main():
    made, path = readme(), ROOT/'README.md'
    if '--check' not in sys.argv:
        path.write_text(made, encoding='utf-8')
    elif path.read_text(encoding='utf-8') != made:
        sys.exit('README.md is not what nbs/index.ipynb says: run .ci/readme.py')


if __name__ == '__main__':
    main()
