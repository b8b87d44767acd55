"""Networks at a design's bits: weights and activations as whole numbers (codes).

Weights are symmetric with one scale per output channel; activations have one scale per
tensor, fixed on training images; ReLU outputs are unsigned. Sums are taken over codes
and then divided, rounded and clamped to the next tensor's codes, as integer hardware
does it (Jacob et al., arXiv 1712.05877). Every sum is taken over 8-bit halves (16-bit codes
are two bytes), is a whole number below 2**24 and so exact in float32: in any order of
addition, in any runtime, the same.

All of it is plain operations on float tensors, which ONNX carries. Scales are applied
by division: onnxruntime would merge a multiplication into the convolution's weights,
which would no longer be whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.extraction import (
    Block,
    Network,
    Unit,
    extract,
    fold,
    recalibrate,
)
from archwright.evaluators.supernet.network import Supernet
from archwright.space import Point


class Coded(nn.Module):
    """Divide, round and clamp to codes; ``divisor`` is a number or one per channel."""

    divisor: Tensor

    def __init__(self, divisor: Tensor, bits: int, *, signed: bool) -> None:
        super().__init__()
        self.register_buffer("divisor", divisor)
        self.low = -(2 ** (bits - 1)) if signed else 0
        self.high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1

    def forward(self, x: Tensor) -> Tensor:
        """Codes of ``x``, as floats."""
        return torch.clamp(torch.round(x / self.divisor), self.low, self.high)


class CodedUnit(nn.Module):
    """A convolution over codes. The clamp at 0 is also its ReLU, where it has one."""

    def __init__(self, unit: Unit, in_scale: Tensor, out_scale: Tensor, bits: int) -> None:
        super().__init__()
        original = unit.convolution
        weight, bias, scale = _coded_weights(original.weight, original.bias, in_scale, bits)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = original.stride[0]
        self.groups = original.groups
        self.bits = bits
        divisor = (out_scale / (scale * in_scale)).view(1, -1, 1, 1) / _sum_unit(bits)
        self.coded = Coded(divisor, bits, signed=not unit.active)

    def forward(self, x: Tensor) -> Tensor:
        """Codes to codes."""
        sums = _sums(self._convolve, x, self.weight, self.bias.view(1, -1, 1, 1), self.bits)
        return cast(Tensor, self.coded(sums))

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        padding = weight.shape[-1] // 2
        return functional.conv2d(x, weight, None, self.stride, padding, groups=self.groups)


class CodedBlock(nn.Module):
    """A block over codes; both inputs of its addition are brought to the sum's scale."""

    in_divisor: Tensor
    branch_divisor: Tensor

    def __init__(self, units: tuple[CodedUnit, CodedUnit, CodedUnit]) -> None:
        super().__init__()
        self.expand, self.depthwise, self.project = units
        self.sum: Coded | None = None

    def add(self, in_scale: Tensor, branch_scale: Tensor, out_scale: Tensor, bits: int) -> None:
        """Make the block residual."""
        self.register_buffer("in_divisor", out_scale / in_scale)
        self.register_buffer("branch_divisor", out_scale / branch_scale)
        self.sum = Coded(torch.ones(()), bits, signed=True)

    def forward(self, x: Tensor) -> Tensor:
        """Codes to codes."""
        y = self.project(self.depthwise(self.expand(x)))
        if self.sum is None:
            return cast(Tensor, y)
        return cast(Tensor, self.sum(x / self.in_divisor + y / self.branch_divisor))


class QuantisedNetwork(nn.Module):
    """A network at its design's bits: images in 0..1 to logits.

    Its parameters are the codes of weights and biases; scales are buffers.
    ``images`` (training images) set the scales of the activations.
    """

    logit_divisor: Tensor

    def __init__(self, network: Network, images: Tensor) -> None:
        super().__init__()
        bits = network.plan.bits
        self.preparation = network.preparation
        # The real values go through the layers once; each tensor's range becomes its scale.
        x = self.preparation(images)
        scale = _scale(x, bits, signed=True)
        self.entry = Coded(scale, bits, signed=True)
        self.stem, x, scale = _coded_unit(network.stem, x, scale, bits)
        self.blocks = nn.ModuleList()
        for block in network.blocks:
            coded, x, scale = _coded_block(cast(Block, block), x, scale, bits)
            self.blocks.append(coded)
        pixels = x.shape[2] * x.shape[3]
        pooled = x.mean((2, 3))
        pooled_scale = _scale(pooled, bits, signed=True)
        self.pooled = Coded(pooled_scale / scale * pixels, bits, signed=True)
        linear = network.classifier
        weight, bias, scales = _coded_weights(linear.weight, linear.bias, pooled_scale, bits)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.bits = bits
        self.register_buffer("logit_divisor", 1 / (scales * pooled_scale) / _sum_unit(bits))

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, classes)."""
        x = self.stem(self.entry(self.preparation(images)))
        for block in self.blocks:
            x = block(x)
        x = self.pooled(x.sum((2, 3)))
        sums = _sums(functional.linear, x, self.weight, self.bias, self.bits)
        return sums / self.logit_divisor


@torch.no_grad()
def prepare(supernet: Supernet, network: Point, images: Tensor) -> QuantisedNetwork:
    """The network as it is measured and exported, the very same module for both.

    Extracted, batch norms recalibrated on ``images`` (training images in 0..1) and
    folded, weights and activations quantised to the network's bits.
    """
    module = extract(supernet, network)
    recalibrate(module, images)
    fold(module)
    return QuantisedNetwork(module, images).eval()


def _coded_unit(
    unit: Unit, x: Tensor, scale: Tensor, bits: int
) -> tuple[CodedUnit, Tensor, Tensor]:
    """The unit over codes, its real output for ``x``, and that output's scale."""
    y = unit(x)
    out_scale = _scale(y, bits, signed=not unit.active)
    return CodedUnit(unit, scale, out_scale, bits), y, out_scale


def _coded_block(
    block: Block, x: Tensor, scale: Tensor, bits: int
) -> tuple[CodedBlock, Tensor, Tensor]:
    """The block over codes, its real output for ``x``, and that output's scale."""
    expand, y, y_scale = _coded_unit(block.expand, x, scale, bits)
    depthwise, y, y_scale = _coded_unit(block.depthwise, y, y_scale, bits)
    project, y, y_scale = _coded_unit(block.project, y, y_scale, bits)
    coded = CodedBlock((expand, depthwise, project))
    if not block.residual:
        return coded, y, y_scale
    total = x + y
    total_scale = _scale(total, bits, signed=True)
    coded.add(scale, y_scale, total_scale, bits)
    return coded, total, total_scale


def _sums(
    operation: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    bits: int,
) -> Tensor:
    """What ``operation`` sums up over codes, plus the bias, in units of ``_sum_unit``.

    Exact at 8 bits. At 16 bits the four products of bytes are exact, and what is left
    are additions element by element, which every runtime does alike.
    """
    if bits == 8:
        return operation(x, weight) + bias
    (x_high, x_low), (high, low) = _bytes(x), _bytes(weight)
    middle = operation(x_high, low) + operation(x_low, high)
    return operation(x_high, high) / 2**-8 + middle + operation(x_low, low) / 2**8 + bias / 2**8


def _sum_unit(bits: int) -> int:
    """What 1 in the result of :func:`_sums` stands for."""
    return 1 if bits == 8 else 2**8


def _bytes(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Codes as 256 x high + low, with low from 0 to 255."""
    high = torch.floor(codes / 2**8)
    return high, codes - high * 2**8


def _scale(x: Tensor, bits: int, *, signed: bool) -> Tensor:
    """The real value of one code, so that the largest magnitude has the largest code."""
    steps = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    largest = x.abs().max()
    positive = torch.where(largest > 0, largest, torch.ones(()))
    return cast(Tensor, positive / steps)


def _coded_weights(
    weight: Tensor, bias: Tensor | None, in_scale: Tensor, bits: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of weights and biases, and one scale per output channel.

    A bias is a code of the sums, with the scale of weight times input. Where the weights
    of a channel are tiny beside its bias, their scale is raised so that the bias's code
    stays within 2**22 at 8 bits, a quarter of what an exact sum may reach (2**38 at 16).
    """
    assert bias is not None
    largest = weight.flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)
    scale = torch.maximum(largest, bias.abs() / in_scale / 2 ** (2 * bits + 6))
    scale = torch.where(scale > 0, scale, torch.ones(()))
    shape = (-1,) + (1,) * (weight.ndim - 1)
    return torch.round(weight / scale.view(shape)), torch.round(bias / (scale * in_scale)), scale
