"""The network space "mbconv": its choices, and the network that a point stands for.

A network is a stem convolution, three stages of inverted-bottleneck blocks (MBConv:
1x1 expansion, depthwise convolution, 1x1 projection; MobileNetV2, arXiv 1801.04381),
global average pooling and a linear classifier. This module is arithmetic only: it
needs no torch, so that a search can cost many networks quickly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from archwright.errors import DataError
from archwright.space import Choice, Point, Space, point_hash
from archwright.workload import Layer, LayerKind, Workload

STAGES = (1, 2, 3)
DEPTHS = (1, 2, 3)
KERNELS = (3, 5)
EXPANSIONS = (1, 2, 4)
WIDTHS = {1: (4, 6, 8, 12), 2: (4, 8, 12, 20), 3: (4, 8, 16, 24)}
BITS = (8, 16)
STEM_KERNEL = 3
SMALLEST_SIDE, LARGEST_SIDE = 8, 256
LARGEST_CLASSES = 1000


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
class BlockPlan:
    """One block as it is built. ``index`` counts from 1 within its stage."""

    stage: int
    index: int
    in_channels: int
    hidden: int
    out_channels: int
    kernel: int
    stride: int

    @property
    def name(self) -> str:
        """Its name in workloads and in modules."""
        return f"stage{self.stage}.block{self.index}"

    @property
    def residual(self) -> bool:
        """Whether the block adds its input to its output: where the shapes match."""
        return self.stride == 1 and self.in_channels == self.out_channels


@dataclass(frozen=True)
class NetworkPlan:
    """A network with every choice resolved: what modules and workloads are built from."""

    shape: InputShape
    resolution: int
    bits: int
    stem_channels: int
    stem_stride: int
    blocks: tuple[BlockPlan, ...]

    @property
    def features(self) -> int:
        """Channels that the classifier reads."""
        return self.blocks[-1].out_channels


def network_space(shape: InputShape) -> Space:
    """The space "mbconv" for images of ``shape``.

    Depth, kernel, expansion and width hold for all blocks of a stage; the stem is as
    wide as the first stage. Resolutions are even and go up to the images' own side.
    """
    choices: list[Choice] = []
    for stage in STAGES:
        choices += [
            Choice(f"depth_{stage}", DEPTHS, f"blocks in stage {stage}"),
            Choice(f"kernel_{stage}", KERNELS, f"side of stage {stage}'s depthwise kernels"),
            Choice(
                f"expansion_{stage}",
                EXPANSIONS,
                f"hidden channels of a block in stage {stage}, as a multiple of its input's",
            ),
            Choice(f"width_{stage}", WIDTHS[stage], f"output channels of stage {stage}"),
        ]
    choices.append(
        Choice("resolution", _resolutions(shape.side), "side that images are scaled to", "pixels")
    )
    choices.append(Choice("bits", BITS, "bits of weights and activations", "bits"))
    return Space("mbconv", tuple(choices))


def plan_of(network: Point, shape: InputShape) -> NetworkPlan:
    """The network that a point of the space stands for."""
    stem_stride, strides = _strides(shape.side)
    channels = stem_channels = int(network["width_1"])
    blocks = []
    for stage in STAGES:
        width, kernel = int(network[f"width_{stage}"]), int(network[f"kernel_{stage}"])
        expansion = int(network[f"expansion_{stage}"])
        for index in range(1, int(network[f"depth_{stage}"]) + 1):
            stride = strides[stage] if index == 1 else 1
            blocks.append(
                BlockPlan(stage, index, channels, channels * expansion, width, kernel, stride)
            )
            channels = width
    return NetworkPlan(
        shape,
        int(network["resolution"]),
        int(network["bits"]),
        stem_channels,
        stem_stride,
        tuple(blocks),
    )


def workload_of(network: Point, shape: InputShape) -> Workload:
    """The layers that ``network`` asks of a hardware, batch norm folded into biases.

    Scaling the image to the network's resolution and to grey levels is preparation,
    done before the accelerator, and is not part of the workload.
    """
    plan = plan_of(network, shape)
    side = _halved(plan.resolution, plan.stem_stride)
    layers = list(_stem_layers(plan.resolution, side, shape.channels, plan.stem_channels))
    for block in plan.blocks:
        layers += _block_layers(block, side)
        side = _halved(side, block.stride)
    layers += _head_layers(plan.features, side, shape.classes)
    return Workload(point_hash(network), tuple(layers), plan.bits)


def _resolutions(side: int) -> tuple[int, ...]:
    """Up to four even sides, from half to all of ``side``."""
    smaller = {2 * round(side * share / 2) for share in (0.5, 0.7, 0.85)}
    return tuple(sorted({size for size in smaller if size < side} | {side}))


def _strides(side: int) -> tuple[int, dict[int, int]]:
    """The stem's stride and each stage's, so that the last maps are about 4 pixels wide."""
    if side < 16:
        return 1, {1: 1, 2: 2, 3: 1}
    return 2, {1: 1 if side <= 48 else 2, 2: 2, 3: 2}


def _halved(side: int, stride: int) -> int:
    """Output side of a convolution that is padded by half its (odd) kernel."""
    return (side - 1) // stride + 1


# The same few layers stand in many networks. Building them costs more than finding them.


@lru_cache(maxsize=1024)
def _stem_layers(in_side: int, out_side: int, channels: int, width: int) -> tuple[Layer, ...]:
    stride = 1 if in_side == out_side else 2
    kind = LayerKind.CONVOLUTION
    return (_layer("stem", kind, channels, width, in_side, out_side, STEM_KERNEL, stride),)


@lru_cache(maxsize=65536)
def _block_layers(block: BlockPlan, side: int) -> tuple[Layer, ...]:
    out = _halved(side, block.stride)
    convolution, depthwise = LayerKind.CONVOLUTION, LayerKind.DEPTHWISE
    hidden, width, name = block.hidden, block.out_channels, block.name
    layers = [
        _layer(f"{name}.expand", convolution, block.in_channels, hidden, side, side),
        _layer(
            f"{name}.depthwise", depthwise, hidden, hidden, side, out, block.kernel, block.stride
        ),
        _layer(f"{name}.project", convolution, hidden, width, out, out),
    ]
    if block.residual:
        add = LayerKind.ELEMENTWISE
        layers.append(_layer(f"{name}.add", add, width, width, out, out, bias=False))
    return tuple(layers)


@lru_cache(maxsize=1024)
def _head_layers(features: int, side: int, classes: int) -> tuple[Layer, ...]:
    return (
        _layer("pool", LayerKind.POOLING, features, features, side, 1, side, side, bias=False),
        _layer("classifier", LayerKind.LINEAR, features, classes, 1, 1),
    )


def _layer(
    name: str,
    kind: LayerKind,
    in_channels: int,
    out_channels: int,
    in_side: int,
    out_side: int,
    kernel: int = 1,
    stride: int = 1,
    bias: bool = True,
) -> Layer:
    """A layer on square images; what runs on the array has a bias."""
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
    )
