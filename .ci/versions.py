#!/usr/bin/env python3
"""Store with which versions the notebooks were run, and how many passed.

    .ci/test_notebooks.py | tee log; .ci/versions.py newest log
    nbdev_test --timing   | tee log; .ci/versions.py newest log

After an installation with the constraints of `.ci/lowest.py`: `lowest` instead of `newest`. Run it
in the environment of the tests. A log may hold several runs; of a notebook, the last one counts.
Each Python, kind of bounds and command has a row of nbs/results/versions.csv: how many notebooks
there are, passed and failed, and the versions of the packages of settings.ini.
"""
import argparse
import datetime
import platform
import re
import runpy
from importlib.metadata import version
from pathlib import Path
import pandas as pd
import cozad
from cozad.results import save_table

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT/'nbs/results/versions.csv'
KEY = ['python', 'bounds', 'command'] # of a row


def outcome(log):
    "Which command wrote a log, how many notebooks passed, and how many failed."
    last = {name: word for word, name in re.findall(r'^(passed|FAILED)  (\S+\.ipynb) ', log, re.M)}
    timed = re.findall(r'\.ipynb: \d+ secs$', log, re.M) # nbdev_test writes them if all passed
    if not last and not timed:
        raise SystemExit('The log does not say how many notebooks passed; take all of the output '
                         'of .ci/test_notebooks.py, or of nbdev_test --timing.')
    if timed:
        return 'nbdev_test', len(timed), 0
    failed = [name for name, word in last.items() if word == 'FAILED']
    return 'test_notebooks', len(last) - len(failed), len(failed)


def row(bounds, log):
    "How a run went, and the versions that are installed here."
    lowest = runpy.run_path(str(ROOT/'.ci/lowest.py'))['bounds']()
    run = dict(python=platform.python_version(), bounds=bounds)
    run |= dict(zip(('command', 'passed', 'failed'), outcome(log)))
    tested = Path(cozad.__file__).parent.parent/'nbs' # of the checkout that is installed here
    run['notebooks'] = len(list(tested.rglob('*.ipynb')))
    run['date'] = datetime.date.today().isoformat()
    return run | {name: version(name) for name in sorted(lowest)}


def with_row(table, run):
    "The table with a row more, or another in its place."
    same = (table[KEY] == [run[name] for name in KEY]).all(axis=1)
    return pd.concat([table[~same], pd.DataFrame([run])]).sort_values(KEY)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('bounds', choices=('newest', 'lowest'))
    parser.add_argument('log', type=Path, help='what the tests printed')
    args = parser.parse_args()
    run = row(args.bounds, args.log.read_text(encoding='utf-8', errors='replace'))
    table = pd.DataFrame(columns=list(run))
    if TABLE.is_file():
        table = pd.read_csv(TABLE, dtype=str)
    save_table(with_row(table, run), TABLE, {})
    print(', '.join(f'{name} {value}' for name, value in run.items()))


if __name__ == '__main__':
    main()
