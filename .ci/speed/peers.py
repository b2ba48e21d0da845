"""Other detectors behind the same backbone: SimpleNet's own way, and models of anomalib."""
import importlib
import importlib.util
import time
from collections.abc import Callable
from unittest.mock import patch
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from cozad.bench import random_head
from cozad.features import Backbone, aggregate_simplenet
from cozad.simplenet import anomaly_map, patch_scores
from cozad.timing import check_agreement, in_turn

ANOMALIB = ('SuperSimpleNet', 'PatchCore')
MODELS = 'anomalib.models.image'


class NamedLayers(nn.Module):
    "A backbone as anomalib's models call it."
    def __init__(self, backbone:Backbone):
        super().__init__()
        self.backbone = backbone
        self.names = [f'layer{n}' for n in backbone.layers]

    def forward(self, images):
        return dict(zip(self.names, self.backbone(images)))


def anomalib_model(name, backbone):
    "An untrained model of anomalib behind our backbone."
    module = importlib.import_module(f'{MODELS}.{name.lower()}.torch_model')
    layers = NamedLayers(backbone)
    with patch.object(module, 'TimmFeatureExtractor', lambda **_: layers):
        model = getattr(module, f'{name.capitalize()}Model')(layers=layers.names)
    return model.eval()


def _patchcore(backbone, images):
    "PatchCore with a memory bank of the patches of 24 images, a tenth of 240."
    model = anomalib_model('PatchCore', backbone)
    patches = backbone(images[:1])[0][0, 0].numel()
    generator = torch.Generator().manual_seed(0)
    model.memory_bank = torch.randn(24 * patches, sum(backbone.channels), generator=generator)
    return model


def simplenet_maps(head, maps, size):
    "SimpleNet's own way from the backbone's maps to anomaly maps."
    patches = aggregate_simplenet(maps, dim=head.adaptor.in_features)
    scores = patch_scores(head, patches)[:, None]
    scores = F.interpolate(scores, size, mode='bilinear')[:, 0]
    for part in patches.split(4): # the features are stretched, too, although nobody uses them
        F.interpolate(part, size, mode='bilinear').numpy()
    smooth = [gaussian_filter(s, 4, mode='mirror') for s in scores.numpy()]
    return torch.from_numpy(np.stack(smooth))


def peer_forms(
    backbone:Backbone,
    images:Tensor, # (n, 3, H, W)
) -> dict[str, Callable[[], Tensor]]: # 'SimpleNet', and with anomalib two more
    "From images to anomaly maps as others do it."
    size = tuple(images.shape[-2:])

    @torch.no_grad()
    def simplenet():
        return simplenet_maps(random_head(backbone), backbone(images), size)

    forms = {'SimpleNet': simplenet}
    if importlib.util.find_spec('anomalib'):
        models = [anomalib_model('SuperSimpleNet', backbone), _patchcore(backbone, images)]
        for name, model in zip(ANOMALIB, models):
            @torch.no_grad()
            def form(model=model):
                return model(images).anomaly_map[:, 0]
            forms[f'anomalib {name}'] = form
    return forms


def time_peers(
    backbone:Backbone,
    images:Tensor, # (n, 3, H, W)
    rounds:int=3,
    clock:Callable[[], float]=time.perf_counter, # seconds
) -> pd.DataFrame: # seconds of 'backbone' and all of `peer_forms`
    "Other detectors over the backbone. Raises ArithmeticError where SimpleNet's map is not ours."
    forms = {'backbone': lambda: backbone(images)} | peer_forms(backbone, images)
    seconds, maps = in_turn(forms, rounds, clock)
    head = random_head(backbone)
    patches = aggregate_simplenet(backbone(images), dim=head.adaptor.in_features)
    ours = anomaly_map(patch_scores(head, patches), tuple(images.shape[-2:]))
    check_agreement({'SimpleNet': maps['SimpleNet'], 'our parts': ours}, 'our parts', 1e-4)
    return seconds


def supersimplenet_step(
    backbone:Backbone,
    images:Tensor, # (n, 3, H, W)
) -> Callable[[], None]:
    "A function that takes one training step of anomalib's SuperSimpleNet."
    model = anomalib_model('SuperSimpleNet', backbone).train()
    loss = importlib.import_module(f'{MODELS}.supersimplenet.loss').SSNLoss()
    parameters = [*model.adaptor.parameters(), *model.segdec.parameters()]
    optimiser = torch.optim.AdamW(parameters, 1e-4)

    def step():
        optimiser.zero_grad()
        loss(*model(images, labels=torch.zeros(len(images)))).backward()
        optimiser.step()

    return step
