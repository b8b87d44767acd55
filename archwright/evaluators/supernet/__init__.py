"""A weight-sharing supernet: training, evaluation, extraction, export.

Where things are, in the order in which a network meets them:

- ``loaders``    images and labels, from what a user has (``idx``: files like MNIST's)
- ``data``       the same checked and split
- ``plan``       what a network is made of, its counts and its workload; no torch
- ``space``      our families of networks and their spaces; no torch
- ``modules``    a network of fixed sizes as a module
- ``elastic``    shared weights of which networks take their share
- ``network``    the supernet of one of our families
- ``released``   supernets that others trained: Once-for-All, AttentiveNAS
- ``recipe``     how a supernet is trained, as data; no torch
- ``train``      training, and the cache of trained supernets; its parts: ``augmentation`` of
  images, ``sampling`` of networks, ``losses``, the gradients of a ``step``, ``checkpoints``
- ``extraction`` one network as a stand-alone module; batch norm recalibrated and folded
- ``quantise``   the module at the design's bits: what is measured and what is exported; its
  layers over whole numbers are in ``codes``
- ``together``   networks prepared and scored at once, what they share computed once
- ``evaluate``   the instrument, with its pool of workers; what it gives is a ``score``
- ``fine_tuning`` further training of one network
- ``further``    the instrument that trains a network further and then measures it
- ``standalone`` networks trained alone, from the start: the truth about them
- ``rank``       how well cheap fidelities order networks as the truth does
- ``export``     safetensors and ONNX, compared with onnxruntime

All public names can be imported from here; torch is loaded when one of its modules is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archwright.evaluators.supernet.data import Data, Splits, load_data
    from archwright.evaluators.supernet.evaluate import SupernetEvaluator
    from archwright.evaluators.supernet.export import ExportedNetwork, Parity, export_network
    from archwright.evaluators.supernet.extraction import extract
    from archwright.evaluators.supernet.fine_tuning import fine_tune
    from archwright.evaluators.supernet.further import FurtherTrainedEvaluator, FurtherTraining
    from archwright.evaluators.supernet.network import Supernet
    from archwright.evaluators.supernet.plan import InputShape
    from archwright.evaluators.supernet.quantise import QuantisedNetwork, prepare
    from archwright.evaluators.supernet.recipe import Recipe
    from archwright.evaluators.supernet.released.attentive import AttentiveNASSupernet
    from archwright.evaluators.supernet.released.ofa import OFAMobileNetV3
    from archwright.evaluators.supernet.space import (
        largest_network,
        network_space,
        plan_of,
        smallest_network,
        workload_of,
    )
    from archwright.evaluators.supernet.train import (
        Checkpoint,
        TrainingProgress,
        cached_supernet,
        load_supernet,
        train_supernet,
    )

_HOMES = {
    "data": ("Data", "Splits", "load_data"),
    "plan": ("InputShape",),
    "released.attentive": ("AttentiveNASSupernet",),
    "released.ofa": ("OFAMobileNetV3",),
    "space": (
        "largest_network",
        "network_space",
        "plan_of",
        "smallest_network",
        "workload_of",
    ),
    "network": ("Supernet",),
    "recipe": ("Recipe",),
    "train": (
        "Checkpoint",
        "TrainingProgress",
        "cached_supernet",
        "load_supernet",
        "train_supernet",
    ),
    "extraction": ("extract",),
    "fine_tuning": ("fine_tune",),
    "further": ("FurtherTrainedEvaluator", "FurtherTraining"),
    "quantise": ("QuantisedNetwork", "prepare"),
    "evaluate": ("SupernetEvaluator",),
    "export": ("ExportedNetwork", "Parity", "export_network"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AttentiveNASSupernet",
    "Checkpoint",
    "Data",
    "ExportedNetwork",
    "FurtherTrainedEvaluator",
    "FurtherTraining",
    "InputShape",
    "OFAMobileNetV3",
    "Parity",
    "QuantisedNetwork",
    "Recipe",
    "Splits",
    "Supernet",
    "SupernetEvaluator",
    "TrainingProgress",
    "cached_supernet",
    "export_network",
    "extract",
    "fine_tune",
    "largest_network",
    "load_data",
    "load_supernet",
    "network_space",
    "plan_of",
    "prepare",
    "smallest_network",
    "train_supernet",
    "workload_of",
]


def __getattr__(name: str) -> object:
    """Load the module of a public name when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
