"""Sections of a full run that need no images: meta-steps, ranks, contrastive loss, growth."""
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest.mock import patch
import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from speed.contrastive_forms import (
    contrastive_memory,
    info_nce_forms,
    loss_and_gradients,
    mean_loss,
)
from speed.measure import numpy_peak
from speed.meta_forms import InnerLoop, by_cozad, cheaper_forms, meta_problem, meta_step_forms
from speed.metric_forms import aupro_ratio, auroc_ratio, streaming
from cozad.bench import map_forms, random_scores
from cozad.demo import run_demo
from cozad.features import load_backbone
from cozad.metrics import auroc
from cozad.textures import make_textures
from cozad.timing import difference, in_turn, ratio, seconds_of


def measure_meta(sizes, findings, device='cpu'):
    "A meta-step against two libraries, and in cheaper forms."
    where = '' if device == 'cpu' else ' on a GPU'
    problem = meta_problem(4, sizes.task_patches, sizes.dim, sizes.hidden, device)
    seconds = meta_step_forms(*problem, rounds=sizes.rounds, clock=sizes.clock)
    how = f'4 tasks of {sizes.task_patches} patches, {sizes.dim} numbers'
    for peer in ('higher', 'torchopt'):
        what = f'meta-step: library {peer} / ours{where}'
        findings.add_ratio(what, seconds, peer, 'ours', how)
    faster, results = in_turn(cheaper_forms(*problem), sizes.rounds, sizes.clock)
    errors = {name: difference(gradients, results['ours']) for name, gradients in results.items()}
    findings.add_comparison(f'meta-step{where}', faster, errors)
    cheapest = 'noise apart, bf16'
    value = math.nan
    if 'higher' in seconds:
        value = ratio(seconds, 'higher', 'ours') / ratio(faster, cheapest, 'ours')
    what = f'meta-step: library higher / ours in bf16{where}'
    findings.add_value(what, value, f'noise apart; error {errors[cheapest]:.0e}')
    findings.add_profile(f'meta-step{where}', partial(by_cozad, *problem))


def free_memory():
    "Bytes of memory that are free, where Linux tells; else plenty."
    try:
        text = Path('/proc/meminfo').read_text().split('MemAvailable:')[1]
        return 1024 * int(text.split()[0])
    except (OSError, IndexError):
        return 2**60


def measure_ranks(sizes, findings, device=None):
    "AUROC and AU-PRO against scikit-learn and against the definition."
    for pixels in sizes.pixels:
        _measure_auroc(sizes, findings, pixels, device)
    pixels = sizes.pixels[0]
    nothing = numpy_peak(lambda: random_scores(pixels))
    ours = numpy_peak(lambda: auroc(*random_scores(pixels))) - nothing
    theirs = numpy_peak(lambda: roc_auc_score(*random_scores(pixels))) - nothing
    what = 'P-AUROC: peak memory, ours / scikit-learn'
    findings.add_value(what, ours / theirs, f'{pixels:,} pixels')
    images, edge = (8, 128) if sizes.whole else (2, 32)
    seconds = aupro_ratio(images, edge, clock=sizes.clock)
    how = f'{images} maps of {edge} x {edge}, 150 thresholds at most'
    findings.add_ratio('AU-PRO: by thresholds / ours', seconds, 'by thresholds', 'ours', how)


def _measure_auroc(sizes, findings, pixels, device):
    "The AUROC of one size, if a hundred bytes of memory per pixel are free."
    what = f'P-AUROC of {pixels:.0e} pixels: scikit-learn / ours'.replace('e+0', 'e')
    if device is not None:
        what += ' on a GPU'
    if free_memory() < 100 * pixels:
        how = f'n/a: {100 * pixels / 1e9:.0f} GB of memory were not free'
        findings.add_value(what, math.nan, how)
        return
    rounds = sizes.rounds if pixels < 10**8 else 1
    seconds = auroc_ratio(pixels, rounds=rounds, clock=sizes.clock, device=device)
    findings.add_ratio(what, seconds, 'scikit-learn', 'ours', '2 % anomalous')
    width = float(np.ptp(streaming(*random_scores(pixels))))
    time_ratio = ratio(seconds, 'streaming', 'ours')
    part = f'P-AUROC of {pixels:,} pixels'
    findings.add_idea(part, 'streaming in place of exact', time_ratio, width)


def measure_contrast(sizes, findings):
    "Memory and time of the contrastive loss in chunks, and InfoNCE by a library."
    for dim in (sizes.dim, sizes.dim // 6):
        result = contrastive_memory(sizes.compared, dim, sizes.chunk, sizes.rounds, sizes.clock)
        _add_contrast(sizes, findings, dim, *result)
    chunk = sizes.chunk // 4
    seconds, peaks = contrastive_memory(sizes.compared, sizes.dim, chunk, 1, sizes.clock)
    part = f'contrastive loss, {sizes.dim} numbers'
    time_ratio = ratio(seconds, 'chunks', 'whole')
    memory = peaks['chunks'] / peaks['whole']
    findings.add_idea(part, f'{chunk} rows at a time', time_ratio, memory=memory)
    n = min(256, sizes.compared)
    library = 'pytorch-metric-learning'
    seconds = info_nce_forms(n, sizes.dim, sizes.rounds, clock=sizes.clock)
    what = f'InfoNCE (Eq. 1): {library} / ours'
    findings.add_ratio(what, seconds, library, 'ours', f'{n} patches of {sizes.dim} numbers')


def _add_contrast(sizes, findings, dim, seconds, peaks):
    "Rows and ideas of one width."
    how = f'{sizes.compared:,} patches of {dim} numbers, {sizes.chunk} rows at a time'
    what = f'contrastive loss: peak memory in chunks / whole, {dim} numbers'
    with_peak = f'{how}; {peaks["whole"] / 1e6:.0f} MB whole'
    findings.add_value(what, peaks['chunks'] / peaks['whole'], with_peak)
    what = f'contrastive loss: time in chunks / whole, {dim} numbers'
    findings.add_ratio(what, seconds, 'chunks', 'whole', how)
    idea = f'{sizes.chunk} rows at a time, each with its gradient at once'
    time_ratio = ratio(seconds, 'at once', 'whole')
    memory = peaks['at once'] / peaks['whole']
    findings.add_idea(f'contrastive loss, {dim} numbers', idea, time_ratio, memory=memory)


def measure_growth(sizes, findings):
    "How cost grows with images, tasks, patches and pixels."
    backbone = load_backbone(sizes.backbones[-1][1])
    image = torch.zeros(1, 3, sizes.size, sizes.size)

    def maps_of(count):
        return map_forms(backbone, image.expand(count, -1, -1, -1))['folded']

    def meta_step(count, tasks_at_once):
        problem = meta_problem(count, sizes.task_patches // 4, sizes.dim, sizes.hidden)
        return partial(by_cozad, *problem, InnerLoop(tasks_at_once=tasks_at_once))

    findings.add_growth('images', 'image to map', maps_of, 1)
    findings.add_growth('tasks', 'meta-step, one at a time', lambda n: meta_step(n, 1), 1)
    findings.add_growth('tasks', 'meta-step, side by side', lambda n: meta_step(n, n), 1)
    _growth_of_contrast(sizes, findings)
    for name, function in {'ours': auroc, 'scikit-learn': roc_auc_score}.items():
        def area_of(pixels, function=function):
            return partial(function, *random_scores(pixels))
        findings.add_growth('pixels', f'AUROC, {name}', area_of, sizes.pixels[0] >> 2)


def _growth_of_contrast(sizes, findings):
    "Patches compared with each other, whole and in chunks."
    z = torch.randn(sizes.compared, 256, generator=torch.Generator().manual_seed(0))
    for name, chunk in dict(whole=None, chunks=sizes.chunk).items():
        def loss_of(n, chunk=chunk):
            loss = partial(mean_loss, chunk=chunk)
            return partial(loss_and_gradients, z[:n], z[:n] + .005, loss)
        first = sizes.compared >> sizes.steps
        findings.add_growth('patches', f'contrastive loss, {name}', loss_of, first)


def measure_demo(sizes, findings):
    "The demo without a cache, as for somebody who has just installed cozad."
    if not sizes.whole:
        return
    with tempfile.TemporaryDirectory() as root, patch.dict(os.environ, COZAD_CACHE=root):
        make_textures()
        seconds = seconds_of(lambda: run_demo(Path(root)/'demo', progress=False), sizes.clock)
    clock = 'its seconds' if sizes.clock is time.perf_counter else "one core's seconds"
    how = f'once, threads: {torch.get_num_threads()}; drawing and imports not counted'
    findings.add_value(f'cozad demo: {clock} / a minute', seconds / 60, how)
