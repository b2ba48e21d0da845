#!/usr/bin/env python3
"""Seconds and peak memory of pictures in tiles, from 4 to 200 megapixels, in one run.

    python .ci/speed/large_images.py --out nbs/results/large_images.csv [--cases 4:256 200:512]

A case is a number of megapixels and the edge of a tile; tiles are scored at 256 x 256 pixels and
overlap by a quarter. Every case has a process of its own, so no peak hides another. Seconds are
those of the processor. Memory is the growth of the process during a stage, beyond what it held
before. `predict` decodes the file as well.
"""
import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from PIL import Image
from cozad.cache import fingerprint
from cozad.config import Config
from cozad.detection import overlay
from cozad.detector import Detector
from cozad.features import load_backbone
from cozad.ignored_region import Regions
from cozad.model import Model
from cozad.pixels import open_image
from cozad.result_files import write_map
from cozad.results import save_table
from cozad.simplenet import Head
from cozad.tiling import Tiling

CASES = ('4:256', '4:512', '48:512', '200:512') # megapixels, edge of a tile
OVERLAY_EDGE = 4096


def status(name):
    "Kilobytes of this process by a name of /proc/self/status."
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def measured(action):
    "What an action returns, the processor's seconds, and the megabytes that it needed at most."
    Path('/proc/self/clear_refs').write_text('5') # forget the peak so far
    before = status('VmRSS')
    start = time.process_time()
    result = action()
    seconds = time.process_time() - start
    return result, seconds, (status('VmHWM') - before) / 1024


def write_picture(file, megapixels):
    "A picture of 4:3 with some structure."
    height = round((megapixels * 1e6 * 3 / 4) ** .5)
    width = round(megapixels * 1e6 / height)
    small = np.random.default_rng(0).integers(60, 200, (height // 16, width // 16, 3), np.uint8)
    Image.fromarray(small).resize((width, height), Image.BILINEAR).save(file, quality=90)


def tiled_detector(tile):
    "A head without training, which scores as fast as a trained one."
    config = Config(backbone='lite0', size=256)
    backbone = load_backbone('lite0')
    model = Model(Head(sum(backbone.channels)).eval(), config, {}, fingerprint(backbone))
    return Detector(model, backbone, .5, regions=Regions(Tiling(tile, .25)))


def measure(file, case, folder):
    "One row per stage, for one picture."
    Image.MAX_IMAGE_PIXELS = None
    megapixels, tile = (int(number) for number in case.split(':'))
    detector = tiled_detector(tile)
    warm_up = np.zeros((2 * tile, 2 * tile, 3), np.uint8) # first calls are not counted
    for _ in range(3):
        detector.detect(warm_up, progress=False)
    _, *decoding = measured(lambda: open_image(file).size)
    detection, *scoring = measured(lambda: detector.detect(file, progress=False))
    _, *mapping = measured(lambda: write_map(detection, folder/'map.npy'))
    _, *drawing = measured(lambda: overlay(detection, None, OVERLAY_EDGE))
    stages = {'decode': decoding, 'predict': scoring, 'map to file': mapping, 'overlay': drawing}
    return [
        dict(megapixels=megapixels, tile=tile, stage=stage, seconds=seconds, megabytes=megabytes)
        for stage, (seconds, megabytes) in stages.items()
    ]


def in_own_process(case):
    "The rows of one case."
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/'picture.jpg'
        write_picture(file, int(case.split(':')[0]))
        command = [sys.executable, __file__, '--one', str(file), '--cases', case]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--out', type=Path, default=Path('large_images.csv'))
    parser.add_argument('--cases', nargs='+', default=CASES)
    parser.add_argument('--one', type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.one:
        rows = measure(options.one, options.cases[0], options.one.parent)
        print(json.dumps(rows))
        return
    about = dict(size=256, overlap=.25, backbone='lite0', overlay_edge=OVERLAY_EDGE)
    rows = []
    for case in options.cases:
        rows += in_own_process(case)
        print(pd.DataFrame(rows[-4:]).round(2).to_string(index=False), flush=True)
        save_table(pd.DataFrame(rows), options.out, about, '%.4g')


if __name__ == '__main__':
    main()
