"""What a full run finds: a table of ratios, ideas that were tried, profiles, growth curves."""
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
import pandas as pd
from speed.measure import grow, profile
from speed.targets import Sizes, row
from cozad.results import save_table
from cozad.timing import ratio

PARTS = ('ideas', 'profile', 'growth')


@dataclass
class Findings:
    "What a run has found so far."
    sizes:Sizes
    rows:list[dict]=field(default_factory=list) # of the table
    ideas:list[dict]=field(default_factory=list) # what was tried
    profile:list[dict]=field(default_factory=list) # where the time goes
    growth:list[dict]=field(default_factory=list) # seconds by size

    def add_value(self, what:str, value:float, how:str) -> None:
        "A row of the table."
        self.rows.append(row(what, value, how, self.sizes.whole))

    def add_ratio(self, what:str, seconds:pd.DataFrame, form:str, reference:str, how:str) -> None:
        "A row from seconds; the first word of a form is the package that it needs."
        if form not in seconds:
            self.add_value(what, math.nan, f'n/a: {form.split()[0]} is not installed')
            return
        each = seconds[form] / seconds[reference]
        spread = f'{len(each)} rounds, {each.min():.3g} to {each.max():.3g}'
        self.add_value(what, float(each.median()), f'{how}; {spread}')

    def add_idea(
        self, part:str, idea:str, time:float, error:float=math.nan, memory:float=math.nan,
    ) -> None:
        "What an idea makes of time, result and memory."
        self.ideas.append(dict(part=part, idea=idea, time=time, error=error, memory=memory))

    def add_comparison(self, part:str, seconds:pd.DataFrame, errors:pd.Series|None=None) -> None:
        "Every form but the first as an idea, over the first."
        first, *others = seconds
        for form in others:
            error = math.nan if errors is None else errors[form]
            self.add_idea(part, form, ratio(seconds, form, first), error)

    def add_profile(self, part:str, form) -> None:
        "Where a call spends its time."
        for operation, share in profile(form).items():
            self.profile.append(dict(part=part, operation=operation, share=share))

    def add_growth(self, unit:str, work:str, form_of_size, first:int) -> None:
        "Seconds at sizes that double, from `first` on."
        sizes = [first * 2 ** k for k in range(self.sizes.steps)]
        seconds = grow(form_of_size, sizes, clock=self.sizes.clock)
        self.growth += seconds.assign(unit=unit, work=work).to_dict('records')


def write_bench(
    findings:Findings,
    out:Path, # a folder
    about:dict, # circumstances
) -> pd.DataFrame: # the table
    "Write `bench.csv` and `bench.json`; neither is left half-written."
    table = pd.DataFrame(findings.rows)
    parts = {name: getattr(findings, name) for name in PARTS}
    stored = json.loads(pd.Series(parts).to_json(double_precision=6))
    save_table(table, Path(out)/'bench.csv', about | stored, '%.4g')
    return table


def read_bench(
    folder:Path, # where `write_bench` wrote
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], dict]: # the table, PARTS, the circumstances
    "What a run found."
    about = json.loads((Path(folder)/'bench.json').read_text(encoding='utf-8'))
    parts = {name: pd.DataFrame(about.pop(name)) for name in PARTS}
    table = pd.read_csv(Path(folder)/'bench.csv', keep_default_na=False, na_values={'ratio': ''})
    return table, parts, about


def as_text(
    table:pd.DataFrame, # from `write_bench`
) -> str: # lines for a terminal
    "The table without its last column."
    short = table.drop(columns='how')
    return short.to_string(index=False, na_rep='n/a', float_format='{:.3g}'.format)
