"""Our own families of networks: their spaces, and the network that a point stands for.

A network is a stem convolution, stages of inverted-bottleneck blocks (MobileNetV2,
arXiv 1801.04381), global average pooling and a linear classifier. A family says which
widths, depths, kernels, expansions and kinds of block its stages may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from archwright.errors import SpaceError
from archwright.evaluators.supernet.plan import (
    Activation,
    BlockPlan,
    InputShape,
    NetworkPlan,
    Shortcut,
    UnitPlan,
    make_divisible,
    workload_from,
)
from archwright.space import Choice, Point, Space, Value, point_hash
from archwright.workload import Workload

BlockKind = Literal["ffn", "convnext", "mbconv", "extra", "fused"]
BLOCK_KINDS: tuple[BlockKind, ...] = get_args(BlockKind)
"""By size. The universal inverted bottlenecks of MobileNetV4 (arXiv 2404.10518): with no
depthwise convolution, one before the expansion, one after it (MobileNetV2's), both; and
a full convolution that expands (EfficientNetV2, arXiv 2104.00298)."""

STEM_KERNEL = 3


@dataclass(frozen=True)
class Family:
    """What the stages of a family's networks may have. Widths are given stage by stage.

    Every choice but the width has the same values in all stages; one with a single value
    is not a choice of the space.
    """

    name: str
    widths: tuple[tuple[int, ...], ...]
    depths: tuple[int, ...] = (1, 2, 3)
    kernels: tuple[int, ...] = (3, 5)
    expansions: tuple[int, ...] = (1, 2, 4)
    blocks: tuple[BlockKind, ...] = ("mbconv",)
    squeezes: tuple[str, ...] = ("off",)
    activations: tuple[Activation, ...] = ("relu",)
    bits: tuple[int, ...] = (4, 8, 16)

    @property
    def stages(self) -> range:
        """The stages' numbers, from 1."""
        return range(1, len(self.widths) + 1)


FAMILIES = {
    family.name: family
    for family in (
        Family("mbconv", ((4, 6, 8, 12), (4, 8, 12, 20), (4, 8, 16, 24)), bits=(8, 16)),
        Family(
            "universal",
            widths=((4, 6, 8, 12), (4, 8, 12, 20), (4, 8, 16, 24)),
            blocks=BLOCK_KINDS,
            squeezes=("off", "on"),
            activations=("relu", "hswish"),
        ),
        Family("small", widths=((8, 12, 16), (12, 16, 24, 32), (16, 24, 32, 48))),
        Family(
            "mobile",
            widths=((16, 24), (24, 32), (40, 48, 64), (80, 96, 112), (160, 192, 224)),
            depths=(1, 2, 3, 4),
            kernels=(3, 5, 7),
            expansions=(3, 4, 6),
            blocks=BLOCK_KINDS,
            squeezes=("off", "on"),
            activations=("relu", "hswish"),
        ),
    )
}
"""From micro (hundreds of parameters on 8x8 images) to mobile (millions)."""

DEFAULT_FAMILY = "mbconv"


def family_of(name: str) -> Family:
    """The family of this name. Raises :class:`SpaceError`."""
    if name not in FAMILIES:
        raise SpaceError(f"network space = {name!r}: allowed {', '.join(FAMILIES)}")
    return FAMILIES[name]


def network_space(shape: InputShape, family: str = DEFAULT_FAMILY) -> Space:
    """The space of a family's networks for images of ``shape``.

    What a stage chooses holds for all its blocks; the stem is as wide as the first
    stage. Resolutions are even and go up to the images' own side.
    """
    chosen = family_of(family)
    choices: list[Choice] = []
    for stage in chosen.stages:
        options: tuple[tuple[str, Sequence[Value], str], ...] = (
            ("depth", chosen.depths, f"blocks in stage {stage}"),
            ("kernel", chosen.kernels, f"side of stage {stage}'s kernels"),
            (
                "expansion",
                chosen.expansions,
                f"hidden channels of a block in stage {stage}, as a multiple of its input's",
            ),
            ("width", chosen.widths[stage - 1], f"output channels of stage {stage}"),
            ("block", chosen.blocks, f"kind of the blocks in stage {stage}"),
            ("squeeze", chosen.squeezes, f"squeeze-excite in stage {stage}"),
            ("activation", chosen.activations, f"activation in stage {stage}"),
        )
        choices += [
            Choice(f"{name}_{stage}", tuple(values), meaning)
            for name, values, meaning in options
            if len(values) > 1 or name in ("depth", "kernel", "expansion", "width")
        ]
    choices.append(
        Choice("resolution", _resolutions(shape.side), "side that images are scaled to", "pixels")
    )
    choices.append(Choice("bits", chosen.bits, "bits of weights and activations", "bits"))
    return Space(family, tuple(choices))


def largest_network(space: Space) -> dict[str, Value]:
    """Every choice at its largest value; of words ("off", "on"; kinds of block) the last."""
    return {choice.name: _ends(choice)[1] for choice in space.choices}


def smallest_network(space: Space) -> dict[str, Value]:
    """Every choice at its smallest value; of words the first."""
    return {choice.name: _ends(choice)[0] for choice in space.choices}


def plan_of(network: Point, shape: InputShape, family: str = DEFAULT_FAMILY) -> NetworkPlan:
    """The network that a point of the family's space stands for."""
    chosen = family_of(family)
    stem_stride, strides = _strides(shape.side, len(chosen.widths))
    channels = stem_channels = int(network["width_1"])
    blocks = []
    for stage in chosen.stages:
        for index in range(1, int(network[f"depth_{stage}"]) + 1):
            stride = strides[stage - 1] if index == 1 else 1
            block = _block(network, chosen, stage, index, channels, stride)
            blocks.append(block)
            channels = block.out_channels
    stem = UnitPlan(
        "stem", shape.channels, stem_channels, STEM_KERNEL, stem_stride, activation="relu"
    )
    return NetworkPlan(shape, int(network["resolution"]), int(network["bits"]), stem, tuple(blocks))


def storage_plan(space: Space, shape: InputShape, family: str = DEFAULT_FAMILY) -> NetworkPlan:
    """The largest network of ``space``, each block with the units of every kind."""
    largest = largest_network(space)
    kinds = {
        choice.name: choice.values for choice in space.choices if choice.name.startswith("block_")
    }
    plan = plan_of(largest, shape, family)
    units: dict[tuple[int, int], dict[str, UnitPlan]] = {}
    for kind in family_of(family).blocks:
        allowed = {name: kind if kind in values else values[0] for name, values in kinds.items()}
        for block in plan_of({**largest, **allowed}, shape, family).blocks:
            found = units.setdefault((block.stage, block.index), {})
            for unit in block.units:
                before = found.get(unit.name, unit)
                squeeze = max(unit.squeeze, before.squeeze)
                found[unit.name] = replace(before, squeeze=squeeze)
    blocks = (
        replace(block, units=tuple(units[block.stage, block.index].values()))
        for block in plan.blocks
    )
    return replace(plan, blocks=tuple(blocks))


def workload_of(network: Point, shape: InputShape, family: str = DEFAULT_FAMILY) -> Workload:
    """The layers that ``network`` asks of a hardware; see ``plan.workload_from``."""
    return workload_from(plan_of(network, shape, family), point_hash(network))


def _ends(choice: Choice) -> tuple[Value, Value]:
    """The values with the fewest and the most weights; words are listed in that order."""
    words = any(isinstance(value, str) for value in choice.values)
    values = choice.values if words else sorted(choice.values)
    return values[0], values[-1]


def _block(
    network: Point, family: Family, stage: int, index: int, channels: int, stride: int
) -> BlockPlan:
    width, kernel = int(network[f"width_{stage}"]), int(network[f"kernel_{stage}"])
    hidden = channels * int(network[f"expansion_{stage}"])
    kind = network.get(f"block_{stage}", family.blocks[0])
    activation: Activation = network.get(f"activation_{stage}", family.activations[0])  # type: ignore[assignment]
    squeezed = network.get(f"squeeze_{stage}", family.squeezes[0]) == "on"
    if kind == "ffn" and stride > 1:  # it has no kernel to halve the image with
        kind = "mbconv"
    start = UnitPlan(
        "start", channels, channels, kernel, stride if kind == "convnext" else 1, depthwise=True
    )
    expand = UnitPlan("expand", channels, hidden, activation=activation)
    fused = UnitPlan("fused", channels, hidden, kernel, stride, activation=activation)
    depthwise = UnitPlan(
        "depthwise", hidden, hidden, kernel, stride, depthwise=True, activation=activation
    )
    middle = {
        "mbconv": (expand, depthwise),
        "fused": (fused,),
        "convnext": (start, expand),
        "extra": (start, expand, depthwise),
        "ffn": (expand,),
    }[str(kind)]
    if squeezed:  # behind the last unit before the projection, as in MobileNetV3
        middle = (*middle[:-1], replace(middle[-1], squeeze=make_divisible(hidden / 4, 4)))
    units = (*middle, UnitPlan("project", hidden, width))
    residual = stride == 1 and channels == width
    return BlockPlan(stage, index, units, Shortcut() if residual else None)


def _resolutions(side: int) -> tuple[int, ...]:
    """Up to four even sides, from half to all of ``side``."""
    smaller = {2 * round(side * share / 2) for share in (0.5, 0.7, 0.85)}
    return tuple(sorted({size for size in smaller if size < side} | {side}))


def _strides(side: int, stages: int) -> tuple[int, tuple[int, ...]]:
    """The stem's stride and each stage's, so that the last maps are about 4 pixels wide."""
    if side < 16:
        halving, stem = {(stages + 1) // 2}, 1
    else:
        left = min(stages, 2 if side <= 48 else 3 if side <= 96 else 4)
        halving, stem = {stages - i * stages // left for i in range(left)}, 2
    return stem, tuple(2 if stage in halving else 1 for stage in range(1, stages + 1))
