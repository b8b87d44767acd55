"""A network with every choice resolved: what modules, workloads and counts are built from.

One vocabulary for all families of networks: a network is units (convolution, batch norm,
activation, perhaps squeeze-excite), blocks of units with perhaps a shortcut around them,
and a classifier. Arithmetic only, no torch, so that a search can cost many networks
quickly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from archwright.errors import DataError
from archwright.workload import Layer, LayerKind, Workload

Activation = Literal["relu", "hswish", "swish"]

SMALLEST_SIDE, LARGEST_SIDE = 8, 512
LARGEST_CLASSES = 1000


def make_divisible(channels: float, divisor: int = 8) -> int:
    """``channels`` as a multiple of ``divisor``, rounded, and at least 90% of it.

    The rule by which the MobileNet families choose widths (MobileNetV2's reference code).
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@dataclass(frozen=True)
class InputShape:
    """The square images of a task, and into how many classes they fall."""

    channels: int
    side: int
    classes: int

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise DataError(f"images with {self.channels} channels; allowed 1 (grey) or 3 (RGB)")
        if not SMALLEST_SIDE <= self.side <= LARGEST_SIDE:
            raise DataError(
                f"images of side {self.side}; allowed {SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
            )
        if not 2 <= self.classes <= LARGEST_CLASSES:
            raise DataError(f"{self.classes} classes; allowed 2 to {LARGEST_CLASSES}")


@dataclass(frozen=True)
class UnitPlan:
    """A convolution, padded by half its kernel, and what follows it.

    Batch norm (``normalised``; without it there is no bias either), an activation, and
    squeeze-excite with ``squeeze`` hidden channels (0: none), in this order. ``name`` is
    unique within its block.
    """

    name: str
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    activation: Activation | None = None
    squeeze: int = 0
    normalised: bool = True

    @property
    def weights(self) -> int:
        """Weights of the convolution."""
        per_filter = 1 if self.depthwise else self.in_channels
        return self.out_channels * per_filter * self.kernel**2

    @property
    def squeeze_weights(self) -> int:
        """Weights of squeeze-excite's two layers, without biases."""
        return 2 * self.out_channels * self.squeeze

    @property
    def parameters(self) -> int:
        """Weights, batch norm's scale and shift, squeeze-excite with its biases."""
        norm = 2 * self.out_channels if self.normalised else 0
        biases = self.out_channels + self.squeeze if self.squeeze else 0
        return self.weights + norm + self.squeeze_weights + biases


@dataclass(frozen=True)
class Shortcut:
    """What is added to a block's output: its input, pooled and projected where needed.

    ``pooled``: average pooling of 2 x 2 with stride 2. ``projected``: the weights'
    (in channels, out channels) of a 1x1 convolution without norm and bias.
    """

    pooled: bool = False
    projected: tuple[int, int] | None = None

    @property
    def weights(self) -> int:
        """Weights of the projection."""
        return self.projected[0] * self.projected[1] if self.projected else 0


@dataclass(frozen=True)
class BlockPlan:
    """Units one after another. ``index`` counts from 1 within its stage."""

    stage: int
    index: int
    units: tuple[UnitPlan, ...]
    shortcut: Shortcut | None = None

    @property
    def name(self) -> str:
        """Its name in workloads and in modules."""
        return f"stage{self.stage}.block{self.index}"

    @property
    def in_channels(self) -> int:
        """Channels of the block's input."""
        return self.units[0].in_channels

    @property
    def out_channels(self) -> int:
        """Channels of the block's output."""
        return self.units[-1].out_channels


@dataclass(frozen=True)
class NetworkPlan:
    """A whole network: stem, blocks, ``head`` units, global pooling, ``features`` units.

    ``features`` are 1x1 units on the pooled pixel; a linear classifier with bias ends it.
    """

    shape: InputShape
    resolution: int
    bits: int
    stem: UnitPlan
    blocks: tuple[BlockPlan, ...]
    head: tuple[UnitPlan, ...] = ()
    features: tuple[UnitPlan, ...] = ()

    @property
    def classified(self) -> int:
        """Channels that the classifier reads."""
        last = (*self.head, *self.features)
        return last[-1].out_channels if last else self.blocks[-1].out_channels


def halved(side: int, stride: int) -> int:
    """Output side of a convolution that is padded by half its (odd) kernel."""
    return (side - 1) // stride + 1


def count(plan: NetworkPlan) -> tuple[int, int]:
    """(parameters, multiply-accumulates) of a network for one image of its resolution.

    Parameters that the forward pass uses: batch norm's scales and shifts and all biases
    count, its statistics do not. Multiply-accumulates of convolutions, squeeze-excite's
    layers and the classifier; not of biases, norms, activations, pooling and sums.
    """
    parameters = plan.classified * plan.shape.classes + plan.shape.classes
    macs = plan.classified * plan.shape.classes
    for unit, side in _units_with_sides(plan):
        parameters += unit.parameters
        macs += unit.weights * side**2 + unit.squeeze_weights
    side = halved(plan.resolution, plan.stem.stride)
    for block in plan.blocks:
        for unit in block.units:
            side = halved(side, unit.stride)
        if block.shortcut is not None:
            parameters += block.shortcut.weights
            macs += block.shortcut.weights * side**2
    return parameters, macs


def _units_with_sides(plan: NetworkPlan) -> Iterator[tuple[UnitPlan, int]]:
    """Every unit with the side of its output."""
    side = halved(plan.resolution, plan.stem.stride)
    yield plan.stem, side
    for unit in (unit for block in plan.blocks for unit in block.units):
        side = halved(side, unit.stride)
        yield unit, side
    for unit in plan.head:
        side = halved(side, unit.stride)
        yield unit, side
    for unit in plan.features:
        yield unit, 1


def workload_from(plan: NetworkPlan, name: str) -> Workload:
    """The layers that a network asks of a hardware, batch norm folded into biases.

    Scaling the image to the network's resolution and to grey levels is preparation,
    done before the accelerator, and is not part of the workload. ReLU is part of the
    layer before it; other activations are layers of the vector unit.
    """
    side = plan.resolution
    layers = list(_unit_layers("stem", plan.stem, side))
    side = halved(side, plan.stem.stride)
    for block in plan.blocks:
        layers += _block_layers(block, side)
        for unit in block.units:
            side = halved(side, unit.stride)
    for unit in plan.head:
        layers += _unit_layers(unit.name, unit, side)
        side = halved(side, unit.stride)
    layers += _head_layers(plan.features, plan.classified, side, plan.shape.classes)
    # Fewer than 8 bits are those of the weights; activations keep 8.
    weight_bits = plan.bits if plan.bits < 8 else None
    return Workload(name, tuple(layers), max(plan.bits, 8), weight_bits=weight_bits)


# The same few layers stand in many networks. Building them costs more than finding them.


@lru_cache(maxsize=65536)
def _block_layers(block: BlockPlan, side: int) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    out = side
    for unit in block.units:
        layers += _unit_layers(f"{block.name}.{unit.name}", unit, out)
        out = halved(out, unit.stride)
    shortcut = block.shortcut
    if shortcut is not None:
        name = f"{block.name}.shortcut"
        if shortcut.pooled:
            channels = block.in_channels
            pooling = LayerKind.POOLING
            layers.append(_layer(f"{name}.pool", pooling, channels, channels, side, out, 2, 2))
        if shortcut.projected is not None:
            layers.append(_layer(name, LayerKind.CONVOLUTION, *shortcut.projected, out, out))
        width, add = block.out_channels, LayerKind.ELEMENTWISE
        layers.append(_layer(f"{block.name}.add", add, width, width, out, out))
    return tuple(layers)


@lru_cache(maxsize=4096)
def _unit_layers(name: str, unit: UnitPlan, side: int) -> tuple[Layer, ...]:
    out, width = halved(side, unit.stride), unit.out_channels
    kind = LayerKind.DEPTHWISE if unit.depthwise else LayerKind.CONVOLUTION
    layers = [
        _layer(
            name, kind, unit.in_channels, width, side, out, unit.kernel, unit.stride,
            bias=unit.normalised,
        )
    ]  # fmt: skip
    if unit.activation not in (None, "relu"):
        layers.append(
            _layer(
                f"{name}.{unit.activation}", LayerKind.ELEMENTWISE, width, width, out, out,
                operands=1,
            )
        )  # fmt: skip
    if unit.squeeze:
        squeeze, linear = f"{name}.squeeze", LayerKind.LINEAR
        layers += [
            _layer(f"{squeeze}.pool", LayerKind.POOLING, width, width, out, 1, out, out),
            _layer(f"{squeeze}.reduce", linear, width, unit.squeeze, 1, 1, bias=True),
            _layer(f"{squeeze}.expand", linear, unit.squeeze, width, 1, 1, bias=True),
            _layer(f"{squeeze}.scale", LayerKind.ELEMENTWISE, width, width, out, out, operands=1),
        ]
    return tuple(layers)


@lru_cache(maxsize=1024)
def _head_layers(
    features: tuple[UnitPlan, ...], classified: int, side: int, classes: int
) -> tuple[Layer, ...]:
    pooled = features[0].in_channels if features else classified
    layers = [_layer("pool", LayerKind.POOLING, pooled, pooled, side, 1, side, side)]
    for unit in features:
        layers += _unit_layers(unit.name, unit, 1)
    layers.append(_layer("classifier", LayerKind.LINEAR, classified, classes, 1, 1, bias=True))
    return tuple(layers)


def _layer(
    name: str,
    kind: LayerKind,
    in_channels: int,
    out_channels: int,
    in_side: int,
    out_side: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    bias: bool = False,
    operands: int = 2,
) -> Layer:
    """A layer on square images."""
    return Layer(
        name=name,
        kind=kind,
        in_channels=in_channels,
        out_channels=out_channels,
        in_height=in_side,
        in_width=in_side,
        out_height=out_side,
        out_width=out_side,
        kernel=kernel,
        stride=stride,
        bias=bias,
        operands=operands,
    )
