#!/usr/bin/env python3
"""Run notebooks from top to bottom, one process each, and count. The last line reads `N passed, N failed`.

    .ci/test_notebooks.py [--flags real] [notebook ...]
"""
import argparse, re, subprocess, sys, time
from pathlib import Path

NBS = Path(__file__).resolve().parent.parent/'nbs'


def passes(notebook, flags):
    start = time.time()
    command = [str(Path(sys.executable).with_name('nbdev_test')), '--path', str(notebook), '--n_workers', '0'] + (['--flags', flags] if flags else [])
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"{'passed' if done.returncode == 0 else 'FAILED'}  {notebook.name:32} {time.time() - start:5.1f} s", flush=True)
    if done.returncode: print(done.stdout[-4000:], done.stderr[-4000:], sep='\n', flush=True)
    return done.returncode == 0


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', type=Path, help='by default all in nbs/')
    parser.add_argument('--flags', default='', help='test flags whose cells are run as well')
    args = parser.parse_args()
    notebooks = args.notebooks or sorted(NBS.glob('*.ipynb'))
    marks = re.compile('#\\| (' + '|'.join(args.flags.split()) + ')\\b') if args.flags else None
    if marks: notebooks = [n for n in notebooks if marks.search(n.read_text(encoding='utf-8'))]
    results = [passes(n.resolve(), args.flags) for n in notebooks]
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    sys.exit(not all(results) or not results)
