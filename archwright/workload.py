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
    """What a layer computes. The first four are matrix work, which runs on the array."""

    CONVOLUTION = "convolution"
    DEPTHWISE = "depthwise"
    LINEAR = "linear"
    MATMUL = "matmul"
    POOLING = "pooling"
    ELEMENTWISE = "elementwise"
    NORMALISATION = "normalisation"


MATRIX_KINDS = (LayerKind.CONVOLUTION, LayerKind.DEPTHWISE, LayerKind.LINEAR, LayerKind.MATMUL)

_SIZES = (
    *("in_channels", "out_channels", "in_height", "in_width", "out_height", "out_width"),
    *("kernel", "stride", "dilation", "groups", "operands"),
)
_WIDTHS = ("kernel_width", "stride_width", "dilation_width")


@dataclass(frozen=True)
class Layer:
    """One layer, for one input.

    ``kernel``, ``stride`` and ``dilation`` hold for both directions, or for the height
    alone where the field with ``_width`` says otherwise (pooling: of the pooled window).

    - Convolutions: each of ``groups`` maps its share of the channels. Depthwise layers
      have one filter per channel and as many output as input channels.
    - Linear layers have 1x1 images and kernels; applied to t tokens, t x 1 images.
    - Matmuls multiply two activations, as attention does: ``groups`` products of
      (out_height x in_channels / groups) and (in_channels / groups x out_channels /
      groups). They have no weights.
    - Elementwise layers read ``operands`` tensors of the output's shape (2: a residual
      addition; 1: an activation of its own). Normalisations (softmax and layer norm,
      too) read one.

    ``bias`` counts one parameter per output channel. Raises :class:`UserError` naming the
    layer and the field for sizes below 1 and channels that do not fit the kind.
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
    kernel_width: int | None = None
    stride_width: int | None = None
    dilation: int = 1
    dilation_width: int | None = None
    groups: int = 1
    operands: int = 2

    def __post_init__(self) -> None:
        for field in (*_SIZES, *_WIDTHS):
            size = getattr(self, field)
            if size is not None and size < 1:
                raise UserError(f"layer {self.name}: {field} = {size}: must be at least 1")
        if self.kind is LayerKind.DEPTHWISE and self.in_channels != self.out_channels:
            raise UserError(
                f"layer {self.name}: out_channels = {self.out_channels}: a depthwise layer "
                f"has as many as in_channels ({self.in_channels})"
            )
        for field in ("in_channels", "out_channels"):
            if getattr(self, field) % self.groups:
                raise UserError(
                    f"layer {self.name}: {field} = {getattr(self, field)}: must be a multiple "
                    f"of groups ({self.groups})"
                )

    @property
    def on_array(self) -> bool:
        """Whether the layer is matrix work (else it runs on the vector unit)."""
        return self.kind in MATRIX_KINDS

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.kernel, self.kernel_width or self.kernel

    @property
    def strides(self) -> tuple[int, int]:
        """Stride along height and width."""
        return self.stride, self.stride_width or self.stride

    @property
    def dilations(self) -> tuple[int, int]:
        """Dilation along height and width."""
        return self.dilation, self.dilation_width or self.dilation

    @property
    def input_elements(self) -> int:
        """Elements read from earlier layers (a matmul's second operand, too)."""
        elements = self.in_channels * self.in_height * self.in_width
        if self.kind is LayerKind.ELEMENTWISE:
            return self.operands * elements
        if self.kind is LayerKind.MATMUL:
            return elements + self._filter_elements
        return elements

    @property
    def output_elements(self) -> int:
        """Elements written for later layers."""
        return self.out_channels * self.out_height * self.out_width

    @property
    def _filter_elements(self) -> int:
        """Elements of the operand that every output pixel meets: weights, or a matmul's second."""
        _, filters, window, products = self.gemm
        return filters * window * products

    @property
    def weight_elements(self) -> int:
        """Filter weights, without biases."""
        has_weights = self.on_array and self.kind is not LayerKind.MATMUL
        return self._filter_elements if has_weights else 0

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.weight_elements + (self.out_channels if self.bias else 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates on the array; 0 for the vector unit's layers."""
        if not self.on_array:
            return 0
        pixels, filters, window, products = self.gemm
        return pixels * filters * window * products

    @property
    def gemm(self) -> tuple[int, int, int, int]:
        """(m, n, k, repeats): output pixels, filters, window, and how many such products.

        A depthwise layer is one product with a single filter per channel, a grouped one
        a product per group. Matrix work only.
        """
        products = self.out_channels if self.kind is LayerKind.DEPTHWISE else self.groups
        height, width = self.window
        return (
            self.out_height * self.out_width,
            self.out_channels // products,
            self.in_channels // products * height * width,
            products,
        )


@dataclass(frozen=True)
class Workload:
    """The layers of one network, in order, and the bits of its weights and activations.

    ``batch`` inputs go through together: they share each layer's weights while these are
    on the chip. Costs of a workload are those of the whole batch.
    """

    name: str
    layers: tuple[Layer, ...]
    bits: int = 8
    batch: int = 1

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError(f"workload {self.name}: it has no layers")
        for field in ("bits", "batch"):
            if getattr(self, field) < 1:
                raise UserError(
                    f"workload {self.name}: {field} = {getattr(self, field)}: must be at least 1"
                )

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates for the batch."""
        return self.batch * sum(layer.macs for layer in self.layers)

    @cached_property
    def parameters(self) -> int:
        """Weights and biases (batch norm folded)."""
        return sum(layer.parameters for layer in self.layers)

    @cached_property
    def memory_kib(self) -> float:
        """Weights plus the largest layer's activations, at the workload's bits."""
        activations = max(layer.input_elements + layer.output_elements for layer in self.layers)
        return (self.parameters + self.batch * activations) * self.bits / 8 / 1024
