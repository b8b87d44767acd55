"""Every operator of ONNX files as a layer: its counts, and what is folded into others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from onnx_files import FILTERS, FLOAT, IMAGES, STEM, node, save, weights, whole

from archwright.workload import MATRIX_KINDS, Layer, LayerKind, Workload

CONVOLUTION, DEPTHWISE, LINEAR, MATMUL = MATRIX_KINDS


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[Layer, ...]]:
    """The layers of a graph, written and read again; nothing in it may be unknown."""

    def layers(*graph: Any, **more: Any) -> tuple[Layer, ...]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return Workload.from_onnx(save(tmp_path / "net.onnx", *graph, **more)).layers

    return layers


def kinds(layers: tuple[Layer, ...]) -> list[str]:
    return [layer.kind.value for layer in layers]


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Layer, dict[str, Any], bool]:
    """A layer, its attributes in ONNX, and whether it is one-dimensional."""
    flat = draw(st.booleans())
    groups = draw(st.integers(1, 4))
    channels, filters = (groups * draw(st.integers(1, 3)) for _ in range(2))
    sides = 1 if flat else 2
    kernel, stride, dilation = (
        [draw(st.integers(1, most)) for _ in range(sides)] for most in (4, 3, 2)
    )
    pads = [draw(st.integers(0, 2)) for _ in range(2 * sides)]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    inputs = [draw(st.integers(r, r + 6)) for r in reach]
    outputs = [
        (x + pads[i] + pads[i + sides] - reach[i]) // stride[i] + 1 for i, x in enumerate(inputs)
    ]
    depthwise = groups == channels == filters > 1
    full: list[list[int]] = [[*v, 1] if flat else v for v in (kernel, stride, dilation)]
    fields: dict[str, Any] = {}
    for name, (high, wide) in zip(("kernel", "stride", "dilation"), full, strict=True):
        fields[name] = high
        fields[f"{name}_width"] = None if wide == high else wide
    in_size, out_size = ([*v, 1] if flat else v for v in (inputs, outputs))
    layer = Layer(
        "y",
        DEPTHWISE if depthwise else CONVOLUTION,
        channels,
        filters,
        *in_size,
        *out_size,
        bias=draw(st.booleans()),
        groups=1 if depthwise or groups == channels == filters else groups,
        **fields,
    )
    attributes = {
        "kernel_shape": kernel,
        "strides": stride,
        "dilations": dilation,
        "pads": pads,
        "group": groups,
    }
    return layer, attributes, flat


@settings(max_examples=60, deadline=None)
@given(convolutions())
def test_any_convolution_comes_back(tmp_path_factory, drawn) -> None:
    layer, attributes, flat = drawn
    window = attributes["kernel_shape"]
    shape = [layer.out_channels, layer.in_channels // attributes["group"], *window]
    size = [layer.in_height] if flat else [layer.in_height, layer.in_width]
    constants = [weights("w", *shape)] + [weights("b", layer.out_channels)] * layer.bias
    inputs = "x w b" if layer.bias else "x w"
    path = save(
        tmp_path_factory.mktemp("net") / "net.onnx",
        [node("Conv", inputs, "y", **attributes)],
        {"x": [1, layer.in_channels, *size]},
        constants,
    )
    assert Workload.from_onnx(path).layers == (layer,)
    m, n, k, groups = layer.gemm
    assert k * n * groups == math.prod(shape)
    assert layer.macs == m * math.prod(shape)


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_automatic_padding(read, auto_pad: str) -> None:
    nodes = [node("Conv", "x w", "y", strides=[2, 2], auto_pad=auto_pad)]
    (layer,) = read(nodes, {"x": [1, 3, 9, 12]}, [weights("w", 8, 3, 3, 3)])
    expected = (4, 5) if auto_pad == "VALID" else (5, 6)
    assert (layer.out_height, layer.out_width) == expected


def test_a_depthwise_layer_with_several_filters_is_grouped(read) -> None:
    nodes = [node("Conv", "x w", "y", group=4)]
    (layer,) = read(nodes, {"x": [1, 4, 5, 5]}, [weights("w", 12, 1, 3, 3)])
    assert (layer.kind, layer.gemm) == (CONVOLUTION, (9, 3, 9, 4))


def test_a_transposed_convolution_multiplies_each_pixel_with_each_weight(read) -> None:
    nodes = [node("ConvTranspose", "x w", "y", strides=[2, 2], group=2)]
    (layer,) = read(nodes, {"x": [1, 4, 5, 6]}, [weights("w", 4, 3, 3, 3)])
    assert layer.macs == 5 * 6 * (4 * 3 * 3 * 3)
    assert layer.parameters == 4 * 3 * 3 * 3


def test_quantised_forms_and_wrapped_weights_are_layers(read) -> None:
    """A weight is what follows from initialisers, whatever lies between."""
    nodes = [
        node("DequantizeLinear", "codes scale", "real"),
        node("Reshape", "real shape", "w1"),
        node("QuantizeLinear", "x scale", "q"),
        node("DequantizeLinear", "q scale", "qx"),
        node("Conv", "qx w1", "a"),
        node("Identity", "w0", "w2"),
        node("Transpose", "w2", "w3"),
        node("Flatten", "a", "f"),
        node("MatMul", "f w3", "y"),
    ]
    codes = numpy_helper.from_array(np.ones((4, 3 * 9), np.int8), "codes")
    scale = numpy_helper.from_array(np.float32(1), "scale")
    constants = [codes, scale, whole("shape", 4, 3, 3, 3), weights("w0", 10, 36)]
    first, second = read(nodes, {"x": [1, 3, 5, 5]}, constants)
    assert (first.kind, first.gemm) == (CONVOLUTION, (9, 4, 27, 1))
    assert (second.kind, second.gemm) == (LINEAR, (1, 10, 36, 1))


def test_integer_convolutions(read) -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("ConvInteger", "q w z", "i"),
        node("Cast", "i", "y", to=FLOAT),
    ]
    codes = numpy_helper.from_array(np.ones((4, 3, 3, 3), np.uint8), "w")
    (layer,) = read(nodes, {"x": [1, 3, 5, 5]}, [codes])
    assert layer.gemm == (9, 4, 27, 1)


PRODUCTS = [
    # shapes of the first and second factor; which are constant; the layer's kind and products
    ([1, 7, 8], [8, 5], "w", LINEAR, (7, 5, 8, 1)),
    ([1, 2, 7, 8], [8, 5], "w", LINEAR, (14, 5, 8, 1)),
    ([4, 8], [1, 8, 9], "x", LINEAR, (9, 4, 8, 1)),
    ([1, 3, 7, 8], [3, 8, 5], "w", LINEAR, (7, 5, 8, 3)),
    ([8], [8, 5], "w", LINEAR, (1, 5, 8, 1)),
    ([7, 8], [8, 5], "", MATMUL, (7, 5, 8, 1)),
    ([1, 3, 7, 8], [1, 3, 8, 5], "", MATMUL, (7, 5, 8, 3)),
    ([1, 3, 7, 8], [8, 5], "", MATMUL, (21, 5, 8, 1)),
    ([1, 7, 8], [1, 3, 8, 5], "", MATMUL, (7, 5, 8, 3)),
]


@pytest.mark.parametrize(("first", "second", "constant", "kind", "gemm"), PRODUCTS)
def test_products(read, first, second, constant, kind, gemm) -> None:
    shapes = {"x": first, "w": second}
    inputs = {name: shape for name, shape in shapes.items() if name != constant}
    constants = [weights(constant, *shapes[constant])] if constant else []
    (layer,) = read([node("MatMul", "x w", "y")], inputs, constants)
    assert (layer.kind, layer.gemm) == (kind, gemm)
    product = np.matmul(np.ones(first), np.ones(second))
    assert layer.macs == product.size * first[-1]
    assert layer.weight_elements == (math.prod(shapes[constant]) if constant else 0)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(read, transposed: int) -> None:
    shape = (5, 8) if transposed else (8, 5)
    nodes = [node("Gemm", "x w b", "y", transB=transposed)]
    (layer,) = read(nodes, {"x": [1, 8]}, [weights("w", *shape), weights("b", 5)])
    assert layer == Layer("y", LINEAR, 8, 5, 1, 1, 1, 1, bias=True)


def test_the_standards_attention_is_two_matmuls_and_a_softmax(read) -> None:
    nodes = [node("Attention", "q k v", "y", q_num_heads=4, kv_num_heads=4)]
    inputs = {"q": [1, 6, 32], "k": [1, 9, 32], "v": [1, 9, 16]}
    scores, softmax, values = read(nodes, inputs, opset=23)
    assert (scores.gemm, values.gemm) == ((6, 9, 8, 4), (6, 4, 9, 4))
    assert softmax.output_elements == 4 * 6 * 9


def test_pooling_and_reductions(read) -> None:
    nodes = [
        STEM,
        node("MaxPool", "c", "p", kernel_shape=[3, 2], strides=[1, 2]),
        node("ReduceMean", "p axes", "m", keepdims=0),
        node("Flatten", "m", "f"),
        node("ReduceSum", "f one", "y"),
    ]
    constants = [FILTERS, whole("axes", 2, 3), whole("one", 1)]
    _, pool, mean, total = read(nodes, IMAGES, constants)
    assert (pool.window, pool.strides, pool.output_elements) == ((3, 2), (1, 2), 4 * 4 * 3)
    assert (mean.window, mean.input_elements, mean.output_elements) == ((4, 3), 48, 4)
    assert (total.window, total.input_elements, total.output_elements) == ((4, 1), 4, 1)
    assert {pool.kind, mean.kind, total.kind} == {LayerKind.POOLING}


def test_global_pooling_is_what_our_networks_have(read) -> None:
    nodes = [STEM, node("GlobalAveragePool", "c", "y")]
    _, pool = read(nodes, IMAGES, [FILTERS])
    assert pool == Layer("y", LayerKind.POOLING, 4, 4, 6, 6, 1, 1, 6, 6)


def test_elementwise_and_normalisation(read) -> None:
    nodes = [
        STEM,
        node("Sigmoid", "c", "s"),  # c is read twice: on its own
        node("Mul", "c s", "swish"),
        node("Softmax", "swish", "n"),
        node("Reshape", "n shape", "r"),
        node("LayerNormalization", "r scale", "y"),
    ]
    constants = [FILTERS, whole("shape", 1, 9, 16), weights("scale", 16)]
    layers = read(nodes, IMAGES, constants)
    assert kinds(layers) == ["convolution", *["elementwise"] * 2, *["normalisation"] * 2]
    assert [layer.operands for layer in layers[1:3]] == [1, 2]
    assert {layer.output_elements for layer in layers} == {4 * 36}


def test_a_small_broadcast_operand_is_not_an_operand(read) -> None:
    nodes = [STEM, node("GlobalMaxPool", "c", "g"), node("Mul", "c g", "y")]
    layers = read(nodes, IMAGES, [FILTERS])
    assert [layer.operands for layer in layers if layer.kind is LayerKind.ELEMENTWISE] == [1]


def test_what_is_done_on_the_way_out_is_folded(read) -> None:
    """Batch norm, activation, scaling; a constant for each channel is the bias."""
    norm = [weights(f"n{i}", 4) for i in range(4)]
    bias, two = weights("b", 4, 1, 1), weights("two")
    for nodes in (
        [STEM, node("BatchNormalization", "c n0 n1 n2 n3", "n"), node("Relu", "n", "y")],
        [STEM, node("Add", "c b", "a"), node("Div", "a two", "d"), node("HardSwish", "d", "y")],
    ):
        (layer,) = read(nodes, IMAGES, [FILTERS, bias, two, *norm])
        assert layer == Layer("c", CONVOLUTION, 3, 4, 8, 8, 6, 6, 3, bias=True)


def test_nothing_is_folded_that_is_needed_before_or_grows(read) -> None:
    relu = node("Relu", "c", "y")
    assert len(read([STEM, relu], IMAGES, [FILTERS], outputs="y c")) == 2
    assert len(read([STEM, relu, node("Tanh", "c", "z")], IMAGES, [FILTERS], outputs="y z")) == 3
    grown = [STEM, node("GlobalMaxPool", "c", "g"), node("Add", "g map", "y")]
    assert kinds(read(grown, IMAGES, [FILTERS, weights("map", 1, 4, 6, 6)]))[-1] == "elementwise"


def test_calculations_with_shapes_are_constant(read) -> None:
    """Also where onnx's own inference gives up: a division within."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s last", "n"),
        node("Div", "n four", "d"),
        node("Concat", "first four d", "new", axis=0),
        node("Reshape", "x new", "r"),
        node("MatMul", "r w", "y"),
    ]
    constants = [whole("last", 1), whole("four", 4), whole("first", 1), weights("w", 8, 5)]
    (layer,) = read(nodes, {"x": [1, 32]}, constants)
    assert layer.gemm == (4, 5, 8, 1)


EINSUMS = [
    ("bthd,hde->bthe", [1, 5, 4, 8], [4, 8, 16], LINEAR, (5, 16, 8, 4)),
    ("bqhd,bkhd->bhqk", [1, 5, 4, 8], [1, 7, 4, 8], MATMUL, (5, 7, 8, 4)),
    ("bc,kc->bk", [1, 8], [3, 8], LINEAR, (1, 3, 8, 1)),
]


@pytest.mark.parametrize(("equation", "first", "second", "kind", "gemm"), EINSUMS)
def test_einsum(read, equation: str, first, second, kind, gemm) -> None:
    inputs = {"x": first} | ({"w": second} if kind is MATMUL else {})
    constants = [] if kind is MATMUL else [weights("w", *second)]
    (layer,) = read([node("Einsum", "x w", "y", equation=equation)], inputs, constants)
    assert (layer.kind, layer.gemm) == (kind, gemm)
    products = np.einsum(equation, np.ones(first), np.ones(second)).sum()
    assert layer.macs == products
