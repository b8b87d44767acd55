"""Networks at a design's bits: the module that is measured, and the very same that is exported.

Made from a recalibrated network layer by layer: real values of training images go
through the layers once, each tensor's range becomes its scale, and the layer is coded
(:mod:`.codes`). 4 bits are those of the weights; activations have 8 then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.codes import (
    Coded,
    CodedBlock,
    CodedConvolution,
    CodedPooling,
    CodedSqueeze,
    activation_bits,
    coded_weights,
    scale_of,
    sum_unit,
    sums_of,
)
from archwright.evaluators.supernet.extraction import Network, extract, fold, recalibrate
from archwright.evaluators.supernet.modules import (
    Block,
    ShortcutPath,
    SqueezeExcite,
    Unit,
    channels_last,
)
from archwright.evaluators.supernet.network import Preparation, Supernet
from archwright.space import Point


@dataclass(frozen=True, eq=False)
class Coding:
    """How far a network is coded: its last coded part, and the real output of that part
    for the calibration images with its scale."""

    part: nn.Module
    output: Tensor
    scale: Tensor


class CodedPreparation(nn.Module):
    """Images in 0..1 to codes."""

    def __init__(self, preparation: Preparation, scale: Tensor, bits: int) -> None:
        super().__init__()
        self.preparation = preparation
        self.coded = Coded(scale, activation_bits(bits), signed=True)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, side, side) to (batch, channels, resolution, resolution)."""
        return cast(Tensor, self.coded(self.preparation(images)))


class QuantisedNetwork(nn.Module):
    """A network at its design's bits: images in 0..1 to logits.

    Its parameters are the codes of weights and biases; scales are buffers. ``codings``
    are those of the network's parts, in order.
    """

    logit_divisor: Tensor

    def __init__(self, network: Network, codings: Sequence[Coding]) -> None:
        super().__init__()
        bits, body = network.plan.bits, network.body
        self.layers = nn.ModuleList(coding.part for coding in codings)
        x, scale = codings[-1].output, codings[-1].scale
        pixels = x.shape[2] * x.shape[3]
        x = x.mean((2, 3), keepdim=True)
        pooled_scale = scale_of(x, bits, signed=True)
        self.pooled = Coded(pooled_scale / scale * pixels, activation_bits(bits), signed=True)
        scale = pooled_scale
        features: list[nn.Module] = []
        for unit in body.features:
            coded, x, scale = _coded_unit(cast(Unit, unit), x, scale, bits)
            features.append(coded)
        self.features = nn.Sequential(*features)
        linear = body.classifier
        weight, bias, scales = coded_weights(linear.weight, linear.bias, scale, bits)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.bits = bits
        self.register_buffer("logit_divisor", 1 / (scales * scale) / sum_unit(bits))

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """What maps images to codes, in order; :meth:`finish` takes the last one's output."""
        return tuple(self.layers)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, classes)."""
        x = images
        for layer in self.layers:
            x = layer(x)
        return self.finish(x)

    def finish(self, x: Tensor) -> Tensor:
        """From the last part's output to logits."""
        x = self.features(self.pooled(x.sum((2, 3), keepdim=True))).flatten(1)
        sums = sums_of(functional.linear, x, self.weight, self.bias, self.bits)
        return sums / self.logit_divisor


@torch.no_grad()
def prepare(supernet: Supernet, network: Point, images: Tensor) -> QuantisedNetwork:
    """The network as it is measured and exported, the very same module for both.

    Extracted, batch norms recalibrated on ``images`` (training images in 0..1) and
    folded, weights and activations quantised to the network's bits.
    """
    module = extract(supernet, network)
    recalibrate(module, images)
    return quantised(module, images)


@torch.no_grad()
def quantised(module: Network, images: Tensor) -> QuantisedNetwork:
    """A recalibrated network at its bits; its batch norms are folded in place."""
    fold(module)
    bits = module.plan.bits
    codings = [coded_preparation(module.preparation, images, bits)]
    for part in module.body.parts:
        codings.append(coded_part(part, codings[-1], bits))
    return QuantisedNetwork(module, codings).eval()


def coded_preparation(preparation: Preparation, images: Tensor, bits: int) -> Coding:
    """The first part over codes."""
    x = preparation(images)
    scale = scale_of(x, bits, signed=True)
    return Coding(CodedPreparation(preparation, scale, bits), x, scale)


def coded_part(part: nn.Module, before: Coding, bits: int) -> Coding:
    """A folded unit or block over codes, behind the part that ``before`` is about."""
    x, scale = before.output, before.scale
    if isinstance(part, Block):
        coded, x, scale = _coded_block(part, x, scale, bits)
    else:
        coded, x, scale = _coded_unit(cast(Unit, part), x, scale, bits)
    return Coding(coded, channels_last(x), scale)


def _coded_unit(
    unit: Unit, x: Tensor, scale: Tensor, bits: int
) -> tuple[nn.Module, Tensor, Tensor]:
    """The unit over codes, its real output for ``x``, and that output's scale."""
    activation = unit.plan.activation
    y = unit.activated(x)
    out_scale = scale_of(y, bits, signed=activation != "relu")
    coded = CodedConvolution(unit.convolution, activation, scale, out_scale, bits)
    if not unit.plan.squeeze:
        return coded, y, out_scale
    squeeze = cast(SqueezeExcite, unit.squeeze)
    return nn.Sequential(coded, CodedSqueeze(squeeze, y, out_scale, bits)), squeeze(y), out_scale


def _coded_block(
    block: Block, x: Tensor, scale: Tensor, bits: int
) -> tuple[nn.Module, Tensor, Tensor]:
    """The block over codes, its real output for ``x``, and that output's scale."""
    y, y_scale = x, scale
    units = []
    for unit in block.units.values():
        coded, y, y_scale = _coded_unit(cast(Unit, unit), y, y_scale, bits)
        units.append(coded)
    result = CodedBlock(units)
    if block.shortcut is None:
        return result, y, y_scale
    shortcut, around, around_scale = _coded_shortcut(block.shortcut, x, scale, bits)
    total = around + y
    total_scale = scale_of(total, bits, signed=True)
    result.add(shortcut, around_scale, y_scale, total_scale, bits)
    return result, total, total_scale


def _coded_shortcut(
    path: ShortcutPath, x: Tensor, scale: Tensor, bits: int
) -> tuple[nn.Module, Tensor, Tensor]:
    """The shortcut over codes, its real output for ``x``, and that output's scale."""
    around = path(x)
    parts: list[nn.Module] = [CodedPooling(bits)] if path.pooled else []
    if isinstance(path.projection, nn.Conv2d):
        out_scale = scale_of(around, bits, signed=True)
        parts.append(CodedConvolution(path.projection, None, scale, out_scale, bits))
        scale = out_scale
    return nn.Sequential(*parts), around, scale
