"""Shared weights: layers of which each network takes its share.

A narrower layer uses the first channels of the full weights, a smaller kernel their
centre, a shallower stage its first blocks. Two ways to the smaller kernel: the plain
centre crop (BigNAS, arXiv 2003.11142; AttentiveNAS), or the crop times a learned matrix,
size after size (Once-for-All, arXiv 1908.09791).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.modules import (
    Body,
    ShortcutPath,
    SqueezeExcite,
    Unit,
    activated,
    squeezed,
)
from archwright.evaluators.supernet.plan import BlockPlan, NetworkPlan, Shortcut, UnitPlan

BATCH_NORM_EPSILON = 1e-5


class ElasticUnit(nn.Module):
    """A unit at its largest; :meth:`forward` and :meth:`give` use as much as a plan asks for.

    ``transformed``: smaller kernels pass through learned matrices. ``statistics``: batch
    norm's running mean and variance are kept and handed on. Without them means and
    variances belong to one network, not to the shared weights: they are the batch's.
    """

    mean: Tensor
    variance: Tensor

    def __init__(
        self, plan: UnitPlan, *, transformed: bool = False, statistics: bool = False
    ) -> None:
        super().__init__()
        self.plan = plan
        per_filter = 1 if plan.depthwise else plan.in_channels
        shape = (plan.out_channels, per_filter, plan.kernel, plan.kernel)
        self.weight = nn.Parameter(torch.empty(shape))
        if plan.normalised:
            self.scale = nn.Parameter(torch.ones(plan.out_channels))
            self.shift = nn.Parameter(torch.zeros(plan.out_channels))
        self.statistics = statistics and plan.normalised
        if self.statistics:
            self.register_buffer("mean", torch.zeros(plan.out_channels))
            self.register_buffer("variance", torch.ones(plan.out_channels))
        self.transforms = nn.ParameterDict()
        if transformed:
            for kernel in range(plan.kernel - 2, 1, -2):
                self.transforms[str(kernel)] = nn.Parameter(torch.eye(kernel**2))
        self.squeeze = SqueezeExcite(plan.out_channels, plan.squeeze) if plan.squeeze else None

    def sliced(self, plan: UnitPlan) -> Tensor:
        """The convolution's weights in a network's unit."""
        inputs = 1 if plan.depthwise else plan.in_channels
        weight = self.weight[: plan.out_channels, :inputs]
        if not self.transforms:
            return centre(weight, plan.kernel)
        for kernel in range(self.plan.kernel - 2, plan.kernel - 1, -2):
            cropped = centre(weight, kernel)
            weight = functional.linear(cropped.flatten(2), self.transforms[str(kernel)])
            weight = weight.view(cropped.shape)
        return weight

    def forward(self, x: Tensor, plan: UnitPlan) -> Tensor:
        """As ``plan`` wants it; statistics of the batch normalise."""
        groups = plan.out_channels if plan.depthwise else 1
        weight = self.sliced(plan)
        x = functional.conv2d(x, weight, None, plan.stride, plan.kernel // 2, groups=groups)
        if plan.normalised:
            scale, shift = self.scale[: plan.out_channels], self.shift[: plan.out_channels]
            x = functional.batch_norm(
                x, None, None, scale, shift, training=True, eps=BATCH_NORM_EPSILON
            )
        x = activated(x, plan.activation)
        return self._squeezed(x, plan) if plan.squeeze else x

    def give(self, unit: Unit) -> None:
        """Copy a network's share of everything into its module."""
        plan = unit.plan
        unit.convolution.weight.copy_(self.sliced(plan))
        if plan.normalised:
            norm = cast(nn.BatchNorm2d, unit.norm)
            norm.weight.copy_(self.scale[: plan.out_channels])
            norm.bias.copy_(self.shift[: plan.out_channels])
            if self.statistics:
                cast(Tensor, norm.running_mean).copy_(self.mean[: plan.out_channels])
                cast(Tensor, norm.running_var).copy_(self.variance[: plan.out_channels])
        if plan.squeeze:
            squeeze = cast(SqueezeExcite, unit.squeeze)
            for name, parameter in self._squeeze_share(plan).items():
                squeeze.get_parameter(name).copy_(parameter)

    def _squeezed(self, x: Tensor, plan: UnitPlan) -> Tensor:
        share = self._squeeze_share(plan)

        def layer(name: str) -> Callable[[Tensor], Tensor]:
            return lambda y: functional.conv2d(y, share[f"{name}.weight"], share[f"{name}.bias"])

        return squeezed(x, layer("reduce"), layer("expand"))

    def _squeeze_share(self, plan: UnitPlan) -> dict[str, Tensor]:
        """First rows and columns of both layers, by the names of a module's parameters.

        They are never put into the shared module: networks are computed at once.
        """
        whole = cast(SqueezeExcite, self.squeeze)
        channels, hidden = plan.out_channels, plan.squeeze
        return {
            "reduce.weight": whole.reduce.weight[:hidden, :channels],
            "reduce.bias": cast(Tensor, whole.reduce.bias)[:hidden],
            "expand.weight": whole.expand.weight[:channels, :hidden],
            "expand.bias": cast(Tensor, whole.expand.bias)[:channels],
        }


def centre(weight: Tensor, kernel: int) -> Tensor:
    """The middle ``kernel`` x ``kernel`` taps of the last two dimensions."""
    edge = (weight.shape[-1] - kernel) // 2
    return weight[..., edge : edge + kernel, edge : edge + kernel]


class ElasticBlock(nn.Module):
    """A block at its largest, with every unit that one of its networks may use."""

    def __init__(self, plan: BlockPlan, *, transformed: bool, statistics: bool) -> None:
        super().__init__()
        self.units = nn.ModuleDict(
            {
                unit.name: ElasticUnit(
                    unit, transformed=transformed and unit.depthwise, statistics=statistics
                )
                for unit in plan.units
            }
        )
        projected = plan.shortcut.projected if plan.shortcut else None
        self.projection = nn.Parameter(torch.empty(*projected[::-1], 1, 1)) if projected else None

    def unit(self, name: str) -> ElasticUnit:
        """The shared unit of this name."""
        return cast(ElasticUnit, self.units[name])

    def forward(self, x: Tensor, plan: BlockPlan) -> Tensor:
        """The block as ``plan`` wants it."""
        y = x
        for unit in plan.units:
            y = self.unit(unit.name)(y, unit)
        if plan.shortcut is None:
            return y
        if plan.shortcut.pooled:
            x = functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        if plan.shortcut.projected is not None:
            x = functional.conv2d(x, self._projection(plan))
        return x + y

    def give(self, plan: BlockPlan, units: nn.ModuleDict, shortcut: ShortcutPath | None) -> None:
        """Copy a network's share into its module's parts."""
        for unit in plan.units:
            self.unit(unit.name).give(cast(Unit, units[unit.name]))
        if plan.shortcut is not None and plan.shortcut.projected is not None:
            projection = cast(nn.Conv2d, cast(ShortcutPath, shortcut).projection)
            projection.weight.copy_(self._projection(plan))

    def _projection(self, plan: BlockPlan) -> Tensor:
        """The projection's first rows and columns, as a 1x1 convolution's weights."""
        return cast(Tensor, self.projection)[: plan.out_channels, : plan.in_channels]


class ElasticBody(nn.Module):
    """All shared weights of a family, for the largest of its networks, ``plan``.

    ``generator`` draws the initial weights; without one they are to be loaded.
    """

    def __init__(
        self,
        plan: NetworkPlan,
        generator: torch.Generator | None,
        *,
        transformed: bool = False,
        statistics: bool = False,
    ) -> None:
        super().__init__()
        self.plan = plan
        self.stem = ElasticUnit(plan.stem, statistics=statistics)
        self.blocks = nn.ModuleDict(
            {
                _key(block): ElasticBlock(block, transformed=transformed, statistics=statistics)
                for block in plan.blocks
            }
        )
        self.head = nn.ModuleList(ElasticUnit(unit, statistics=statistics) for unit in plan.head)
        self.features = nn.ModuleList(
            ElasticUnit(unit, statistics=statistics) for unit in plan.features
        )
        self.classifier = nn.Linear(plan.classified, plan.shape.classes)
        if generator is not None:
            self._initialise(generator)

    def forward(self, x: Tensor, plan: NetworkPlan) -> Tensor:
        """Logits (batch, classes) of a network for prepared images; batch at least 2."""
        x = self.stem(x, plan.stem)
        # Channels last: depthwise convolutions train three to five times as fast on CPUs.
        x = x.contiguous(memory_format=torch.channels_last)
        for block in plan.blocks:
            x = self.block(block)(x, block)
        for unit, shared in zip(plan.head, self.head, strict=True):
            x = shared(x, unit)
        x = x.mean((2, 3), keepdim=True)
        for unit, shared in zip(plan.features, self.features, strict=True):
            x = shared(x, unit)
        weight = self.classifier.weight[:, : plan.classified]
        return functional.linear(x.flatten(1), weight, self.classifier.bias)

    def block(self, plan: BlockPlan) -> ElasticBlock:
        """The shared block that a network's block takes its weights from."""
        return cast(ElasticBlock, self.blocks[_key(plan)])

    @torch.no_grad()
    def extract(self, plan: NetworkPlan) -> Body:
        """The network as a stand-alone module, with a copy of its share of the weights.

        In training mode (batch statistics) its outputs equal the supernet's. Without
        kept statistics its batch norms need recalibration before any other use.
        """
        body = Body(plan)
        self.stem.give(body.stem)
        for block_plan, block in zip(plan.blocks, body.blocks, strict=True):
            self.block(block_plan).give(
                block_plan, cast(nn.ModuleDict, block.units), cast(ShortcutPath, block.shortcut)
            )
        for shared, unit in zip(
            (*self.head, *self.features), (*body.head, *body.features), strict=True
        ):
            cast(ElasticUnit, shared).give(cast(Unit, unit))
        body.classifier.weight.copy_(self.classifier.weight[:, : plan.classified])
        body.classifier.bias.copy_(self.classifier.bias)
        return body

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """He's initialisation (arXiv 1502.01852); a residual branch starts at zero (BigNAS)."""
        for parameter in self.parameters():
            if parameter.ndim == 4:  # convolutions, in units, squeeze-excite and shortcuts
                nn.init.kaiming_normal_(parameter, mode="fan_in", generator=generator)
        for module in self.modules():
            if isinstance(module, SqueezeExcite):
                nn.init.zeros_(cast(Tensor, module.reduce.bias))
                nn.init.zeros_(cast(Tensor, module.expand.bias))
        for block in self.plan.blocks:
            if block.shortcut == Shortcut():  # without it a branch of zeros would never learn
                nn.init.zeros_(self.block(block).unit("project").scale)
        nn.init.normal_(self.classifier.weight, std=0.01, generator=generator)
        nn.init.zeros_(self.classifier.bias)


def _key(plan: BlockPlan) -> str:
    return f"{plan.stage}_{plan.index}"
