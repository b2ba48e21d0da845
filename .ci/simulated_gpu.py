#!/usr/bin/env python3
"""A simulated GPU.

Its tensors say that they are on `cuda`, compute on the CPU, and refuse to meet tensors of the
CPU as those of a GPU do. Random numbers are those of the CPU, so a run on it gives the same
digits as one without. It knows nothing of speed, memory, or of operations that a GPU lacks.

    .ci/simulated_gpu.py                              reproduce synthetic sets, with and without it
    .ci/test_notebooks.py --simulated-gpu [notebook]  notebooks on it
"""
import collections
import contextlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

aten = torch.ops.aten
GPU, CPU = torch.device('cuda', 0), torch.device('cpu')
TAKES_INDICES = { # operations whose indices may be on the CPU
    aten.index.Tensor, aten._unsafe_index.Tensor, aten.index_put.default, aten.index_put_.default,
    aten._index_put_impl_.default,
}
COPIES = {aten.copy_.default, aten._to_copy.default} # operations that move between devices
NO_SCALARS = { # operations that do not take a single number of the CPU
    aten.cat.default, aten.stack.default, aten.gather.default, aten.index_select.default,
    aten.searchsorted.Tensor, aten.equal.default,
}
transfers = collections.Counter() # tensors moved to the GPU and back, to tell that any were


class GPUTensor(torch.Tensor):
    "A tensor on the simulated GPU; to C++ it is one without data."

    @staticmethod
    def __new__(cls, data):
        self = torch.Tensor._make_wrapper_subclass(
            cls, data.shape, strides=data.stride(), storage_offset=data.storage_offset(),
            dtype=data.dtype, device='meta')
        self.data_on_cpu = data
        return self

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)

    def __repr__(self, **_):
        return f'GPUTensor({self.data_on_cpu})'

    def __reduce_ex__(self, _):
        raise TypeError('a tensor of the GPU was pickled')

    def numpy(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. "
                        'Use Tensor.cpu() to copy the tensor to host memory first.')

    __array__ = numpy

    def tolist(self):
        return self.detach().cpu().tolist()

    def __deepcopy__(self, memo):
        copied = GPUTensor(self.data_on_cpu.clone()).requires_grad_(self.requires_grad)
        if getattr(self, '_is_param', False):
            copied._is_param = True # what makes a Parameter of a subclass
        return copied

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def leaves(x):
    "What lists, tuples and dictionaries hold; quicker than PyTorch's function, for any tree."
    if isinstance(x, dict):
        x = list(x.values())
    if not isinstance(x, (list, tuple)):
        return [x]
    return [leaf for part in x for leaf in leaves(part)]


def mapped(function, x):
    "The same lists, tuples and dictionaries, with a function of what they hold."
    if isinstance(x, dict):
        return {key: mapped(function, value) for key, value in x.items()}
    if type(x) in (list, tuple):
        return type(x)([mapped(function, part) for part in x])
    return function(x)


def on_cpu(x):
    "The data of a GPU tensor; anything else as it is."
    return x.data_on_cpu if isinstance(x, GPUTensor) else x


def check_devices(func, args, tensors):
    "Raise RuntimeError where a GPU would: for tensors on different devices."
    gpu = [t for t in tensors if isinstance(t, GPUTensor)]
    cpu = [t for t in tensors if not isinstance(t, GPUTensor)]
    if func in TAKES_INDICES:
        if not isinstance(args[0], GPUTensor):
            raise RuntimeError(f'{func}: indices should be either on cpu or on the same device as '
                               'the indexed tensor (cpu)')
        indices = {id(index) for index in args[1]}
        cpu = [t for t in cpu if id(t) not in indices]

    def counts(t):
        return t.dim() or func in NO_SCALARS or func._schema.is_mutable and t is args[0]

    cpu = [tuple(t.shape) for t in cpu if counts(t)]
    if cpu:
        raise RuntimeError(f'{func}: Expected all tensors to be on the same device, but {cpu} are '
                           f'on the CPU, {[tuple(t.shape) for t in gpu]} on the GPU')


def destination(func, args, kwargs, any_on_gpu):
    "Whether the result of an operation is on the GPU."
    if func is aten.copy_.default:
        return isinstance(args[0], GPUTensor)
    device = kwargs.get('device')
    if device is None:
        return any_on_gpu
    return torch.device(device).type in ('cuda', 'meta') # C++ takes an old tensor's device for meta


def count_transfer(func, args, to_gpu):
    "Count a copy between the devices."
    source = args[1] if func is aten.copy_.default else args[0]
    if to_gpu != isinstance(source, GPUTensor):
        transfers['to' if to_gpu else 'from'] += 1


def run(func, args, kwargs):
    "One operation: check the devices, compute on the CPU, and put the result where it belongs."
    tensors = [t for t in leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    any_on_gpu = any(isinstance(t, GPUTensor) for t in tensors)
    if any_on_gpu and func not in COPIES:
        check_devices(func, args, tensors)
    to_gpu = destination(func, args, kwargs, any_on_gpu)
    if func in COPIES:
        count_transfer(func, args, to_gpu)
    if kwargs.get('device') is not None:
        kwargs = kwargs | dict(device=CPU)
    inputs = {id(on_cpu(t)): t for t in tensors}
    result = func(*mapped(on_cpu, args), **mapped(on_cpu, kwargs))

    def placed(x):
        if not isinstance(x, torch.Tensor):
            return x
        if id(x) in inputs:
            return inputs[id(x)]
        return GPUTensor(x) if to_gpu else x

    return mapped(placed, result)


class Operations(TorchDispatchMode):
    "Operations that make a tensor without having one."

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def is_gpu(device):
    "Whether an argument names the GPU."
    return isinstance(device, (str, torch.device)) and torch.device(device).type == 'cuda'


def as_index(index):
    "A list or array of indices as a tensor."
    is_array = type(index).__module__ == 'numpy'
    return torch.as_tensor(index) if isinstance(index, (list, range)) or is_array else index


def check_generator(func, args, kwargs):
    "Raise RuntimeError for a generator of another device."
    generator = kwargs.get('generator')
    if generator is None:
        return
    devices = (a.device for a in args if isinstance(a, torch.Tensor))
    device = torch.device(kwargs.get('device') or next(devices, 'cpu'))
    if device.type != generator.device.type:
        raise RuntimeError(f"{func.__name__}: Expected a '{device.type}' device type for generator "
                           f"but found '{generator.device.type}'")


class Calls(TorchFunctionMode):
    "Calls for which C++ would ask a driver."

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if is_gpu(kwargs.get('device')):
            kwargs['device'] = GPU
        if func is torch.Tensor.cuda:
            return args[0].to(GPU)
        if func is torch.Tensor.to:
            args = tuple(GPU if is_gpu(a) else a for a in args)
        if func in (torch.tensor, torch.as_tensor) and kwargs.get('device') == GPU:
            del kwargs['device']
            return func(*args, **kwargs).to(GPU)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            index = args[1]
            index = tuple(map(as_index, index)) if isinstance(index, tuple) else as_index(index)
            args = args[0], index, *args[2:]
        check_generator(func, args, kwargs)
        return func(*args, **kwargs)


class Generator(torch.Generator):
    "A generator that knows its device; the GPU's have states of another length."

    def __new__(cls, device='cpu'):
        self = super().__new__(cls, 'cpu')
        self.place = GPU if torch.device(device).type == 'cuda' else CPU
        return self

    device = property(lambda self: self.place)

    def get_state(self):
        longer = torch.zeros(int(self.place == GPU), dtype=torch.uint8)
        return torch.cat([super().get_state(), longer])

    def set_state(self, state):
        if len(state) != len(self.get_state()):
            raise RuntimeError('RNG state is wrong size')
        return super().set_state(state[:len(super().get_state())])


@contextlib.contextmanager
def simulated_gpu():
    "Inside, `torch.cuda.is_available()`, and what is put there is on the simulated GPU."
    save = torch.save

    def save_from_gpu(state, file):
        return save(tree_map(on_cpu, state), file)

    def memory(device=None):
        return 2 ** 30

    driver = dict(
        is_available=lambda: True, _lazy_init=lambda: None, synchronize=lambda device=None: None,
        get_device_name=lambda device=None: 'a simulated GPU', manual_seed_all=lambda seed: None,
        mem_get_info=lambda device=None: (2 ** 33, 2 ** 34), memory_reserved=memory,
        memory_allocated=memory, max_memory_allocated=memory)
    no_check = dict(_accelerator_graph_capture_health_check=lambda self: None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.multiple(torch.cuda, **driver))
        stack.enter_context(patch.multiple(torch, Generator=Generator, save=save_from_gpu))
        stack.enter_context(patch.multiple(torch.optim.Optimizer, **no_check))
        stack.enter_context(Calls())
        stack.enter_context(Operations())
        yield


def check_refusals():
    "That it refuses what a GPU refuses: a check of the check."
    with simulated_gpu():
        gpu, cpu = torch.ones(3, device='cuda'), torch.ones(3)
        cpu_state = torch.Generator().get_state()
        refused = [ # an action, and a word of its error
            (lambda: gpu + cpu, 'same device'),
            (lambda: torch.cat([gpu, cpu]), 'same device'),
            (lambda: torch.nn.Linear(3, 1)(gpu), 'same device'),
            (lambda: cpu[0].add_(gpu[0]), 'same device'),
            (lambda: cpu[torch.tensor([1], device='cuda')], 'indices'),
            (lambda: gpu.numpy(), 'numpy'),
            (lambda: torch.randn(3, device='cuda', generator=torch.Generator()), 'generator'),
            (lambda: torch.randn(3, generator=torch.Generator('cuda')), 'generator'),
            (lambda: torch.Generator('cuda').set_state(cpu_state), 'wrong size'),
        ]
        for number, (action, word) in enumerate(refused):
            try:
                action()
            except (RuntimeError, TypeError) as error:
                assert word in str(error), error
            else:
                raise AssertionError(f'the GPU does not refuse wrong use {number}')
        assert (gpu + 1).sum().item() == 6 and gpu[[0, 2]].tolist() == [1, 1]
        assert (gpu + gpu).cpu().device == CPU


def reproduced(out, name, device):
    "All tables of the reproduction of synthetic sets, by file name; times left out."
    import pandas as pd
    from cozad.demo import DEMO
    from cozad.reproduction import ReproductionOptions, reproduce
    from cozad.synthetic import make_synthetic_sets
    if not (out/'sets').exists():
        make_synthetic_sets(out/'sets')
    config = replace(DEMO, epochs=2)
    options = ReproductionOptions(config, seeds=1, root=out/f'cache {name}', progress=False)
    with device:
        reproduce(out/'sets', out/name, options)
    timed = ('costs.csv', 'seconds.csv')
    files = [f for f in sorted((out/name).rglob('*.csv')) if f.name not in timed]
    return {f.name: pd.read_csv(f).drop(columns='seconds', errors='ignore') for f in files}


def main():
    check_refusals()
    with tempfile.TemporaryDirectory() as folder:
        transfers.clear()
        no_gpu = patch.object(torch.cuda, 'is_available', lambda: False)
        without = reproduced(Path(folder), 'without', no_gpu)
        with_gpu = reproduced(Path(folder), 'with', simulated_gpu())
    differ = [name for name, table in without.items() if not table.equals(with_gpu[name])]
    print(f"{', '.join(without)}: {transfers['to']} tensors went to the GPU and "
          f"{transfers['from']} came back; {', '.join(differ) or 'no table'} differs")
    sys.exit(bool(differ) or not without or not transfers['to'])


if __name__ == '__main__':
    main()
