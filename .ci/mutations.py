#!/usr/bin/env python3
"""Break one formula at a time and see that its own notebook notices. Two run at a time; the last line reads `N passed, N failed`.

    .ci/mutations.py [-v] [module ...]      all modules by default; -v shows the mutations too

A mutation replaces a piece of source that occurs once in the code cells of a notebook. The changed copy is run from the top in a
process of its own, without cells marked slow, real or cuda, until a cell fails. *caught*: an assertion of the page failed.
*SURVIVED*: nothing failed, so a test is missing. *broken*: something else failed (a name, a shape, the time limit), so the mutation
is a poor one; or the source is not there exactly once. It says nothing about notebooks that fail as they are: `make test` first.
"""
import argparse, json, multiprocessing, os, re, sys, time, traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NBS = Path(__file__).resolve().parent.parent/'nbs'
LIMIT = 300 # seconds for one mutated notebook
PROCESSES = multiprocessing.get_context('forkserver') # every process starts with the same imports and nothing else
NOTEBOOKS = dict(cache='02b_cache', simplenet='03_simplenet', folded='03b_folded', contrastive='04_contrastive', confidence='05_confidence', covariance='06_covariance', maml='07_maml', objective='07b_objective', learner='08_learner', metrics='09_metrics')

MUTATIONS = [ # module, formula and what is wrong with it, source as it is, source as it would be wrong
    ('cache', 'pictures in another order', 'waiting.popleft().result()', 'waiting.pop().result()'),
    ('cache', 'all pictures decoded at once', 'islice(todo, ahead * batch_size)', 'islice(todo, 10 ** 6)'),
    ('cache', 'a turned image is not turned', '.rot90(turns, (2, 3))', '.rot90(0, (2, 3))'),
    ('cache', 'a damaged file is used', '_checksum(folder/name) != crc', 'False'),
    ('cache', 'dates are not looked at', ', s.st_mtime_ns, s.st_ctime_ns)', ')'),
    ('cache', 'other weights, old maps', 'if _found_right.get(folder) != (circumstances, images, maps)', 'if _found_right.get(folder, (0,))[1:] != (images, maps)'),
    ('cache', 'remembered as it is after the check', '= circumstances, images, maps\n', "= circumstances, images, _looks(sorted(folder.glob('*')))\n"),
    ('cache', 'a faster program must agree to the last bit', 'if cache_problem(folder, manifest): raise', 'if cache_problem(folder, manifest | dict(checksums=checksums)): raise'),
    # Eq. 14-17
    ('simplenet', 'Eq. 14: G with a bias', 'super().__init__(dim, dim, bias=False)', 'super().__init__(dim, dim)'),
    ('simplenet', 'Eq. 14: G starts too large', 'nn.init.xavier_normal_(self.weight, generator=generator)', 'nn.init.xavier_normal_(self.weight, gain=1.02, generator=generator)'),
    ('simplenet', 'Eq. 14: D on o instead of q', 'q = self.adaptor(features)\n        return', 'q = features\n        return'),
    ('simplenet', 'D: slope of the leaky ReLU', 'nn.LeakyReLU(.2)', 'nn.LeakyReLU(.01)'),
    ('simplenet', 'D: no Xavier start', 'for layer in (self[0], self[3]): nn.init.xavier_normal_(layer.weight, generator=generator); nn.init.zeros_(layer.bias)', 'for layer in (self[0], self[3]): nn.init.xavier_uniform_(layer.weight, generator=generator); nn.init.zeros_(layer.bias)'),
    ('simplenet', 'Eq. 15: variance for standard deviation', 'q + sigma * torch.randn', 'q + sigma ** .5 * torch.randn'),
    ('simplenet', 'Eq. 15: noise on one side only', 'q + sigma * torch.randn(q.shape, generator=generator, device=q.device, dtype=q.dtype)', 'q + sigma * torch.randn(q.shape, generator=generator, device=q.device, dtype=q.dtype).abs()'),
    ('simplenet', 'Eq. 15: the generator is not used', 'torch.randn(q.shape, generator=generator, ', 'torch.randn(q.shape, '),
    ('simplenet', 'Eq. 15: noise before G instead of behind it', 'both = torch.cat([q, add_noise(q, sigma, generator)])', 'both = torch.cat([q, head.adaptor(add_noise(features, sigma, generator))])'),
    ('simplenet', 'Eq. 15, 16: two passes through batch norm', 'return *head.discriminator(both).squeeze(1).chunk(2), q', 'return *(head.discriminator(x).squeeze(1) for x in both.chunk(2)), q'),
    ('simplenet', 'Eq. 15, 16: D(q) and D(q-) exchanged', 'both = torch.cat([q, add_noise(q, sigma, generator)])', 'both = torch.cat([add_noise(q, sigma, generator), q])'),
    ('simplenet', 'Eq. 16: th- as printed', 'th_neg:float=-.5', 'th_neg:float=.5'),
    ('simplenet', 'Eq. 16: no hinge for normals', '(th_pos - normal).clamp_min(0) +', '(th_pos - normal) +'),
    ('simplenet', 'Eq. 16: sign of th-', '(noisy - th_neg).clamp_min(0)', '(noisy + th_neg).clamp_min(0)'),
    ('simplenet', 'Eq. 17: sign', 'scores = -head.eval()(patches', 'scores = head.eval()(patches'),
    ('simplenet', 'Eq. 17: batch statistics', 'scores = -head.eval()(patches', 'scores = -head.train()(patches'),
    ('simplenet', 'Eq. 17: stays in evaluation mode', 'head.train(mode)\n', '\n'),
    ('simplenet', 'image score: mean for maximum', 'rim:w - rim].amax((-2, -1))', 'rim:w - rim].mean((-2, -1))'),
    ('simplenet', 'image score: the rim has its say', 'scores[..., rim:h - rim, rim:w - rim].amax', 'scores.amax'),
    ('simplenet', 'map: nearest for bilinear', "size, mode='linear')", "size, mode='nearest')"),
    ('simplenet', 'map: sigma', 'sigma:float=4., # of the Gaussian', 'sigma:float=2., # of the Gaussian'),
    ('folded', 'Eq. 17 folded: the running mean forgotten', 'bias = scale * (exact(linear.bias) - exact(norm.running_mean))', 'bias = scale * exact(linear.bias)'),
    ('folded', 'Eq. 17 folded: variance for standard deviation', '(exact(norm.running_var) + norm.eps).sqrt()', '(exact(norm.running_var) + norm.eps)'),
    ('folded', 'Eq. 17 folded: G left out', '(exact(linear.weight) @ exact(head.adaptor.weight))', 'exact(linear.weight)'),
    ('folded', 'Eq. 17 folded: sign of the last bias', '-last.weight.detach(), -last.bias.detach()', '-last.weight.detach(), last.bias.detach()'),
    ('folded', 'Eq. 17 folded: the slope of another ReLU', 'F.leaky_relu(hidden, self.slope, inplace=True)', 'F.leaky_relu(hidden, .01, inplace=True)'),
    ('folded', 'Eq. 17 folded: the bias once per layer', 'for weight, rows, m, columns in parts: hidden += (', 'for weight, rows, m, columns in parts: hidden += self.bias + ('),
    # Eq. 5-7
    ('confidence', 'Eq. 5: measured from zero', '(rule.threshold - rule.q1) / (scores - rule.q1)', 'rule.threshold / scores'),
    ('confidence', 'Eq. 5: measured from the minimum', '(rule.threshold - rule.q1) / (scores - rule.q1)', '(rule.threshold - scores.min()) / (scores - scores.min())'),
    ('confidence', 'Eq. 5: no floor', 'beyond.clamp_min(floor))', 'beyond)'),
    ('confidence', 'Eq. 5: a score on the threshold is suspicious', 'torch.where(scores <= rule.threshold, 1., beyond', 'torch.where(scores < rule.threshold, 1., beyond'),
    ('confidence', 'Eq. 5: upside down', 'torch.where(scores <= rule.threshold, 1., beyond', 'torch.where(scores >= rule.threshold, 1., beyond'),
    ('confidence', 'Eq. 5: NaN is trusted', 'torch.where(scores <= rule.threshold, 1., beyond.clamp_min(floor))', 'torch.where(scores > rule.threshold, beyond.clamp_min(floor), 1.)'),
    ('confidence', 'Eq. 5: gradient through the weights', 'torch.as_tensor(scores).detach()', 'torch.as_tensor(scores)'),
    ('confidence', 'Eq. 5 as printed: not bounded', '(rule.threshold / _values(scores)).clamp_max(1)', '(rule.threshold / _values(scores))'),
    ('confidence', 'Eq. 5 as printed: ratio upside down', '(rule.threshold / _values(scores)).clamp_max(1)', '(_values(scores) / rule.threshold).clamp_max(1)'),
    ('confidence', 'pruning: a score on the threshold is dropped', 'torch.where(scores <= rule.threshold, 1., torch.where(scores >', 'torch.where(scores < rule.threshold, 1., torch.where(scores >='),
    ('confidence', 'Eq. 6: from Q1', 'q3 + kappa * (q3 - q1))', 'q1 + kappa * (q3 - q1))'),
    ('confidence', 'Eq. 6: kappa times Q3', 'q3 + kappa * (q3 - q1))', 'q3 + kappa * q3)'),
    ('confidence', 'Eq. 6: deciles for quartiles', 'scores.new_tensor([.25, .75])', 'scores.new_tensor([.1, .9])'),
    ('confidence', 'Eq. 6: another convention of quartiles', 'scores.quantile(scores.new_tensor([.25, .75]))', "scores.quantile(scores.new_tensor([.25, .75]), interpolation='lower')"),
    ('confidence', 'Eq. 6: default of kappa', 'kappa:float=1.5, # smaller', 'kappa:float=1., # smaller'),
    ('confidence', 'Eq. 6: one rule for all categories', 'fit_iqr(scores[torch.tensor([name == c for name in names])], kappa, c)', 'fit_iqr(scores, kappa, c)'),
    ('confidence', 'Eq. 6: kappa forgotten for categories', 'for name in names])], kappa, c)', 'for name in names])], name=c)'),
    ('confidence', 'Eq. 7: divided by the weights', 'else weighted.mean()', 'else weighted.sum() / weights.sum()'),
    ('confidence', 'Eq. 7: unweighted', 'weights[:, None] * losses.reshape(len(weights), -1)', 'losses.reshape(len(weights), -1)'),
    ('confidence', 'Eq. 7 as printed: mean for sum', 'weighted.sum() if literal', 'weighted.mean() if literal'),
    # Eq. 11, 12
    ('maml', 'Eq. 11: uphill', 'p - inner_lr * slope[name]', 'p + inner_lr * slope[name]'),
    ('maml', 'Eq. 11: alpha halved', 'p - inner_lr * slope[name]', 'p - inner_lr / 2 * slope[name]'),
    ('maml', 'Eq. 11: one step, however many are asked for', 'for _ in range(steps):\n        slope', 'for _ in range(min(steps, 1)):\n        slope'),
    ('maml', 'Eq. 11: default of alpha', 'inner_lr:float=1e-2, # alpha\n    steps:int=1, # 0 leaves', 'inner_lr:float=1e-1, # alpha\n    steps:int=1, # 0 leaves'),
    ('maml', 'Eq. 12: second-order term missing', 'p - inner_lr * slope[name]', 'p - inner_lr * slope[name].detach()'),
    ('maml', 'Eq. 12: second-order term missing, order=2 is order=1', 'if order == 2: gradients, (end, seen) = grad(examine, has_aux=True)(params)\n    else:', 'if order == 3: pass\n    else:\n        order = order and 1'),
    ('maml', 'Eq. 12: first order at theta instead of theta-prime', 'exam = (loss, end.params, end.buffers, query)', 'exam = (loss, params, end.buffers, query)'),
    ('maml', 'Eq. 12: examined on the support', 'value, seen = _evaluate(loss, end.params, end.buffers, query)', 'value, seen = _evaluate(loss, end.params, end.buffers, support)'),
    ('maml', 'Eq. 12: first order examined on the support', 'exam = (loss, end.params, end.buffers, query)', 'exam = (loss, end.params, end.buffers, support)'),
    ('maml', 'Eq. 12: sum over tasks for mean', 'gradients={name: g.mean(0)', 'gradients={name: g.sum(0)'),
    ('maml', 'Eq. 12: no outer step', 'for name, p in params.items(): p.grad = meta.gradients[name]', 'for name, p in params.items(): p.grad = 0 * meta.gradients[name]'),
    ('maml', 'Reptile: away from theta-prime', '{name: p - end.params[name]', '{name: end.params[name] - p'),
    ('maml', 'Reptile: one step only', 'else: gradients, seen = {name: p - end.params[name] for name, p in params.items()}', 'else: gradients, seen = {name: inner_lr * g for name, g in grad(_evaluate, argnums=1, has_aux=True)(loss, params, buffers, support)[0].items()}'),
    ('maml', 'buffers: no memory between inner steps', 'for name, p in params.items()}, seen.buffers', 'for name, p in params.items()}, buffers'),
    ('maml', 'buffers: those of the last inner step', 'MetaStep(gradients, end.trace[0].buffers,', 'MetaStep(gradients, end.buffers,'),
    ('maml', 'buffers: those of the first task', 'b.mean(0) if b.is_floating_point() else b[0]', 'b[0]'),
    ('maml', 'buffers: those after the query', 'MetaStep(gradients, end.trace[0].buffers,', 'MetaStep(gradients, seen.buffers,'),
    ('maml', 'buffers: not written back', 'if name in meta.buffers: b.copy_(meta.buffers[name])', 'pass'),
    ('maml', 'buffers: the query without the memory of the support', 'value, seen = _evaluate(loss, end.params, end.buffers, query)', 'value, seen = _evaluate(loss, end.params, buffers, query)'),
    ('maml', 'buffers: a graph is kept in what was seen', '{name: t.detach() for name, t in d.items()}', '{name: t for name, t in d.items()}'),
    # 4.2
    ('metrics', 'ties count as wins', "for side in ('right', 'left'))", "for side in ('right', 'right'))"),
    ('metrics', 'ties count as losses', "for side in ('right', 'left'))", "for side in ('left', 'left'))"),
    ('metrics', 'ties count as wins, tensors', 'for right in (True, False))', 'for right in (True, True))'),
    ('metrics', 'average precision: ties count as wins', 'hits / (hits + ranks.passed)).mean()', 'hits / (hits + ranks.above)).mean()'),
    ('metrics', 'AU-PRO: 4-connected regions', 'label(mask, np.ones((3, 3)))', 'label(mask)'),
    # Eq. 1-3
    ('contrastive', 'Eq. 1: i among the others', "others = (u @ u.mT / temperature).masked_fill(itself, -torch.inf)", "others = u @ u.mT / temperature"),
    ('contrastive', 'Eq. 1: no temperature for the positive', 'positive = (u * _unit(noisy)).sum(1) / temperature', 'positive = (u * _unit(noisy)).sum(1)'),
    ('contrastive', 'Eq. 1: lengths count', 'return z / length', 'return z'),
    ('contrastive', 'Eq. 2: neighbours in the last sum again', 'left_out = me[:, None] if literal else torch.cat([me[:, None], near], 1)', 'left_out = me[:, None]'),
    ('contrastive', 'Eq. 2: no neighbours among the positives', 'attract = torch.cat([positive, s.gather(1, near)], 1).logsumexp(1)', 'attract = positive.logsumexp(1)'),
    ('contrastive', 'Eq. 2: neighbours of the same image', 's.detach().masked_fill(own[:, None] == images, -torch.inf).topk(k, 1)', 's.detach().fill_diagonal_(-torch.inf).topk(k, 1)'),
    ('contrastive', 'Eq. 3: chunks that compare within themselves only', 'return _rows(mine, noisy, me, own, u, images, k, temperature, literal)', 'return _rows(mine, noisy, me - me[0], own, mine, own, k, temperature, literal)'),
    # Eq. 8-10
    ('covariance', 'Eq. 8: n for n - 1', 'max(len(deviations) - 1, 1)', 'max(len(deviations), 1)'),
    ('covariance', 'Eq. 8: the window forgets nothing', 'deque(maxlen=size)', 'deque()'),
    ('covariance', 'determinant: sign', '(a * c - b * b)', '(a * c + b * b)'),
    ('covariance', '1 - rho^2: rho for its square', '(1 - rho ** 2).clamp(0, 1)', '(1 - rho).clamp(0, 1)'),
    ('covariance', 'Eq. 9: without the 1', 'float(lambda_0 * (1 + gamma * u.item()))', 'float(lambda_0 * gamma * u.item())'),
    ('covariance', 'Eq. 9: gamma ignored', 'float(lambda_0 * (1 + gamma * u.item()))', 'float(lambda_0 * (1 + u.item()))'),
    ('covariance', 'Eq. 9: two pairs are enough', 'if len(pairs) < 3: return float(lambda_0)', 'if len(pairs) < 1: return float(lambda_0)'),
    ('covariance', 'Eq. 10: biases as well', 'matrices = [p for p in params if p.ndim > 1]', 'matrices = [*params]'),
    ('covariance', 'Eq. 10: the norm for its square', 'sum((p ** 2).sum() for p in matrices)', 'sum((p ** 2).sum() for p in matrices) ** .5'),
    # Eq. 4, 10, 13
    ('objective', 'Eq. 4: no contrastive term', "loss = loss + config.lambda_cont * watched['contrastive']", 'pass'),
    ('objective', 'Eq. 4: lambda_cont ignored', "loss = loss + config.lambda_cont * watched['contrastive']", "loss = loss + watched['contrastive']"),
    ('objective', 'Eq. 1, 15: one noise for positives and anomalies', '(config.sigma if config.literal else config.sigma_contrast)', 'config.sigma'),
    ('objective', 'Eq. 7: unweighted', 'loss = weighted_loss(margins, weights, config.literal)', 'loss = weighted_loss(margins, torch.ones_like(weights), config.literal)'),
    ('objective', 'Eq. 9, 10: lambda_0 whatever the losses say', '+ penalty * _penalty(', '+ config.lambda_0 * _penalty('),
    ('learner', 'Eq. 10: Adam decays the weights as well', 'return torch.optim.Adam([dict(params=list(m.parameters()), lr=lr) for m, lr in rates])', 'return torch.optim.Adam([dict(params=list(m.parameters()), lr=lr) for m, lr in rates], weight_decay=1e-5)'),
    ('learner', 'Eq. 10: one learning rate', '(head.discriminator, config.lr_discriminator)]', '(head.discriminator, config.lr_adaptor)]'),
    ('objective', 'Eq. 13: weights not computed anew', "if 'q1' not in batch: return", "if True: return"),
    ('objective', 'Eq. 13: weighed by the mean patch', "config.score_patches)].amax(1), Rule(", "config.score_patches)].mean(1), Rule("),
    ('learner', 'Eq. 13: the rule of another category', 'rules = [run.rules[features.samples[task[0]].category] for task in images]', 'rules = [run.rules[features.samples[images[0, 0]].category] for task in images]'),
    ('learner', 'Eq. 13: examined on the support', "for part in (slice(half), slice(half, None)))\n    if", "for part in (slice(half), slice(half)))\n    if"),
    ('learner', 'Eq. 11: weights of the other half', 'run.weights[images[:, :half]]', 'run.weights[images[:, half:]]'),
    ('objective', 'Eq. 17: scores by the statistics of the batch', 'F.batch_norm(hidden[:len(q)], norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)', 'F.batch_norm(hidden[:len(q)], None, None, norm.weight, norm.bias, True, eps=norm.eps)'),
    ('learner', 'weights: sign of the scores', 'found.append((-head.eval()(', 'found.append((head.eval()('),
    ('learner', 'tasks: categories mixed', 'dealt = members[torch.randperm(len(members), generator=generator)]', 'dealt = torch.randperm(len(categories), generator=generator)[:len(members)]'),
    ('learner', 'Eq. 8: pairs that are not remembered', 'if config.model_weights and pair: run.window.add(*pair)', 'pass'),
    ('learner', 'checkpoint: without the state of Adam', "run.opt.load_state_dict(state['opt'])", 'pass'),
    ('learner', 'checkpoint: without the state of chance', "for k, g in run.chance.items(): g.set_state(state['chance'][k])", 'pass'),
    ('learner', 'checkpoint: without the window', "window=LossWindow.from_state(state['window']), ", ''),
    ('learner', 'checkpoint: without the weights', "weights=state['weights'], ", ''),
    ('learner', 'few shots: another step size', 'end = adapt(loss, *split(adapted), batch, inner_lr, steps)', 'end = adapt(loss, *split(adapted), batch, 2 * inner_lr, steps)'),
]


def mutate(module, old, new): # the code cells of its notebook as (number, source), one of them changed
    cells = json.loads((NBS/f'{NOTEBOOKS[module]}.ipynb').read_text(encoding='utf-8'))['cells']
    code = [(i, ''.join(c['source'])) for i, c in enumerate(cells) if c['cell_type'] == 'code']
    found = sum(source.count(old) for _, source in code)
    if found != 1: raise LookupError(f'the source occurs {found} times in {NOTEBOOKS[module]}: {old!r}')
    home = next(source for _, source in code if old in source)
    if '#| export' not in home: raise LookupError(f'the source is not in an exported cell of {NOTEBOOKS[module]}: {old!r}')
    return [(i, source.replace(old, new)) for i, source in code]


def run(cells): # -> outcome and where, of cells run in this interpreter
    from execnb.shell import CaptureShell
    from torch.autograd.gradcheck import GradcheckError
    shell = CaptureShell(mpl_format='png')
    for i, source in cells:
        if re.search(r'^#\|\s*(slow|real|cuda)\b', source, re.M): continue
        shell.run(source)
        if not shell.exc: continue
        page = [f.line for f in traceback.extract_tb(shell.exc.__traceback__) if f.filename.startswith('<ipython-input')]
        last = page[-1] if page else source.splitlines()[0]
        if isinstance(shell.exc, (AssertionError, GradcheckError)) and 'assert' in last: return 'caught', f'cell {i}: {last}'
        return 'broken', f'cell {i}: {type(shell.exc).__name__}: {shell.exc} in {last}'
    return 'SURVIVED', 'every cell ran'


def child(number, pipe): # one mutation, in a process of its own
    module, _, old, new = MUTATIONS[number]
    os.chdir(NBS)
    with open(os.devnull, 'w') as nowhere: os.dup2(nowhere.fileno(), 1); os.dup2(nowhere.fileno(), 2)
    try: pipe.send(run(mutate(module, old, new)))
    except LookupError as e: pipe.send(('broken', e.args[0]))


def try_one(number): # start a child and wait for its answer
    mine, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=child, args=(number, theirs))
    process.start(); theirs.close()
    try: outcome = mine.recv() if mine.poll(LIMIT) else ('broken', f'still running after {LIMIT} s')
    except EOFError: outcome = 'broken', 'the interpreter crashed'
    process.join(5); process.kill()
    return number, *outcome


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('modules', nargs='*', help='of ' + ', '.join(NOTEBOOKS))
    parser.add_argument('-v', '--verbose', action='store_true', help='show what was changed')
    args = parser.parse_args()
    unknown = set(args.modules) - set(NOTEBOOKS)
    if unknown: parser.error(f"there are no mutations of {', '.join(unknown)}; there are some of {', '.join(NOTEBOOKS)}")
    os.environ |= {'IN_TEST': '1', 'OMP_NUM_THREADS': '1'}
    PROCESSES.set_forkserver_preload(['execnb.shell', 'pandas', 'timm', 'matplotlib.pyplot', 'sklearn.metrics', 'torch.func'])
    chosen, failed, start = [n for n, m in enumerate(MUTATIONS) if not args.modules or m[0] in args.modules], 0, time.time()
    with ThreadPoolExecutor(2) as pool:
        for number, outcome, where in pool.map(try_one, chosen):
            module, formula, old, new = MUTATIONS[number]
            failed += outcome != 'caught'
            print(f'{outcome:8}  {module}, {formula}: {where}'[:400], flush=True)
            if args.verbose or outcome != 'caught': print(f'          - {old}\n          + {new}', flush=True)
    print(f'{time.time() - start:.0f} s altogether')
    print(f'{len(chosen) - failed} passed, {failed} failed')
    sys.exit(bool(failed) or not chosen)
