#!/usr/bin/env python3
"""Break the code of a notebook in one place at a time, and see whether the notebook notices.

    .ci/mutations.py contrastive metrics     every mutant of these modules
    .ci/mutations.py --sample 40 --seed 1    forty mutants of all modules, chosen at random
    .ci/mutations.py --list maml             only show the mutants
    .ci/mutations.py --match clamp maml      only those whose line holds this text
    .ci/mutations.py --save maml             store the numbers in nbs/results/mutations.csv

A mutant is the notebook with one place of its exported code changed: another comparison, another
sign, another number, another split, a condition turned round, a statement or an argument by name
left out. Cells that need hours, data or a GPU are left out, and no figure is drawn. *killed*: some
cell failed, or it ran too long. *survived*: every cell ran, so a test is missing, or the change
makes no difference. What is known to make none is listed in mutations_known.txt with its reason,
and is not run. The last line reads `N passed, N failed`.

A notebook is run once, and the mutants of a cell start in a fork of it from the state before this
cell, so that no mutant pays for the cells above it. A notebook that fails without any change ends
the run; with `--tested` that is known, and the cells below the last mutant are not run for it.
"""
import argparse
import ast
import gc
import json
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KNOWN = Path(__file__).with_name('mutations_known.txt')
RESULTS = ROOT/'nbs/results/mutations.csv'
MODULES = (
    'contrastive', 'confidence', 'covariance', 'maml', 'objective', 'simplenet', 'metrics',
    'threshold', 'training', 'evaluation', 'protocols', 'detector', 'detector_file',
    'detector_parts', 'inference', 'checkpoints', 'map_metrics',
)
SECONDS = 90 # of the processor, for one mutant
WAIT = 1200 # seconds for one mutant, whatever else the machine does
MEMORY = 8 << 30 # bytes for one mutant
SKIPPED = re.compile(r'^#\|\s*(slow|real|cuda|full|cluster|peers|video)\b', re.M)
SERVER = multiprocessing.get_context('forkserver') # every notebook starts with the same imports
FORK = multiprocessing.get_context('fork')
IMPORTS = ['execnb.shell', 'pandas', 'timm', 'matplotlib.pyplot', 'sklearn.metrics', 'torch.func']

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}
SHOWN = { # arguments that no result depends on, and devices, which simulated_gpu.py watches
    'alpha', 'color', 'desc', 'device', 'edgecolor', 'figsize', 'hatch', 'linewidth', 'ls', 'lw',
    'progress', 'stacklevel', 'unit',
}
SPLITS = {'train': 'test', 'test': 'train'}
METHODS = {
    'mean': 'sum', 'sum': 'mean', 'amax': 'amin', 'amin': 'amax', 'max': 'min', 'min': 'max',
    'clamp_min': 'clamp_max', 'clamp_max': 'clamp_min', 'any': 'all', 'all': 'any',
}


@dataclass(frozen=True)
class Mutant:
    "One place of one cell, changed."
    module: str
    cell: int
    name: str # the module, the line of source that holds it, and what was put in whose place
    source: str # the whole cell, changed


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
    return SPLITS.get(value) if isinstance(value, str) else None


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
    elif isinstance(node, ast.IfExp) and not is_turned_elsewhere(node.test):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Call):
        yield from changed_calls(node)


def changed_calls(node):
    "An argument by name left out, another method, or a call of `detach` left out."
    for left_out in node.keywords:
        if left_out.arg not in SHOWN:
            kept = [keyword for keyword in node.keywords if keyword is not left_out]
            yield ast.Call(node.func, node.args, kept)
    method = getattr(node.func, 'attr', None)
    if method in METHODS:
        other = ast.Attribute(node.func.value, METHODS[method], ast.Load())
        yield ast.Call(other, node.args, node.keywords)
    if method == 'detach':
        yield node.func.value


def is_removable(node):
    "Whether a statement may be left out: not a docstring, not a definition."
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    return isinstance(node, (ast.AugAssign, ast.Raise))


def is_shown(node):
    "Whether a node is an argument or a field of a name in SHOWN, with its value."
    if isinstance(node, ast.AnnAssign):
        return getattr(node.target, 'id', None) in SHOWN
    return isinstance(node, ast.keyword) and node.arg in SHOWN


def shown_defaults(arguments):
    "The default values of parameters whose names are in SHOWN."
    positional = arguments.posonlyargs + arguments.args
    pairs = [*zip(positional[::-1], arguments.defaults[::-1])]
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults)
    return [default for parameter, default in pairs if parameter.arg in SHOWN]


def unwanted(tree):
    "Nodes that are no behaviour: annotations, decorators, messages, text, what is in SHOWN."
    skipped = set()
    for node in ast.walk(tree):
        parts = [getattr(node, 'annotation', None), getattr(node, 'returns', None)]
        parts += getattr(node, 'decorator_list', [])
        if isinstance(node, (ast.Raise, ast.JoinedStr)):
            parts.append(getattr(node, 'exc', node))
        if is_shown(node):
            parts.append(node.value)
        if isinstance(node, ast.arguments):
            parts += shown_defaults(node)
        for part in filter(None, parts):
            skipped |= {id(below) for below in ast.walk(part)}
    return skipped


def is_turned_elsewhere(test):
    "Whether the mutants of a condition itself turn it round."
    if isinstance(test, ast.UnaryOp):
        return isinstance(test.op, ast.Not)
    turned = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], turned)


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
        if isinstance(node, ast.If) and not is_turned_elsewhere(node.test):
            yield node.test, f'not ({ast.unparse(node.test)})'
        for new in replacements(node):
            yield node, f'({ast.unparse(new)})'


def mutants_of_cell(source):
    "Pairs of a name and the changed source; no change twice."
    known = {ast.dump(ast.parse(source))}
    for node, text in edits(source):
        begin, end = place(source, node)
        changed = source[:begin] + text + source[end:]
        tree = ast.dump(ast.parse(changed))
        if tree in known:
            continue
        known.add(tree)
        before = ' '.join(source[begin:end].split())
        line = source.split('\n')[node.lineno - 1].strip()
        yield f'{line} | {before} -> {text}', changed


def mutants_of(module, notebook):
    "Every mutant of a module; the second of a name has (2) behind it."
    names = Counter()
    for number, source in code_cells(notebook):
        if not re.search(r'^#\|\s*export', source, re.M) or 'import' in source.split('\n')[1]:
            continue
        for name, changed in mutants_of_cell(source):
            names[name] += 1
            again = f' ({names[name]})' if names[name] > 1 else ''
            yield Mutant(module, number, f'{module}: {name}{again}', changed)


def new_shell(folder):
    "An interpreter as nbdev_test starts it, in a folder; figures are made, but not drawn."
    from execnb.shell import CaptureShell
    from IPython.core.pylabtools import select_figure_formats
    os.chdir(folder)
    shell = CaptureShell()
    select_figure_formats(shell, set())
    shell.showtraceback = lambda *args, **kwargs: None # nobody reads it
    return shell


def run_cells(shell, cells):
    "'' when every cell runs, else the first that fails."
    for number, source in cells:
        shell.run(source)
        if shell.exc:
            return f'cell {number}: {type(shell.exc).__name__}'
    return ''


def run_limited(shell, cells, pipe):
    "Run cells with limits to time and memory, and send how it went."
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    pipe.send(run_cells(shell, cells))


def killer_of(shell, cells):
    "What fails when cells are run in a fork of this process, '' when nothing does."
    mine, theirs = FORK.Pipe()
    process = FORK.Process(target=run_limited, args=(shell, cells, theirs))
    process.start()
    theirs.close()
    try:
        answer = mine.recv() if mine.poll(WAIT) else 'too long'
    except EOFError:
        answer = 'too long, or crash'
    process.kill()
    process.join()
    return answer


def files_of(folder):
    "Names, sizes and times of the files in a folder."
    found = set()
    for path in folder.rglob('*'):
        about = path.lstat()
        found.add((path.relative_to(folder), about.st_size * path.is_file(), about.st_mtime_ns))
    return found


def copy_of(folder):
    "A copy of a folder, beside it."
    copy = folder.with_name('copy')
    shutil.rmtree(copy, ignore_errors=True)
    return shutil.copytree(folder, copy, symlinks=True)


def restore(folder, copy):
    "Give a folder the content of its copy."
    if files_of(folder) != files_of(copy):
        shutil.rmtree(folder)
        shutil.copytree(copy, folder, symlinks=True)


def writes_cache(module):
    "Whether mutants of a module could spoil the cache; they get one of their own."
    return 'cache_dir' in (ROOT/f'cozad/{module}.py').read_text(encoding='utf-8')


def try_mutants(notebook, mutants, folder, tested, pipe):
    "Run a notebook once; before each cell, try its mutants and send what killed each."
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    tempfile.tempdir = os.environ['TMPDIR'] = str(folder)
    if writes_cache(mutants[0].module):
        os.environ['COZAD_CACHE'] = str(folder/'cache')
    shell = new_shell(notebook.parent)
    cells = [(n, source) for n, source in code_cells(notebook) if not SKIPPED.search(source)]
    last = max(mutant.cell for mutant in mutants)
    for i, (number, source) in enumerate(cells):
        if tested and number > last:
            break
        own = [mutant for mutant in mutants if mutant.cell == number]
        copy = copy_of(folder) if own else None
        gc.freeze() # the forks share what they need not collect
        for mutant in own:
            pipe.send((mutant, killer_of(shell, [(number, mutant.source), *cells[i + 1:]])))
            restore(folder, copy)
        failed = run_cells(shell, [(number, source)])
        if failed:
            return pipe.send((None, failed))
    pipe.send((None, ''))


def outcomes(notebook, mutants, tested):
    "Pairs of a mutant and what killed it. Ends the program when the notebook itself fails."
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, 'files')
        folder.mkdir()
        mine, theirs = SERVER.Pipe()
        arguments = (notebook, mutants, folder, tested, theirs)
        process = SERVER.Process(target=try_mutants, args=arguments)
        process.start()
        theirs.close()
        mutant, answer = mine.recv()
        while mutant:
            print(f"{answer or 'SURVIVED':32} {mutant.name}", flush=True)
            yield mutant, answer
            mutant, answer = mine.recv()
        process.join()
    if answer:
        raise SystemExit(f'{notebook.name} fails without any change, in {answer}')


def known_survivors():
    "Names of mutants that make no difference, from the file of reasons."
    if not KNOWN.exists():
        return set()
    lines = KNOWN.read_text(encoding='utf-8').splitlines()
    return {line.split('  # ')[0].strip() for line in lines if line.strip()}


def choose(args, notebooks):
    "The mutants that were asked for, and how many each module has."
    unknown = [module for module in args.modules if module not in notebooks]
    if unknown:
        there = ', '.join(sorted(notebooks))
        sys.exit(f"There is no module {', '.join(unknown)}; there are {there}.")
    every = []
    for module in args.modules or MODULES:
        every += mutants_of(module, notebooks[module])
    every = [mutant for mutant in every if args.match in mutant.name]
    number = Counter(mutant.module for mutant in every)
    if args.sample:
        random.Random(args.seed).shuffle(every)
        every = every[:args.sample]
    return every, number


def rows_of(results, number, known, seed):
    "A row for each module: mutants there are, tried, killed, and known to make no difference."
    rows = []
    for module, pairs in results.items():
        killed = sum(bool(answer) for _, answer in pairs)
        tried = len(pairs) + known[module]
        rows.append(dict(
            module=module, mutants=number[module], tried=tried, killed=killed,
            equivalent=known[module], unexplained=len(pairs) - killed,
            chosen='all' if tried == number[module] else f'seed {seed}',
            date=datetime.now(UTC).date().isoformat(),
        ))
    return rows


def save(rows):
    "Store rows in the place of the older ones of the same modules."
    import pandas as pd
    from cozad.results import load_table, save_table
    table = pd.DataFrame(rows)
    if RESULTS.exists():
        older = load_table(RESULTS)[0]
        table = pd.concat([older[~older.module.isin(table.module)], table])
    table = table.sort_values('module', key=lambda names: names.map(MODULES.index))
    save_table(table, RESULTS, {})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('modules', nargs='*', help='by default: ' + ', '.join(MODULES))
    parser.add_argument('--sample', type=int, default=0, help='so many mutants, chosen at random')
    parser.add_argument('--seed', type=int, default=0, help='of the choice')
    parser.add_argument('--match', default='', help='only mutants whose line holds this text')
    parser.add_argument('--list', action='store_true', help='only show the mutants')
    parser.add_argument('--save', action='store_true', help=f'store the numbers in {RESULTS.name}')
    parser.add_argument('--tested', action='store_true', help='all notebooks are known to pass')
    parser.add_argument('--processes', type=int, default=2, help='notebooks at a time')
    args = parser.parse_args()
    if args.save and args.match:
        parser.error('--save stores all mutants of a module or a sample of them, no --match')
    return args


def main():
    args = arguments()
    notebooks = notebook_of()
    chosen, number = choose(args, notebooks)
    if args.list:
        print(*(mutant.name for mutant in chosen), f'{len(chosen)} mutants', sep='\n')
        return
    os.environ |= {'IN_TEST': '1', 'OMP_NUM_THREADS': '1'}
    SERVER.set_forkserver_preload(IMPORTS)
    modules = sorted({mutant.module for mutant in chosen}, key=list(number).index)
    names = known_survivors()
    known = Counter(mutant.module for mutant in chosen if mutant.name in names)

    def tried(module):
        own = [m for m in chosen if m.module == module and m.name not in names]
        return list(outcomes(notebooks[module], own, args.tested)) if own else []

    with ThreadPoolExecutor(args.processes) as pool:
        rows = rows_of(dict(zip(modules, pool.map(tried, modules))), number, known, args.seed)
    if args.save:
        save(rows)
    for row in rows:
        print(*(f'{name} {value}' for name, value in row.items()), sep=', ')
    failed = sum(row['unexplained'] for row in rows)
    print(f'{len(chosen) - failed} passed, {failed} failed')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
