#!/usr/bin/env python3
"""Print the lower bounds of settings.ini as constraints for pip.

    .ci/lowest.py >lowest.txt && pip install --constraint lowest.txt --editable '.[dev]'

So the tests can run with the oldest versions that settings.ini allows. What was tried, and when,
stands in nbs/results/versions.csv.
"""
import re
from configparser import ConfigParser
from pathlib import Path

SETTINGS = Path(__file__).resolve().parent.parent/'settings.ini'
NEWEST = ('browser', 'cluster', 'heif', 'peers', 'video') # extras that were not tried


def bounds():
    "Name of a requirement: its lower bound, from all extras that are tried."
    config = ConfigParser(delimiters=['='])
    config.read(SETTINGS, encoding='utf-8')
    settings = config['DEFAULT']
    found = {}
    for key, requirements in settings.items():
        extra = key.removesuffix('requirements').removesuffix('_')
        if key.endswith('requirements') and extra not in NEWEST:
            for requirement in requirements.split():
                name, _, version = re.split('(>=|==)', requirement)
                found[name.partition('[')[0]] = version
    return found


if __name__ == '__main__':
    for name, version in sorted(bounds().items()):
        print(f'{name}=={version}')
