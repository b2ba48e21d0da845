#!/usr/bin/env python3
"""Measure how fast cozad is beside other libraries, and write bench.csv and bench.json.

    python .ci/speed/run.py --out FOLDER [--quick] [--process-time]

A full run takes a quarter of an hour on an idle machine. `--quick` takes toy sizes, to which no
target applies, and shows that every line works. `--process-time` counts seconds of the processor,
for a machine that others keep busy; use it with OMP_NUM_THREADS=1. Libraries that are not installed
(anomalib, higher, torchopt, pytorch-metric-learning) get the row n/a.
"""
import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

if __name__ == '__main__':
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from speed.findings import Findings, as_text, write_bench
from speed.image_sections import measure_inference, measure_peers, measure_training
from speed.number_sections import (
    measure_contrast,
    measure_demo,
    measure_growth,
    measure_meta,
    measure_ranks,
)
from speed.targets import TOY, Sizes
from tqdm.auto import tqdm
from cozad.bench import machine_load

SECTIONS = (
    measure_inference, measure_peers, measure_training, measure_meta, measure_ranks,
    measure_contrast, measure_growth, measure_demo,
)


def run_all(
    out:Path, # folder for bench.csv and bench.json
    sizes:Sizes,
    progress:bool=True, # a bar in a terminal or notebook
):
    "All sections. Raises ArithmeticError when a fast form computes something else."
    load = machine_load()
    findings = Findings(sizes)
    for section in tqdm(SECTIONS, 'sections', disable=None if progress else True):
        section(sizes, findings)
    if torch.cuda.is_available() and sizes.whole:
        measure_meta(sizes, findings, 'cuda')
        measure_ranks(sizes, findings, 'cuda')
    about = dict(
        quick=not sizes.whole, clock=sizes.clock.__name__, threads=torch.get_num_threads(),
        load_before=load, load_after=machine_load(),
    )
    return write_bench(findings, out, about)


def main():
    "Read the options, measure, and print the table."
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--out', type=Path, required=True, help='folder of the two files')
    parser.add_argument('--quick', action='store_true', help='toy sizes, in seconds')
    parser.add_argument('--process-time', action='store_true', help='count processor seconds')
    options = parser.parse_args()
    clock = time.process_time if options.process_time else time.perf_counter
    sizes = replace(TOY if options.quick else Sizes(), clock=clock)
    print(as_text(run_all(options.out, sizes)))


if __name__ == '__main__':
    main()
