"""Forms of the work on images: maps, backbone, extraction and training from the cache."""
import copy
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm
from cozad import cache
from cozad.bench import map_forms
from cozad.cache import extract, forget_checks
from cozad.checkpoints import start_training
from cozad.config import Config
from cozad.extraction import Features, default_batch_size, extract_to_memory, prefetch_images
from cozad.features import Backbone
from cozad.images import Sample, load_image
from cozad.timing import check_agreement, difference, in_turn
from cozad.training import train_epoch

Clock = Callable[[], float] # seconds


def image_to_map(
    backbone:Backbone,
    images:Tensor, # (n, 3, H, W)
    rounds:int=5,
    batch_size:int|None=None, # images at a time, in all forms; None takes all
    clock:Clock=time.perf_counter,
) -> pd.DataFrame: # seconds of 'backbone', 'as written', 'folded'
    "All of `map_forms`. Raises ArithmeticError where the maps differ by 1e-4."
    seconds, maps = in_turn(map_forms(backbone, images, batch_size), rounds, clock)
    named = {name: maps[name] for name in ('as written', 'folded')}
    check_agreement(named, 'as written', 1e-4)
    return seconds


def backbone_ways(
    backbone:Backbone,
    images:Tensor, # (n, 3, H, W)
    rounds:int=5,
    compiled:bool=True, # `torch.compile` too: a minute of its own, and a C++ compiler
    clock:Clock=time.perf_counter,
) -> tuple[pd.DataFrame, pd.Series]: # seconds of each way, and its difference from 'as it is'
    "The backbone in other layouts, precisions and forms."
    last = copy.deepcopy(backbone).to(memory_format=torch.channels_last)

    def in_bf16():
        with torch.autocast(images.device.type, torch.bfloat16):
            return backbone(images)

    ways = {
        'as it is': lambda: backbone(images),
        'channels_last': lambda: last(images.to(memory_format=torch.channels_last)),
        'bf16 autocast': in_bf16,
    }
    if compiled:
        ways['torch.compile'] = partial(torch.compile(backbone), images)
    seconds, maps = in_turn(ways, rounds, clock)
    named = {way: dict(enumerate(layers)) for way, layers in maps.items()}
    plain = named['as it is']
    return seconds, pd.Series({way: difference(m, plain) for way, m in named.items()})


def extract_in_memory(
    backbone:Backbone,
    samples:Sequence[Sample],
    size:int=256,
) -> Features: # half precision as in the cache
    "What `extract` computes, without a cache."
    decode = partial(load_image, size=size)
    paths = [sample.path for sample in samples]
    batches = prefetch_images(paths, decode, default_batch_size(backbone))
    return extract_to_memory(backbone, batches, samples)


def _train(features, config, epochs):
    "What happened in each epoch; `features()` is called before every one."
    run = start_training(sum(m.shape[1] for m in features()[0]), config)
    for _ in range(epochs):
        train_epoch(run, features(), config, tqdm(disable=True))
    return torch.tensor([list(row.values()) for row in run.history])


def cached_training(
    backbone:Backbone,
    samples:Sequence[Sample], # normal images of split 'train'
    config:Config,
    rounds:int=5,
    clock:Clock=time.perf_counter,
) -> pd.DataFrame: # seconds of 'anew' (extraction), 'into the cache' and 'epoch'
    "Extraction in both ways, and an epoch from the cache. Raises ArithmeticError when they differ."
    with tempfile.TemporaryDirectory() as root:
        def anew():
            return extract_in_memory(backbone, samples, config.size)

        def into_cache():
            folder = Path(tempfile.mkdtemp(dir=root))
            return extract(backbone, samples, config.size, folder, progress=False)

        features = into_cache()
        losses = {'anew': _train(anew, config, 2), 'cached': _train(lambda: features, config, 2)}
        check_agreement(losses, 'anew', 0)
        run = start_training(sum(backbone.channels), config)

        def epoch():
            return train_epoch(run, features, config, tqdm(disable=True))

        forms = {'anew': anew, 'into the cache': into_cache, 'epoch': epoch}
        return in_turn(forms, rounds, clock)[0]


def epochs_ratio(
    seconds:pd.DataFrame, # from `cached_training`
    epochs:int=40,
) -> float: # how many times faster training is from the cache
    "All epochs with an extraction each, over one extraction and all epochs."
    anew, into_cache, epoch = seconds.median()[['anew', 'into the cache', 'epoch']]
    return float(epochs * (anew + epoch) / (into_cache + epochs * epoch))


def drawn_photographs(
    folder:Path,
    count:int,
    edge:int, # pixels
) -> list[Sample]:
    "Smooth colours with grain, which makes the files about as large as photographs."
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = torch.from_numpy(rng.random((1, 3, 8, 8), np.float32))
        smooth = F.interpolate(coarse, (edge, edge), mode='bicubic', align_corners=False)
        pixels = 40 + 160 * smooth[0].clamp(0, 1).movedim(0, 2).numpy()
        grain = rng.integers(0, 4, (edge, edge, 1))
        image = Image.fromarray((pixels + grain).astype(np.uint8))
        image.save(folder/f'{i:03}.png', compress_level=1)
    return [Sample(folder/f'{i:03}.png', 0, 'drawn', 'train') for i in range(count)]


def _decode_one_by_one(paths, decode, batch_size):
    "Batches like those of `prefetch_images`, decoded when they are needed."
    for i in range(0, len(paths), batch_size):
        yield torch.stack([decode(path) for path in paths[i:i + batch_size]])


def extraction_ways(
    backbone:Backbone,
    samples:Sequence[Sample],
    size:int=256,
    rounds:int=5,
    clock:Clock=time.perf_counter, # on the wall: a processor's clock misses what threads save
) -> pd.DataFrame: # seconds of four ways
    "Extraction with and without decoding ahead, and a second call. Raises ArithmeticError."
    with tempfile.TemporaryDirectory() as root:
        forms = _extraction_forms(backbone, samples, size, Path(root))
        seconds, features = in_turn(forms, rounds, clock)
        maps = {way: _all_numbers(stored) for way, stored in features.items()}
        check_agreement(maps, 'decoded one after the other', 0)
    return seconds


def _all_numbers(features):
    "All maps of all samples as one vector."
    return torch.cat([maps.flatten() for maps in features[:]])


def _extraction_forms(backbone, samples, size, root):
    "Four ways to get features, by their names."
    filled = root/'filled'

    def extract_to(folder):
        return extract(backbone, samples, size, folder, progress=False)

    def ahead():
        return extract_to(Path(tempfile.mkdtemp(dir=root)))

    def one_by_one():
        with patch.object(cache, 'prefetch_images', _decode_one_by_one):
            return ahead()

    def checked_in_full():
        forget_checks()
        return extract_to(filled)

    return {
        'decoded one after the other': one_by_one,
        'decoded ahead': ahead,
        'asked again, checked in full': checked_in_full,
        'asked again': lambda: extract_to(filled),
    }
