"""Any ONNX network as a workload.

What becomes of the operators:

- Matrix work (Conv, ConvTranspose, Gemm, MatMul and their quantised forms, Einsum,
  Attention), pooling and reductions, normalisations and element-by-element operators
  become layers. A product with a factor that follows from initialisers alone is a
  linear layer, one of two activations a matmul.
- What a chip does on the way out costs nothing of its own and is folded into the layer
  before it: an element-by-element operator or a batch normalisation of one activation
  (ReLU, a division by a constant ...), directly behind a layer whose result nothing else
  reads. Where it adds a constant per channel the layer gets a bias.
- Operators that move, rename or recode data cost nothing, nor do calculations with
  constants. Embedding tables, and the scales and shifts of normalisations, are not counted.
- All others (recurrent ones, 3-D convolutions, control flow, other makers' operators)
  are unknown: they are counted and reported, see :class:`UnknownOperator`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.errors import DataError, UserError, printable
from archwright.onnx_network.codes import Codes, read_codes
from archwright.onnx_network.graph import Graph, read_graph
from archwright.onnx_network.operators import DOMAINS, ELEMENTWISE, FREE, NotShared, layers_of
from archwright.workload import Layer, LayerKind, Workload

if TYPE_CHECKING:
    import onnx

MOST_LAYERS = 20_000
LONGEST_NAME = 120
MOST_WORK = 2**50
"""Multiply-accumulates, or elements of a tensor, of one layer."""

_RECURRENT = ("GRU", "LSTM", "RNN")


@dataclass(frozen=True)
class UnknownOperator:
    """Operators of one kind that became no layer.

    ``flops`` estimates all of them: of 3-D convolutions and recurrent operators two for
    every use of a weight, of all others one per element of the output, and none where
    the size of that is not known.
    """

    operator: str
    count: int
    flops: int


@dataclass(frozen=True)
class OnnxNetwork:
    """The layers of an ONNX file, and the operators that are in none of them."""

    workload: Workload
    unknown: tuple[UnknownOperator, ...]

    @property
    def unknown_share(self) -> float:
        """Share of the unknown operators in all FLOPs, 0 to 1, by estimate.

        A layer on the array has two for each multiply-accumulate, any other one for each
        element of its output and window.
        """
        unknown = sum(operator.flops for operator in self.unknown)
        return unknown / max(1, unknown + self.workload.batch * _flops(self.workload.layers))

    @property
    def warning(self) -> str | None:
        """One line that lists the unknown operators; None where there are none."""
        if not self.unknown:
            return None
        total = sum(operator.flops for operator in self.unknown)
        shares = [
            f"{entry.flops / total * self.unknown_share:.1%}" if entry.flops else "size not known"
            for entry in self.unknown
        ]
        listed = ", ".join(
            f"{entry.count} x {entry.operator} ({share})"
            for entry, share in zip(self.unknown, shares, strict=True)
        )
        return (
            f"{self.workload.name}: unknown operators are left out, with an estimated "
            f"{self.unknown_share:.1%} of the FLOPs: {listed}"
        )


def read_onnx_network(path: Path, bits: int = 8) -> OnnxNetwork:
    """The layers of an ONNX file at ``bits`` bits, and what could not be read.

    A first dimension above 1 that all inputs and layers share becomes the workload's
    batch. Raises :class:`UserError` (one line naming the file and the input, layer or
    tensor) for missing, damaged and too large files, dynamic or zero sizes, tensors
    whose shape is not known, and networks without matrix work.
    """
    try:
        graph = read_graph(path)
        walk, batch = _walked(graph, read_codes(graph))
        layers = tuple(walk.layers)
        if not any(layer.on_array for layer in layers):
            names = ", ".join(walk.unknown)
            raise DataError(
                f"{path}: none of its layers does matrix work (convolution, linear, matmul)"
                + (f"; unknown operators: {names}" if names else "")
            )
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - fields of a damaged file can hold anything
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not a valid ONNX model: {reason}") from None
    workload = Workload(printable(path.stem)[:LONGEST_NAME], layers, bits, batch)
    counts = sorted(walk.unknown.items(), key=lambda item: (-walk.flops[item[0]], item[0]))
    unknown = tuple(UnknownOperator(name, count, walk.flops[name]) for name, count in counts)
    return OnnxNetwork(workload, unknown)


@dataclass
class _Walk:
    """What was read so far. ``owner``: the layer (its index) whose result a tensor is."""

    graph: Graph
    codes: Codes
    batch: int
    layers: list[Layer] = field(default_factory=list)
    owner: dict[str, int] = field(default_factory=dict)
    partial: set[str] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    flops: Counter[str] = field(default_factory=Counter)

    def node(self, node: onnx.NodeProto) -> None:
        """Add what ``node`` asks for."""
        own = self._own_layer(node)
        if node.domain not in DOMAINS:
            self._layer(node)
        elif node.output[0] in self.codes.parts:
            self._part(node)
        elif node.op_type in FREE or node.output[0] in self.codes.free:
            if own is not None:
                self.owner.update(dict.fromkeys(node.output, own))
        elif own is not None and self._is_on_the_way_out(node):
            self._fold(node, own)
        else:
            self._layer(node)

    def _is_on_the_way_out(self, node: onnx.NodeProto) -> bool:
        """Whether a node gives one element for each that its layer has."""
        elements = {
            prod(self.graph.shapes.get(x, (0,)))
            for x in (*self.graph.activations(node), node.output[0])
        }
        return node.op_type in (*ELEMENTWISE, "BatchNormalization") and len(elements) == 1

    def _own_layer(self, node: onnx.NodeProto) -> int | None:
        """The layer that a node may be folded into: its only activation's, read by it alone.

        Several activations may be partial sums of one layer.
        """
        activations = self.graph.activations(node)
        owners = {self.owner.get(x) for x in activations}
        alone = all(self.graph.uses[x] == 1 for x in activations)
        one = len(activations) == 1 or self.partial.issuperset(activations)
        return owners.pop() if alone and one and len(owners) == 1 else None

    def _part(self, node: onnx.NodeProto) -> None:
        """A further product of bytes: its sums belong to the first one's layer."""
        first = self.codes.parts[node.output[0]]
        self.owner[node.output[0]] = self.owner[first]
        self.partial |= {first, node.output[0]}

    def _fold(self, node: onnx.NodeProto, own: int) -> None:
        layer, output = self.layers[own], node.output[0]
        per_channel = node.op_type == "BatchNormalization" or (
            node.op_type == "Add"
            and any(
                prod(self.graph.shapes.get(x, ())) == layer.out_channels
                for x in node.input
                if x in self.graph.constants
            )
        )
        if per_channel and layer.on_array and layer.kind is not LayerKind.MATMUL:
            self.layers[own] = replace(layer, bias=True)
        self.owner[output] = own
        if self.partial.issuperset(self.graph.activations(node)):
            self.partial.add(output)

    def _layer(self, node: onnx.NodeProto) -> None:
        name = printable(node.name or node.output[0])[:LONGEST_NAME]
        self.names[name] += 1
        unique = name if self.names[name] == 1 else f"{name}_{self.names[name]}"
        layers = layers_of(node, self.graph, self.batch, unique)
        if layers is None:
            operator = f"{node.domain}.{node.op_type}".removeprefix("ai.onnx").lstrip(".")
            operator = printable(operator)[:LONGEST_NAME]
            self.unknown[operator] += 1
            self.flops[operator] += _estimated_flops(node, self.graph)
            return
        for layer in layers:
            if max(layer.macs, layer.input_elements, layer.output_elements) > MOST_WORK:
                raise DataError(
                    f"layer {layer.name}: too large: allowed {MOST_WORK} products, elements"
                )
        if len(self.layers) + len(layers) > MOST_LAYERS:
            raise DataError(f"layer {unique}: too many layers; allowed {MOST_LAYERS}")
        self.layers += layers
        self.owner[node.output[0]] = len(self.layers) - 1


def _walked(graph: Graph, codes: Codes) -> tuple[_Walk, int]:
    """The whole graph, and the batch: 1 where not all layers share the inputs' one."""
    try:
        try:
            return _walk(graph, codes, graph.batch), graph.batch
        except NotShared:
            return _walk(graph, codes, 1), 1
    except UserError as error:
        raise DataError(f"{graph.path}: {error}") from None


def _walk(graph: Graph, codes: Codes, batch: int) -> _Walk:
    walk = _Walk(graph, codes, batch)
    for node in graph.nodes:
        if not graph.constants.issuperset(node.output):
            walk.node(node)
    return walk


def _flops(layers: tuple[Layer, ...]) -> int:
    """See :attr:`OnnxNetwork.unknown_share`."""
    return sum(
        2 * layer.macs if layer.on_array else layer.output_elements * prod(layer.window)
        for layer in layers
    )


def _estimated_flops(node: onnx.NodeProto, graph: Graph) -> int:
    """See :class:`UnknownOperator`."""
    shapes = [graph.shapes.get(name) for name in (*node.input, node.output[0])]
    pixels = {"Conv": shapes[-1], "ConvTranspose": shapes[0]}.get(node.op_type)
    if pixels and shapes[1]:
        return 2 * prod(pixels) * prod(shapes[1][1:])
    if node.op_type in _RECURRENT and shapes[0] and shapes[1] and shapes[2]:
        steps = shapes[0][0] * shapes[0][1]
        return 2 * steps * (prod(shapes[1]) + prod(shapes[2]))
    return sum(prod(graph.shapes.get(name, (0,))) for name in node.output)
