"""ONNX operators as layers: what each kind of operator asks of a hardware.

Shapes are ONNX's: (batch, channels, height, width) for images, (batch, tokens, features)
for sequences. Where the layers share a batch it is taken out of the first dimension;
what is left of that (windows of an image, say) is stacked along the height.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from archwright.errors import DataError
from archwright.onnx_network.graph import Graph, Shape
from archwright.workload import Layer, LayerKind

if TYPE_CHECKING:
    import onnx


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Whose operators are known by their names: the standard's and onnxruntime's."""

FREE = _names(
    "Cast CastLike Compress Concat ConcatFromSequence Constant ConstantOfShape DepthToSpace "
    "DequantizeLinear Dropout DynamicQuantizeLinear Expand EyeLike Flatten Gather GatherElements "
    "GatherND Identity OneHot Pad QuantizeLinear Range Reshape ReverseSequence ScatterElements "
    "ScatterND Shape Size Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze"
)
"""Operators that move, rename or recode data."""

ELEMENTWISE = _names(
    "Abs Acos Acosh Add And Asin Asinh Atan Atanh BiasGelu BitShift BitwiseAnd BitwiseNot "
    "BitwiseOr BitwiseXor Ceil Celu Clip Cos Cosh CumSum Div Elu Equal Erf Exp FastGelu Floor "
    "Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual "
    "Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow QuickGelu Reciprocal Relu Resize Round "
    "Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh "
    "ThresholdedRelu Upsample Where Xor"
)
"""Operators that compute one element of the output from one of each input."""

NORMALISATIONS = _names(
    "BatchNormalization GroupNormalization Hardmax InstanceNormalization LRN LayerNormalization "
    "LogSoftmax LpNormalization MeanVarianceNormalization RMSNormalization "
    "SimplifiedLayerNormalization Softmax"
)

POOLS = _names("AveragePool LpPool MaxPool")
REDUCTIONS = _names(
    "ArgMax ArgMin GlobalAveragePool GlobalLpPool GlobalMaxPool ReduceL1 ReduceL2 ReduceLogSum "
    "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare"
)

CONVOLUTIONS = {"Conv": (0, 1, 2), "ConvInteger": (0, 1, None), "QLinearConv": (0, 3, 8)}
"""Positions of data, weights and bias among the inputs."""

PRODUCTS = {
    **{"MatMul": (0, 1, None), "MatMulInteger": (0, 1, None), "FusedMatMul": (0, 1, None)},
    **{"QLinearMatMul": (0, 3, None), "Gemm": (0, 1, 2)},
}
"""Positions of both factors and the bias among the inputs."""


class NotShared(Exception):
    """A layer does not have the batch that is to be taken out of it."""


def layers_of(
    node: onnx.NodeProto, graph: Graph, batch: int, name: str
) -> tuple[Layer, ...] | None:
    """What ``node`` is for one of ``batch`` inputs; None where that is not known.

    Raises :class:`DataError` for a tensor without a shape and sizes that do not match,
    :class:`NotShared` where ``batch`` is no part of the node's output.
    """
    if node.domain in ("", "ai.onnx") and node.op_type == "Attention":
        return _attention(node, graph, batch, name)
    reader = _reader(node)
    if reader is None or node.domain not in DOMAINS:
        return None
    layer = reader(node, graph, batch, name)
    return None if layer is None else (layer,)


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    from onnx import helper

    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def shape_of(graph: Graph, name: str, tensor: str) -> Shape:
    """The shape of a layer's tensor; :class:`DataError` naming both where it is not known."""
    if tensor not in graph.shapes:
        raise DataError(
            f"layer {name}: the shape of its tensor {tensor} is not known before the network runs"
        )
    return graph.shapes[tensor]


Reader = Callable[["onnx.NodeProto", Graph, int, str], Layer | None]


def _reader(node: onnx.NodeProto) -> Reader | None:
    operator = node.op_type
    if operator in CONVOLUTIONS:
        return _convolution
    if operator == "ConvTranspose":
        return _transposed_convolution
    if operator in PRODUCTS:
        return _product
    if operator == "Einsum":
        return _einsum
    if operator in POOLS:
        return _pooling
    if operator in REDUCTIONS:
        return _reduction
    if operator in ELEMENTWISE:
        return _elementwise
    return _normalisation if operator in NORMALISATIONS else None


def _images(shape: Shape, batch: int) -> int:
    """Images of one input: the first dimension without the batch."""
    first = shape[0] if shape else 1
    if first % batch:
        raise NotShared
    return first // batch


def _convolution(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer | None:
    """Images and signals (1-D: one pixel wide). Of volumes None."""
    data, weights, bias = CONVOLUTIONS[node.op_type]
    x = shape_of(graph, name, node.input[data])
    w = shape_of(graph, name, node.input[weights])
    y = shape_of(graph, name, node.output[0])
    if len(x) not in (3, 4):
        return None
    attributes = attributes_of(node)
    groups = attributes.get("group", 1)
    if w[1] * groups != x[1]:
        raise DataError(
            f"layer {name}: its {groups} groups of {w[1]} channels do not match the "
            f"{x[1]} channels of its input {node.input[data]}"
        )
    images = _images(y, batch)
    return Layer(
        name,
        LayerKind.DEPTHWISE if groups == x[1] == w[0] > 1 else LayerKind.CONVOLUTION,
        x[1],
        w[0],
        images * x[2],
        _width(x[2:]),
        images * y[2],
        _width(y[2:]),
        **_both("kernel", w[2:]),
        **_both("stride", attributes.get("strides") or (1,) * len(x[2:])),
        **_both("dilation", attributes.get("dilations") or (1,) * len(x[2:])),
        groups=1 if groups == x[1] == w[0] else groups,
        bias=bias is not None and _has_input(node, bias),
    )


def _transposed_convolution(
    node: onnx.NodeProto, graph: Graph, batch: int, name: str
) -> Layer | None:
    """As the product that it is: each input pixel meets every weight once.

    The layer ends before the overlapping windows are added up: it has an output for each
    position of the window. Its bias is added with them and not counted.
    """
    x = shape_of(graph, name, node.input[0])
    w = shape_of(graph, name, node.input[1])
    if len(x) not in (3, 4):
        return None
    height, width = _images(x, batch) * x[2], _width(x[2:])
    groups = attributes_of(node).get("group", 1)
    outputs = groups * w[1] * prod(w[2:])
    kind = LayerKind.CONVOLUTION
    return Layer(name, kind, x[1], outputs, height, width, height, width, groups=groups)


def _product(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer:
    """A linear layer, where one factor is constant, else a matmul of two activations."""
    first, second, bias = PRODUCTS[node.op_type]
    attributes = attributes_of(node)
    left = _matrices(shape_of(graph, name, node.input[first]), attributes.get("transA", 0), 0)
    right = _matrices(shape_of(graph, name, node.input[second]), attributes.get("transB", 0), 1)
    if left[-1] != right[-2]:
        raise DataError(f"layer {name}: its factors {left} and {right} do not match")
    constant = node.input[second] in graph.constants
    if not constant and node.input[first] in graph.constants:
        # Weights on the left: the same numbers as transposed activations times weights.
        left, right = _transposed(right), _transposed(left)
        constant = True
    leading = _broadcast(left[:-2], right[:-2])
    m, n, k = left[-2], right[-1], left[-1]
    # One second factor for all: its columns meet the rows of all first ones.
    groups = 1 if prod(right[:-2]) == 1 else prod(leading)
    if constant and groups > 1:
        groups = prod(right[:-2])  # weights that are shared by the rest of the batch
    rows = prod(leading) * m // groups
    _images((*leading, m if constant else 1), batch)
    has_bias = constant and bias is not None and _has_input(node, bias)
    return _multiplied(name, constant, (groups, rows, n, k), batch, has_bias)


def _einsum(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer | None:
    """A product of two tensors whose axes are named. None for sums that are no such product."""
    equation = attributes_of(node)["equation"].decode(errors="replace").replace(" ", "")
    terms, arrow, result = equation.partition("->")
    names = terms.split(",")
    if not arrow or len(names) != 2 or not all(map(str.isalpha, (*names, result))):
        return None
    left, right = names
    size: dict[str, int] = {}
    for tensor, axes in zip(node.input, names, strict=True):
        if len(set(axes)) != len(axes):
            return None
        size |= dict(zip(axes, shape_of(graph, name, tensor), strict=True))
    constants = [tensor in graph.constants for tensor in node.input]
    if constants[0] and not constants[1]:
        left, right = right, left
    if not set(left) ^ set(right) <= set(result):
        return None  # an axis of one factor alone is summed up
    _images(shape_of(graph, name, node.output[0]), batch)

    def elements(axes: set[str]) -> int:
        return prod(size[axis] for axis in axes)

    both = set(left) & set(right)
    sizes = (
        elements(both & set(result)),
        elements(set(left) - both),
        elements(set(right) - both),
        elements(both - set(result)),
    )
    return _multiplied(name, any(constants), sizes, batch, False)


def _multiplied(
    name: str, constant: bool, sizes: tuple[int, int, int, int], batch: int, bias: bool
) -> Layer:
    """(groups, rows, columns, reduced): rows meet weights, or each group a second activation."""
    groups, rows, columns, reduced = sizes
    if (rows if constant else groups) % batch:
        raise NotShared
    if constant:
        rows //= batch
    else:
        groups //= batch
    kind = LayerKind.LINEAR if constant else LayerKind.MATMUL
    channels = (groups * reduced, groups * columns)
    return Layer(name, kind, *channels, rows, 1, rows, 1, groups=groups, bias=bias)


def _attention(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> tuple[Layer, ...]:
    """Two matmuls for each head and the softmax between them; masks are not made use of."""
    attributes = attributes_of(node)
    heads, rows, features = _heads(graph, name, node.input[0], attributes.get("q_num_heads"))
    kv_heads = attributes.get("kv_num_heads")
    _, columns, _ = _heads(graph, name, node.input[1], kv_heads)
    _, _, outputs = _heads(graph, name, node.input[2], kv_heads)
    if _has_input(node, 4):  # keys of the past
        columns += shape_of(graph, name, node.input[4])[2]
    groups = heads * _images(shape_of(graph, name, node.input[0]), batch)

    def matmul(part: str, k: int, n: int) -> Layer:
        kind, sizes = LayerKind.MATMUL, (groups * k, groups * n, rows, 1, rows, 1)
        return Layer(f"{name}.{part}", kind, *sizes, groups=groups)

    sizes = (groups, rows, columns) * 2
    return (
        matmul("scores", features, columns),
        _of_sizes(f"{name}.softmax", LayerKind.NORMALISATION, sizes),
        matmul("values", columns, outputs),
    )


def _heads(graph: Graph, name: str, tensor: str, heads: int | None) -> Shape:
    """(heads, tokens, features of one head) of (batch, heads, tokens, features), or of
    (batch, tokens, heads x features)."""
    shape = shape_of(graph, name, tensor)
    if len(shape) == 4:
        return shape[1:]
    if len(shape) != 3 or not heads:
        raise DataError(f"layer {name}: its input {tensor} has no heads: shape {shape}")
    return heads, shape[1], shape[2] // heads


def _matrices(shape: Shape, transpose: int, new_axis: int) -> Shape:
    """The factor as matrices; one that is a vector gets a second axis."""
    if len(shape) < 2:
        shape = (1, *shape) if new_axis == 0 else (*shape, 1)
        return shape if len(shape) == 2 else (1, 1)
    return _transposed(shape) if transpose else shape


def _transposed(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2])


def _broadcast(one: Shape, other: Shape) -> Shape:
    """Both shapes' common one, by the rules of NumPy."""
    rank = max(len(one), len(other))
    padded = ((1,) * (rank - len(shape)) + shape for shape in (one, other))
    return tuple(max(a, b) for a, b in zip(*padded, strict=True))


def _pooling(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer | None:
    x = shape_of(graph, name, node.input[0])
    y = shape_of(graph, name, node.output[0])
    if len(x) not in (3, 4):
        return None
    attributes = attributes_of(node)
    images = _images(y, batch)
    return Layer(
        name,
        LayerKind.POOLING,
        x[1],
        y[1],
        images * x[2],
        _width(x[2:]),
        images * y[2],
        _width(y[2:]),
        **_both("kernel", attributes["kernel_shape"]),
        **_both("stride", attributes.get("strides") or (1,) * len(x[2:])),
    )


def _reduction(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer:
    """A pooling over whole images, or over whatever else is reduced to one element."""
    x = shape_of(graph, name, node.input[0])
    y = shape_of(graph, name, node.output[0])
    kind = LayerKind.POOLING
    if len(x) == 4 and y[:2] == x[:2] and prod(y) == x[0] * x[1]:
        images = _images(x, batch)
        window = _both("kernel", x[2:]) | _both("stride", x[2:])
        return Layer(name, kind, x[1], x[1], images * x[2], x[3], images, 1, **window)
    results = prod(y)
    if results % batch:
        raise NotShared
    results, reduced = results // batch, prod(x) // max(results, 1)
    window = _both("kernel", (reduced, 1)) | _both("stride", (reduced, 1))
    return Layer(name, kind, results, results, reduced, 1, 1, 1, **window)


def _elementwise(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer:
    """``operands``: activations as large as the output. Smaller, broadcast ones are left out."""
    y = shape_of(graph, name, node.output[0])
    if node.op_type in ("Resize", "Upsample"):  # other sizes go in than come out
        x = shape_of(graph, name, node.input[0])
        sizes = (*_channels_height_width(x, batch), *_channels_height_width(y, batch))
        return _of_sizes(name, LayerKind.ELEMENTWISE, sizes, operands=1)
    same = [x for x in graph.activations(node) if graph.shapes.get(x) == y]
    sizes = _channels_height_width(y, batch) * 2
    return _of_sizes(name, LayerKind.ELEMENTWISE, sizes, operands=max(1, len(same)))


def _normalisation(node: onnx.NodeProto, graph: Graph, batch: int, name: str) -> Layer:
    sizes = _channels_height_width(shape_of(graph, name, node.output[0]), batch) * 2
    return _of_sizes(name, LayerKind.NORMALISATION, sizes)


def _of_sizes(name: str, kind: LayerKind, sizes: tuple[int, ...], **more: Any) -> Layer:
    inputs, in_height, in_width, outputs, out_height, out_width = sizes
    return Layer(name, kind, inputs, outputs, in_height, in_width, out_height, out_width, **more)


def _channels_height_width(shape: Shape, batch: int) -> tuple[int, int, int]:
    """A tensor of any rank as images. Features are the last of three dimensions."""
    images = _images(shape, batch)
    if len(shape) < 2:
        return images, 1, 1
    if len(shape) == 3:
        return shape[2], images * shape[1], 1
    height = shape[2] if len(shape) > 3 else 1
    return shape[1], images * height, prod(shape[3:])


def _width(spatial: Shape) -> int:
    return spatial[1] if len(spatial) > 1 else 1


def _both(field: str, sizes: Any) -> dict[str, Any]:
    """A layer's field for the height, and for the width where it differs."""
    height, width = sizes[0], _width(tuple(sizes))
    return {field: height} if width == height else {field: height, f"{field}_width": width}


def _has_input(node: onnx.NodeProto, position: int) -> bool:
    return len(node.input) > position and node.input[position] != ""
