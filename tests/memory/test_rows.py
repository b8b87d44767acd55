"""Workloads as the archive keeps them, those of older archives too."""

from __future__ import annotations

import json

import pytest

from archwright.memory.rows import dump_workload, load_workload
from archwright.workload import Layer, LayerKind, Workload

LAYERS = (
    Layer(
        *("stem", LayerKind.CONVOLUTION, 4, 8, 9, 7, 9, 7, 3, 2, True),
        **{"kernel_width": 5, "stride_width": 1, "dilation": 2, "dilation_width": 3, "groups": 2},
    ),
    Layer("relu", LayerKind.ELEMENTWISE, 8, 8, 9, 7, 9, 7, operands=1),
    Layer("heads", LayerKind.MATMUL, 8, 6, 5, 1, 5, 1, groups=2),
)


def test_a_workload_comes_back() -> None:
    workload = Workload("all", LAYERS, bits=4, batch=3)
    assert load_workload(dump_workload(workload)) == workload


def test_only_what_is_not_the_default_is_kept() -> None:
    kept = json.loads(dump_workload(Workload("all", LAYERS[1:2])))["layers"][0]
    assert set(kept) == {
        *("name", "kind", "in_channels", "out_channels", "operands"),
        *("in_height", "in_width", "out_height", "out_width"),
    }


def test_a_workload_of_an_older_archive_is_read() -> None:
    """As it was written before layers had groups and workloads a batch."""
    layer = {
        **{"name": "stem", "kind": "convolution", "in_channels": 3, "out_channels": 8},
        **{"in_height": 8, "in_width": 8, "out_height": 4, "out_width": 4},
        **{"kernel": 3, "stride": 2, "bias": True},
    }
    text = json.dumps({"name": "old", "layers": [layer], "bits": 8})
    expected = Layer("stem", LayerKind.CONVOLUTION, 3, 8, 8, 8, 4, 4, 3, 2, True)
    assert load_workload(text) == Workload("old", (expected,), 8)


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"layers": [{"name": "x"}], "bits": 8, "name": "w"}']
)
def test_anything_else_is_no_workload(text: str) -> None:
    with pytest.raises(ValueError, match="not a workload"):
        load_workload(text)
