"""Once-for-All's accuracy predictor, and its networks as points that a predictor learns from.

The released file (``acc_predictor.pth`` of the authors' tutorial, code MIT) is a
perceptron with three hidden layers of 400, ReLU between them. It says the share of
ImageNet's images that a sub-network of the supernet of width 1.0 classifies correctly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from archwright.errors import DataError, SpaceError, shown
from archwright.evaluators.supernet.plan import NetworkPlan
from archwright.evaluators.supernet.released.ofa import (
    BLOCKS_PER_STAGE,
    DEPTHS,
    EXPANSIONS,
    KERNELS,
    STAGES,
    ofa_plan,
)
from archwright.evaluators.supernet.released.supernet import RESOLUTION, Architecture
from archwright.space import Choice, Point, Space, Value
from archwright.untrusted import read_checkpoint

Floats = npt.NDArray[np.float64]

BLOCKS = STAGES * BLOCKS_PER_STAGE
RESOLUTIONS = tuple(range(112, 225, 16))
FEATURES = BLOCKS * (len(KERNELS) + len(EXPANSIONS)) + len(RESOLUTIONS)
HIDDEN = 400
LAYERS = {0: (HIDDEN, FEATURES), 2: (HIDDEN, HIDDEN), 4: (HIDDEN, HIDDEN), 6: (1, HIDDEN)}
"""Weights' shapes by position in the file; ReLU stands at the odd ones."""


class OFAAccuracyPredictor:
    """The released perceptron. It knows nothing of its own uncertainty.

    Its 128 inputs are 0 or 1: for each of 20 blocks whether its kernel is 3, 5, 7 (all 0
    where the depth leaves the block out), then likewise whether its expansion is 3, 4, 6,
    then whether the resolution is 112, 128, ... 224.
    """

    def __init__(self, state_dict: Mapping[str, object]) -> None:
        """Takes the file's content; raises :class:`DataError` where it does not fit."""
        wanted: dict[str, tuple[int, ...]] = {f"{i}.weight": s for i, s in LAYERS.items()}
        wanted |= {f"{i}.bias": shape[:1] for i, shape in LAYERS.items()}
        wrong = [f"{name} is missing" for name in wanted if name not in state_dict]
        wrong += [f"{shown(name)} is not known" for name in state_dict if name not in wanted]
        arrays: dict[str, Floats] = {}
        for name, shape in wanted.items():
            tensor = state_dict.get(name)
            if isinstance(tensor, Tensor) and tuple(tensor.shape) == shape:
                arrays[name] = tensor.double().numpy()
            elif name in state_dict:
                found = list(tensor.shape) if isinstance(tensor, Tensor) else shown(tensor)
                wrong.append(f"{name} is {found}, not {list(shape)}")
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise DataError(f"accuracy predictor: {'; '.join(wrong[:3])}{more}")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise DataError("accuracy predictor: weights that are not finite")
        self._layers = [(arrays[f"{i}.weight"], arrays[f"{i}.bias"]) for i in LAYERS]

    @classmethod
    def load(cls, path: Path) -> OFAAccuracyPredictor:
        """From the released file, also where it is wrapped as ``state_dict``."""
        content = read_checkpoint(path)
        inner = content.get("state_dict")
        return cls(inner if isinstance(inner, dict) else content)

    def predict(
        self, architectures: Sequence[Architecture], resolution: int = RESOLUTION
    ) -> Floats:
        """Accuracies, shape (architectures,). Raises SpaceError for one outside the space."""
        values = np.array([encoded(architecture, resolution) for architecture in architectures])
        values = values.reshape(len(architectures), FEATURES)
        for weight, bias in self._layers[:-1]:
            values = np.maximum(values @ weight.T + bias, 0.0)
        weight, bias = self._layers[-1]
        return np.asarray((values @ weight.T + bias)[:, 0])


def encoded(architecture: Architecture, resolution: int) -> Floats:
    """The released predictor's inputs, shape (128,). See :class:`OFAAccuracyPredictor`."""
    if resolution not in RESOLUTIONS:
        listed = ", ".join(map(str, RESOLUTIONS))
        raise SpaceError(f"resolution = {shown(resolution)}: allowed {listed}")
    point = ofa_point(architecture)
    kernels = [point[name] == kernel for name in _names("kernel") for kernel in KERNELS]
    expansions = [point[name] == ratio for name in _names("expansion") for ratio in EXPANSIONS]
    sides = [resolution == side for side in RESOLUTIONS]
    return np.array([*kernels, *expansions, *sides], dtype=np.float64)


def ofa_space() -> Space:
    """Kernel and expansion of 20 blocks, 0 where the depth leaves a block out; 5 depths."""
    choices = [Choice(name, (0, *KERNELS), "side of its kernel") for name in _names("kernel")]
    choices += [
        Choice(name, (0, *EXPANSIONS), "its hidden channels by its input's")
        for name in _names("expansion")
    ]
    choices += [Choice(f"depth_{s + 1}", DEPTHS, "blocks that run") for s in range(STAGES)]
    return Space("ofa_mbv3", tuple(choices))


def ofa_point(architecture: Architecture) -> dict[str, Value]:
    """An architecture as a point of :func:`ofa_space`. Raises SpaceError as ``ofa_plan``."""
    ofa_plan(architecture, RESOLUTION)
    depths = architecture["d"]
    runs = [i % BLOCKS_PER_STAGE < depths[i // BLOCKS_PER_STAGE] for i in range(BLOCKS)]
    point: dict[str, Value] = {}
    for kind, values in (("kernel", architecture["ks"]), ("expansion", architecture["e"])):
        present = (value if run else 0 for value, run in zip(values, runs, strict=True))
        point |= zip(_names(kind), present, strict=True)
    return point | {f"depth_{s + 1}": depth for s, depth in enumerate(depths)}


def plan_of_ofa_point(point: Point, resolution: int = RESOLUTION) -> NetworkPlan:
    """The network of a point of :func:`ofa_space`, of width 1.0."""
    architecture = {
        "ks": [int(point[name]) for name in _names("kernel")],
        "e": [int(point[name]) for name in _names("expansion")],
        "d": [int(point[f"depth_{s + 1}"]) for s in range(STAGES)],
    }
    return ofa_plan(architecture, resolution)


def _names(kind: str) -> list[str]:
    return [f"{kind}_{i // BLOCKS_PER_STAGE + 1}_{i % BLOCKS_PER_STAGE + 1}" for i in range(BLOCKS)]
