#!/usr/bin/env python3
"""Build the docs site in _docs/ and check its links; no Quarto and no download needed.

nbdev stages the notebooks in _proc/ as it does for Quarto, and smalldocs renders them from the same _quarto.yml.
"""
import shutil, subprocess, sys
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


def render():
    subprocess.run(['smalldocs', 'render', '--strict', str(STAGE)], check=True)
    subprocess.run(['smalldocs', 'check', str(STAGE)], check=True)
    shutil.rmtree(ROOT/'_docs', ignore_errors=True)
    shutil.move(STAGE/'_docs', ROOT/'_docs')


if __name__ == '__main__':
    stage()
    try: render()
    except subprocess.CalledProcessError as e: sys.exit(f'docs: {" ".join(map(str, e.cmd[:2]))} found something; see above.')
    print(f"docs: {sum(1 for _ in (ROOT/'_docs').rglob('*.html'))} pages in _docs")
