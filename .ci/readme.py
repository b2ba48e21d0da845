#!/usr/bin/env python3
"""README.md from nbs/index.ipynb: prose, code and stored text outputs; no Quarto needed.

    .ci/readme.py           write it
    .ci/readme.py --check   exit 1 when it differs

Pictures are files in nbs/images; what a cell draws is left out.
"""
import re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = re.compile(r'^#\|\s*(hide|echo: *false)', re.M)


def outputs(cell):
    "What a cell shows, as markdown: rendered markdown as it is, text in a block."
    for output in cell.get('outputs', []):
        data = output.get('data', {})
        if 'text/markdown' in data: yield data['text/markdown'].strip()
        elif 'image/png' in data: continue
        elif text := (data.get('text/plain') or output.get('text', '')).strip(): yield f'```\n{text}\n```'


def readme():
    import nbformat
    parts = []
    for cell in nbformat.read(ROOT/'nbs'/'index.ipynb', 4).cells:
        if cell.cell_type == 'markdown': parts.append(cell.source.strip())
        else:
            if not HIDDEN.search(cell.source): parts.append(f'```python\n{cell.source.strip()}\n```')
            parts.extend(outputs(cell))
    text = re.sub(r'\]\((images/|\w+\.ipynb)', r'](nbs/\1', '\n\n'.join(p for p in parts if p)) + '\n'
    return '<!-- made from nbs/index.ipynb by .ci/readme.py; edit that -->\n\n' + text


if __name__ == '__main__':
    made, path = readme(), ROOT/'README.md'
    if '--check' not in sys.argv: path.write_text(made, encoding='utf-8')
    elif path.read_text(encoding='utf-8') != made: sys.exit('README.md is not what nbs/index.ipynb says: run .ci/readme.py')
