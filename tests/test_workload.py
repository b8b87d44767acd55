"""Layers and workloads: counts against a brute-force reading of the layer, and refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import UserError
from archwright.workload import MATRIX_KINDS, Layer, LayerKind, Workload

SMALL = st.integers(1, 6)


@st.composite
def array_layers(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(MATRIX_KINDS))
    groups = draw(st.integers(1, 3))
    channels, out = groups * draw(SMALL), groups * draw(SMALL)
    if kind in (LayerKind.LINEAR, LayerKind.MATMUL):
        tokens, bias = draw(SMALL), kind is LayerKind.LINEAR and draw(st.booleans())
        sizes = (channels, out, tokens, 1, tokens, 1)
        return Layer("l", kind, *sizes, bias=bias, groups=groups)
    if kind is LayerKind.DEPTHWISE:
        groups, out = 1, channels
    side, kernel, stride = draw(SMALL), draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
    after = (side - 1) // stride + 1
    sizes = (channels, out, side, side, after, after, kernel, stride)
    width = draw(st.none() | SMALL)
    return Layer("l", kind, *sizes, draw(st.booleans()), kernel_width=width, groups=groups)


@given(array_layers())
def test_multiplications_are_those_of_the_loops(layer: Layer) -> None:
    groups = layer.out_channels if layer.kind is LayerKind.DEPTHWISE else layer.groups
    height, width = layer.kernel, layer.kernel_width or layer.kernel
    macs = filters = 0
    for out in range(layer.out_channels):
        for channel in range(layer.in_channels):
            # Both lie in the same group.
            if out * groups // layer.out_channels != channel * groups // layer.in_channels:
                continue
            filters += height * width
            macs += height * width * layer.out_height * layer.out_width
    matmul = layer.kind is LayerKind.MATMUL
    inputs = layer.in_channels * layer.in_height * layer.in_width
    assert layer.macs == macs
    assert layer.weight_elements == (0 if matmul else filters)
    assert layer.input_elements == inputs + (filters if matmul else 0)
    assert layer.parameters == layer.weight_elements + layer.bias * layer.out_channels


@given(array_layers())
def test_matrix_products_do_the_same_work(layer: Layer) -> None:
    m, n, k, repeats = layer.gemm
    assert m * n * k * repeats == layer.macs
    assert m * n * repeats == layer.output_elements
    if layer.kind is not LayerKind.MATMUL:
        assert n * k * repeats == layer.weight_elements


def test_the_vector_unit_has_no_weights() -> None:
    pool = Layer("pool", LayerKind.POOLING, 4, 4, 6, 6, 1, 1, kernel=6, stride=6)
    add = Layer("add", LayerKind.ELEMENTWISE, 4, 4, 6, 6, 6, 6)
    for layer in (pool, add):
        assert (layer.on_array, layer.macs, layer.parameters) == (False, 0, 0)
    assert (pool.input_elements, pool.output_elements) == (144, 4)
    assert (add.input_elements, add.output_elements) == (288, 144)
    relu, norm = replace(add, operands=1), replace(add, kind=LayerKind.NORMALISATION)
    assert relu.input_elements == norm.input_elements == 144


@given(st.lists(array_layers(), min_size=1, max_size=4), st.sampled_from([8, 16]))
def test_a_workload_sums_its_layers(layers: list[Layer], bits: int) -> None:
    workload = Workload("w", tuple(layers), bits)
    assert workload.macs == sum(layer.macs for layer in layers)
    assert workload.parameters == sum(layer.parameters for layer in layers)
    largest = max(layer.input_elements + layer.output_elements for layer in layers)
    assert workload.memory_kib * 1024 * 8 == (workload.parameters + largest) * bits
    three = replace(workload, batch=3)
    assert (three.macs, three.parameters) == (3 * workload.macs, workload.parameters)
    assert three.memory_kib * 1024 * 8 == (workload.parameters + 3 * largest) * bits


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


@pytest.mark.parametrize(("field", "value"), [("groups", 2), ("in_channels", 4)])
def test_groups_divide_the_channels(field: str, value: int) -> None:
    change: dict[str, Any] = {"groups": 3, "out_channels": 6, field: value}
    with pytest.raises(
        UserError, match=r"layer stem: in_channels = \d: must be a multiple of groups"
    ):
        replace(CONVOLUTION, **change)


@pytest.mark.parametrize("field", ["bits", "batch"])
def test_a_workload_has_bits_and_a_batch(field: str) -> None:
    change: dict[str, Any] = {field: 0}
    with pytest.raises(UserError, match=f"workload w: {field} = 0: must be at least 1"):
        Workload("w", (CONVOLUTION,), **change)


def test_a_workload_without_layers_is_refused() -> None:
    with pytest.raises(UserError, match="workload empty: it has no layers"):
        Workload("empty", ())
