"""Forms of a meta-step: side by side, in a loop, by other libraries, with fewer products."""
import importlib.util
import time
from collections.abc import Callable
from functools import partial
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from cozad.maml import MAML, InnerLoop, meta_gradient, split_state, task_gradient
from cozad.simplenet import Head, margin_loss
from cozad.timing import check_agreement, in_turn

Half = tuple[Tensor, Tensor] # (x, noise) of support or query, each (tasks, patches, dim)


class MarginLoss(nn.Module):
    "Eq. 14-16 as one number."
    def __init__(self, head:Head):
        super().__init__()
        self.head = head

    def forward(self, x, noise):
        q = self.head.adaptor(x)
        scores = self.head.discriminator(torch.cat([q, q + noise])).squeeze(1)
        return margin_loss(*scores.chunk(2)).mean()


class SplitMarginLoss(MarginLoss):
    "The same number; the noise goes through D's first layer by itself."
    def __init__(self, head:Head, product:Callable=F.linear):
        super().__init__(head)
        self.product = product

    def forward(self, x, noise):
        linear, *rest = self.head.discriminator
        q = self.product(x, self.head.adaptor.weight)
        hidden = self.product(q, linear.weight) + linear.bias
        hidden = torch.cat([hidden, hidden + self.product(noise, linear.weight)])
        for layer in rest:
            hidden = layer(hidden)
        return margin_loss(*hidden.squeeze(1).chunk(2)).mean()


def bf16_product(x, weight):
    "A cheaper product; the weights stay in float32."
    return (x.bfloat16() @ weight.bfloat16().mT).float()


def meta_problem(
    tasks:int=4,
    patches:int=512, # in each half of a task
    dim:int=1536, # length of a patch feature
    hidden:int=1024, # width of D
    device:torch.device|str='cpu',
) -> tuple[nn.Module, Half, Half]: # a loss, support and query
    "The work of a meta-step, on random patches."
    generator = torch.Generator().manual_seed(0)
    head = Head(dim, hidden, generator)

    def random_patches():
        return torch.randn(tasks, patches, dim, generator=generator).to(device)

    halves = []
    for _ in range(2):
        x = random_patches()
        halves.append((x, .015 * random_patches()))
    return MarginLoss(head).to(device).train(), *halves


def _loss(module):
    def loss(params, buffers, batch):
        return functional_call(module, (params, buffers), batch)
    return loss


def by_cozad(module, support, query, loop=MAML):
    "The gradient of Eq. 12 by `meta_gradient`."
    state = split_state(module)
    return meta_gradient(_loss(module), *state, support, query, loop).gradients


def _task_by_task(support, query):
    return zip(zip(*support), zip(*query))


def by_loop(module, support, query, loop=MAML):
    "A Python loop over tasks."
    gradients = []
    for s, q in _task_by_task(support, query):
        result = task_gradient(_loss(module), *split_state(module), s, q, loop)
        gradients.append(result.gradients)
    means = {}
    for name in gradients[0]:
        means[name] = sum(gradient[name] for gradient in gradients) / len(gradients)
    return means


def by_higher(module, support, query, loop=MAML):
    "The library higher, which patches a module so that its weights become values."
    import higher
    module.zero_grad()
    sgd = torch.optim.SGD(module.parameters(), loop.lr)
    for s, q in _task_by_task(support, query):
        context = higher.innerloop_ctx(module, sgd, copy_initial_weights=False)
        with context as (adapted, inner):
            inner.step(adapted(*s))
            (adapted(*q) / len(query[0])).backward()
    return {name: p.grad.clone() for name, p in module.named_parameters()}


def by_torchopt(module, support, query, loop=MAML):
    "The library torchopt, whose optimiser takes steps that can be differentiated."
    import torchopt
    module.zero_grad()
    leaves = dict(module.named_parameters())
    inner = torchopt.MetaSGD(module, lr=loop.lr)
    states = [(m, torchopt.extract_state_dict(m)) for m in (module, inner)]
    for s, q in _task_by_task(support, query):
        inner.step(module(*s))
        (module(*q) / len(query[0])).backward()
        for m, state in states:
            torchopt.recover_state_dict(m, state)
    return {name: p.grad.clone() for name, p in leaves.items()}


def meta_step_forms(
    module:nn.Module, # from `meta_problem`
    support:Half,
    query:Half,
    rounds:int=5,
    clock:Callable[[], float]=time.perf_counter, # seconds
) -> pd.DataFrame: # seconds of each form, of libraries only where they are installed
    "The gradient of Eq. 12 in all forms. Raises ArithmeticError where two differ by 1e-4."
    at_once = InnerLoop(tasks_at_once=len(support[0]))
    ways = {
        'ours': by_cozad,
        'side by side': partial(by_cozad, loop=at_once),
        'loop': by_loop,
    }
    for name, way in dict(higher=by_higher, torchopt=by_torchopt).items():
        if importlib.util.find_spec(name):
            ways[name] = way
    forms = {name: partial(way, module, support, query) for name, way in ways.items()}
    seconds, gradients = in_turn(forms, rounds, clock)
    check_agreement(gradients, 'loop', 1e-4)
    return seconds


def cheaper_forms(
    module:nn.Module, # from `meta_problem`
    support:Half,
    query:Half,
) -> dict[str, Callable[[], dict]]: # 'ours' first
    "Meta-steps with fewer or cheaper products; not all compute the same number."
    split = SplitMarginLoss(module.head).train()
    cheap = SplitMarginLoss(module.head, bf16_product).train()
    at_once = InnerLoop(tasks_at_once=len(support[0]))
    first_order = InnerLoop(order=1)
    forms = {
        'ours': partial(by_cozad, module),
        'all tasks side by side': partial(by_cozad, module, loop=at_once),
        'a loop over tasks': partial(by_loop, module),
        'first order': partial(by_cozad, module, loop=first_order),
        'noise apart': partial(by_cozad, split),
        'noise apart, bf16': partial(by_cozad, cheap),
        'noise apart, first order': partial(by_cozad, split, loop=first_order),
    }
    return {name: partial(form, support=support, query=query) for name, form in forms.items()}
