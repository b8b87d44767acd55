"""A workload: the layers that a network asks of a hardware.

Every layer is reduced to the numbers that a hardware model needs. Shapes are those
of one input (batch 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from archwright.errors import UserError


class LayerKind(StrEnum):
    """What a layer computes. Convolutions, depthwise and linear run on the array."""

    CONVOLUTION = "convolution"
    DEPTHWISE = "depthwise"
    LINEAR = "linear"
    POOLING = "pooling"
    ELEMENTWISE = "elementwise"


@dataclass(frozen=True)
class Layer:
    """One layer. Linear layers have 1x1 images and kernels.

    ``kernel`` is the side of the square window (pooling: of the pooled window);
    depthwise layers have as many output as input channels, one filter for each.
    Elementwise layers (residual additions) read two inputs of the output's shape.
    ``bias`` counts one parameter per output channel.
    """

    name: str
    kind: LayerKind
    in_channels: int
    out_channels: int
    in_height: int
    in_width: int
    out_height: int
    out_width: int
    kernel: int = 1
    stride: int = 1
    bias: bool = False

    def __post_init__(self) -> None:
        for field in (
            "in_channels",
            "out_channels",
            "in_height",
            "in_width",
            "out_height",
            "out_width",
            "kernel",
            "stride",
        ):
            if getattr(self, field) < 1:
                raise UserError(
                    f"layer {self.name}: {field} = {getattr(self, field)}: must be at least 1"
                )
        if self.kind is LayerKind.DEPTHWISE and self.in_channels != self.out_channels:
            raise UserError(
                f"layer {self.name}: out_channels = {self.out_channels}: a depthwise layer "
                f"has as many as in_channels ({self.in_channels})"
            )

    @property
    def on_array(self) -> bool:
        """Whether the layer is matrix work (else it runs on the vector unit)."""
        return self.kind in (LayerKind.CONVOLUTION, LayerKind.DEPTHWISE, LayerKind.LINEAR)

    @property
    def input_elements(self) -> int:
        """Elements read from earlier layers."""
        elements = self.in_channels * self.in_height * self.in_width
        return 2 * elements if self.kind is LayerKind.ELEMENTWISE else elements

    @property
    def output_elements(self) -> int:
        """Elements written for later layers."""
        return self.out_channels * self.out_height * self.out_width

    @property
    def weight_elements(self) -> int:
        """Filter weights, without biases."""
        if not self.on_array:
            return 0
        per_output = 1 if self.kind is LayerKind.DEPTHWISE else self.in_channels
        return self.out_channels * per_output * self.kernel**2

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weight_elements + (self.out_channels if self.bias else 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates on the array; 0 for the vector unit's layers."""
        return self.weight_elements * self.out_height * self.out_width

    @property
    def gemm(self) -> tuple[int, int, int, int]:
        """(m, n, k, repeats): output pixels, filters, window, and how many such products.

        A depthwise layer is one product with a single filter per channel.
        """
        pixels = self.out_height * self.out_width
        if self.kind is LayerKind.DEPTHWISE:
            return pixels, 1, self.kernel**2, self.out_channels
        return pixels, self.out_channels, self.in_channels * self.kernel**2, 1


@dataclass(frozen=True)
class Workload:
    """The layers of one network, in order, and the bits of its weights and activations."""

    name: str
    layers: tuple[Layer, ...]
    bits: int = 8

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError(f"workload {self.name}: it has no layers")

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for one input."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def parameters(self) -> int:
        """Weights and biases (batch norm folded)."""
        return sum(layer.parameters for layer in self.layers)

    @cached_property
    def memory_kib(self) -> float:
        """Weights plus the largest layer's activations, at the workload's bits."""
        activations = max(layer.input_elements + layer.output_elements for layer in self.layers)
        return (self.parameters + activations) * self.bits / 8 / 1024
