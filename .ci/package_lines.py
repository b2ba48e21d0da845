"""Which lines of the package the notebooks run, for `test_notebooks.py --coverage`.

A notebook runs the code of its module itself, cell by cell, instead of importing it. So each of
these cells is compiled under the name and at the lines of the module: then its tests count for
the module, and those of all notebooks add up. Other processes that a notebook starts are not seen.
"""
import io
import re
from pathlib import Path
import coverage
import pandas as pd
from execnb.shell import CaptureShell

PACKAGE = Path(__file__).resolve().parent.parent/'cozad'
OMITTED = ['*/_modidx.py', '*/__main__.py']
MARK = re.compile(r'^# %% \S+ #(\w+)$', re.M)
RELATIVE = re.compile(r'^(\s*)from \.(?=\w)', re.M)


def new_coverage(folder):
    "Coverage of the package, with its data in a folder, in a file of its own."
    return coverage.Coverage(
        data_file=str(folder/'data'), data_suffix=True, config_file=False,
        source=[str(PACKAGE)], omit=OMITTED, messages=False)


def exported_cells():
    "Id of a notebook's cell: its code, compiled as the lines of the module that it has become."
    cells = {}
    for file in PACKAGE.glob('*.py'):
        text = file.read_text(encoding='utf-8')
        marks = list(MARK.finditer(text))
        ends = [mark.start() for mark in marks[1:]] + [len(text)]
        for mark, end in zip(marks, ends):
            above = text.count('\n', 0, mark.end())
            code = text[mark.end():end].replace('from . import', 'from cozad import')
            code = RELATIVE.sub(r'\1from cozad.', code)
            cells[mark[1]] = (str(file), '\n' * above + code)
    return cells


def run_as_module():
    "From now on, exported cells of notebooks run under the names of their modules."
    cells = exported_cells()
    of_notebook = CaptureShell.cell

    def cell(self, cell, **options):
        if cell.cell_type == 'code' and getattr(cell, 'id', None) in cells:
            file, code = cells[cell.id]
            cell.source = f'exec(compile({code!r}, {file!r}, "exec"))'
        return of_notebook(self, cell, **options)
    CaptureShell.cell = cell


def by_module(whole):
    "A row for each module: how many lines it has, and how many of them were not run."
    rows = []
    for file in sorted(PACKAGE.glob('*.py')):
        if file.name not in ('_modidx.py', '__main__.py'):
            _, lines, _, missed, _ = whole.analysis2(str(file))
            rows.append((file.stem, len(lines), len(missed)))
    return pd.DataFrame(rows, columns=['module', 'lines', 'missed'])


def report(folder, least, save=False):
    "Print the share of lines for each module and altogether; whether that is enough."
    whole = new_coverage(folder)
    whole.combine([str(folder)], keep=True)
    table = io.StringIO()
    share = whole.report(file=table, show_missing=True, precision=1)
    print(table.getvalue())
    if save:
        from cozad.results import save_table
        save_table(by_module(whole), PACKAGE.parent/'nbs/results/coverage.csv', {})
    print(f'{share:.1f} % of the lines of the package are run; at least {least} % must be')
    return share >= least
