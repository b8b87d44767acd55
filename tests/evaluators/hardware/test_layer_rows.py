"""Layers as rows of numbers: what they say is what the layers themselves say."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.evaluators.hardware.layers import layer_rows
from archwright.workload import Layer, LayerKind, Workload

LAYERS = (
    Layer("c", LayerKind.CONVOLUTION, 6, 8, 9, 10, 5, 5, 3, 2, True, kernel_width=1, groups=2),
    Layer("d", LayerKind.DEPTHWISE, 8, 8, 5, 5, 5, 5, 3, bias=True),
    Layer("l", LayerKind.LINEAR, 8, 24, 25, 1, 25, 1, bias=True),
    Layer("m", LayerKind.MATMUL, 12, 20, 25, 1, 25, 1, groups=4),
    Layer("p", LayerKind.POOLING, 20, 20, 25, 1, 5, 1, 5, 5, kernel_width=1, stride_width=1),
    Layer("e", LayerKind.ELEMENTWISE, 20, 20, 5, 1, 5, 1),
    Layer("n", LayerKind.NORMALISATION, 20, 20, 5, 1, 5, 1),
)


@pytest.mark.parametrize("batch", [1, 3])
def test_rows_say_what_the_layers_say(batch: int) -> None:
    workload = Workload("all", LAYERS, bits=4, batch=batch)
    rows = layer_rows([workload])
    for i, layer in enumerate(LAYERS):
        row = rows.take(np.array([i]))
        assert row.macs.item() == batch * layer.macs
        assert row.parameters.item() == layer.parameters
        assert row.activations.item() == batch * (layer.input_elements + layer.output_elements)
        assert row.bytes.item() == 0.5
        assert row.on_array.item() == layer.on_array
        if layer.on_array:
            m, n, k, products = layer.gemm
            alone = batch if layer.kind is LayerKind.MATMUL else 1  # nothing is shared
            assert (row.m.item(), row.groups.item()) == (m * batch / alone, products * alone)
            assert (row.n.item(), row.k.item()) == (n, k)
            assert row.m == row.batch * row.out_height * row.out_width
            assert row.k == row.channels * row.window_height * row.window_width
            assert row.product_inputs * row.groups == row.tensor
            assert (row.stride_height.item(), row.stride_width.item()) == layer.strides
        else:
            assert row.groups == 0
            assert row.vector_inputs.item() == batch * layer.input_elements


def test_workloads_stand_one_after_another_and_share_nothing() -> None:
    one, two = Workload("one", LAYERS[:2]), Workload("two", LAYERS[1:4], bits=16, batch=2)
    both = layer_rows([one, two])
    apart = [layer_rows([one]), layer_rows([two])]
    for name in both._fields:
        expected = np.concatenate([getattr(rows, name) for rows in apart])
        np.testing.assert_array_equal(getattr(both, name), expected)


def test_what_may_stay_on_the_chip() -> None:
    """From layer to layer where the sizes fit, but the older operand of a sum never."""
    rows = layer_rows([Workload("all", LAYERS)])
    assert rows.inputs_may_stay.tolist() == [0, 1, 1, 0, 1, 0, 1]
    assert rows.outputs_may_stay.tolist() == [1, 1, 0, 1, 1, 1, 0]
