"""The space of AttentiveNAS (arXiv 2011.09011) and AlphaNet (arXiv 2102.07954).

Seven stages of inverted bottlenecks with elastic width, depth, kernel and expansion.
An architecture is ``{"width": [9], "depth": [7], "kernel_size": [7], "expand_ratio":
[7]}``: widths of the first convolution, the stages and the last convolution, and for
each stage what holds for all its blocks. The weights that the authors released are
CC-BY-NC 4.0: not for commercial use.
"""

from __future__ import annotations

from dataclasses import replace

from archwright.evaluators.supernet.plan import (
    BlockPlan,
    InputShape,
    NetworkPlan,
    Shortcut,
    UnitPlan,
    make_divisible,
)
from archwright.evaluators.supernet.released.ofa import inverted_bottleneck
from archwright.evaluators.supernet.released.supernet import (
    RESOLUTION,
    Architecture,
    ReleasedSupernet,
    checked,
)

# The original's configs/train_attentive_nas_models.yml.
STAGE_WIDTHS = (
    (16, 24),
    (24, 32),
    (32, 40),
    (64, 72),
    (112, 120, 128),
    (192, 200, 208, 216),
    (216, 224),
)
ALLOWED = {
    "width": ((16, 24), *STAGE_WIDTHS, (1792, 1984)),
    "depth": ((1, 2), (3, 4, 5), *[(3, 4, 5, 6)] * 2, *[(3, 4, 5, 6, 7, 8)] * 2, (1, 2)),
    "kernel_size": ((3, 5),) * 7,
    "expand_ratio": ((1,), *[(4, 5, 6)] * 4, (6,), (6,)),
}
STRIDES = (1, 2, 2, 2, 1, 2, 1)
SQUEEZED = (False, False, True, False, True, True, True)
LAST_EXPANSION = 6


class AttentiveNASSupernet(ReleasedSupernet):
    """The supernet that both trained; kernels are cropped without matrices."""

    def __init__(self, classes: int = 1000) -> None:
        largest = {
            name: [max(values) for values in positions] for name, positions in ALLOWED.items()
        }
        storage = attentive_plan(largest, RESOLUTION, classes)
        # The original keeps a projection for every block, used or not.
        blocks = tuple(
            replace(block, shortcut=Shortcut(projected=(block.in_channels, block.out_channels)))
            for block in storage.blocks
        )
        super().__init__(replace(storage, blocks=blocks), transformed=False)

    def plan(self, architecture: Architecture, resolution: int = RESOLUTION) -> NetworkPlan:
        """See :func:`attentive_plan`."""
        return attentive_plan(architecture, resolution, self.classes)


def attentive_plan(architecture: Architecture, resolution: int, classes: int = 1000) -> NetworkPlan:
    """The network of an architecture.

    Raises :class:`SpaceError` naming the choice, its position and the allowed values.
    """
    chosen = checked(architecture, ALLOWED)
    widths = chosen["width"]
    channels = widths[0]
    blocks = []
    for stage in range(7):
        width = widths[stage + 1]
        for index in range(chosen["depth"][stage]):
            stride = STRIDES[stage] if index == 0 else 1
            units = inverted_bottleneck(
                channels,
                make_divisible(round(channels * chosen["expand_ratio"][stage])),
                width,
                chosen["kernel_size"][stage],
                stride,
                "swish",
                SQUEEZED[stage],
            )
            projected = None if channels == width else (channels, width)
            shortcut = Shortcut(pooled=stride == 2, projected=projected)
            blocks.append(BlockPlan(stage + 1, index + 1, units, shortcut))
            channels = width
    expanded = LAST_EXPANSION * channels
    return NetworkPlan(
        shape=InputShape(3, resolution, classes),
        resolution=resolution,
        bits=16,
        stem=UnitPlan("stem", 3, widths[0], 3, 2, activation="swish"),
        blocks=tuple(blocks),
        head=(UnitPlan("expand", channels, expanded, activation="swish"),),
        features=(UnitPlan("mix", expanded, widths[8], activation="swish", normalised=False),),
    )
