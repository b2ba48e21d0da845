#!/usr/bin/env python3
"""Build the docs site in _docs/ and check its links; no Quarto and no download needed.

    .ci/docs.py               build and check
    .ci/docs.py --sidebar     only write nbs/sidebar.yml, the order of the pages
    .ci/docs.py --check       exit 1 when nbs/sidebar.yml is not what the folders say

nbdev stages the notebooks in _proc/ as it does for Quarto, and smalldocs renders them from the
same _quarto.yml and sidebar.yml. Each page gets the date of its last change at its foot and, where
its first cell can install the package, a link to Colab. Nothing on a page is fetched from
elsewhere, and the formulas are MathML, which browsers set by themselves.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from html import unescape
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS, STAGE = ROOT/'nbs', ROOT/'_proc'
PARTS = {'learn': 'Learn', 'use': 'Use', 'evidence': 'Evidence', 'reference': 'Reference'}


def sidebar():
    "The order of the pages as YAML: the index, then the notebooks of each part by number."
    lines = ['website:', '  sidebar:', '    contents:']
    lines += [f'    - {page}.ipynb' for page in ('index', 'what_came_out', 'contents')]
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
    proc_nbs(force=True, n_workers=0) # a pool waits for ever when one of its processes is killed
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
    "Staged page -> its old name, after each has got the name that it has on the site."
    names = new_names()
    for old, new in names.items():
        old.rename(new)
    _rename_links(names)
    return {new: old.name for old, new in names.items()}


def _rename_links(names):
    "New names in the text of all pages and in the sidebar."
    by_name = {old.name: new.name for old, new in names.items()}
    longest_first = sorted(map(re.escape, by_name), key=len, reverse=True)
    pattern = re.compile('|'.join(longest_first))
    for file in [*STAGE.rglob('*.ipynb'), STAGE/'sidebar.yml']:
        text = file.read_text(encoding='utf-8')
        file.write_text(pattern.sub(lambda m: by_name[m[0]], text), encoding='utf-8')


def last_changes():
    "Notebook, from the top folder -> date of its last commit; empty without a full history."
    shallow = subprocess.run(['git', 'rev-parse', '--is-shallow-repository'], capture_output=True,
                             text=True)
    if shallow.stdout.strip() != 'false':
        return {}
    log = subprocess.run(['git', 'log', '--format=date %cs', '--name-only', '--', 'nbs'],
                         capture_output=True, text=True, check=True).stdout
    dates, day = {}, None
    for line in filter(None, log.split('\n')):
        if line.startswith('date '):
            day = line[5:]
        else:
            dates.setdefault(line, day)
    return dates


def foot(changed):
    "What stands under a page: when it was changed, and what the site was made with."
    versions = ', '.join(f'{name} {version(name)}' for name in ('cozad', 'torch', 'matplotlib'))
    made = f'Site made {date.today()} with {versions}, Python {sys.version.split()[0]}.'
    when = f'This notebook and its stored outputs were last changed {changed}. ' if changed else ''
    return f'::: {{.page-foot}}\n{when}{made}\n:::'


def colab(path):
    "A link that opens a notebook of the repository in Colab."
    from nbdev.config import get_config
    config = get_config()
    place = f'{config.user}/{config.repo}/blob/{config.branch}/{path}'
    return f'[Open in Colab](https://colab.research.google.com/github/{place}){{.colab}}'


def _markdown(text, number):
    return dict(cell_type='markdown', id=f'added{number}', metadata={}, source=text)


FIRST_FORMULA = re.compile(r'((?:^|\|[ \t])[ \t]*(?:[-*+] |\d+\. )?[ \t]*)\$(?=[^$\s])', re.M)


def spaced(text):
    """A space of no width before a formula that comes first in a paragraph, item or table cell.

    Without it, mdit-py-plugins takes the last letter of the text for the one before the formula,
    and sets no formula when that is a digit.
    """
    return FIRST_FORMULA.sub('\\1\u200b$', text)


def add_lines(old_names):
    "The line at the foot of each staged page, and the link to Colab at the top of some."
    dates = last_changes()
    for page in STAGE.rglob('*.ipynb'):
        content = json.loads(page.read_text(encoding='utf-8'))
        cells = content['cells']
        for cell in cells:
            if cell['cell_type'] == 'markdown':
                cell['source'] = spaced(''.join(cell['source']))
        folder = page.parent.relative_to(STAGE)
        path = (Path('nbs')/folder/old_names.get(page, page.name)).as_posix()
        cells.append(_markdown(foot(dates.get(path)), 1))
        if 'google.colab' in (ROOT/path).read_text(encoding='utf-8'):
            cells.insert(1, _markdown(colab(path), 0))
        page.write_text(json.dumps(content), encoding='utf-8')


KATEX = re.compile(r'<(?:link|script)\b[^>]*katex[^>]*>(?:</script>)?')
FORMULA = re.compile(r'(<span class="math (inline|display)">)\\[(\[](.+?)\\[)\]](?=</span>)', re.S)
FONTS = re.compile(r'@import url\(["\']?https://[^)]*\);?') # of a theme; the reader's own are fine


def as_mathml(match):
    "A formula in TeX as MathML."
    from latex2mathml.converter import convert
    display = 'block' if match[2] == 'display' else 'inline'
    return match[1] + convert(unescape(match[3]), display=display)


def fetch_nothing(site):
    "Formulas without a program that sets them, and the fonts of the reader's machine."
    for page in site.rglob('*.html'):
        text = KATEX.sub('', page.read_text(encoding='utf-8'))
        page.write_text(FORMULA.sub(as_mathml, text), encoding='utf-8')
    for sheet in site.rglob('*.css'):
        text = sheet.read_text(encoding='utf-8')
        sheet.write_text(FONTS.sub('', text), encoding='utf-8')


def render():
    "Pages into _docs, and every link followed."
    subprocess.run(['smalldocs', 'render', '--strict', str(STAGE)], check=True)
    fetch_nothing(STAGE/'_docs')
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
    add_lines(rename())
    try:
        render()
    except subprocess.CalledProcessError as error:
        command = ' '.join(map(str, error.cmd[:2]))
        sys.exit(f'docs: {command} reported an error; see above.')
    print(f"docs: {sum(1 for _ in (ROOT/'_docs').rglob('*.html'))} pages in _docs")


if __name__ == '__main__':
    main()
