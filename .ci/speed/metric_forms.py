"""Forms of the metrics: exact and streaming AUROC, AU-PRO by its definition."""
import time
from collections.abc import Callable
import numpy as np
import pandas as pd
import torch
from scipy.ndimage import label
from sklearn.metrics import roc_auc_score
from cozad.bench import random_scores
from cozad.metrics import aupro, auroc
from cozad.streaming import StreamingCurve
from cozad.timing import check_agreement, in_turn

Clock = Callable[[], float] # seconds


def streaming(
    labels:np.ndarray, # bool
    scores:np.ndarray, # of the same shape, between -8 and 8
    batch:int=2**20, # pixels added at a time
) -> tuple[float, float]: # between which the AUROC lies
    "The AUROC from histograms, batch by batch."
    curve = StreamingCurve(-8, 8)
    for i in range(0, len(scores), batch):
        curve.add(labels[i:i + batch], scores[i:i + batch])
    return curve.auroc()


def auroc_ratio(
    pixels:int,
    share:float=.02, # of them anomalous
    rounds:int=5,
    clock:Clock=time.perf_counter,
    device:torch.device|str|None=None, # where ours sorts; None for numpy
) -> pd.DataFrame: # seconds of 'ours', 'streaming' and 'scikit-learn'
    "One area in three ways. Raises ArithmeticError where they disagree."
    labels, scores = random_scores(pixels, share)
    ours = (labels, scores)
    if device is not None:
        ours = [torch.from_numpy(array).to(device) for array in ours]
    forms = {
        'ours': lambda: auroc(*ours),
        'streaming': lambda: streaming(labels, scores),
        'scikit-learn': lambda: roc_auc_score(labels, scores),
    }
    seconds, areas = in_turn(forms, rounds, clock)
    low, high = areas.pop('streaming')
    check_agreement(areas, 'scikit-learn', 1e-6)
    if not low <= areas['ours'] <= high:
        raise ArithmeticError(
            f"The streaming form says {low} to {high}, but the area is {areas['ours']}."
        )
    return seconds


def _regions(masks):
    "Every connected region as (number of the image, mask)."
    for i, mask in enumerate(masks):
        numbered, count = label(mask, np.ones((3, 3)))
        for k in range(1, count + 1):
            yield i, numbered == k


def aupro_by_thresholds(
    masks:np.ndarray, # (n, h, w), bool
    maps:np.ndarray, # (n, h, w)
    limit:float=.3, # largest false positive rate
) -> float:
    "The definition of AU-PRO, threshold by threshold."
    regions = list(_regions(masks))
    curve = [(0., 0.)]
    for threshold in np.unique(maps)[::-1]:
        above = maps >= threshold
        overlaps = [above[i][region].mean() for i, region in regions]
        curve.append((above[~masks].mean(), np.mean(overlaps)))
    x, y = np.array(curve).T
    end = np.interp(limit, x, y)
    inside = x < limit
    x = np.append(x[inside], limit)
    y = np.append(y[inside], end)
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / limit)


def aupro_ratio(
    images:int=8,
    size:int=64, # height and width, pixels
    levels:int=200, # different scores there can be
    rounds:int=3,
    clock:Clock=time.perf_counter,
) -> pd.DataFrame: # seconds of 'ours' and 'by thresholds'
    "AU-PRO in both ways, with many ties. Raises ArithmeticError where they differ by 1e-6."
    rng = np.random.default_rng(0)
    blocks = rng.random((images, size // 8, size // 8)) < .03
    masks = np.kron(blocks, np.ones((1, 8, 8))).astype(bool)
    maps = np.floor(rng.random(masks.shape) * levels / 2 + masks * levels / 4)
    forms = {
        'ours': lambda: aupro(masks, maps),
        'by thresholds': lambda: aupro_by_thresholds(masks, maps),
    }
    seconds, values = in_turn(forms, rounds, clock)
    check_agreement(values, 'by thresholds', 1e-6)
    return seconds
