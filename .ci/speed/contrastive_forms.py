"""Forms of the contrastive loss and its gradient: whole, in chunks, by a library."""
import importlib.util
import time
from collections.abc import Callable
from functools import partial
import pandas as pd
import torch
import torch.nn.functional as F
from speed.measure import TensorMemory
from cozad.contrastive import contrastive_loss, info_nce
from cozad.timing import check_agreement, in_turn

Clock = Callable[[], float] # seconds
TEMPERATURE = .1
K = 5 # neighbours taken as positives, Eq. 2


def _row_losses(u, noisy, every, numbers):
    "Eq. 2 for rows `u` with numbers `numbers`, against the directions of every embedding."
    cosines = u @ every.mT
    itself = numbers[:, None] == torch.arange(len(every), device=u.device)
    near = cosines.detach().masked_fill(itself, -torch.inf).topk(K, 1).indices
    cosines = cosines / TEMPERATURE
    positive = (u * (noisy / noisy.norm(dim=1, keepdim=True))).sum(1, keepdim=True)
    positive = positive / TEMPERATURE
    attract = torch.cat([positive, cosines.gather(1, near)], 1).logsumexp(1)
    left_out = torch.cat([numbers[:, None], near], 1)
    repel = cosines.scatter(1, left_out, -torch.inf).logsumexp(1)
    return -F.logsigmoid(attract - repel)


def _back_through_length(gradient, u, length, chunk):
    "From the gradient of the directions to that of the embeddings, in place."
    for g, v, norm in zip(gradient.split(chunk), u.split(chunk), length.split(chunk)):
        g.sub_(v * (v * g).sum(1, keepdim=True)).div_(norm)


def loss_at_once(z, noisy, chunk):
    "The mean loss; each chunk's gradient follows at once and is left in `grad`."
    length = z.detach().norm(dim=1, keepdim=True)
    numbers = torch.arange(len(z), device=z.device)
    noisy.grad = torch.empty_like(noisy)
    u = (z.detach() / length).requires_grad_()
    total = 0.
    for start in range(0, len(z), chunk):
        rows = slice(start, start + chunk)
        row_u = u.detach()[rows].requires_grad_()
        row_noisy = noisy.detach()[rows].requires_grad_()
        part = _row_losses(row_u, row_noisy, u, numbers[rows]).sum() / len(z)
        part.backward()
        total += part.item()
        u.grad[rows] += row_u.grad
        noisy.grad[rows] = row_noisy.grad
    _back_through_length(u.grad, u.detach(), length, chunk)
    z.grad = u.grad
    return torch.tensor(total)


def loss_and_gradients(z, noisy, loss):
    "A mean loss of two sets of embeddings, and its gradients."
    z = z.detach().requires_grad_()
    noisy = noisy.detach().requires_grad_()
    value = loss(z, noisy)
    if value.requires_grad:
        value.backward()
    return dict(loss=value.detach()[None], z=z.grad, noisy=noisy.grad)


def mean_loss(z, noisy, chunk=None):
    "The contrastive loss of cozad, whole or `chunk` rows at a time."
    return contrastive_loss(z, noisy, chunk=chunk).mean()


def contrastive_memory(
    n:int=8192, # patches
    dim:int=1536,
    chunk:int=512, # rows at a time
    rounds:int=3,
    clock:Clock=time.perf_counter,
) -> tuple[pd.DataFrame, pd.Series]: # seconds of 'whole', 'chunks', 'at once'; their peaks in bytes
    "The contrastive loss and its gradient. Raises ArithmeticError where they differ by 1e-6."
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, dim, generator=generator)
    noisy = z + .005 * torch.randn(n, dim, generator=generator)
    losses = {
        'whole': mean_loss,
        'chunks': partial(mean_loss, chunk=chunk),
        'at once': partial(loss_at_once, chunk=chunk),
    }
    forms = {name: partial(loss_and_gradients, z, noisy, loss) for name, loss in losses.items()}
    peaks = {}
    for name, form in forms.items():
        with TensorMemory(z, noisy) as memory:
            form()
        peaks[name] = memory.peak
    seconds, results = in_turn(forms, rounds, clock)
    check_agreement(results, 'whole', 1e-6)
    return seconds, pd.Series(peaks)


def info_nce_by_library(z, noisy):
    "Eq. 1 by pytorch-metric-learning: each embedding with its noisy view, against all others."
    from pytorch_metric_learning.losses import NTXentLoss
    n = len(z)
    numbers = torch.arange(n)
    one, other = (~torch.eye(n, dtype=torch.bool)).nonzero(as_tuple=True)
    pairs = (numbers, numbers, one, n + other)
    return NTXentLoss(TEMPERATURE)(z, indices_tuple=pairs, ref_emb=torch.cat([noisy, z]))


def info_nce_forms(
    n:int=256, # patches
    dim:int=1536,
    rounds:int=3,
    clock:Clock=time.perf_counter,
) -> pd.DataFrame: # seconds of 'ours', and of the library where it is installed
    "Eq. 1 and its gradient. Raises ArithmeticError where they differ by 1e-5."
    z = torch.randn(n, dim, generator=torch.Generator().manual_seed(0))
    losses = {'ours': lambda *pair: info_nce(*pair, TEMPERATURE).mean()}
    if importlib.util.find_spec('pytorch_metric_learning'):
        losses['pytorch-metric-learning'] = info_nce_by_library
    other = z.roll(1, 1)
    forms = {name: partial(loss_and_gradients, z, other, loss) for name, loss in losses.items()}
    seconds, results = in_turn(forms, rounds, clock)
    check_agreement(results, 'ours', 1e-5)
    return seconds
