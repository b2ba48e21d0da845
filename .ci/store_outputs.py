#!/usr/bin/env python3
"""Run notebooks from the top in a fresh interpreter and store what their cells show.

    .ci/store_outputs.py nbs/05_confidence.ipynb ...    [--flags "slow real"]

Cells marked with a test flag of settings.ini (slow, cuda, real) are not run, unless named in --flags; they keep the
outputs that they have. Widget views, which no reader without a kernel can see, are not stored, nor is the code by which one clears a line;
large pictures are stored with 256 colours, a third of the size. Cells that ask for real images are tagged `raises-exception`: without the
images they fail, and *Run All* goes on behind them.
"""
import argparse, base64, io, os, re, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def smaller(png): # base64 in, base64 out
    from PIL import Image
    if len(png) < 60_000: return png
    out = io.BytesIO()
    Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB').quantize(256, dither=Image.Dither.NONE).save(out, 'PNG', optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def store(path, flags):
    from execnb.nbio import read_nb, write_nb
    from execnb.shell import CaptureShell
    from nbdev.clean import nbdev_clean
    from nbdev.config import get_config
    skipped = set(get_config().tst_flags.split()) - set(flags)
    nb, shell = read_nb(path), CaptureShell(path, mpl_format='png')

    def skip(cell):
        if cell.cell_type != 'code': return True
        return skipped & set(re.findall(r'^#\|\s*(\w+)', cell.source, re.M))

    for cell in nb.cells:
        if not skip(cell): cell.outputs = []
    os.chdir(path.parent)
    try: shell.run_all(nb, exc_stop=True, preproc=skip)
    except Exception: sys.exit(f'{path.name}: {shell.prettytb(fname=path)}')
    for cell in nb.cells:
        if cell.cell_type == 'code' and re.search(r'^#\|\s*real\b', cell.source, re.M): cell.metadata['tags'] = ['raises-exception']
        if cell.cell_type == 'code':
            cell.outputs = [o for o in cell.outputs if 'application/vnd.jupyter.widget-view+json' not in o.get('data', {}) and ''.join(o.get('text', '-')).replace('\x1b[2K', '').strip()]
            for data in (o['data'] for o in cell.outputs if 'image/png' in o.get('data', {})): data['image/png'] = smaller(''.join(data['image/png']))
    temporary = path.with_suffix('.tmp')
    write_nb(nb, temporary)
    os.replace(temporary, path)
    nbdev_clean(str(path))


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='+', type=Path)
    parser.add_argument('--flags', default='', help='test flags whose cells are run as well, separated by blanks')
    args = parser.parse_args()
    if len(args.notebooks) == 1:
        os.environ['IN_TEST'] = '1'
        store(args.notebooks[0].resolve(), args.flags.split())
    else:
        for notebook in args.notebooks: subprocess.run([sys.executable, __file__, notebook, '--flags', args.flags], check=True)
