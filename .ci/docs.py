#!/usr/bin/env python3
"""Build the docs site in _docs/ and check its links; no Quarto and no download needed.

    .ci/docs.py               build and check
    .ci/docs.py --sidebar     only write nbs/sidebar.yml, the order of the pages
    .ci/docs.py --check       exit 1 when nbs/sidebar.yml is not what the folders say

nbdev stages the notebooks in _proc/ as it does for Quarto, and smalldocs renders them from the
same _quarto.yml and sidebar.yml.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS, STAGE = ROOT/'nbs', ROOT/'_proc'
PARTS = {'learn': 'Learn', 'use': 'Use', 'evidence': 'Evidence', 'reference': 'Reference'}


def sidebar():
    "The order of the pages as YAML: the index, then the notebooks of each part by number."
    lines = ['website:', '  sidebar:', '    contents:', '    - index.ipynb']
    for folder, title in PARTS.items():
        lines += [f'    - section: {title}', '      contents:']
        lines += [f'      - {folder}/{page.name}' for page in sorted((NBS/folder).glob('*.ipynb'))]
    return '\n'.join(lines) + '\n'


def stage():
    "nbdev's own staging: configuration, index of symbols, processed notebooks."
    from nbdev.doclinks import _build_modidx
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    shutil.rmtree(STAGE, ignore_errors=True)
    refresh_quarto_yml()
    _build_modidx()
    proc_nbs(force=True, n_workers=2)
    shutil.copytree(NBS/'images', STAGE/'images', dirs_exist_ok=True)
    for name in ('_quarto.yml', 'nbdev.yml', 'sidebar.yml', 'styles.css'):
        shutil.copy(NBS/name, STAGE/name)


def new_names():
    "Staged page -> the page that nbdev's `output-file` names, which smalldocs does not read."
    names = {}
    for page in STAGE.rglob('*.ipynb'):
        text = page.read_text(encoding='utf-8')
        line = re.search(r'^\s*"output-file: (.+?)\.html\\n",\n', text, re.M)
        if line:
            names[page] = page.with_name(f'{line[1]}.ipynb')
            page.write_text(text.replace(line[0], ''), encoding='utf-8')
    return names


def rename():
    "Give the staged pages the names that they have on the site, also where others link to them."
    names = new_names()
    for old, new in names.items():
        old.rename(new)
    by_name = {old.name: new.name for old, new in names.items()}
    longest_first = sorted(map(re.escape, by_name), key=len, reverse=True)
    pattern = re.compile('|'.join(longest_first))
    for file in [*STAGE.rglob('*.ipynb'), STAGE/'sidebar.yml']:
        text = file.read_text(encoding='utf-8')
        file.write_text(pattern.sub(lambda m: by_name[m[0]], text), encoding='utf-8')


def render():
    "Pages into _docs, and every link followed."
    subprocess.run(['smalldocs', 'render', '--strict', str(STAGE)], check=True)
    subprocess.run(['smalldocs', 'check', str(STAGE)], check=True)
    shutil.rmtree(ROOT/'_docs', ignore_errors=True)
    shutil.move(STAGE/'_docs', ROOT/'_docs')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--sidebar', action='store_true', help='only write nbs/sidebar.yml')
    parser.add_argument('--check', action='store_true', help='only compare nbs/sidebar.yml')
    args = parser.parse_args()
    os.chdir(ROOT)
    if args.check:
        if (NBS/'sidebar.yml').read_text(encoding='utf-8') != sidebar():
            sys.exit('nbs/sidebar.yml is not what the folders say: run .ci/docs.py --sidebar')
        return
    (NBS/'sidebar.yml').write_text(sidebar(), encoding='utf-8')
    if args.sidebar:
        return
    stage()
    rename()
    try:
        render()
    except subprocess.CalledProcessError as error:
        command = ' '.join(map(str, error.cmd[:2]))
        sys.exit(f'docs: {command} reported an error; see above.')
    print(f"docs: {sum(1 for _ in (ROOT/'_docs').rglob('*.html'))} pages in _docs")


if __name__ == '__main__':
    main()
