#!/usr/bin/env python3
"""Store how long each step of .ci/run took, from what it printed.

    .ci/run | tee run.log; .ci/times.py run.log
    .ci/test_notebooks.py | tee tests.log; .ci/times.py run.log tests.log

`make test` installs first, in a fresh checkout. The seconds of the notebooks alone come from the
last log. The table is nbs/results/ci_times.csv; nbs/evidence/21_promises.ipynb shows it.
"""
import re
import sys
from pathlib import Path

ALONE = re.compile(r'^(\d+) s altogether$', re.M)
STEP = re.compile(r'^(?:passed|took) +(.+) \((\d+) s(, beside others)?\)$', re.M)


def steps(text):
    "Name, seconds and whether it ran beside others, of every step in a log."
    return [
        dict(step=name, seconds=int(seconds), beside_others=bool(beside))
        for name, seconds, beside in STEP.findall(text)
    ]


def main():
    import pandas as pd
    from cozad.files import results_path
    from cozad.results import save_table
    text, *others = [Path(name).read_text(encoding='utf-8') for name in sys.argv[1:]]
    counts = re.findall(r'^\d+ passed, \d+ failed$', text, re.M)
    if not counts or 'FAILED' in text or not counts[-1].endswith(' 0 failed'):
        sys.exit(f'{sys.argv[1]}: not the log of a run that came to its end and passed')
    alone = int(ALONE.search(others[-1] if others else text)[1])
    rows = [dict(step='notebooks alone', seconds=alone, beside_others=False), *steps(text)]
    about = dict(last_line=counts[-1])
    print(save_table(pd.DataFrame(rows), results_path('ci_times.csv'), about))


if __name__ == '__main__':
    main()
