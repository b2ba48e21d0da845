"""What was asked for before anything was measured, and the sizes that the targets speak of."""
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
import pandas as pd

TARGETS:dict[str, tuple[str, float]] = { # what: direction and bound
    'image to map / backbone alone, WideResNet-50-2': ('<=', 1.10),
    'image to map / backbone alone, ResNet-50': ('<=', 1.25),
    '40 epochs, 64 patches of an image: without a cache / with it': ('>=', 20),
    '40 epochs, all patches of an image: without a cache / with it': ('>=', 20),
    'meta-step: library higher / ours': ('>=', 1.2),
    'meta-step: library torchopt / ours': ('>=', 1.2),
    'meta-step: library higher / ours in bf16': ('>=', 2),
    'meta-step: library higher / ours on a GPU': ('>=', 3),
    'meta-step: library torchopt / ours on a GPU': ('>=', 3),
    'P-AUROC of 1e8 pixels: scikit-learn / ours': ('>=', 10),
    'P-AUROC of 1e8 pixels: scikit-learn / ours on a GPU': ('>=', 100),
    'contrastive loss: peak memory in chunks / whole, 1536 numbers': ('<=', .125),
    'contrastive loss: time in chunks / whole, 1536 numbers': ('<=', 1.4),
    'cozad demo: its seconds / a minute': ('<=', 1),
}


@dataclass(frozen=True)
class Sizes:
    "How much is measured; the defaults are what the targets speak of."
    rounds:int=3
    backbones:tuple[tuple[str, str], ...]=(
        ('WideResNet-50-2', 'random:wide_resnet50_2'), ('ResNet-50', 'random:resnet50'),
    )
    size:int=256 # images are size x size pixels
    batch:int=16 # images
    patches:tuple[int|None, ...]=(64, None) # of an image in a step of training; None for all
    dim:int=1536 # length of a patch feature
    hidden:int=1024 # width of D
    task_patches:int=512 # in each half of a task
    pixels:tuple[int, ...]=(10**6, 10**7, 10**8)
    compared:int=8192 # patches in the contrastive loss
    chunk:int=512 # rows of it
    steps:int=5 # sizes in a growth curve, each twice the last
    whole:bool=True # the demo and `torch.compile` as well
    clock:Callable[[], float]=time.perf_counter # seconds


TOY = Sizes(
    rounds=1, backbones=(('lite0', 'lite0'),), size=64, batch=2, patches=(16,), dim=48, hidden=32,
    task_patches=16, pixels=(10**5,), compared=256, chunk=16, steps=2, whole=False,
)


def is_met(
    what:str, # a key of `TARGETS`, or anything without a target
    ratio:float,
) -> str: # 'yes', 'no', or '' without a target or a number
    "Whether a ratio meets its target."
    if what not in TARGETS or math.isnan(ratio):
        return ''
    sign, bound = TARGETS[what]
    met = ratio <= bound if sign == '<=' else ratio >= bound
    return 'yes' if met else 'no'


def row(
    what:str, # a key of `TARGETS`, or anything without a target
    ratio:float, # NaN where it could not be measured
    how:str, # sizes, rounds, spread
    at_full_size:bool=True, # False at toy sizes, to which no target applies
) -> dict: # a row of the table
    "A measured ratio beside its target."
    target = ''
    if what in TARGETS:
        sign, bound = TARGETS[what]
        target = f'{sign} {bound:g}'
    met = is_met(what, ratio) if at_full_size else ''
    return dict(what=what, ratio=ratio, target=target, met=met, how=how)


def distance_to_targets(
    table:pd.DataFrame, # of `row`s
) -> pd.Series: # by target; below 1 for those that are met, without those not measured
    "How far from its target each ratio is, as a factor."
    factors = {}
    for measured in table.itertuples():
        if measured.what not in TARGETS or math.isnan(measured.ratio):
            continue
        sign, bound = TARGETS[measured.what]
        factor = measured.ratio / bound if sign == '<=' else bound / measured.ratio
        factors[measured.what] = factor
    return pd.Series(factors, dtype=float)
