"""Shapes of an ONNX model, also those that the model computes for itself as it runs.

Exporters write code that reads a tensor's shape, calculates with it and reshapes by the
result. Where the inputs' sizes are fixed all of that is constant: it is evaluated with
onnx's own reference operators, a few small whole numbers at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import onnx

Values = dict[str, npt.NDArray[Any]]

LARGEST = 1024
"""Elements of a value that is calculated with."""

_ARITHMETIC = (
    "Add And Cast Ceil Concat ConstantOfShape Div Equal Floor Gather Greater Identity Less Max "
    "Min Mod Mul Neg Not Or ReduceProd Reshape Slice Sqrt Squeeze Sub Unsqueeze Where"
)


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with its shapes inferred, and what they decide replaced by constants."""
    from onnx import numpy_helper

    model = _inferred(model)
    while not _complete(model):
        values = _values(model)
        found = {name for node in model.graph.node for name in node.output if name in values}
        if not found:
            break
        nodes = [n for n in model.graph.node if not found.issuperset(n.output)]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        model.graph.initializer.extend(
            numpy_helper.from_array(np.array(values[name], order="C"), name)
            for name in sorted(found)
        )
        model = _inferred(model)
    return model


def static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor for which the model gives one without symbols."""
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes |= {sparse.values.name: tuple(sparse.dims) for sparse in graph.sparse_initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        sizes = tensor.shape.dim
        if tensor.HasField("shape") and all(size.HasField("dim_value") for size in sizes):
            shapes[value.name] = tuple(size.dim_value for size in sizes)
    return shapes


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    from onnx import shape_inference

    return shape_inference.infer_shapes(model, strict_mode=False, data_prop=True)


def _complete(model: onnx.ModelProto) -> bool:
    """Whether every tensor's shape is known."""
    outputs = {name for node in model.graph.node for name in node.output if name}
    return outputs <= static_shapes(model).keys()


def _values(model: onnx.ModelProto) -> Values:
    """The small tensors whose values are known before the model runs."""
    from onnx import numpy_helper

    shapes = static_shapes(model)
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or len(node.output) != 1:
            continue
        name = node.output[0]
        if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
            values[name] = np.array(shapes[node.input[0]], np.int64)
        elif node.op_type == "Constant":
            values |= _constant(node)
        elif node.op_type in _ARITHMETIC.split() and all(
            x == "" or x in values for x in node.input
        ):
            value = _evaluated(node, values, versions)
            if value is not None and value.size <= LARGEST:
                values[name] = value
    return values


def _constant(node: onnx.NodeProto) -> Values:
    from onnx import helper, numpy_helper

    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        array = numpy_helper.to_array(value)
    elif attribute.name in ("value_int", "value_ints", "value_float", "value_floats"):
        array = np.array(value, np.float32 if "float" in attribute.name else np.int64)
    else:
        return {}
    return {str(node.output[0]): array} if array.size <= LARGEST else {}


def _evaluated(
    node: onnx.NodeProto, values: Values, versions: dict[str, int]
) -> npt.NDArray[Any] | None:
    """The node's output; None where it is large or cannot be calculated."""
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    given: dict[str, Any] = {name: values[name] for name in node.input if name}
    if node.op_type == "ConstantOfShape" and np.prod(given[node.input[0]].astype(float)) > LARGEST:
        return None
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), None)
        for name, value in given.items()
    ]
    output = helper.make_empty_tensor_value_info(node.output[0])
    graph = helper.make_graph([node], "value", inputs, [output])
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    try:
        single = helper.make_model(graph, opset_imports=opsets)
        results: Any = ReferenceEvaluator(single).run(None, given)
        return np.asarray(results[0])
    except Exception:  # noqa: BLE001 - an operator's failure of any kind: no value is known
        return None
