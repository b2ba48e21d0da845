"""The sections of a full run. Each measures one part at the given sizes and adds what it finds."""
import importlib.util
import math
import os
import tempfile
import time
from dataclasses import replace
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
from speed.image_forms import (
    backbone_ways,
    cached_training,
    drawn_photographs,
    epochs_ratio,
    extract_in_memory,
    extraction_ways,
    image_to_map,
)
from speed.measure import numpy_peak
from speed.meta_forms import InnerLoop, by_cozad, cheaper_forms, meta_problem, meta_step_forms
from speed.metric_forms import aupro_ratio, auroc_ratio, streaming
from speed.peers import ANOMALIB, supersimplenet_step, time_peers
from tqdm.auto import tqdm
from cozad.bench import map_forms, random_head, random_scores
from cozad.checkpoints import start_training
from cozad.config import Config
from cozad.datasets import read, select
from cozad.demo import run_demo
from cozad.features import load_backbone
from cozad.folded import fold
from cozad.metrics import auroc
from cozad.objective import sample_patches
from cozad.runtime import make_generator
from cozad.simplenet import anomaly_map
from cozad.textures import make_textures
from cozad.timing import difference, in_turn, ratio, seconds_of
from cozad.training import train_epoch


def random_images(count, size):
    "Images of random numbers, always the same."
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, size, size, generator=generator)


def normal_textures():
    "The normal training images of the embedded benchmark."
    return select(read(f'mvtec:{make_textures()}'), 'train', 0)


def measure_inference(sizes, findings):
    "From image to map, over the backbone alone."
    for name, backbone_name in sizes.backbones:
        backbone = load_backbone(backbone_name)
        images = random_images(sizes.batch, sizes.size)
        part = f'image to map, {name}'
        how = f'{sizes.batch} images of {sizes.size} x {sizes.size}'
        seconds = image_to_map(backbone, images, sizes.rounds, clock=sizes.clock)
        what = f'image to map / backbone alone, {name}'
        findings.add_ratio(what, seconds, 'folded', 'backbone', how)
        findings.add_idea(part, 'head as written', ratio(seconds, 'as written', 'backbone'))
        seconds = image_to_map(backbone, images, sizes.rounds, 2, sizes.clock)
        idea = 'folded, two images at a time'
        findings.add_idea(part, idea, ratio(seconds, 'folded', 'backbone'))
        findings.add_profile(part, map_forms(backbone, images)['folded'])
        _head_alone(sizes, findings, part, backbone, images)
        ways = backbone_ways(backbone, images[:4], sizes.rounds, sizes.whole, sizes.clock)
        findings.add_comparison(f'backbone, {name}', *ways)


@torch.no_grad()
def _head_alone(sizes, findings, part, backbone, images):
    "Head and map by themselves: the difference of two large numbers is mostly noise."
    maps = backbone(images)
    folded = fold(random_head(backbone), [m.shape[1:] for m in maps])

    def head_and_map():
        return anomaly_map(folded(maps), sizes.size)

    forms = {
        'backbone': partial(backbone, images),
        'folded head and map, alone': head_and_map,
    }
    if sizes.whole:
        forms['folded head and map, compiled, alone'] = torch.compile(head_and_map)
    findings.add_comparison(part, in_turn(forms, sizes.rounds, sizes.clock)[0])


def measure_peers(sizes, findings):
    "Other detectors, with the same images behind the same backbone."
    name, backbone_name = sizes.backbones[0]
    backbone = load_backbone(backbone_name)
    images = random_images(sizes.batch, sizes.size)
    how = f'{sizes.batch} images of {sizes.size} x {sizes.size}'
    seconds = time_peers(backbone, images, sizes.rounds, sizes.clock)
    for peer in ('SimpleNet', *(f'anomalib {model}' for model in ANOMALIB)):
        what = f'image to map / backbone alone, {name}, by {peer}'
        findings.add_ratio(what, seconds, peer, 'backbone', how)
    _peer_step(sizes, findings, name, backbone)


def _peer_step(sizes, findings, name, backbone):
    "A training step of SuperSimpleNet over one of ours from the cache."
    size = max(sizes.size, 128) # the noise of SuperSimpleNet needs 16 x 16 patches or more
    samples = normal_textures()[:4]
    features = extract_in_memory(backbone, samples, size)
    config = Config.simplenet(size=size, hidden=sizes.hidden, patches=None)
    run = start_training(sum(backbone.channels), config)
    forms = {'ours': lambda: train_epoch(run, features, config, tqdm(disable=True))}
    peer = f'anomalib {ANOMALIB[0]}'
    if importlib.util.find_spec('anomalib'):
        forms[peer] = supersimplenet_step(backbone, random_images(4, size))
    seconds = in_turn(forms, sizes.rounds, sizes.clock)[0]
    what = f'a step of training: {peer} / ours from the cache'
    how = f'{name}, {len(samples)} images of {size} x {size}, all patches'
    findings.add_ratio(what, seconds, peer, 'ours', how)


def measure_training(sizes, findings):
    "Forty epochs with and without a cache."
    name, backbone_name = sizes.backbones[0]
    backbone = load_backbone(backbone_name)
    samples = normal_textures()[::8][:sizes.batch]
    for patches in sizes.patches:
        config = Config.simplenet(size=sizes.size, hidden=sizes.hidden, patches=patches)
        seconds = cached_training(backbone, samples, config, sizes.rounds, sizes.clock)
        anew, epoch = seconds.median()[['anew', 'epoch']]
        part = f'40 epochs, {patches or "all"} patches of an image'
        findings.add_idea(part, 'an epoch / an extraction', epoch / anew)
        how = f'{name}, {len(samples)} images; an epoch costs {epoch / anew:.3f} extractions'
        findings.add_value(f'{part}: without a cache / with it', epochs_ratio(seconds), how)
    _parts_of_epoch(sizes, findings, backbone, extract_in_memory(backbone, samples, sizes.size))
    _parts_of_extraction(sizes, findings, backbone)


def _parts_of_extraction(sizes, findings, backbone):
    "Decoding ahead, and a second call."
    edge = 4 * sizes.size
    with tempfile.TemporaryDirectory() as folder:
        samples = drawn_photographs(Path(folder), sizes.batch, edge)
        seconds = extraction_ways(backbone, samples, sizes.size, sizes.rounds)
    part = f'extraction, {sizes.batch} pictures of {edge} x {edge}'
    ahead = ratio(seconds, 'decoded ahead', 'decoded one after the other')
    findings.add_idea(part, 'decoded ahead', ahead)
    again = ratio(seconds, 'asked again', 'asked again, checked in full')
    findings.add_idea('a second call', 'checked in full once per process', again)


def _parts_of_epoch(sizes, findings, backbone, features):
    "What an epoch from the cache consists of, and what could be saved."
    every = torch.arange(len(features))
    few = sizes.patches[0]
    config = Config.simplenet(size=sizes.size, hidden=sizes.hidden, patches=few)

    def train(patches):
        run = start_training(sum(backbone.channels), config)
        changed = replace(config, patches=patches)
        return lambda: train_epoch(run, features, changed, tqdm(disable=True))

    def read_patches(patch):
        changed = replace(config, patch=patch)
        return lambda: sample_patches(features, every, changed, make_generator(0, 'patches'))

    forms = {
        'epoch': train(few),
        f'{few // 4} patches of an image': train(few // 4),
        'reading patches alone': read_patches(3),
        'the same from maps pooled before': read_patches(1),
    }
    seconds = in_turn(forms, sizes.rounds, sizes.clock)[0]
    findings.add_comparison('an epoch from the cache', seconds)
    findings.add_profile('an epoch from the cache', forms['epoch'])


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
