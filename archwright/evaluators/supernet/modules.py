"""A network of fixed sizes as a stand-alone module, built from its plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.plan import (
    Activation,
    BlockPlan,
    NetworkPlan,
    Shortcut,
    UnitPlan,
)


def activated(x: Tensor, activation: Activation | None) -> Tensor:
    """ReLU; h-swish, x relu6(x + 3) / 6 (MobileNetV3, arXiv 1905.02244); swish, x sigmoid(x)."""
    if activation == "relu":
        return functional.relu(x)
    if activation == "hswish":
        return functional.hardswish(x)
    return functional.silu(x) if activation == "swish" else x


class SqueezeExcite(nn.Module):
    """Scales channels by what a small network makes of their means (arXiv 1709.01507).

    ReLU between its two layers, relu6(x + 3) / 6 at the end, as in MobileNetV3.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """As ``x`` is shaped."""
        return squeezed(x, self.reduce, self.expand)


def squeezed(
    x: Tensor, reduce: Callable[[Tensor], Tensor], expand: Callable[[Tensor], Tensor]
) -> Tensor:
    """``x`` scaled by what its two layers make of its means."""
    y = functional.relu(reduce(x.mean((2, 3), keepdim=True)))
    return x * functional.hardsigmoid(expand(y))


class Unit(nn.Module):
    """Convolution, batch norm, activation, squeeze-excite; each where the plan has it."""

    def __init__(self, plan: UnitPlan) -> None:
        super().__init__()
        self.plan = plan
        self.convolution = nn.Conv2d(
            plan.in_channels,
            plan.out_channels,
            plan.kernel,
            plan.stride,
            plan.kernel // 2,
            groups=plan.out_channels if plan.depthwise else 1,
            bias=False,
        )
        self.norm: nn.Module = (
            nn.BatchNorm2d(plan.out_channels) if plan.normalised else nn.Identity()
        )
        self.squeeze: nn.Module = (
            SqueezeExcite(plan.out_channels, plan.squeeze) if plan.squeeze else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output."""
        return cast(Tensor, self.squeeze(self.activated(x)))

    def activated(self, x: Tensor) -> Tensor:
        """The output before squeeze-excite."""
        return activated(self.norm(self.convolution(x)), self.plan.activation)

    def fold(self) -> None:
        """Put the batch norm's statistics into the convolution's weights and bias."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.convolution = nn.utils.fusion.fuse_conv_bn_eval(
                self.convolution.eval(), self.norm.eval()
            )
            self.norm = nn.Identity()


class ShortcutPath(nn.Module):
    """What a block adds to its units' output."""

    def __init__(self, plan: Shortcut) -> None:
        super().__init__()
        self.pooled = plan.pooled
        self.projection: nn.Module = (
            nn.Conv2d(*plan.projected, 1, bias=False) if plan.projected else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of the block's output."""
        if self.pooled:
            x = functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        return cast(Tensor, self.projection(x))


class Block(nn.Module):
    """Units one after another, and perhaps a shortcut around them."""

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        self.units = nn.ModuleDict({unit.name: Unit(unit) for unit in plan.units})
        self.shortcut = ShortcutPath(plan.shortcut) if plan.shortcut is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        y = x
        for unit in self.units.values():
            y = unit(y)
        return y if self.shortcut is None else self.shortcut(x) + y


class Body(nn.Module):
    """A network from prepared images to logits."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.stem = Unit(plan.stem)
        self.blocks = nn.ModuleList(Block(block) for block in plan.blocks)
        self.head = nn.ModuleList(Unit(unit) for unit in plan.head)
        self.features = nn.ModuleList(Unit(unit) for unit in plan.features)
        self.classifier = nn.Linear(plan.classified, plan.shape.classes)

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """What maps images to images, in order: stem, blocks, head."""
        return (self.stem, *self.blocks, *self.head)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, side, side) to logits of shape (batch, classes)."""
        x = channels_last(x)
        for part in self.parts:
            x = channels_last(part(x))
        return self.finish(x)

    def finish(self, x: Tensor) -> Tensor:
        """From the last part's output to logits."""
        x = x.mean((2, 3), keepdim=True)
        for unit in self.features:
            x = unit(x)
        return cast(Tensor, self.classifier(x.flatten(1)))


def channels_last(x: Tensor) -> Tensor:
    """The same values with the channels of a pixel beside each other.

    Depthwise convolutions are several times as fast on them on CPUs.
    """
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def recalibrate(module: nn.Module, images: Tensor) -> Tensor:
    """Give the batch norms the statistics of ``images`` (training images, at least 2).

    Returns the output for them, normalised by their own statistics.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = 1.0  # the statistics are those of this one batch
    module.train()
    output = cast(Tensor, module(images))
    module.eval()
    return output


@torch.no_grad()
def fold(module: nn.Module) -> None:
    """Fold every batch norm into the convolution before it."""
    for part in list(module.modules()):
        if isinstance(part, Unit):
            part.fold()
