#!/usr/bin/env python3
"""Print the lower bounds of settings.ini as constraints for pip.

    .ci/lowest.py >lowest.txt && pip install --constraint lowest.txt --editable '.[dev]'

So the tests can run with the oldest versions that settings.ini allows and that exist for this
Python. What was tried, and when, stands in nbs/results/versions.csv.
"""
import re
import sys
from configparser import ConfigParser
from pathlib import Path

SETTINGS = Path(__file__).resolve().parent.parent/'settings.ini'
NEWEST = ('browser', 'cluster', 'heif', 'peers', 'video') # extras that were not tried
FIRST_WHEELS = { # Python: the first release with a wheel for it, where the bound has none
    (3, 13): {
        'matplotlib': '3.9.2', 'numpy': '2.1.0', 'onnx': '1.18.0', 'pandas': '2.2.3',
        'safetensors': '0.4.4', 'scikit-image': '0.25.0', 'scikit-learn': '1.5.2',
        'scipy': '1.14.1',
    },
}


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
    oldest = bounds() | FIRST_WHEELS.get(sys.version_info[:2], {})
    for name, version in sorted(oldest.items()):
        print(f'{name}=={version}')
