#!/usr/bin/env python3
"""Read what a reader reads: words that we coined, broken formulas, tables with parts left out.

    .ci/prose.py [file ...]     by default notebooks, modules and the texts at the top

The words of the field are used for the things of the field; the list below holds what was once
said instead. A stored table must show every row and column (`show_table` of cozad.plots does). In a
formula a command has one backslash, no character of the text was lost to an escape (`\\t` of
`\\tau`), every dollar sign has its partner, and no command stands outside.
The last line reads `N passed, N failed`.
"""
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COINED = { # a word of our own: the field's
    r'spoilt|spoiled patch\w*': 'noisy, pseudo-anomalous, corrupted',
    r'nudges?|nudged': 'noise',
    r'loudness|louder': 'RMS, larger sigma',
    r'(?:slow |noisy )?twins?': 'noisy view; reference implementation',
    r'told[ _]apart|tells? apart': 'separated; accuracy',
    r'intruders?': 'contaminating image',
    r'runaways?|strays?': 'outlier',
    r'mended': 'default, our variant',
    r'dealt': 'sampled',
    r'watched|examined on': 'evaluated; query, validation',
    r'rims?|rimless': 'border',
    r'opponents?': 'baselines',
    r'unlikeness': 'novelty',
    r'urns?': 'calibration images',
    r'surveyed|survey': 'protocol comparison',
    r'weather': 'run-to-run variance',
    r'hasty': 'few steps',
    r'crowds?': 'distribution',
    r'witness\w*': 'counterexample',
    r'pencil examples?': 'worked example',
    r'(?:on|of|development|eight|three|eleven) papers': 'PIPED categories',
    r'cards? that (?:is|are) none': 'simulated GPU',
    r'rehears\w*': 'cost forecast',
    r'descriptions? of (?:a |the |every |each )?patch\w*|patch descriptions?': 'features',
}
PATTERN = re.compile('|'.join(rf'\b(?:{word})\b' for word in COINED), re.I)
ELIDED = re.compile(r'\[\d+ rows x \d+ columns\]|\d+ rows × \d+ columns|\.\.\.</td>')
CODE = re.compile(r'```.*?```|`[^`\n]*`|<pre.*?</pre>', re.S)
FORMULA = re.compile(r'\$\$.*?\$\$|\$[^$]*\$', re.S)
CONTROL = re.compile('[\x00-\x09\x0b-\x1f]')
ALLOWED = { # file: words that it must name, as names of old files and of random generators
    'nbs/reference/01_runtime.ipynb': {'nudge'},
    'cozad/runtime.py': {'nudge'},
    'nbs/reference/02_results.ipynb': {'told_apart', 'mended', 'rings'},
    'cozad/results.py': {'told_apart', 'mended', 'rings'},
    'nbs/learn/10_config.ipynb': {'rim'},
    'cozad/config.py': {'rim'},
    'nbs/reference/29_model.ipynb': {'rim'},
    'nbs/evidence/05_studies.ipynb': {'intruders'},
    'CHANGELOG.md': None, # it says which word took the place of which
    '.ci/prose.py': None,
}


def texts(file):
    "What a file says: pairs of a place and a text."
    content = file.read_text(encoding='utf-8')
    if file.suffix != '.ipynb':
        yield from enumerate(content.split('\n'), 1)
        return
    for number, cell in enumerate(json.loads(content)['cells']):
        yield f'cell {number}', ''.join(cell['source'])


def outputs(file):
    "The stored texts of a notebook: pairs of a cell and a text."
    for number, cell in enumerate(json.loads(file.read_text(encoding='utf-8'))['cells']):
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            for kind in ('text/plain', 'text/html'):
                yield f'output of cell {number}', ''.join(data.get(kind, ''))


def broken_formulas(markdown):
    "What is wrong with the formulas of a markdown cell: phrases."
    text = CODE.sub('', markdown)
    if CONTROL.search(text):
        yield 'a character that an escape has made'
    if text.count('$') % 2:
        yield 'a dollar sign without its partner'
    inside = ' '.join(FORMULA.findall(text))
    for command in re.findall(r'(?<!\\)\\\\[a-z]{2,}', inside):
        yield f'{command!r} with two backslashes'
    for command in re.findall(r'\\[a-zA-Z]{2,}', FORMULA.sub('', text)):
        yield f'{command!r} outside of a formula'


def formulas(file):
    "Sentences about the formulas of a notebook."
    for number, cell in enumerate(json.loads(file.read_text(encoding='utf-8'))['cells']):
        if cell['cell_type'] == 'markdown':
            for phrase in broken_formulas(''.join(cell['source'])):
                yield f'cell {number}: {phrase}'


def findings(file):
    "Sentences about a file."
    name = file.relative_to(ROOT).as_posix()
    allowed = ALLOWED.get(name, set())
    for place, text in texts(file) if allowed is not None else ():
        for word in {match[0] for match in PATTERN.finditer(text)} - allowed:
            yield f'{name}, {place}: {word!r}'
    if file.suffix == '.ipynb':
        yield from (f'{name}, {sentence}' for sentence in formulas(file))
        for place, text in outputs(file):
            if ELIDED.search(text):
                yield f'{name}, {place}: a table with rows, columns or texts left out'


def main():
    chosen = [Path(argument).resolve() for argument in sys.argv[1:]]
    every = [*(ROOT/'nbs').rglob('*.ipynb'), *(ROOT/'cozad').glob('*.py'), *ROOT.glob('*.md')]
    files = chosen or sorted(every) + sorted((ROOT/'.ci').rglob('*.py'))
    failed = 0
    for file in files:
        sentences = sorted(findings(file))
        failed += bool(sentences)
        if sentences:
            print(*sentences, sep='\n')
    print(f'{len(files) - failed} passed, {failed} failed')
    sys.exit(failed > 0)


if __name__ == '__main__':
    main()
