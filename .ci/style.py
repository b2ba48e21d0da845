#!/usr/bin/env python3
"""The rules for code that no linter knows, for modules and for the code cells of notebooks.

    .ci/style.py [module or notebook ...]     by default all

A line has at most 100 characters, a function at most 25 lines under its docstring and six
parameters, a module at most 300 lines. No comprehension stands inside another, and no `:=` where
a plain statement does. Modules do not import each other in a circle, nor private names. The last
line reads `N passed, N failed`.
"""
import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def body_lines(function):
    "Lines of a function without its signature and docstring."
    body = function.body
    is_text = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    if is_text and len(body) == 1:
        return 0
    first = body[1] if is_text else body[0]
    return function.end_lineno - first.lineno + 1


def parameters(function):
    "Number of parameters, without self and cls."
    every = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return len([a for a in every if a.arg not in ('self', 'cls')])


def has_comprehension(node):
    "Whether a comprehension stands anywhere below a node, lambdas included."
    return any(isinstance(below, COMPREHENSIONS) for below in ast.walk(node))


def is_nested(node):
    "Whether a comprehension holds another one, in its element or its conditions."
    parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    parts += [condition for generator in node.generators for condition in generator.ifs]
    return any(has_comprehension(part) for part in parts)


def findings(tree, in_package):
    "Pairs of a line number and a sentence."
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            if body_lines(node) > 25:
                yield node.lineno, f'{node.name} has {body_lines(node)} lines'
            if parameters(node) > 6:
                yield node.lineno, f'{node.name} has {parameters(node)} parameters'
        if isinstance(node, COMPREHENSIONS) and is_nested(node):
            yield node.lineno, 'a comprehension inside another'
        if isinstance(node, COMPREHENSIONS) and len(node.generators) > 2:
            yield node.lineno, 'a comprehension with more than two loops'
        if isinstance(node, ast.NamedExpr) and in_package:
            yield node.lineno, 'a walrus'


FLAGGED = re.compile(r'^#\|\s*(slow|cuda|real|full|cluster|peers|video)\b', re.M)
IMPORTS = (ast.Import, ast.ImportFrom)


def code_cells(notebook):
    "Pairs of a cell's number and its code, magics left out."
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    for number, cell in enumerate(cells):
        if cell['cell_type'] == 'code':
            source = ''.join(cell['source'])
            yield number, re.sub(r'^(\s*)[%!].*$', r'\1pass', source, flags=re.M)


FOLDED = re.compile(r'^#\|\s*code-fold:\s*true', re.M)


def wrongly_folded(notebook):
    "Numbers of the cells that are folded on the site and not in JupyterLab, or the other way."
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    for number, cell in enumerate(cells):
        is_hidden = cell['metadata'].get('jupyter', {}).get('source_hidden', False)
        if is_hidden != bool(FOLDED.search(''.join(cell['source']))):
            yield number


def check(file):
    "All findings of a file, as sentences."
    name = file.relative_to(ROOT)
    if file.suffix == '.ipynb':
        for number, source in code_cells(file):
            for line, text in enumerate(source.split('\n'), 1):
                if len(text) > 100:
                    yield f'{name} cell {number}, line {line}: {len(text)} characters'
            exported = bool(re.search(r'^#\|\s*export', source, re.M))
            tree = ast.parse(source)
            for line, sentence in findings(tree, exported):
                yield f'{name} cell {number}, line {line}: {sentence}'
            if exported and FOLDED.search(source):
                yield f'{name} cell {number}: an exported cell is not folded'
            if FLAGGED.search(source) and any(isinstance(node, IMPORTS) for node in tree.body):
                yield f'{name} cell {number}: an import, which building the site would run'
        for number in wrongly_folded(file):
            yield f'{name} cell {number}: folded in one place only; .ci/store_outputs.py mends it'
        return
    source = file.read_text(encoding='utf-8')
    lines = source.split('\n')
    if file.parent.name != 'cozad': # modules are checked in their notebooks
        for line, sentence in findings(ast.parse(source), True):
            yield f'{name}, line {line}: {sentence}'
    if len(lines) > 300 and file.parent.name == 'cozad':
        yield f'{name}: {len(lines)} lines'


def imports(module):
    "Modules of the package that a module imports, and private names that it takes from them."
    modules, private = set(), []
    for node in ast.walk(ast.parse(module.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.ImportFrom):
            continue
        name = node.module or ''
        if node.level == 1 or name.startswith('cozad.'):
            modules.add(name.removeprefix('cozad.'))
            private += [alias.name for alias in node.names if alias.name[0] == '_']
    return modules & {file.stem for file in module.parent.glob('*.py')}, private


def import_findings():
    "Circles among the modules, and private names of others: sentences."
    files = [f for f in sorted((ROOT/'cozad').glob('*.py')) if f.stem[0] != '_']
    below = {}
    for file in files:
        below[file.stem], private = imports(file)
        yield from (f'cozad/{file.name} takes {name} from another module' for name in private)
    done = set()
    while len(done) < len(below):
        free = {name for name in below.keys() - done if below[name] <= done}
        if not free:
            yield f'modules import each other: {", ".join(sorted(below.keys() - done))}'
            return
        done |= free


def main():
    "Print the findings and how many files passed."
    chosen = [Path(argument).resolve() for argument in sys.argv[1:]]
    modules = [f for f in sorted((ROOT/'cozad').glob('*.py')) if f.name != '_modidx.py']
    instruments = sorted((ROOT/'.ci').rglob('*.py'))
    files = chosen or modules + sorted((ROOT/'nbs').rglob('*.ipynb')) + instruments
    failed = 0
    for file in files:
        found = list(check(file))
        failed += bool(found)
        print(*found, sep='\n' if found else '', end='\n' if found else '')
    circles = list(import_findings())
    if circles:
        print(*circles, sep='\n')
        failed += 1
    print(f'{len(files) + 1 - failed} passed, {failed} failed')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
