#!/usr/bin/env python3
"""Run notebooks from the top in a fresh interpreter and store what their cells show.

    .ci/store_outputs.py nbs/learn/07_confidence.ipynb ...    [--flags "slow real"]

Cells marked with a test flag of settings.ini (slow, cuda, real) are not run unless named in
--flags; they keep the outputs that they have. Widget views, which no reader without a kernel can
see, are not stored; large pictures are stored with 256 colours, a third of the size. Cells that
ask for real images are tagged `raises-exception`: without the images they fail, and *Run All*
goes on. Cells with `#| code-fold: true` (further tests, plotting) are folded in JupyterLab, too.
"""
import argparse
import base64
import io
import os
import re
import subprocess
import sys
from pathlib import Path

WIDGET = 'application/vnd.jupyter.widget-view+json'
FOLDED = re.compile(r'^#\|\s*code-fold:\s*true', re.M)
CLEAR_LINE = '\x1b[2K'


def smaller(png):
    "A picture as base64, with 256 colours when it is large."
    from PIL import Image
    if len(png) < 60_000:
        return png
    out = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB')
    image.quantize(256, dither=Image.Dither.NONE).save(out, 'PNG', optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def flags_of(cell):
    "The directives of a code cell."
    return set(re.findall(r'^#\|\s*(\w+)', cell.source, re.M))


def is_worth_storing(output):
    "No widget view, and no text that only clears a line."
    text = ''.join(output.get('text', '-')).replace(CLEAR_LINE, '').strip()
    return WIDGET not in output.get('data', {}) and bool(text)


def tidy(cell):
    "Leave out what no reader sees and shrink pictures."
    if 'real' in flags_of(cell):
        cell.metadata['tags'] = ['raises-exception']
    cell.metadata.pop('jupyter', None)
    if FOLDED.search(cell.source):
        cell.metadata['jupyter'] = {'source_hidden': True}
    cell.outputs = [output for output in cell.outputs if is_worth_storing(output)]
    for output in cell.outputs:
        data = output.get('data', {})
        if 'image/png' in data:
            data['image/png'] = smaller(''.join(data['image/png']))


def store(path, flags):
    "Run one notebook in this interpreter and write it."
    from execnb.nbio import read_nb, write_nb
    from execnb.shell import CaptureShell
    from nbdev.clean import nbdev_clean
    from nbdev.config import get_config
    skipped = set(get_config().tst_flags.split()) - set(flags)
    notebook, shell = read_nb(path), CaptureShell(path, mpl_format='png')

    def is_skipped(cell):
        return cell.cell_type != 'code' or bool(skipped & flags_of(cell))

    for cell in notebook.cells:
        if not is_skipped(cell):
            cell.outputs = []
    os.chdir(path.parent)
    try:
        shell.run_all(notebook, exc_stop=True, preproc=is_skipped)
    except Exception:
        sys.exit(f'{path.name}: {shell.prettytb(fname=path)}')
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            tidy(cell)
    temporary = path.with_suffix('.tmp')
    write_nb(notebook, temporary)
    os.replace(temporary, path)
    nbdev_clean(str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('notebooks', nargs='+', type=Path)
    parser.add_argument('--flags', default='', help='test flags whose cells are run as well')
    args = parser.parse_args()
    if len(args.notebooks) == 1:
        os.environ['IN_TEST'] = '1'
        store(args.notebooks[0].resolve(), args.flags.split())
        return
    for notebook in args.notebooks:
        subprocess.run([sys.executable, __file__, notebook, '--flags', args.flags], check=True)


if __name__ == '__main__':
    main()
