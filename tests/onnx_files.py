"""Small ONNX files, written by hand for the tests that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
Sizes = list[Any]


def weights(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(np.ones(shape, np.float32), name)


def whole(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node named after its first output; tensors are separated by blanks."""
    names = outputs.split()
    return helper.make_node(operator, inputs.split(), names, name=names[0], **attributes)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Sizes],
    constants: list[TensorProto] | None = None,
    outputs: str = "y",
    opset: int = 18,
    **more: Any,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, FLOAT, sizes) for name, sizes in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs.split()],
        constants or [],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    model = helper.make_model(graph, opset_imports=opsets, **more)
    model.ir_version = 9
    onnx.save(model, path)
    return path


STEM = node("Conv", "x w", "c")
IMAGES = {"x": [1, 3, 8, 8]}
FILTERS = weights("w", 4, 3, 3, 3)
