"""An ONNX file as a graph to read layers from: checked, flat, with every shape known.

Only the structure is read. No external file is opened, and the values of large
initialisers are dropped before anything else, so that a file's weights need not be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.errors import DataError
from archwright.onnx_network.values import fold, static_shapes
from archwright.untrusted import read_onnx_structure

if TYPE_CHECKING:
    import onnx

Shape = tuple[int, ...]

MOST_NODES = 100_000
MOST_VALUES = 1024
"""Elements of an initialiser that is kept with its values: axes and shapes are smaller."""

_FIXED = "give it a fixed size, for instance with onnxruntime.tools.make_dynamic_shape_fixed"


@dataclass(frozen=True)
class Graph:
    """Nodes in order, and what is known of the tensors between them.

    ``constants`` are the tensors that follow from initialisers and sizes alone: weights,
    however they are wrapped. ``uses`` counts the nodes (and the graph's outputs) that read a
    tensor. ``batch`` is the first dimension, where all inputs have the same.
    """

    path: Path
    nodes: tuple[onnx.NodeProto, ...]
    shapes: Mapping[str, Shape]
    constants: frozenset[str]
    uses: Mapping[str, int]
    batch: int

    def activations(self, node: onnx.NodeProto) -> tuple[str, ...]:
        """The inputs of a node that are not constant, each once."""
        return tuple(dict.fromkeys(x for x in node.input if x and x not in self.constants))


def read_graph(path: Path) -> Graph:
    """The graph of an ONNX file.

    A symbolic first dimension called "batch...", "N", "B" or "bs" is read as 1. Raises
    :class:`DataError` or :class:`UntrustedFileError`, one line, for a file that is
    missing or too large and for inputs without fixed sizes; what onnx itself finds wrong
    comes out as it raises it, in any of its own errors.
    """
    import onnx
    import onnx.inliner

    model = read_onnx_structure(path)
    if not model.graph.node:
        raise DataError(f"{path}: holds no ONNX graph")
    if len(model.graph.node) > MOST_NODES:
        raise DataError(f"{path}: {len(model.graph.node)} nodes; allowed {MOST_NODES}")
    weights = _drop_values(model)
    batch = _fix_inputs(path, model, weights)
    known = static_shapes(model)
    outputs = _forget_shapes(model)
    onnx.checker.check_model(model)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    if len(model.graph.node) > MOST_NODES:
        raise DataError(f"{path}: {len(model.graph.node)} nodes; allowed {MOST_NODES}")
    model = fold(model)
    weights |= {tensor.name for tensor in model.graph.initializer}
    return Graph(
        path,
        tuple(model.graph.node),
        known | static_shapes(model),
        _constants(model, weights),
        _uses(model, outputs),
        batch,
    )


def _drop_values(model: onnx.ModelProto) -> set[str]:
    """Make inputs of all large or external initialisers; the names of all of them."""
    from onnx import TensorProto, helper

    graph = model.graph
    names = {tensor.name for tensor in graph.initializer}
    names |= {tensor.values.name for tensor in graph.sparse_initializer}
    inputs = {value.name for value in graph.input}
    kept = []
    for tensor in graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL and _elements(tensor) <= MOST_VALUES:
            kept.append(tensor)
        elif tensor.name not in inputs:
            graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return names


def _elements(tensor: onnx.TensorProto) -> int:
    elements = 1
    for size in tensor.dims:
        elements *= size
    return elements


def _fix_inputs(path: Path, model: onnx.ModelProto, weights: set[str]) -> int:
    """Check that all inputs have fixed sizes; a symbolic batch becomes 1. The batch."""
    first = set()
    for value in model.graph.input:
        if value.name in weights:
            continue
        if not value.type.HasField("tensor_type"):
            raise DataError(f"{path}: input {value.name}: is not a tensor")
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            raise DataError(f"{path}: input {value.name}: has no shape: {_FIXED}")
        for axis, size in enumerate(tensor.shape.dim):
            if axis == 0 and _is_batch(size.dim_param):
                size.dim_value = 1
            elif size.dim_param or not size.HasField("dim_value") or size.dim_value < 0:
                symbol = size.dim_param or "?"
                raise DataError(
                    f"{path}: input {value.name}: dimension {axis} is {symbol!r}, a dynamic "
                    f"shape: {_FIXED}"
                )
            elif size.dim_value == 0:
                raise DataError(
                    f"{path}: input {value.name}: dimension {axis} is 0: must be at least 1"
                )
        if len(tensor.shape.dim) > 1:
            first.add(tensor.shape.dim[0].dim_value)
    return first.pop() if len(first) == 1 else 1


def _is_batch(symbol: str) -> bool:
    return symbol.lower().startswith("batch") or symbol.lower() in ("n", "b", "bs")


def _forget_shapes(model: onnx.ModelProto) -> list[str]:
    """Leave all but the inputs' shapes to be found again: those in the file may be symbolic.

    The graph's outputs go, too, as they may have no shape at all; their names.
    """
    outputs = [value.name for value in model.graph.output]
    del model.graph.value_info[:]
    del model.graph.output[:]
    return outputs


def _constants(model: onnx.ModelProto, weights: set[str]) -> frozenset[str]:
    """What follows from ``weights`` and shapes; nodes come in the order of their execution."""
    constants = {*weights, ""}
    for node in model.graph.node:
        is_shape = node.op_type in ("Shape", "Size")
        if is_shape or (constants.issuperset(node.input) and not _has_graph(node)):
            constants.update(node.output)
    return frozenset(constants)


def _has_graph(node: Any) -> bool:
    return any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute)


def _uses(model: onnx.ModelProto, outputs: list[str]) -> Counter[str]:
    uses = Counter(name for node in model.graph.node for name in node.input)
    uses.update(outputs)
    return uses
