"""Layers and workloads: counts against a brute-force reading of the layer, and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import UserError
from archwright.workload import Layer, LayerKind, Workload

SMALL = st.integers(1, 6)


@st.composite
def array_layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from([LayerKind.CONVOLUTION, LayerKind.DEPTHWISE, LayerKind.LINEAR]))
    channels = draw(SMALL)
    if kind is LayerKind.LINEAR:
        return Layer("l", kind, channels, draw(SMALL), 1, 1, 1, 1, bias=draw(st.booleans()))
    out = channels if kind is LayerKind.DEPTHWISE else draw(SMALL)
    side, kernel, stride = draw(SMALL), draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    after = (side - 1) // stride + 1
    return Layer(
        "l", kind, channels, out, side, side, after, after, kernel, stride, draw(st.booleans())
    )


@given(array_layers())
def test_multiplications_are_those_of_the_loops(layer: Layer) -> None:
    macs = weights = 0
    for out in range(layer.out_channels):
        for channel in range(layer.in_channels):
            if layer.kind is LayerKind.DEPTHWISE and channel != out:
                continue
            weights += layer.kernel * layer.kernel
            macs += layer.kernel * layer.kernel * layer.out_height * layer.out_width
    assert layer.macs == macs
    assert layer.weight_elements == weights
    assert layer.parameters == weights + layer.bias * layer.out_channels


@given(array_layers())
def test_matrix_products_do_the_same_work(layer: Layer) -> None:
    m, n, k, repeats = layer.gemm
    assert m * n * k * repeats == layer.macs
    assert n * k * repeats == layer.weight_elements
    assert m * n * repeats == layer.output_elements


def test_the_vector_unit_has_no_weights() -> None:
    pool = Layer("pool", LayerKind.POOLING, 4, 4, 6, 6, 1, 1, kernel=6, stride=6)
    add = Layer("add", LayerKind.ELEMENTWISE, 4, 4, 6, 6, 6, 6)
    for layer in (pool, add):
        assert (layer.on_array, layer.macs, layer.parameters) == (False, 0, 0)
    assert (pool.input_elements, pool.output_elements) == (144, 4)
    assert (add.input_elements, add.output_elements) == (288, 144)


@given(st.lists(array_layers(), min_size=1, max_size=4), st.sampled_from([8, 16]))
def test_a_workload_sums_its_layers(layers: list[Layer], bits: int) -> None:
    workload = Workload("w", tuple(layers), bits)
    assert workload.macs == sum(layer.macs for layer in layers)
    assert workload.parameters == sum(layer.parameters for layer in layers)
    largest = max(layer.input_elements + layer.output_elements for layer in layers)
    assert workload.memory_kib * 1024 * 8 == (workload.parameters + largest) * bits


CONVOLUTION = Layer("stem", LayerKind.CONVOLUTION, 3, 8, 9, 9, 9, 9, kernel=3)


@pytest.mark.parametrize("field", ["in_channels", "out_height", "kernel", "stride"])
@pytest.mark.parametrize("value", [0, -3])
def test_sizes_below_one_are_refused(field: str, value: int) -> None:
    change: dict[str, Any] = {field: value}
    with pytest.raises(UserError) as caught:
        replace(CONVOLUTION, **change)
    assert str(caught.value) == f"layer stem: {field} = {value}: must be at least 1"


def test_a_depthwise_layer_keeps_its_channels() -> None:
    with pytest.raises(UserError) as caught:
        replace(CONVOLUTION, kind=LayerKind.DEPTHWISE)
    assert str(caught.value) == (
        "layer stem: out_channels = 8: a depthwise layer has as many as in_channels (3)"
    )


def test_a_workload_without_layers_is_refused() -> None:
    with pytest.raises(UserError, match="workload empty: it has no layers"):
        Workload("empty", ())
