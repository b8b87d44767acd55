"""Taking one network out of the supernet: a stand-alone module with the same outputs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.network import ElasticUnit, Preparation, Supernet
from archwright.evaluators.supernet.space import STEM_KERNEL, BlockPlan, NetworkPlan, plan_of
from archwright.space import Point


class Unit(nn.Module):
    """Convolution, batch norm and perhaps ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__()
        self.active = active
        self.convolution = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output."""
        x = self.norm(self.convolution(x))
        return functional.relu(x) if self.active else x

    def take(self, elastic: ElasticUnit) -> None:
        """Copy this layer's share of the supernet's weights."""
        convolution, norm = self.convolution, cast(nn.BatchNorm2d, self.norm)
        kernel, out_channels = convolution.kernel_size[0], convolution.out_channels
        convolution.weight.copy_(elastic.sliced(convolution.in_channels, out_channels, kernel))
        norm.weight.copy_(elastic.scale[:out_channels])
        norm.bias.copy_(elastic.shift[:out_channels])

    def fold(self) -> None:
        """Put the batch norm's statistics into the convolution's weights and bias."""
        self.convolution = nn.utils.fusion.fuse_conv_bn_eval(
            self.convolution.eval(), cast(nn.BatchNorm2d, self.norm).eval()
        )
        self.norm = nn.Identity()


class Block(nn.Module):
    """An inverted bottleneck with fixed sizes."""

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        hidden = plan.hidden
        self.residual = plan.residual
        self.expand = Unit(plan.in_channels, hidden)
        self.depthwise = Unit(hidden, hidden, plan.kernel, plan.stride, groups=hidden)
        self.project = Unit(hidden, plan.out_channels, active=False)

    def forward(self, x: Tensor) -> Tensor:
        """The block's output."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else cast(Tensor, y)


class Network(nn.Module):
    """A stand-alone network, as ``plan`` says. Takes images in 0..1, gives logits."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        self.plan = plan
        self.preparation = Preparation(plan.shape, plan.resolution)
        self.stem = Unit(plan.shape.channels, plan.stem_channels, STEM_KERNEL, plan.stem_stride)
        self.blocks = nn.ModuleList(Block(block) for block in plan.blocks)
        self.classifier = nn.Linear(plan.features, plan.shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, classes)."""
        x = self.stem(self.preparation(images))
        for block in self.blocks:
            x = block(x)
        return cast(Tensor, self.classifier(x.mean((2, 3))))


@torch.no_grad()
def extract(supernet: Supernet, network: Point) -> Network:
    """The network as a stand-alone module, with a copy of its share of the weights.

    In training mode (batch statistics) its outputs equal the supernet's; before any
    other use its batch norms need :func:`recalibrate`. Raises SpaceError for a point
    outside the supernet's space.
    """
    supernet.space.check(network)
    plan = plan_of(network, supernet.shape)
    module = Network(plan)
    shared = cast(Preparation, supernet.preparations[str(plan.resolution)])
    module.preparation.mean.copy_(shared.mean)
    module.preparation.deviation.copy_(shared.deviation)
    module.stem.take(supernet.stem)
    for block_plan, block in zip(plan.blocks, module.blocks, strict=True):
        elastic = supernet.block(block_plan)
        for part in ("expand", "depthwise", "project"):
            getattr(block, part).take(getattr(elastic, part))
    module.classifier.weight.copy_(supernet.classifier_weight[:, : plan.features])
    module.classifier.bias.copy_(supernet.classifier_bias)
    return module


@torch.no_grad()
def recalibrate(module: Network, images: Tensor) -> None:
    """Give the batch norms the statistics of ``images`` (training images, at least 2)."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
            part.momentum = 1.0  # the statistics are those of this one batch
    module.train()
    module(images)
    module.eval()


@torch.no_grad()
def fold(module: Network) -> None:
    """Fold every batch norm into the convolution before it."""
    for part in list(module.modules()):
        if isinstance(part, Unit):
            part.fold()
