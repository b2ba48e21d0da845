"""CoZAD: contrastive confident meta-learning for zero-shot anomaly detection.

    import cozad
    detector = cozad.Detector(backbone='lite0', config=cozad.Config.simplenet()).fit('good')
    detector.predict('new')
"""
__version__ = "0.1.0"

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING: # for editors; at run time names are imported when they are used
    from .config import Config
    from .datasets import read, read_sets
    from .detector import Detector
    from .evaluation import evaluate
    from .features import load_backbone
    from .model import load_model
    from .training import train

_MODULES = { # name: module that defines it
    'Config': 'config', 'Detector': 'detector', 'evaluate': 'evaluation',
    'load_backbone': 'features', 'load_model': 'model', 'read': 'datasets',
    'read_sets': 'datasets', 'train': 'training',
}
__all__ = [
    'Config', 'Detector', '__version__', 'evaluate', 'load', 'load_backbone', 'load_model', 'read',
    'read_sets', 'train',
]


def load(
    path, # a file from `Detector.save` or `save_model`
    **options, # see `Detector.load`
) -> 'Detector':
    "A detector from its file. Raises ValueError when the file is none."
    return import_module('cozad.detector').Detector.load(path, **options)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module 'cozad' has no attribute '{name}'")
    return getattr(import_module(f'cozad.{_MODULES[name]}'), name)


def __dir__():
    return sorted({*globals(), *__all__})
