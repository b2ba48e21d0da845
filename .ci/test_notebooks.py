#!/usr/bin/env python3
"""Run notebooks from top to bottom, one process each, as many at a time as there are cores. The last line reads `N passed, N failed`.

    .ci/test_notebooks.py [--flags real] [notebook ...]
"""
import argparse, os, re, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NBS = Path(__file__).resolve().parent.parent/'nbs'


def passes(notebook, flags):
    start = time.time()
    command = [str(Path(sys.executable).with_name('nbdev_test')), '--path', str(notebook), '--n_workers', '0'] + (['--flags', flags] if flags else [])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    report = [f"{'passed' if done.returncode == 0 else 'FAILED'}  {notebook.name:32} {time.time() - start:5.1f} s"]
    if done.returncode: report += [done.stdout[-4000:], done.stderr[-4000:]]
    print(*report, sep='\n', flush=True)
    return done.returncode == 0


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebooks', nargs='*', type=Path, help='by default all in nbs/')
    parser.add_argument('--flags', default='', help='test flags whose cells are run as well')
    args = parser.parse_args()
    notebooks = args.notebooks or sorted(NBS.glob('*.ipynb'))
    marks = re.compile('#\\| (' + '|'.join(args.flags.split()) + ')\\b') if args.flags else None
    if marks: notebooks = [n for n in notebooks if marks.search(n.read_text(encoding='utf-8'))]
    start = time.time()
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool: results = list(pool.map(lambda n: passes(n.resolve(), args.flags), notebooks))
    print(f'{time.time() - start:.0f} s altogether')
    print(f'{sum(results)} passed, {len(results) - sum(results)} failed')
    sys.exit(not all(results) or not results)
