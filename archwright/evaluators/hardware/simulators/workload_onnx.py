"""A workload as an ONNX model with random weights: the work, without the network's meaning.

A workload lists layers, not which output feeds which input. Each input is the latest
tensor with as many elements (reshaped where needed), else an input of the model, so that
nothing can be computed ahead; what nothing reads is an output, so that nothing is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import MeasurementFailed
from archwright.workload import Layer, LayerKind, Workload

if TYPE_CHECKING:
    import onnx

OPSET = 17
LARGEST_PARAMETERS = 2**28
"""A file of more than 1 GiB is not written."""

Shape = tuple[int, ...]


def workload_onnx(workload: Workload, path: Path, seed: int = 0) -> None:
    """Write ``workload`` to ``path`` as ONNX: float32, its batch, one node per layer.

    The node of a layer has its name. Raises :class:`MeasurementFailed` naming the layer
    whose sizes fit no operator, and for more than ``LARGEST_PARAMETERS``.
    """
    import onnx

    if workload.parameters > LARGEST_PARAMETERS:
        raise MeasurementFailed(
            f"workload {workload.name}: {workload.parameters} parameters; "
            f"at most {LARGEST_PARAMETERS} are written as ONNX"
        )
    writer = _Writer(workload.batch, np.random.default_rng(seed))
    for layer in workload.layers:
        _WRITERS[layer.kind](writer, layer)
    model = onnx.helper.make_model(
        writer.graph(), opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=8
    )
    onnx.save_model(model, str(path))


class _Writer:
    """The graph so far: nodes, weights, and the tensors that later layers may read."""

    def __init__(self, batch: int, rng: np.random.Generator) -> None:
        self.batch = batch
        self._rng = rng
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._tensors: dict[str, Shape] = {}
        self._unread: dict[str, Shape] = {}

    def read(self, shape: Shape, avoid: tuple[str, ...] = ()) -> str:
        """The latest tensor of as many elements, with this shape; else a new input."""
        import onnx

        size = int(np.prod(shape))
        for name in reversed(self._tensors):
            if int(np.prod(self._tensors[name])) == size and name not in avoid:
                self._unread.pop(name, None)
                if self._tensors[name] == shape:
                    return name
                reshaped = f"{name}_{len(self._nodes)}"
                sizes = self.weight(np.array(shape, dtype=np.int64))
                self._nodes.append(onnx.helper.make_node("Reshape", [name, sizes], [reshaped]))
                return reshaped
        name = f"input_{len(self._inputs)}"
        self._inputs.append(_value(name, shape))
        return name

    def random(self, shape: Shape, fan_in: int) -> str:
        """Weights that keep the variance of what they are applied to (He et al., 2015)."""
        values = self._rng.standard_normal(shape, dtype=np.float32)
        return self.weight(values / np.float32(np.sqrt(fan_in)))

    def weight(self, values: Any) -> str:
        """A tensor with fixed values."""
        import onnx

        name = f"weight_{len(self._weights)}"
        self._weights.append(onnx.numpy_helper.from_array(values, name))
        return name

    def node(
        self, layer: Layer, operator: str, inputs: list[str], shape: Shape, **attributes: Any
    ) -> None:
        """The layer's node; its output has ``shape``."""
        import onnx

        output = layer.name
        while output in self._tensors:
            output = f"{layer.name}_{len(self._nodes)}"
        node = onnx.helper.make_node(operator, inputs, [output], layer.name, **attributes)
        self._nodes.append(node)
        self._tensors[output] = self._unread[output] = shape

    def graph(self) -> onnx.GraphProto:
        """What was written, as a graph."""
        import onnx

        outputs = [_value(name, shape) for name, shape in self._unread.items()]
        return onnx.helper.make_graph(self._nodes, "workload", self._inputs, outputs, self._weights)


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    import onnx

    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _images(writer: _Writer, layer: Layer) -> tuple[Shape, Shape]:
    """Shapes of a layer's input and output: batch, channels, height, width."""
    return (
        (writer.batch, layer.in_channels, layer.in_height, layer.in_width),
        (writer.batch, layer.out_channels, layer.out_height, layer.out_width),
    )


def _convolution(writer: _Writer, layer: Layer) -> None:
    source, target = _images(writer, layer)
    groups = layer.out_channels if layer.kind is LayerKind.DEPTHWISE else layer.groups
    channels = layer.in_channels // groups
    height, width = layer.window
    fan_in = channels * height * width
    inputs = [
        writer.read(source),
        writer.random((layer.out_channels, channels, height, width), fan_in),
    ]
    if layer.bias:
        inputs.append(writer.random((layer.out_channels,), fan_in))
    writer.node(
        layer,
        "Conv",
        inputs,
        target,
        group=groups,
        kernel_shape=layer.window,
        strides=layer.strides,
        dilations=layer.dilations,
        pads=_pads(layer),
    )


def _linear(writer: _Writer, layer: Layer) -> None:
    if layer.groups > 1:
        _convolution(writer, layer)
        return
    source, target = _images(writer, layer)
    pixels = writer.batch * layer.out_height * layer.out_width
    inputs = [
        writer.read((pixels, layer.in_channels)),
        writer.random((layer.in_channels, layer.out_channels), layer.in_channels),
    ]
    if layer.bias:
        inputs.append(writer.random((layer.out_channels,), layer.in_channels))
    if source[2:] != target[2:]:
        raise MeasurementFailed(f"layer {layer.name}: a linear layer keeps its image's size")
    writer.node(layer, "Gemm", inputs, (pixels, layer.out_channels))


def _matmul(writer: _Writer, layer: Layer) -> None:
    pixels, filters, window, products = layer.gemm
    first = writer.read((writer.batch, products, pixels, window))
    second = writer.read((writer.batch, products, window, filters), avoid=(first,))
    writer.node(layer, "MatMul", [first, second], (writer.batch, products, pixels, filters))


def _pooling(writer: _Writer, layer: Layer) -> None:
    source, target = _images(writer, layer)
    inputs = [writer.read(source)]
    if layer.window == source[2:]:
        writer.node(layer, "GlobalAveragePool", inputs, target)
        return
    writer.node(
        layer,
        "AveragePool",
        inputs,
        target,
        kernel_shape=layer.window,
        strides=layer.strides,
        pads=_pads(layer),
        count_include_pad=1,
    )


def _elementwise(writer: _Writer, layer: Layer) -> None:
    _, target = _images(writer, layer)
    inputs: list[str] = []
    for _ in range(layer.operands):
        inputs.append(writer.read(target, avoid=tuple(inputs)))
    writer.node(layer, "Relu" if layer.operands == 1 else "Sum", inputs, target)


def _normalisation(writer: _Writer, layer: Layer) -> None:
    pixels = writer.batch * layer.out_height * layer.out_width
    shape = (pixels, layer.out_channels)
    writer.node(layer, "Softmax", [writer.read(shape)], shape, axis=-1)


def _pads(layer: Layer) -> list[int]:
    """Padding that gives the output its size: top, left, bottom, right."""
    before, after = [], []
    sizes = zip(
        ("height", "width"),
        (layer.in_height, layer.in_width),
        (layer.out_height, layer.out_width),
        layer.window,
        layer.strides,
        layer.dilations,
        strict=True,
    )
    for side, source, target, window, stride, dilation in sizes:
        reach = dilation * (window - 1) + 1
        padding = max((target - 1) * stride + reach - source, 0)
        if (source + padding - reach) // stride + 1 != target or padding >= 2 * reach:
            raise MeasurementFailed(
                f"layer {layer.name}: no padding makes out_{side} = {target} of "
                f"in_{side} = {source} with this kernel, stride and dilation"
            )
        before.append(padding // 2)
        after.append(padding - padding // 2)
    return [*before, *after]


_WRITERS = {
    LayerKind.CONVOLUTION: _convolution,
    LayerKind.DEPTHWISE: _convolution,
    LayerKind.LINEAR: _linear,
    LayerKind.MATMUL: _matmul,
    LayerKind.POOLING: _pooling,
    LayerKind.ELEMENTWISE: _elementwise,
    LayerKind.NORMALISATION: _normalisation,
}
