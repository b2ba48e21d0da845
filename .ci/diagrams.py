#!/usr/bin/env python3
"""Draw the diagrams of the pages: the modules in .ci/drawings -> nbs/images/*.svg.

    .ci/diagrams.py           write them
    .ci/diagrams.py --check   exit 1 when a file is not what the code draws
    .ci/diagrams.py --here    print what stands under the title of each page of the course

SVG without scripts and without fonts of its own, so that GitHub, JupyterLab and the site show it.
"""
import importlib
import sys
from pathlib import Path

IMAGES = Path(__file__).resolve().parent.parent/'nbs'/'images'
MODULES = ['here', 'method', 'features', 'learning', 'protocols']


def drawings():
    "Name -> the text of its file."
    made = {}
    for module in MODULES:
        drawn = importlib.import_module(f'drawings.{module}').DRAWINGS
        made |= {name: drawing.svg() for name, drawing in drawn.items()}
    return made


def differing(made):
    "Files that are missing, old or drawn by nothing."
    stored = {path.relative_to(IMAGES).with_suffix('').as_posix() for path in IMAGES.rglob('*.svg')}
    for name, text in made.items():
        path = IMAGES/f'{name}.svg'
        if name not in stored or path.read_text(encoding='utf-8') != text:
            yield name
    yield from sorted(stored - set(made))


def main():
    if '--here' in sys.argv:
        here = importlib.import_module('drawings.here')
        for page, _ in here.PAGES:
            print(f'--- {page}\n{here.markdown(page)}')
        return
    made = drawings()
    if '--check' in sys.argv:
        names = list(differing(made))
        if names:
            sys.exit(f"not what .ci/drawings says: {', '.join(names)}; run .ci/diagrams.py")
        return
    for name, text in made.items():
        path = IMAGES/f'{name}.svg'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    main()
