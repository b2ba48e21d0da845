#!/usr/bin/env python3
"""The licence of every package that cozad needs, from what is installed here.

    .ci/licences.py           print the table
    .ci/licences.py --save    store it in nbs/results/licences.csv

`cozad` in the last column: every user needs the package; otherwise some extra of settings.ini does.
Extras that are not installed here are left out. PyTorch for Linux brings packages of NVIDIA.
The last line reads `N passed, N failed`: a package that every user needs fails when it names no
licence, or one that would bind programs that use cozad.
"""
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
import pandas as pd
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ('cozad', 'demo', 'onnx', 'video', 'heif', 'clip', 'lab', 'dev') # the first that needs it
NAMED = {'cuda-toolkit': "NVIDIA's, a list of its packages"} # the metadata name none
BINDING = re.compile(r'\b(A?GPL|General Public)', re.I)
LINKABLE = re.compile(r'\bLGPL|Lesser', re.I)


def needed(name, extras):
    "The requirements of an installed package that hold here: name, extras."
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if not marker or any(marker.evaluate({'extra': extra}) for extra in ('', *extras)):
            yield canonicalize_name(requirement.name), tuple(requirement.extras)


def everything(extra):
    "Names of all packages that an extra of cozad needs, those of its requirements included."
    waiting = [('cozad', () if extra == 'cozad' else (extra,))]
    seen = set()
    while waiting:
        package = waiting.pop()
        if package in seen:
            continue
        seen.add(package)
        try:
            waiting += needed(*package)
        except PackageNotFoundError:
            seen.remove(package)
    return {name for name, _ in seen} - {'cozad'}


def of_file(package):
    "The first line of a package's file LICENSE, if it has one."
    for path in package.files or ():
        if path.name.upper().startswith('LICEN'):
            lines = path.read_text(encoding='utf-8').split('\n')
            return next((line.strip() for line in lines if line.strip()), '')
    return ''


def licence(package):
    "What a package says: an expression, a classifier, a short text, or a file's first line."
    about = package.metadata
    of_list = [
        line.rpartition(' :: ')[2] for line in about.get_all('Classifier') or ()
        if line.startswith('License :: ') and not line.endswith('OSI Approved')
    ]
    short = (about['License'] or '').strip().split('\n')[0].removeprefix('UNKNOWN')[:60]
    named = about['License-Expression'] or ', '.join(of_list) or short or of_file(package)
    return NAMED.get(package.name, named or 'not named')


def table():
    "A row for each package."
    rows, known = [], set()
    for extra in EXTRAS:
        for name in sorted(everything(extra) - known):
            package = distribution(name)
            rows.append((name, package.version, licence(package), extra))
            known.add(name)
    return pd.DataFrame(rows, columns=['package', 'version', 'licence', 'needed by'])


def is_free(text):
    "Whether a licence leaves programs that use the package alone."
    return text != 'not named' and (not BINDING.search(text) or bool(LINKABLE.search(text)))


def main():
    found = table()
    for row in found.itertuples(index=False):
        print(f'{row[0]:32} {row[1]:14} {row[3]:6} {row[2]}')
    if '--save' in sys.argv:
        from cozad.results import save_table
        save_table(found, ROOT/'nbs/results/licences.csv', {})
    good = found[found['needed by'] == 'cozad'].licence.map(is_free)
    print(f'{good.sum()} passed, {len(good) - good.sum()} failed')
    sys.exit(not good.all())


if __name__ == '__main__':
    main()
