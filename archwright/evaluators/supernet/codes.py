"""Layers over whole numbers (codes): weights, activations, sums.

Weights are symmetric with one scale per output channel; activations have one scale per
tensor; ReLU outputs are unsigned. Sums are taken over codes and then divided, rounded and
clamped to the next tensor's codes, as integer hardware does it (Jacob et al., arXiv
1712.05877). Every sum is taken over 8-bit halves (16-bit codes are two bytes) and is a
whole number. Below 2**24 it is exact in float32: in any order of addition, in any runtime
and memory layout, the same. With the largest possible codes that holds up to 258 weights a
sum; with those of real networks well beyond a thousand.

All of it is plain operations on float tensors, which ONNX carries. Scales are applied
by division: onnxruntime would merge a multiplication into the convolution's weights,
which would no longer be whole numbers.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.modules import SqueezeExcite
from archwright.evaluators.supernet.plan import Activation


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
        return self.coded_in_place(x / self.divisor)

    def of_sums(self, sums: Tensor) -> Tensor:
        """The same, in the memory of ``sums``."""
        return self.coded_in_place(sums.div_(self.divisor))

    def coded_in_place(self, x: Tensor) -> Tensor:
        """Whole numbers within bounds."""
        return x.round_().clamp_(self.low, self.high)


class CodedConvolution(nn.Module):
    """A convolution over codes. The clamp at 0 is also its ReLU, where it has one.

    Other activations are computed on real values in between, in single operations that
    every runtime rounds alike; swish's exponential may differ in the last bit.
    """

    real_divisor: Tensor

    def __init__(
        self,
        original: nn.Conv2d,
        activation: Activation | None,
        in_scale: Tensor,
        out_scale: Tensor,
        bits: int,
    ) -> None:
        super().__init__()
        weight, bias, scale = coded_weights(original.weight, original.bias, in_scale, bits)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = original.stride[0]
        self.groups = original.groups
        self.bits = bits
        self.activation = activation
        real = (1 / (scale * in_scale)).view(1, -1, 1, 1) / sum_unit(bits)
        linear = activation in (None, "relu")
        if not linear:
            self.register_buffer("real_divisor", real)
        divisor = real * out_scale if linear else out_scale
        self.coded = Coded(divisor, activation_bits(bits), signed=activation != "relu")

    def forward(self, x: Tensor) -> Tensor:
        """Codes to codes."""
        sums = sums_of(self._convolve, x, self.weight, self.bias, self.bits)
        if self.activation == "hswish":
            real = sums / self.real_divisor
            sums = real * torch.clamp(real + 3, 0, 6) / 6
        elif self.activation == "swish":
            sums = functional.silu(sums / self.real_divisor)
        return self.coded.of_sums(sums)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = weight.shape[-1] // 2
        return functional.conv2d(x, weight, bias, self.stride, padding, groups=self.groups)


class CodedSqueeze(nn.Module):
    """Squeeze-excite over codes; what it scales keeps its scale."""

    gate_divisor: Tensor

    def __init__(self, original: SqueezeExcite, x: Tensor, scale: Tensor, bits: int) -> None:
        super().__init__()
        pooled = x.mean((2, 3), keepdim=True)
        pooled_scale = scale_of(pooled, bits, signed=True)
        pixels = x.shape[2] * x.shape[3]
        self.pooled = Coded(pooled_scale / scale * pixels, activation_bits(bits), signed=True)
        hidden = functional.relu(original.reduce(pooled))
        hidden_scale = scale_of(hidden, bits, signed=False)
        self.reduce = CodedConvolution(original.reduce, "relu", pooled_scale, hidden_scale, bits)
        gate = original.expand(hidden)
        gate_scale = scale_of(gate, bits, signed=True)
        self.expand = CodedConvolution(original.expand, None, hidden_scale, gate_scale, bits)
        self.register_buffer("gate_divisor", 1 / gate_scale)
        signed = bool((x < 0).any())
        self.scaled = Coded(torch.ones(()), activation_bits(bits), signed=signed)

    def forward(self, x: Tensor) -> Tensor:
        """Codes to codes."""
        hidden = self.reduce(self.pooled(x.sum((2, 3), keepdim=True)))
        gate = torch.clamp(self.expand(hidden) / self.gate_divisor + 3, 0, 6) / 6
        return cast(Tensor, self.scaled(x * gate))


class CodedBlock(nn.Module):
    """A block over codes; both inputs of its addition are brought to the sum's scale."""

    in_divisor: Tensor
    branch_divisor: Tensor

    def __init__(self, units: list[nn.Module]) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.shortcut: nn.Module | None = None
        self.sum: Coded | None = None

    def add(
        self,
        shortcut: nn.Module,
        in_scale: Tensor,
        branch_scale: Tensor,
        out_scale: Tensor,
        bits: int,
    ) -> None:
        """Make the block residual."""
        self.shortcut = shortcut
        self.register_buffer("in_divisor", out_scale / in_scale)
        self.register_buffer("branch_divisor", out_scale / branch_scale)
        self.sum = Coded(torch.ones(()), activation_bits(bits), signed=True)

    def forward(self, x: Tensor) -> Tensor:
        """Codes to codes."""
        y = x
        for unit in self.units:
            y = unit(y)
        if self.sum is None or self.shortcut is None:
            return y
        return cast(Tensor, self.sum(self.shortcut(x) / self.in_divisor + y / self.branch_divisor))


class CodedPooling(nn.Module):
    """Average pooling of 2 x 2 over codes."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.coded = Coded(torch.ones(()), activation_bits(bits), signed=True)

    def forward(self, x: Tensor) -> Tensor:
        """Codes to codes of the same scale."""
        pooled = functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        return cast(Tensor, self.coded(pooled))


def activation_bits(bits: int) -> int:
    """Bits of activations in a network whose weights have ``bits``: at least 8."""
    return max(bits, 8)


class Summed(Protocol):
    """A convolution or a product with a matrix."""

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None, /) -> Tensor:
        """Sums over ``x`` times ``weight``, plus the bias where there is one."""
        ...


def sums_of(operation: Summed, x: Tensor, weight: Tensor, bias: Tensor, bits: int) -> Tensor:
    """What ``operation`` sums up over codes, plus the bias, in units of :func:`sum_unit`.

    Exact at 8 bits. At 16 bits the four products of bytes are exact, and what is left
    are additions element by element, which every runtime does alike.
    """
    if bits <= 8:
        return operation(x, weight, bias)
    (x_high, x_low), (high, low) = _bytes(x), _bytes(weight)
    middle = operation(x_high, low, None).add_(operation(x_low, high, None))
    # Divided, not multiplied: onnxruntime would let a convolution start at the other sums.
    total = operation(x_high, high, None).div_(2**-8).add_(middle)
    total.add_(operation(x_low, low, None).div_(2**8))
    return total.add_((bias / 2**8).view(-1, *(1,) * (total.ndim - 2)))


def sum_unit(bits: int) -> int:
    """What 1 in the result of :func:`_sums` stands for."""
    return 1 if bits <= 8 else 2**8


def _bytes(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Codes as 256 x high + low, with low from 0 to 255."""
    high = (codes / 2**8).floor_()
    return high, torch.sub(codes, high, alpha=2**8)


def scale_of(x: Tensor, bits: int, *, signed: bool) -> Tensor:
    """The real value of one code, so that the largest magnitude has the largest code."""
    levels = activation_bits(bits)
    steps = 2 ** (levels - 1) - 1 if signed else 2**levels - 1
    low, high = torch.aminmax(x)
    largest = torch.maximum(high, -low)
    positive = torch.where(largest > 0, largest, torch.ones(()))
    return cast(Tensor, positive / steps)


def coded_weights(
    weight: Tensor, bias: Tensor | None, in_scale: Tensor, bits: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes of weights and biases, and one scale per output channel.

    A bias is a code of the sums, with the scale of weight times input. Where the weights
    of a channel are tiny beside its bias, their scale is raised so that the bias's code
    stays within 2**22 at 8 bits, a quarter of what an exact sum may reach (2**38 at 16).
    """
    if bias is None:
        bias = torch.zeros(len(weight))
    largest = weight.flatten(1).abs().amax(1) / (2 ** (bits - 1) - 1)
    scale = torch.maximum(largest, bias.abs() / in_scale / 2 ** (2 * activation_bits(bits) + 6))
    scale = torch.where(scale > 0, scale, torch.ones(()))
    shape = (-1,) + (1,) * (weight.ndim - 1)
    return torch.round(weight / scale.view(shape)), torch.round(bias / (scale * in_scale)), scale
