#!/usr/bin/env python3
"""Run notebooks from top to bottom, one process each, as many at a time as there are cores. The last line reads `N passed, N failed`.

    .ci/test_notebooks.py [--flags real] [--card] [notebook ...]
"""
import argparse, multiprocessing, os, re, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NBS = Path(__file__).resolve().parent.parent/'nbs'


PROCESSES = multiprocessing.get_context('forkserver') # every process starts with the same imports and nothing else
IMPORTS = ['nbdev.test', 'pandas', 'matplotlib.pyplot', 'seaborn', 'sklearn.metrics', 'sklearn.manifold', 'scipy.stats', 'torch.func', 'torchvision', 'timm', 'typer', 'ipywidgets']


def run(notebook, flags, with_card, log): # as nbdev_test does it, in this process
    os.dup2(os.open(log, os.O_WRONLY), 1); os.dup2(1, 2)
    from nbdev.config import get_config
    from nbdev.test import test_nb
    os.chdir(notebook.parent)
    test = lambda: test_nb(notebook, get_config().tst_flags.split(), flags.split(), basepath=NBS.parent)[0]
    if not with_card: sys.exit(not test())
    sys.path.append(str(Path(__file__).parent))
    from card import card, carried
    with card(): passed = test()
    print(f"{carried['to']} tensors went to the card and {carried['from']} came back")
    sys.exit(not (passed and carried['to']))


def passes(notebook, flags, with_card):
    start = time.time()
    with tempfile.NamedTemporaryFile('r', errors='replace') as log:
        process = PROCESSES.Process(target=run, args=(notebook, flags, with_card, log.name))
        process.start(); process.join()
        passed = process.exitcode == 0
        print(f"{'passed' if passed else 'FAILED'}  {'/'.join(notebook.parts[-2:]):42} {time.time() - start:5.1f} s", *([] if passed else [log.read()[-6000:]]), sep='\n', flush=True)
    return passed


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', type=Path, help='by default all in nbs/ or, with --flags, those with such a cell')
    parser.add_argument('--flags', default='', help='test flags whose cells are run as well')
    parser.add_argument('--card', action='store_true', help='with the card of card.py, which is none')
    args = parser.parse_args()
    notebooks = args.notebooks or sorted(NBS.rglob('*.ipynb'))
    marks = re.compile('#\\| (' + '|'.join(args.flags.split()) + ')\\b') if args.flags and not args.notebooks else None
    if marks: notebooks = [n for n in notebooks if marks.search(n.read_text(encoding='utf-8'))]
    os.environ['OMP_NUM_THREADS'] = '1'
    PROCESSES.set_forkserver_preload(IMPORTS)
    start = time.time()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool: results = list(pool.map(lambda n: passes(n.resolve(), args.flags, args.card), notebooks))
    print(f'{time.time() - start:.0f} s altogether')
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    sys.exit(not all(results) or not results)
