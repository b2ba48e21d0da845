"""Sections of a full run that work on images: inference, other detectors, training."""
import importlib.util
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
import torch
from speed.image_forms import (
    backbone_ways,
    cached_training,
    drawn_photographs,
    epochs_ratio,
    extract_in_memory,
    extraction_ways,
    image_to_map,
)
from speed.peers import ANOMALIB, supersimplenet_step, time_peers
from tqdm.auto import tqdm
from cozad.bench import map_forms, random_head
from cozad.checkpoints import start_training
from cozad.config import Config
from cozad.datasets import read, select
from cozad.features import load_backbone
from cozad.folded import fold
from cozad.objective import sample_patches
from cozad.runtime import make_generator
from cozad.simplenet import anomaly_map
from cozad.textures import make_textures
from cozad.timing import in_turn, ratio
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
