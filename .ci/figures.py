#!/usr/bin/env python3
"""The figures behind what cozad promises, from the tables stored in nbs/results.

    .ci/figures.py

A figure that is not stored yet reads n/a. The page is nbs/evidence/21_promises.ipynb.
"""
import json
import re
from pathlib import Path
import pandas as pd
from packaging.version import Version

NBS = Path(__file__).resolve().parent.parent/'nbs'
SHOWN = ('torch', 'timm', 'numpy', 'scikit-learn', 'pandas') # of the versions


def stored(name):
    "A stored table; None if there is none."
    path = NBS/'results'/f'{name}.csv'
    return pd.read_csv(path) if path.is_file() else None


def said(notebook, pattern):
    "A part of what a notebook shows, as it was stored with it; n/a if it is not there."
    path = NBS/notebook
    found = path.is_file() and re.search(pattern, path.read_text(encoding='utf-8'))
    return found[1] if found else 'n/a'


def kills(table):
    return f'{table.kills.sum()}; {table.equal.sum()} ended with the same bits'


def mutants(table):
    share = 100 * table.killed.sum() / (table.tried - table.equivalent).sum()
    tried = f'{table.tried.sum()} of {table.mutants.sum()} in {len(table)} modules tried'
    return f'{tried}, {share:.1f} % of those that change a result noticed'


def pixels(table):
    worst = table.iloc[-1]
    return f'{worst.pixels:.0e} pixels in {worst.peak_mb:.0f} MB'


def images(table):
    most = table.images.max()
    steps = table[table.images == most].step
    highest = table[table.images == most].own_mb.max()
    return f"{most:,} images through {', '.join(steps)}: at most {highest:.0f} MB"


def coverage(table):
    share = 100 * (1 - table.missed.sum() / table.lines.sum())
    return f'{share:.1f} % of {table.lines.sum()} lines, {len(table)} modules'


def versions(table):
    "The lowest and the highest version of a run without a failure, complete or not."
    good = table[table.failed == 0].astype(str)
    words = []
    for name in SHOWN:
        tried = sorted(good[name], key=Version)
        words.append(f'{name} {tried[0]} to {tried[-1]}')
    pythons = sorted({text.rpartition('.')[0] for text in good.python}, key=Version)
    return f"Python {', '.join(pythons)}; {', '.join(words)}"


def licences(table):
    return f"{(table['needed by'] == 'cozad').sum()} packages for every user, {len(table)} in all"


def times(table):
    "Seconds of the notebooks, of the sample of mutants and of all checks together."
    seconds = table.set_index('step').seconds

    def of(start):
        return seconds[seconds.index.str.startswith(start)].iloc[0]

    return (f"notebooks {of('notebooks alone')} s, a sample of mutants "
            f"{of('mutants of the code')} s, all checks with installation {of('all of it')} s")


TABLES = { # what: stored table, how it is put into words
    'kill -9, then resumed': ('crashes', kills),
    'mutants of the code': ('mutations', mutants),
    'lines that a test runs': ('coverage', coverage),
    'metrics in a stream': ('load_pixels', pixels),
    'many images': ('load_images', images),
    'versions': ('versions', versions),
    'licences': ('licences', licences),
    'how long the checks take': ('ci_times', times),
}


def figures():
    "A row for each figure: what, how much, where from."
    cases = said('use/16_bad_input.ipynb', r'(\d+ cases are refused, \d+ are found or fine)')
    rows = [('bad input', cases, 'use/16_bad_input.ipynb')]
    for what, (name, in_words) in TABLES.items():
        table = stored(name)
        date = ''
        if table is not None:
            about = json.loads((NBS/'results'/f'{name}.json').read_text(encoding='utf-8'))
            date = f", {about['environment']['date']}"
        number = 'n/a' if table is None else in_words(table)
        rows.append((what, number, f'results/{name}.csv{date}'))
    return pd.DataFrame(rows, columns=['what', 'figure', 'from'])


if __name__ == '__main__':
    for row in figures().itertuples(index=False):
        print(f'{row[0]:26} {row[1]}  ({row[2]})')
