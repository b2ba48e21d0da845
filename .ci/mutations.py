#!/usr/bin/env python3
"""Break the code of a notebook in one place at a time, and see whether the notebook notices.

    .ci/mutations.py contrastive metrics          every mutant of these modules
    .ci/mutations.py --sample 40 --seed 1         forty mutants of all modules, chosen at random
    .ci/mutations.py --minutes 2                  as many as fit into two minutes
    .ci/mutations.py --list maml                  only show the mutants

A mutant is the notebook with one place of its exported code changed: another comparison, another
sign, another number, a condition turned round, a statement left out. It is run from the top,
without cells that need hours, data or a GPU. *killed*: some cell failed, or it ran too long.
*survived*: every cell ran, so a test is missing, or the change makes no difference. What is
known to make none is listed in mutations_known.txt with its reason. The last line reads `N
passed, N failed`; known survivors pass.
"""
import argparse
import ast
import json
import multiprocessing
import os
import random
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KNOWN = Path(__file__).with_name('mutations_known.txt')
MODULES = (
    'metrics', 'streaming', 'simplenet', 'contrastive', 'confidence', 'covariance', 'maml',
    'objective', 'training', 'evaluation', 'protocols', 'threshold', 'detector', 'cache', 'folded',
)
LIMIT = 240 # seconds for one mutant
SKIPPED = re.compile(r'^#\|\s*(slow|real|cuda|full|cluster)\b', re.M)
PROCESSES = multiprocessing.get_context('forkserver') # every process starts with the same imports
IMPORTS = ['execnb.shell', 'pandas', 'timm', 'matplotlib.pyplot', 'sklearn.metrics', 'torch.func']

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}
METHODS = {
    'mean': 'sum', 'sum': 'mean', 'amax': 'amin', 'amin': 'amax', 'max': 'min', 'min': 'max',
    'clamp_min': 'clamp_max', 'clamp_max': 'clamp_min', 'any': 'all', 'all': 'any',
}


@dataclass(frozen=True)
class Mutant:
    "One place of one cell, changed."
    module: str
    notebook: Path
    cell: int
    line: int
    statement: str # the line of source that holds it
    before: str
    after: str
    source: str # the whole cell, changed

    @property
    def name(self):
        return f'{self.module}: {self.statement} | {self.before} -> {self.after}'


def notebook_of():
    "Module -> notebook."
    found = {}
    for path in sorted((ROOT/'nbs').rglob('*.ipynb')):
        name = re.search(r'#\| default_exp (\w+)', path.read_text(encoding='utf-8'))
        if name:
            found[name[1]] = path
    return found


def code_cells(notebook):
    "Number and source of every code cell."
    cells = json.loads(notebook.read_text(encoding='utf-8'))['cells']
    return [(i, ''.join(c['source'])) for i, c in enumerate(cells) if c['cell_type'] == 'code']


def changed_constant(value):
    "Another value of the same kind, or None for what is left alone."
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return 2 * value if value else 1.
    return None


def replacements(node):
    "New forms of an expression."
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            others = [*node.ops[:i], COMPARISONS[type(operator)](), *node.ops[i + 1:]]
            yield ast.Compare(node.left, others, node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node.operand
    elif isinstance(node, ast.Constant) and changed_constant(node.value) is not None:
        yield ast.Constant(changed_constant(node.value))
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield from changed_calls(node)


def changed_calls(node):
    "Another method, or a call of `detach` left out."
    if node.func.attr in METHODS:
        other = ast.Attribute(node.func.value, METHODS[node.func.attr], ast.Load())
        yield ast.Call(other, node.args, node.keywords)
    if node.func.attr == 'detach':
        yield node.func.value


def is_removable(node):
    "Whether a statement may be left out: not a docstring, not a definition."
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    return isinstance(node, (ast.AugAssign, ast.Raise))


def unwanted(tree):
    "Nodes that are no behaviour: annotations, decorators, messages of errors, text."
    skipped = set()
    for node in ast.walk(tree):
        parts = [getattr(node, 'annotation', None), getattr(node, 'returns', None)]
        parts += getattr(node, 'decorator_list', [])
        if isinstance(node, (ast.Raise, ast.JoinedStr)):
            parts.append(getattr(node, 'exc', node))
        for part in filter(None, parts):
            skipped |= {id(below) for below in ast.walk(part)}
    return skipped


def place(source, node):
    "Begin and end of a node in its cell."
    starts = [0]
    for line in source.split('\n'):
        starts.append(starts[-1] + len(line) + 1)

    def offset(line, column):
        text = source.split('\n')[line - 1]
        return starts[line - 1] + len(text.encode()[:column].decode())

    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)


def edits(source):
    "Pairs of a node and the text that takes its place."
    tree = ast.parse(source)
    skipped = unwanted(tree)
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.stmt) and is_removable(node):
            yield node, 'pass'
        if isinstance(node, ast.If):
            yield node.test, f'not ({ast.unparse(node.test)})'
        for new in replacements(node):
            yield node, f'({ast.unparse(new)})'


def mutants_of(module, notebook):
    "Every mutant of a module."
    for number, source in code_cells(notebook):
        if not re.search(r'^#\|\s*export', source, re.M) or 'import' in source.split('\n')[1]:
            continue
        known = {source}
        for node, text in edits(source):
            begin, end = place(source, node)
            changed = source[:begin] + text + source[end:]
            if ast.dump(ast.parse(changed)) in known:
                continue
            known.add(ast.dump(ast.parse(changed)))
            before = ' '.join(source[begin:end].split())
            statement = source.split('\n')[node.lineno - 1].strip()
            yield Mutant(module, notebook, number, node.lineno, statement, before, text, changed)


def run(mutant):
    "Run the changed notebook in this interpreter: '' when every cell ran, else what failed."
    from execnb.shell import CaptureShell
    os.chdir(mutant.notebook.parent)
    shell = CaptureShell(mpl_format='png')
    for number, source in code_cells(mutant.notebook):
        if SKIPPED.search(source):
            continue
        shell.run(mutant.source if number == mutant.cell else source)
        if shell.exc:
            return f'cell {number}: {type(shell.exc).__name__}'
    return ''


def child(mutant, pipe):
    "Run a mutant in a process of its own, silently."
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    pipe.send(run(mutant))


def outcome(mutant):
    "What killed a mutant, or '' when it survived."
    mine, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=child, args=(mutant, theirs))
    process.start()
    theirs.close()
    try:
        answer = mine.recv() if mine.poll(LIMIT) else 'too long'
    except EOFError:
        answer = 'crash'
    process.kill()
    process.join()
    return answer


def known_survivors():
    "Names of mutants that make no difference, from the file of reasons."
    if not KNOWN.exists():
        return set()
    lines = KNOWN.read_text(encoding='utf-8').splitlines()
    return {line.split('  # ')[0].strip() for line in lines if line.strip()}


def choose(args):
    "The mutants that were asked for."
    notebooks = notebook_of()
    modules = args.modules or [m for m in MODULES if m in notebooks]
    unknown = [m for m in modules if m not in notebooks]
    if unknown:
        there = ', '.join(sorted(notebooks))
        sys.exit(f"There is no module {', '.join(unknown)}; there are {there}.")
    every = [mutant for m in modules for mutant in mutants_of(m, notebooks[m])]
    if args.sample or args.minutes:
        random.Random(args.seed).shuffle(every)
    return every[:args.sample] if args.sample else every


def report(results, known):
    "Print survivors and a line for each module; return how many passed and failed."
    passed = failed = 0
    for module in dict.fromkeys(mutant.module for mutant, _ in results):
        own = [(m, answer) for m, answer in results if m.module == module]
        survivors = [m for m, answer in own if not answer]
        fresh = [m for m in survivors if m.name not in known]
        killed = len(own) - len(survivors)
        print(f'{module}: {killed} of {len(own)} killed ({100 * killed / len(own):.0f} %)')
        for mutant in fresh:
            print(f'  survived  {mutant.name}  (cell {mutant.cell}, line {mutant.line})')
        passed += len(own) - len(fresh)
        failed += len(fresh)
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('modules', nargs='*', help='by default: ' + ', '.join(MODULES))
    parser.add_argument('--sample', type=int, default=0, help='so many mutants, chosen at random')
    parser.add_argument('--minutes', type=float, default=0, help='begin none after so many minutes')
    parser.add_argument('--seed', type=int, default=0, help='of the choice')
    parser.add_argument('--list', action='store_true', help='only show the mutants')
    args = parser.parse_args()
    chosen = choose(args)
    if args.list:
        print(*(mutant.name for mutant in chosen), f'{len(chosen)} mutants', sep='\n')
        return
    os.environ |= {'IN_TEST': '1', 'OMP_NUM_THREADS': '1'}
    PROCESSES.set_forkserver_preload(IMPORTS)
    end = time.time() + 60 * args.minutes if args.minutes else float('inf')

    def tried(mutant):
        return (mutant, outcome(mutant)) if time.time() < end else None

    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        results = [result for result in pool.map(tried, chosen) if result]
    passed, failed = report(results, known_survivors())
    print(f'{passed} passed, {failed} failed')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
