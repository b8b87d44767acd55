"""A layer as a nest of loops over three tensors.

Loop names are those of the mapping files. Convolutions: B batch, G groups, K filters and C
channels of a group, OY and OX output rows and columns, FY and FX filter rows and columns.
Matrix products: B batch, H products, D rows, C inner dimension, K columns. Tensors: I inputs,
W weights (a product's second factor), O outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from archwright.workload import Layer, LayerKind

Array = npt.NDArray[Any]
Operand = Literal["I", "W", "O"]
OPERANDS: tuple[Operand, ...] = ("O", "W", "I")


@dataclass(frozen=True)
class Window:
    """One image axis: ``outputs`` loop positions, ``stride`` apart, of ``taps`` loop pixels.

    ``extent`` is the axis without its padding, which is never fetched.
    """

    outputs: str
    taps: str
    stride: int
    dilation: int
    extent: int

    def pixels(self, outputs: Array, taps: Array) -> Array:
        """Distinct pixels that ``outputs`` positions of ``taps`` taps touch (whole numbers)."""
        common = gcd(self.stride, self.dilation)
        step, spread = self.stride // common, self.dilation // common
        shared = np.maximum(0, taps - step) * np.maximum(0, outputs - spread)
        pixels: Array = np.minimum(self.extent, outputs * taps - shared)
        return pixels


@dataclass(frozen=True)
class Tensor:
    """Which loops index a tensor: directly (``dims``), or two together (``windows``)."""

    dims: tuple[str, ...]
    windows: tuple[Window, ...] = ()

    def ignores(self, dim: str) -> bool:
        """Whether the loop ``dim`` visits the same elements again and again."""
        return dim not in self.dims and all(dim not in (w.outputs, w.taps) for w in self.windows)

    def elements(self, sizes: Mapping[str, Array | float]) -> Array:
        """Elements that loops of ``sizes`` (1 where not given) touch; arrays broadcast.

        Sizes may be fractions (averages over uneven tiles); of pixels only whole ones count.
        """
        product: Array = np.asarray(1.0)
        for dim in self.dims:
            if dim in sizes:
                product = product * sizes[dim]
        for window in self.windows:
            outputs, taps = (
                np.floor(np.asarray(sizes.get(dim, 1.0)) + 1e-9)
                for dim in (window.outputs, window.taps)
            )
            product = product * window.pixels(outputs, taps)
        return product


@dataclass(frozen=True)
class Nest:
    """Loop sizes (in the order that breaks ties) and tensors of one layer.

    ``bits`` are those of inputs, weights and finished outputs, ``partial_bits`` those of sums
    that are not finished yet.
    """

    name: str
    kind: LayerKind
    sizes: dict[str, int]
    tensors: dict[Operand, Tensor]
    bits: int
    partial_bits: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the layer."""
        product = 1
        for size in self.sizes.values():
            product *= size
        return product

    def repeats(self, operand: Operand) -> frozenset[str]:
        """The loops of more than one step that use an operand's elements again."""
        tensor = self.tensors[operand]
        return frozenset(d for d, size in self.sizes.items() if size > 1 and tensor.ignores(d))


def nest_of(layer: Layer, bits: int, batch: int) -> Nest:
    """The loops of a layer that does matrix work, for ``batch`` inputs at ``bits`` bits.

    Unfinished sums have twice the bits, as in ZigZag's workloads.
    """
    convolves = layer.kind in (LayerKind.CONVOLUTION, LayerKind.DEPTHWISE)
    sizes, tensors = _convolution(layer, batch) if convolves else _product(layer, batch)
    return Nest(layer.name, layer.kind, sizes, tensors, bits, 2 * bits)


def _convolution(layer: Layer, batch: int) -> tuple[dict[str, int], dict[Operand, Tensor]]:
    groups = layer.out_channels if layer.kind is LayerKind.DEPTHWISE else layer.groups
    (rows, columns), (down, across) = layer.window, layer.strides
    dilation_down, dilation_across = layer.dilations
    sizes = {
        "B": batch,
        "K": layer.out_channels // groups,
        "G": groups,
        "OX": layer.out_width,
        "OY": layer.out_height,
        "C": layer.in_channels // groups,
        "FX": columns,
        "FY": rows,
    }
    windows = (
        Window("OY", "FY", down, dilation_down, layer.in_height),
        Window("OX", "FX", across, dilation_across, layer.in_width),
    )
    return sizes, {
        "O": Tensor(("B", "G", "K", "OY", "OX")),
        "W": Tensor(("G", "K", "C", "FY", "FX")),
        "I": Tensor(("B", "G", "C"), windows),
    }


def _product(layer: Layer, batch: int) -> tuple[dict[str, int], dict[Operand, Tensor]]:
    """Rows of all inputs share a linear layer's weights; a matmul's factors are its own."""
    rows = layer.out_height * layer.out_width
    inner, columns = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    own = layer.kind is LayerKind.MATMUL
    sizes = {"C": inner, "D": rows if own else rows * batch, "K": columns}
    sizes |= {"B": batch if own else 1, "H": layer.groups}
    return sizes, {
        "O": Tensor(("B", "H", "D", "K")),
        "W": Tensor(("B", "H", "C", "K")),
        "I": Tensor(("B", "H", "D", "C")),
    }
