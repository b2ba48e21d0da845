#!/usr/bin/env python3
"""Build the docs site in _docs/ and check its links; no Quarto and no download needed.

nbdev stages the notebooks in _proc/ as it does for Quarto, and smalldocs renders them from the same _quarto.yml.
"""
import re, shutil, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGE = ROOT/'_proc'


def stage():
    "nbdev's own staging: configuration, index of symbols, sidebar, processed notebooks."
    from nbdev.doclinks import _build_modidx
    from nbdev.quarto import nbdev_sidebar, refresh_quarto_yml
    from nbdev.serve import proc_nbs
    shutil.rmtree(STAGE, ignore_errors=True)
    refresh_quarto_yml(); _build_modidx(); nbdev_sidebar.__wrapped__(); proc_nbs(force=True, n_workers=2)
    shutil.copytree(ROOT/'nbs'/'images', STAGE/'images', dirs_exist_ok=True)


def rename():
    "smalldocs does not read nbdev's `output-file`: name the staged notebooks after their pages instead, also where others link to them."
    pages = {}
    for notebook in STAGE.glob('*.ipynb'):
        text = notebook.read_text(encoding='utf-8')
        found = re.search(r'^\s*"output-file: (.+?)\.html\\n",\n', text, re.M)
        if not found: continue
        notebook.unlink()
        pages[notebook.name] = f'{found[1]}.ipynb'
        (STAGE/pages[notebook.name]).write_text(text.replace(found[0], ''), encoding='utf-8')
    for file in [*STAGE.glob('*.ipynb'), STAGE/'sidebar.yml']:
        text = file.read_text(encoding='utf-8')
        for old, new in pages.items(): text = text.replace(old, new)
        file.write_text(text, encoding='utf-8')


def render():
    subprocess.run(['smalldocs', 'render', '--strict', str(STAGE)], check=True)
    subprocess.run(['smalldocs', 'check', str(STAGE)], check=True)
    shutil.rmtree(ROOT/'_docs', ignore_errors=True)
    shutil.move(STAGE/'_docs', ROOT/'_docs')


if __name__ == '__main__':
    stage(); rename()
    try: render()
    except subprocess.CalledProcessError as e: sys.exit(f'docs: {" ".join(map(str, e.cmd[:2]))} found something; see above.')
    print(f"docs: {sum(1 for _ in (ROOT/'_docs').rglob('*.html'))} pages in _docs")
