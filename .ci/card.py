#!/usr/bin/env python3
"""A graphics card that is none. Its tensors say that they are on `cuda`, compute on the CPU, and refuse to meet tensors of the CPU as those of a card do.
Random numbers are those of the CPU, so a run on it gives the same digits as one without. It knows nothing of speed, memory, or kernels that a card lacks.

    .ci/card.py                               the reproduction of drawn copies of the ten sets, with it and without: the tables must be equal
    .ci/test_notebooks.py --card [notebook…]  notebooks, with it
"""
import collections, contextlib, os, sys, tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten, CARD, CPU = torch.ops.aten, torch.device('cuda', 0), torch.device('cpu')
TAKES_INDICES = {aten.index.Tensor, aten._unsafe_index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default} # which may be on the CPU
CARRIES = {aten.copy_.default, aten._to_copy.default} # between devices
NO_SCALARS = {aten.cat.default, aten.stack.default, aten.gather.default, aten.index_select.default, aten.searchsorted.Tensor, aten.equal.default} # others take a single number of the CPU
carried = collections.Counter() # tensors moved to the card and back, to tell that anything was there at all


class OnCard(torch.Tensor):
    "A tensor of the card; to C++ it is one without data."
    @staticmethod
    def __new__(cls, held):
        self = torch.Tensor._make_wrapper_subclass(cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device='meta')
        self.held = held
        return self

    device, is_cuda = property(lambda self: CARD), property(lambda self: True)

    def __repr__(self, **_): return f'OnCard({self.held})'
    def __reduce_ex__(self, _): raise TypeError('a tensor of the card was pickled')
    def numpy(self, *_, **__): raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")
    __array__ = numpy
    def tolist(self): return self.detach().cpu().tolist()

    def __deepcopy__(self, memo):
        copied = OnCard(self.held.clone()).requires_grad_(self.requires_grad)
        if getattr(self, '_is_param', False): copied._is_param = True # what makes a Parameter of a subclass
        return copied

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None): return _run(func, args, kwargs or {})


def _held(x): return x.held if isinstance(x, OnCard) else x


def _check_places(func, args, tensors): # as a card would
    there, here = [[t for t in tensors if isinstance(t, OnCard) == on] for on in (True, False)]
    if func in TAKES_INDICES:
        if not isinstance(args[0], OnCard): raise RuntimeError(f'{func}: indices should be either on cpu or on the same device as the indexed tensor (cpu)')
        here = [t for t in here if not any(t is i for i in args[1])]
    here = [t for t in here if t.dim() or func in NO_SCALARS or func._schema.is_mutable and t is args[0]]
    if here: raise RuntimeError(f'{func}: Expected all tensors to be on the same device, but {[tuple(t.shape) for t in here]} are on the CPU, {[tuple(t.shape) for t in there]} on the card')


def _run(func, args, kwargs):
    "One operation: check where its tensors are, compute, and put what comes out where it belongs."
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    any_there, place = any(isinstance(t, OnCard) for t in tensors), kwargs.get('device')
    if any_there and func not in CARRIES: _check_places(func, args, tensors)
    place = None if place is None else CARD if torch.device(place).type in ('cuda', 'meta') else CPU # C++ takes a new tensor's place from the old one, which says meta
    if place is not None: kwargs = kwargs | dict(device=CPU)
    to_card = isinstance(args[0], OnCard) if func is aten.copy_.default else place == CARD if place is not None else any_there
    if func in CARRIES and to_card != isinstance(args[func is aten.copy_.default], OnCard): carried['to' if to_card else 'from'] += 1
    out, known = func(*tree_map(_held, args), **tree_map(_held, kwargs)), {id(_held(t)): t for t in tensors}
    return tree_map(lambda o: o if not isinstance(o, torch.Tensor) else known[id(o)] if id(o) in known else OnCard(o) if to_card else o, out)


class _Operations(TorchDispatchMode): # those that make a tensor of none
    def __torch_dispatch__(self, func, types, args=(), kwargs=None): return _run(func, args, kwargs or {})


class _Calls(TorchFunctionMode): # what C++ would ask a driver for
    def __torch_function__(self, func, types, args=(), kwargs=None):
        is_card = lambda d: isinstance(d, (str, torch.device)) and torch.device(d).type == 'cuda'
        kwargs = {k: CARD if k == 'device' and is_card(v) else v for k, v in (kwargs or {}).items()}
        if func is torch.Tensor.cuda: return args[0].to(CARD)
        if func is torch.Tensor.to: args = tuple(CARD if is_card(a) else a for a in args)
        if func in (torch.tensor, torch.as_tensor) and kwargs.get('device') == CARD: return func(*args, **{k: v for k, v in kwargs.items() if k != 'device'}).to(CARD)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__): # lists of indices
            listed = lambda i: torch.as_tensor(i) if isinstance(i, (list, range)) or type(i).__module__ == 'numpy' else i
            args = args[0], tuple(map(listed, args[1])) if isinstance(args[1], tuple) else listed(args[1]), *args[2:]
        if (chance := kwargs.get('generator')) is not None:
            place = torch.device(kwargs.get('device') or next((a.device for a in args if isinstance(a, torch.Tensor)), 'cpu'))
            if place.type != chance.device.type: raise RuntimeError(f"{func.__name__}: Expected a '{place.type}' device type for generator but found '{chance.device.type}'")
        return func(*args, **kwargs)


class _Generator(torch.Generator):
    def __new__(cls, device='cpu'):
        self = super().__new__(cls, 'cpu')
        self.place = CARD if torch.device(device).type == 'cuda' else CPU
        return self

    device = property(lambda self: self.place)

    def get_state(self): # a card's generators have states of another length
        return torch.cat([super().get_state(), torch.zeros(int(self.place == CARD), dtype=torch.uint8)])

    def set_state(self, state):
        if len(state) != len(self.get_state()): raise RuntimeError('RNG state is wrong size')
        return super().set_state(state[:len(super().get_state())])


@contextlib.contextmanager
def card():
    "Inside, `torch.cuda.is_available()`, and what is put there is on the card."
    save, memory = torch.save, lambda device=None: 2 ** 30
    fakes = dict(is_available=lambda: True, _lazy_init=lambda: None, synchronize=lambda device=None: None, get_device_name=lambda device=None: 'a card that is none', manual_seed_all=lambda seed: None,
                 mem_get_info=lambda device=None: (2 ** 33, 2 ** 34), memory_reserved=memory, memory_allocated=memory, max_memory_allocated=memory)
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.multiple(torch.cuda, **fakes))
        stack.enter_context(patch.multiple(torch, Generator=_Generator, save=lambda state, file: save(tree_map(lambda x: x.held if isinstance(x, OnCard) else x, state), file)))
        stack.enter_context(patch.multiple(torch.optim.Optimizer, _accelerator_graph_capture_health_check=lambda self: None))
        stack.enter_context(_Calls()); stack.enter_context(_Operations())
        yield


def refusals():
    "That it refuses what a card refuses: a check of the check."
    with card():
        there, here = torch.ones(3, device='cuda'), torch.ones(3)
        wrong = {lambda: there + here: 'same device', lambda: torch.cat([there, here]): 'same device', lambda: torch.nn.Linear(3, 1)(there): 'same device', lambda: here[0].add_(there[0]): 'same device',
                 lambda: here[torch.tensor([1], device='cuda')]: 'indices', lambda: there.numpy(): 'numpy',
                 lambda: torch.randn(3, device='cuda', generator=torch.Generator()): 'generator', lambda: torch.randn(3, generator=torch.Generator('cuda')): 'generator',
                 lambda: torch.Generator('cuda').set_state(torch.Generator().get_state()): 'wrong size'}
        for i, (action, word) in enumerate(wrong.items()):
            try: action()
            except (RuntimeError, TypeError) as e: assert word in str(e), e
            else: raise AssertionError(f'the card does not refuse wrong use {i}')
        assert (there + 1).sum().item() == 6 and (there + there).cpu().device == CPU and there[[0, 2]].tolist() == [1, 1]


def reproduced(out, name, on):
    "All tables of the reproduction of drawn sets, under their names; times left out."
    import pandas as pd
    from cozad.evaluation import DEMO
    from cozad.layouts import make_synthetic_sets
    from cozad.reproduction import reproduce
    if not (out/'sets').exists(): make_layouts(out/'sets')
    with on, patch.dict(os.environ, COZAD_CACHE=str(out/f'cache {name}')): reproduce(out/'sets', out/name, replace(DEMO, epochs=2), seeds=1, progress=False)
    tables = [f for f in sorted((out/name).rglob('*.csv')) if f.name not in ('costs.csv', 'seconds.csv')]
    return {f.name: pd.read_csv(f).drop(columns='seconds', errors='ignore') for f in tables}


if __name__ == '__main__':
    refusals()
    with tempfile.TemporaryDirectory() as folder:
        carried.clear()
        without = reproduced(Path(folder), 'without', patch.object(torch.cuda, 'is_available', lambda: False))
        with_card = reproduced(Path(folder), 'with', card())
    differ = [name for name, table in without.items() if not table.equals(with_card[name])]
    print(f"{', '.join(without)}: {carried['to']} tensors went to the card and {carried['from']} came back; {', '.join(differ) or 'no table'} differs")
    sys.exit(bool(differ) or not without or not carried['to'])
