"""Once-for-All MobileNetV3 (Cai et al., ICLR 2020, arXiv 1908.09791; code MIT).

Five stages of up to four inverted bottlenecks with elastic kernel, expansion and depth.
An architecture is ``{"ks": [20], "e": [20], "d": [5]}``: kernels and expansion ratios of
all 20 blocks, four to a stage, and how many of each stage's blocks run (the first ones).
"""

from __future__ import annotations

from archwright.evaluators.supernet.plan import (
    Activation,
    BlockPlan,
    InputShape,
    NetworkPlan,
    Shortcut,
    UnitPlan,
    make_divisible,
)
from archwright.evaluators.supernet.released.supernet import (
    RESOLUTION,
    Architecture,
    ReleasedSupernet,
    checked,
)

KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
STAGES, BLOCKS_PER_STAGE = 5, 4
# Widths, strides, activations and squeeze-excite by stage: the original's constructor.
WIDTHS = (24, 40, 80, 112, 160)
STRIDES = (2, 2, 2, 1, 2)
ACTIVATIONS: tuple[Activation, ...] = ("relu", "relu", "hswish", "hswish", "hswish")
SQUEEZED = (False, True, False, True, True)
STEM_WIDTH, EXPANDED_WIDTH, FEATURES = 16, 960, 1280


class OFAMobileNetV3(ReleasedSupernet):
    """The supernet of ``ofa_mbv3_d234_e346_k357_w1.0`` and ``_w1.2``."""

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        self.width = width
        largest = {"ks": [7] * 20, "e": [6] * 20, "d": [4] * 5}
        self.classes = classes
        super().__init__(ofa_plan(largest, RESOLUTION, width, classes), transformed=True)

    def plan(self, architecture: Architecture, resolution: int = RESOLUTION) -> NetworkPlan:
        """See :func:`ofa_plan`."""
        return ofa_plan(architecture, resolution, self.width, self.classes)


def ofa_plan(
    architecture: Architecture, resolution: int, width: float = 1.0, classes: int = 1000
) -> NetworkPlan:
    """The network of an architecture. Entries of blocks that do not run have no effect.

    Raises :class:`SpaceError` naming the choice, its position and the allowed values.
    """
    depths = checked(architecture, {"ks": [()] * 20, "e": [()] * 20, "d": [DEPTHS] * STAGES})["d"]
    runs = [i % BLOCKS_PER_STAGE < depths[i // BLOCKS_PER_STAGE] for i in range(20)]
    chosen = checked(
        architecture,
        {
            "ks": [KERNELS if run else () for run in runs],
            "e": [EXPANSIONS if run else () for run in runs],
            "d": [DEPTHS] * STAGES,
        },
    )

    def wide(channels: int) -> int:
        return make_divisible(channels * width)

    channels = wide(STEM_WIDTH)
    first = (
        UnitPlan("depthwise", channels, channels, 3, depthwise=True, activation="relu"),
        UnitPlan("project", channels, channels),
    )
    blocks = [BlockPlan(0, 1, first, Shortcut())]
    for stage in range(STAGES):
        for index in range(depths[stage]):
            i = stage * BLOCKS_PER_STAGE + index
            stride = STRIDES[stage] if index == 0 else 1
            units = inverted_bottleneck(
                channels,
                make_divisible(round(channels * chosen["e"][i])),
                wide(WIDTHS[stage]),
                chosen["ks"][i],
                stride,
                ACTIVATIONS[stage],
                SQUEEZED[stage],
            )
            identity = stride == 1 and channels == wide(WIDTHS[stage])
            blocks.append(BlockPlan(stage + 1, index + 1, units, Shortcut() if identity else None))
            channels = wide(WIDTHS[stage])
    expanded, features = wide(EXPANDED_WIDTH), wide(FEATURES)
    return NetworkPlan(
        shape=InputShape(3, resolution, classes),
        resolution=resolution,
        bits=16,
        stem=UnitPlan("stem", 3, wide(STEM_WIDTH), 3, 2, activation="hswish"),
        blocks=tuple(blocks),
        head=(UnitPlan("expand", channels, expanded, activation="hswish"),),
        features=(UnitPlan("mix", expanded, features, activation="hswish", normalised=False),),
    )


def inverted_bottleneck(
    in_channels: int,
    hidden: int,
    out_channels: int,
    kernel: int,
    stride: int,
    activation: Activation,
    squeezed: bool,
) -> tuple[UnitPlan, ...]:
    """Expand (left out where it would change nothing in width), depthwise, project."""
    squeeze = make_divisible(hidden // 4) if squeezed else 0
    depthwise = UnitPlan(
        "depthwise", hidden, hidden, kernel, stride,
        depthwise=True, activation=activation, squeeze=squeeze,
    )  # fmt: skip
    project = UnitPlan("project", hidden, out_channels)
    expand = UnitPlan("expand", in_channels, hidden, activation=activation)
    return (depthwise, project) if hidden == in_channels else (expand, depthwise, project)
