"""Instruments beside `cozad.bench`: profiles, growth of cost, memory."""
import math
import time
import tracemalloc
import weakref
from collections.abc import Callable, Sequence
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from cozad.timing import in_turn


def profile(
    form:Callable[[], object],
    top:int=6, # operations
) -> pd.Series: # shares of the processor's time, largest first, between 0 and 1
    "The operations that a call spends its time in."
    form()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as recorded:
        form()
    times = {
        event.key.removeprefix('aten::'): event.self_cpu_time_total
        for event in recorded.key_averages()
    }
    times = pd.Series(times, dtype=float)
    return (times / times.sum()).nlargest(top)


def slope(
    sizes:Sequence[float],
    seconds:Sequence[float],
) -> float: # 1 for proportional, 2 for quadratic; NaN for a single size
    "Of the straight line through the larger half of the points, both axes logarithmic."
    if len(sizes) < 2:
        return math.nan
    first = len(sizes) // 2 - 1
    return float(np.polyfit(np.log(sizes)[first:], np.log(seconds)[first:], 1)[0])


def grow(
    work:Callable[[int], Callable[[], object]], # of a size -> what is to be timed
    sizes:Sequence[int],
    rounds:int=3,
    clock:Callable[[], float]=time.perf_counter, # seconds
) -> pd.DataFrame: # columns size, seconds
    "The least seconds for every size; the sizes are measured in turn."
    seconds = in_turn({n: work(n) for n in sizes}, rounds, clock)[0].min()
    return seconds.rename_axis('size').rename('seconds').reset_index()


def numpy_peak(
    form:Callable[[], object],
) -> int: # bytes
    "The most that the arrays made by a call have taken at a time."
    tracemalloc.start()
    try:
        form()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TensorMemory(TorchDispatchMode):
    "Counts the bytes of tensors made while it is on; `peak` is the most at a time."
    def __init__(
        self,
        *given:Tensor, # already there, not counted
    ):
        super().__init__()
        self.now = 0
        self.peak = 0
        self.given = given
        self.known = {tensor.untyped_storage()._cdata for tensor in given}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage):
        key = storage._cdata
        if key in self.known:
            return
        size = storage.nbytes()
        self.known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, key, size)

    def _freed(self, key, size):
        self.known.discard(key)
        self.now -= size
