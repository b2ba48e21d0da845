#!/usr/bin/env python3
"""Run notebooks from top to bottom, one process each, as many at a time as there are cores.

    .ci/test_notebooks.py [--flags real] [--simulated-gpu] [--coverage] [notebook ...]

Without notebooks: all in nbs/ or, with --flags, those with a cell of that flag. With --coverage,
the lines of the package that no notebook runs are listed, and too many of them count as a failure.
The last line reads `N passed, N failed`.
"""
import argparse
import multiprocessing
import os
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS = ROOT/'nbs'
COVERAGE = 95 # percent of the package's lines, at least
PROCESSES = multiprocessing.get_context('forkserver') # every process starts with the same imports
IMPORTS = [
    'nbdev.test', 'pandas', 'matplotlib.pyplot', 'seaborn', 'sklearn.metrics', 'sklearn.manifold',
    'scipy.stats', 'torch.func', 'torchvision', 'timm', 'typer', 'ipywidgets',
]


def test(notebook, flags):
    "Run a notebook as nbdev_test does, in this process."
    from nbdev.config import get_config
    from nbdev.test import test_nb
    os.chdir(notebook.parent)
    skipped = get_config().tst_flags.split()
    return test_nb(notebook, skipped, flags.split(), basepath=ROOT)[0]


def test_on_simulated_gpu(notebook, flags):
    "The same on a simulated GPU; fails when nothing was computed there."
    sys.path.append(str(Path(__file__).parent))
    from simulated_gpu import simulated_gpu, transfers
    with simulated_gpu():
        passed = test(notebook, flags)
    print(f"{transfers['to']} tensors went to the GPU and {transfers['from']} came back")
    return passed and transfers['to'] > 0


def test_with_coverage(notebook, flags, folder):
    "The same; the lines of the package that were run are kept in a folder."
    sys.path.append(str(Path(__file__).parent))
    from package_lines import new_coverage, run_as_module
    run_as_module()
    coverage = new_coverage(folder)
    coverage.start()
    passed = test(notebook, flags)
    coverage.stop()
    coverage.save()
    return passed


def child(notebook, args, log):
    "Run one notebook with all output in a file."
    os.dup2(os.open(log, os.O_WRONLY), 1)
    os.dup2(1, 2)
    if args.coverage:
        passed = test_with_coverage(notebook, args.flags, args.coverage)
    else:
        passed = (test_on_simulated_gpu if args.simulated_gpu else test)(notebook, args.flags)
    sys.exit(not passed)


def passes(notebook, args):
    "Run one notebook in a process of its own and print how it went."
    start = time.time()
    with tempfile.NamedTemporaryFile('r', errors='replace') as log:
        process = PROCESSES.Process(target=child, args=(notebook, args, log.name))
        process.start()
        process.join()
        passed = process.exitcode == 0
        word = 'passed' if passed else 'FAILED'
        name = '/'.join(notebook.parts[-2:])
        print(f'{word}  {name:44} {time.time() - start:5.1f} s', flush=True)
        if not passed:
            print(log.read()[-6000:], flush=True)
    return passed


def chosen(args):
    "The notebooks that were asked for."
    if args.notebooks:
        return [notebook.resolve() for notebook in args.notebooks]
    every = sorted(NBS.rglob('*.ipynb'))
    every.sort(key=lambda notebook: notebook.parent.name == 'reference') # short pages last
    if not args.flags:
        return every
    flag = re.compile(rf"#\| ({'|'.join(args.flags.split())})\b")
    return [notebook for notebook in every if flag.search(notebook.read_text(encoding='utf-8'))]


def run_all(args):
    "Run the notebooks; for each, whether it passed. The last is for the coverage, if asked for."
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        results = list(pool.map(lambda notebook: passes(notebook, args), chosen(args)))
    if args.coverage and results:
        sys.path.append(str(Path(__file__).parent))
        from package_lines import report
        results.append(report(args.coverage, COVERAGE, args.save))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('notebooks', nargs='*', type=Path)
    parser.add_argument('--flags', default='', help='test flags whose cells are run as well')
    parser.add_argument('--simulated-gpu', action='store_true', help='see simulated_gpu.py')
    parser.add_argument('--coverage', action='store_true', help='see package_lines.py')
    parser.add_argument('--save', action='store_true', help='store what --coverage finds')
    args = parser.parse_args()
    os.environ['OMP_NUM_THREADS'] = '1'
    PROCESSES.set_forkserver_preload(IMPORTS)
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        args.coverage = args.coverage and Path(folder)
        results = run_all(args)
    print(f'{time.time() - start:.0f} s altogether')
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    sys.exit(not all(results) or not results)


if __name__ == '__main__':
    main()
