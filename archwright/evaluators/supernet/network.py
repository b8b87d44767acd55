"""The supernet: one set of weights that every network of the space takes its share of.

A narrower layer uses the first channels of the full weights, a smaller kernel their
centre, a shallower stage its first blocks (Once-for-All, arXiv 1908.09791; plain centre
crop as in BigNAS, arXiv 2003.11142).

The supernet has no batch-norm statistics: means and variances belong to one network,
not to the shared weights. It normalises by those of the batch it sees; a network that
is taken out of it (:mod:`.extraction`) gets its own from training images.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.space import (
    STAGES,
    STEM_KERNEL,
    BlockPlan,
    InputShape,
    plan_of,
)
from archwright.space import Point, Space, Value


class Preparation(nn.Module):
    """Images in 0..1 to what a network computes on: grey levels, resolution, normalised.

    Levels are whole numbers and area weights multiples of 1/256, so that every sum is
    exact in float32 (below 2**24 steps) and any runtime gives the same result.
    """

    mean: Tensor
    deviation: Tensor
    area: Tensor

    def __init__(self, shape: InputShape, resolution: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, shape.channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, shape.channels, 1, 1))
        self.register_buffer("area", area_weights(shape.side, resolution))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, side, side) in 0..1 to (batch, channels, resolution, resolution)."""
        levels = torch.round(images * 255)
        if self.area.shape[0] != self.area.shape[1]:
            levels = self.area @ levels @ self.area.T
        return (levels - self.mean) / self.deviation


def area_weights(side: int, resolution: int) -> Tensor:
    """The share of each input pixel in each output pixel, shape (resolution, side).

    An output pixel is the mean of the input that it covers. Shares are rounded to
    multiples of 1/256 and still sum to 1.
    """
    step = side / resolution
    edges = torch.arange(resolution, dtype=torch.float64)[:, None] * step
    pixels = torch.arange(side, dtype=torch.float64)[None, :]
    covered = (torch.minimum(edges + step, pixels + 1) - torch.maximum(edges, pixels)).clamp(min=0)
    shares = torch.round(covered / step * 256)
    rows = torch.arange(resolution)
    shares[rows, shares.argmax(1)] += 256 - shares.sum(1)
    return (shares / 256).float()


class ElasticUnit(nn.Module):
    """Convolution, batch norm and perhaps ReLU; of each, as much as a network asks for."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, depthwise: bool, active: bool
    ) -> None:
        super().__init__()
        self.depthwise = depthwise
        self.active = active
        per_filter = 1 if depthwise else in_channels
        self.weight = nn.Parameter(torch.empty(out_channels, per_filter, kernel, kernel))
        self.scale = nn.Parameter(torch.ones(out_channels))
        self.shift = nn.Parameter(torch.zeros(out_channels))

    def sliced(self, in_channels: int, out_channels: int, kernel: int) -> Tensor:
        """The weights of a network's layer: first channels, centre of the kernel."""
        edge = (self.weight.shape[-1] - kernel) // 2
        inputs = 1 if self.depthwise else in_channels
        return self.weight[:out_channels, :inputs, edge : edge + kernel, edge : edge + kernel]

    def forward(self, x: Tensor, out_channels: int, kernel: int = 1, stride: int = 1) -> Tensor:
        """Batch statistics normalise; see the module's docstring."""
        weight = self.sliced(x.shape[1], out_channels, kernel)
        groups = out_channels if self.depthwise else 1
        x = functional.conv2d(x, weight, None, stride, kernel // 2, groups=groups)
        scale, shift = self.scale[:out_channels], self.shift[:out_channels]
        x = functional.batch_norm(x, None, None, scale, shift, training=True)
        return functional.relu(x) if self.active else x


class ElasticBlock(nn.Module):
    """An inverted bottleneck: expand, depthwise, project, and the input added where it fits."""

    def __init__(self, in_channels: int, hidden: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.expand = ElasticUnit(in_channels, hidden, 1, depthwise=False, active=True)
        self.depthwise = ElasticUnit(hidden, hidden, kernel, depthwise=True, active=True)
        self.project = ElasticUnit(hidden, out_channels, 1, depthwise=False, active=False)

    def forward(self, x: Tensor, plan: BlockPlan) -> Tensor:
        """The block as ``plan`` wants it."""
        y = self.expand(x, plan.hidden)
        y = self.depthwise(y, plan.hidden, plan.kernel, plan.stride)
        y = self.project(y, plan.out_channels)
        return x + y if plan.residual else cast(Tensor, y)


class Supernet(nn.Module):
    """All networks of ``space``, for images of ``shape``.

    ``generator`` draws the initial weights.
    """

    def __init__(self, space: Space, shape: InputShape, generator: torch.Generator) -> None:
        super().__init__()
        self.space = space
        self.shape = shape
        largest = largest_network(space)
        widths = {stage: int(largest[f"width_{stage}"]) for stage in STAGES}
        self.preparations = nn.ModuleDict(
            {
                str(resolution): Preparation(shape, int(resolution))
                for choice in space.choices
                if choice.name == "resolution"
                for resolution in choice.values
            }
        )
        self.stem = ElasticUnit(
            shape.channels, widths[1], STEM_KERNEL, depthwise=False, active=True
        )
        self.stages = nn.ModuleList()
        channels = widths[1]
        for stage in STAGES:
            blocks = nn.ModuleList()
            for _ in range(int(largest[f"depth_{stage}"])):
                hidden = max(channels, widths[stage]) * int(largest[f"expansion_{stage}"])
                kernel = int(largest[f"kernel_{stage}"])
                blocks.append(ElasticBlock(channels, hidden, widths[stage], kernel))
                channels = widths[stage]
            self.stages.append(blocks)
        self.classifier_weight = nn.Parameter(torch.empty(shape.classes, channels))
        self.classifier_bias = nn.Parameter(torch.zeros(shape.classes))
        self._initialise(generator)

    def forward(self, images: Tensor, network: Point) -> Tensor:
        """Logits (batch, classes) of ``network`` for ``images`` in 0..1; batch at least 2."""
        plan = plan_of(network, self.shape)
        x = self.preparations[str(plan.resolution)](images)
        x = self.stem(x, plan.stem_channels, STEM_KERNEL, plan.stem_stride)
        # Channels last: depthwise convolutions train three to five times as fast on CPUs.
        x = x.contiguous(memory_format=torch.channels_last)
        for block in plan.blocks:
            x = self.block(block)(x, block)
        weight = self.classifier_weight[:, : plan.features]
        return functional.linear(x.mean((2, 3)), weight, self.classifier_bias)

    def block(self, plan: BlockPlan) -> ElasticBlock:
        """The shared block that a network's block takes its weights from."""
        return cast(ElasticBlock, cast(nn.ModuleList, self.stages[plan.stage - 1])[plan.index - 1])

    def normalise_by(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the grey levels' mean and deviation, each of shape (channels,), in 0..255."""
        for preparation in self.preparations.values():
            cast(Preparation, preparation).mean.copy_(mean.view(1, -1, 1, 1))
            cast(Preparation, preparation).deviation.copy_(deviation.view(1, -1, 1, 1))

    def _initialise(self, generator: torch.Generator) -> None:
        """He's initialisation (arXiv 1502.01852); a residual branch starts at zero (BigNAS)."""
        for module in self.modules():
            if isinstance(module, ElasticUnit):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", generator=generator)
            if isinstance(module, ElasticBlock):
                adds = module.project.weight.shape[0] == module.expand.weight.shape[1]
                nn.init.constant_(module.project.scale, 0.0 if adds else 1.0)
        nn.init.normal_(self.classifier_weight, std=0.01, generator=generator)


def largest_network(space: Space) -> dict[str, Value]:
    """Every choice at its largest value."""
    return {choice.name: max(choice.values) for choice in space.choices}


def smallest_network(space: Space) -> dict[str, Value]:
    """Every choice at its smallest value."""
    return {choice.name: min(choice.values) for choice in space.choices}
