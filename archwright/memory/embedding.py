"""Brief, workload and design as one vector, so that designs of any spaces compare.

The vector has four parts of equal weight: what was wanted (brief), which hardware was
allowed (the brief's hardware space), what must be computed (workload), and the choices
made (design). Each part is a unit vector, so the inner product of two vectors is the sum
of their parts' cosines, and an unknown part (zeros) adds nothing.

Names that are not known beforehand (choices, metrics, data sets) each get a direction of
+-1 from the bits of their SHA-256: random directions are almost orthogonal, so their sum
keeps distances (random projection; Achlioptas, "Database-friendly random projections",
J. Computer and System Sciences 66, 2003). Nothing is downloaded or trained, and every
process computes the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from archwright.brief import Brief
from archwright.space import Point, Value
from archwright.workload import Layer, LayerKind, Workload

VERSION = 3
"""To be raised with every change of the numbers: indices of another version are rebuilt."""

BRIEF, HARDWARE, WORKLOAD, DESIGN = 128, 64, 19, 24
"""Wide enough that names which have nothing in common drown nothing: of 200 pairs of runs on
data of other names the one with the like workload came first 185 times at 24, always at 128."""
DIMENSION = BRIEF + HARDWARE + WORKLOAD + DESIGN

Floats = npt.NDArray[np.float64]
Feature = tuple[str, float]


def embed(
    network: Point | None = None,
    hardware: Point | None = None,
    workload: Workload | None = None,
    brief: Brief | None = None,
) -> list[float]:
    """The vector, ``DIMENSION`` floats; what is None counts as unknown.

    ``network`` and ``hardware`` share the design part; a brief has two parts.
    """
    choices = [*_choices("network", network), *_choices("hardware", hardware)]
    parts = (
        _unit(_projected(_wishes(brief), BRIEF)) if brief else np.zeros(BRIEF),
        _unit(_projected(_allowed(brief), HARDWARE)) if brief else np.zeros(HARDWARE),
        _unit(_shape_of(workload)) if workload else np.zeros(WORKLOAD),
        _unit(_projected(choices, DESIGN)) if choices else np.zeros(DESIGN),
    )
    return [float(number) for number in np.concatenate(parts)]


def similarity(query: list[float], other: list[float]) -> float:
    """The mean cosine over the parts that ``query`` knows: at most 1, and 1 for itself."""
    return float(np.dot(as_query(query), other))


def as_query(vector: list[float]) -> list[float]:
    """``vector`` scaled so that its inner product with another is their similarity."""
    known = float(np.dot(vector, vector))
    return [number / known for number in vector] if known else vector


def _wishes(brief: Brief) -> list[Feature]:
    """What a brief asks for. Bounds: 0 at 1 of the metric's unit, 1 at 10,000."""
    features = [
        (f"data {PurePath(brief.task.data).stem}", 1.0),
        (f"network space {brief.network.space}", 0.5),
    ]
    features += [(f"objective {name}", 1.0) for name in brief.objectives]
    for name, constraint in brief.constraints.items():
        for side, bound in (("most", constraint.at_most), ("least", constraint.at_least)):
            if bound is not None:
                features.append((f"{side} {name}", 0.5))
                features.append((f"{side} {name} is", _magnitude(bound)))
    return features


def _allowed(brief: Brief) -> list[Feature]:
    """The hardware that a brief allows: its space, and the middle of each choice it names.

    A choice that the brief leaves open says nothing.
    """
    hardware = brief.hardware
    fixed = {name: [value] for name, value in (hardware.fixed or {}).items()}
    features = [(f"hardware space {hardware.space}", 1.0)]
    for name, values in {**hardware.choices, **fixed}.items():
        features += _middle(f"allowed {name}", values)
    return features


def _middle(name: str, values: Sequence[Value]) -> list[Feature]:
    """The mean of the values' features: numbers share a direction, words have their own."""
    amounts: dict[str, float] = {}
    for value in values:
        direction, amount = _choice(name, value)
        amounts[direction] = amounts.get(direction, 0.0) + amount / len(values)
    return list(amounts.items())


def _magnitude(bound: float) -> float:
    return math.log10(max(abs(bound), 1e-12)) / 4


def _shape_of(workload: Workload) -> Floats:
    """A workload in ``WORKLOAD`` numbers, each about -1 to 1."""
    layers = workload.layers
    channels = np.log2([layer.out_channels for layer in layers])
    first, last = layers[0], layers[-1]
    shares = [sum(layer.kind is kind for layer in layers) / len(layers) for kind in LayerKind]
    numbers = [
        1.0,
        (math.log10(1 + workload.macs) - 6) / 2,
        (math.log10(1 + workload.parameters) - 4) / 2,
        (math.log2(workload.bits) - 3) / 2,
        math.log2(workload.batch) / 4,
        *shares,
        math.log2(len(layers)) / 4 - 1,
        float(channels.mean()) / 4 - 1,
        float(channels.std()) / 2,
        math.log2(first.in_height * first.in_width) / 8 - 1,
        math.log2(first.in_channels) / 4,
        math.log2(last.out_channels) / 4 - 1,
        sum(map(_side, layers)) / len(layers) / 4,
    ]
    return np.array(numbers)


def _side(layer: Layer) -> float:
    """The side of a square as large as the layer's window."""
    return math.sqrt(math.prod(layer.window))


def _choices(side: str, point: Point | None) -> list[Feature]:
    return [_choice(f"{side} {name}", value) for name, value in (point or {}).items()]


def _choice(name: str, value: Value) -> Feature:
    """A number's direction is its name's, with its size in octaves; a word has its own."""
    if isinstance(value, str):
        return f"{name} = {value}", 0.5
    size = math.log2(1 + abs(value)) if abs(value) < 1e300 else 1000.0
    return name, (math.copysign(size, value) - 4) / 4


def _projected(features: Iterable[Feature], dimension: int) -> Floats:
    """The sum of the features' directions, with a constant in front."""
    total = np.zeros(dimension)
    total[0] = 1.0
    for name, amount in features:
        total[1:] += amount * _direction(name, dimension - 1)
    return total


@cache
def _direction(name: str, dimension: int) -> Floats:
    """A unit vector of +-1 from the bits of the name's SHA-256; at most 256 of them."""
    digest = np.frombuffer(hashlib.sha256(name.encode()).digest(), np.uint8)
    bits = np.unpackbits(digest)[:dimension].astype(np.float64)
    return (2 * bits - 1) / math.sqrt(dimension)


def _unit(vector: Floats) -> Floats:
    """The vector at length 1; its constant entry keeps it from being zero."""
    return vector / math.sqrt(float(vector @ vector))
