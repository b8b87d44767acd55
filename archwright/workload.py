"""A workload: the layers that a network asks of a hardware.

Every layer is reduced to the numbers that a hardware model needs. Shapes are those
of one input (batch 1).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from archwright.errors import UnknownOperators, UserError

Floats = npt.NDArray[np.float64]


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
KIND_CODES = {kind: float(code) for code, kind in enumerate(LayerKind)}
LARGEST_SIZE = 2**31 - 1

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
            if size is not None and not 1 <= size <= LARGEST_SIZE:
                allowed = f"at most {LARGEST_SIZE}" if size > 1 else "at least 1"
                raise UserError(f"layer {self.name}: {field} = {size}: must be {allowed}")
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


class LayerTable(NamedTuple):
    """The layers of a workload as columns of numbers, each of shape (layers,).

    ``kind`` is one of ``KIND_CODES``. A layer of matrix work is ``groups`` products of
    ``batch`` x out_height x out_width pixels with ``filters`` filters over a window of
    ``channels`` channels. Depthwise layers have a group for each channel; matmuls, which
    share nothing, one for each product of each input, and a batch of 1. The vector unit's
    layers have 0 groups. ``follows`` is 1 where a layer reads as many elements as the one
    before it puts out.
    """

    kind: Floats
    batch: Floats
    out_height: Floats
    out_width: Floats
    window_height: Floats
    window_width: Floats
    stride_height: Floats
    stride_width: Floats
    channels: Floats
    filters: Floats
    groups: Floats
    tensor: Floats  # elements of one input tensor, of the whole batch
    outputs: Floats  # elements of the output tensor, of the whole batch
    operands: Floats
    biases: Floats  # one for each output channel, or 0
    follows: Floats
    bits: Floats  # of activations
    weight_bits: Floats  # of weights, and of a matmul's second operand


def _layer_table(layers: tuple[Layer, ...], batch: int, bits: int, weight_bits: int) -> LayerTable:
    sizes = np.array([_sizes_of(layer) for layer in layers], dtype=np.float64).T
    in_channels, out_channels, in_height, in_width, out_height, out_width = sizes[:6]
    kernel, kernel_width, stride, stride_width, groups, operands, bias = sizes[6:]
    kind = np.array([KIND_CODES[layer.kind] for layer in layers])
    matmul = kind == KIND_CODES[LayerKind.MATMUL]
    groups = np.where(kind == KIND_CODES[LayerKind.DEPTHWISE], out_channels, groups)
    tensor = batch * in_channels * in_height * in_width
    outputs = batch * out_channels * out_height * out_width
    return LayerTable(
        kind=kind,
        batch=np.where(matmul, 1.0, batch),
        out_height=out_height,
        out_width=out_width,
        window_height=kernel,
        window_width=np.where(np.isnan(kernel_width), kernel, kernel_width),
        stride_height=stride,
        stride_width=np.where(np.isnan(stride_width), stride, stride_width),
        channels=in_channels / groups,
        filters=out_channels / groups,
        groups=np.where(kind < len(MATRIX_KINDS), groups * np.where(matmul, batch, 1.0), 0.0),
        tensor=tensor,
        outputs=outputs,
        operands=operands,
        biases=out_channels * bias,
        follows=np.append(0.0, tensor[1:] == outputs[:-1]),
        bits=np.full(len(layers), float(bits)),
        weight_bits=np.where(matmul, float(bits), float(weight_bits)),
    )


_sizes_of = attrgetter(
    *("in_channels", "out_channels", "in_height", "in_width", "out_height", "out_width"),
    *("kernel", "kernel_width", "stride", "stride_width", "groups", "operands", "bias"),
)


@dataclass(frozen=True)
class Workload:
    """The layers of one network, in order, and the bits of its weights and activations.

    ``bits`` are those of activations and, unless ``weight_bits`` says fewer, of weights.
    ``batch`` inputs go through together: they share each layer's weights while these are
    on the chip. Costs of a workload are those of the whole batch.
    """

    name: str
    layers: tuple[Layer, ...]
    bits: int = 8
    batch: int = 1
    weight_bits: int | None = None

    def __post_init__(self) -> None:
        if not self.layers:
            raise UserError(f"workload {self.name}: it has no layers")
        for field in ("bits", "batch"):
            if getattr(self, field) < 1:
                raise UserError(
                    f"workload {self.name}: {field} = {getattr(self, field)}: must be at least 1"
                )
        if self.weight_bits is not None and not 1 <= self.weight_bits <= self.bits:
            raise UserError(
                f"workload {self.name}: weight_bits = {self.weight_bits}: allowed 1 to {self.bits}"
            )
        _ = self.table  # made when the network is built, so that costing it is quick

    @cached_property
    def table(self) -> Floats:
        """The layers as numbers, for work on many at once: rows as in :class:`LayerTable`."""
        table = np.array(_layer_table(self.layers, self.batch, self.bits, self.bits_of_weights))
        table.setflags(write=False)
        return table

    @property
    def bits_of_weights(self) -> int:
        """``weight_bits`` or, where these are not given, ``bits``."""
        return self.bits if self.weight_bits is None else self.weight_bits

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
        """Weights plus the largest layer's activations, each at their bits."""
        activations = max(layer.input_elements + layer.output_elements for layer in self.layers)
        bits = self.batch * activations * self.bits
        for layer in self.layers:
            own = layer.kind is LayerKind.MATMUL
            bits += layer.parameters * (self.bits if own else self.bits_of_weights)
        return bits / 8 / 1024

    @classmethod
    def from_onnx(cls, path: Path | str, bits: int = 8) -> Workload:
        """The layers of an ONNX file, computed with operands of ``bits`` bits.

        :mod:`archwright.onnx_network.reading` says what becomes of each operator, and gives what
        is left out as data (``read_onnx_network``). Warns once with
        :class:`UnknownOperators`, listing operators that became no layer with their
        share of the FLOPs. Raises :class:`UserError`, one line, for a file that is no
        sound ONNX network with fixed sizes.
        """
        from archwright.onnx_network.reading import read_onnx_network

        network = read_onnx_network(Path(path), bits)
        if network.warning:
            warnings.warn(UnknownOperators(network.warning), stacklevel=2)
        return network.workload
