"""A small hardware and small workloads for the simulators' tests."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from archwright.space import Value
from archwright.workload import Layer, LayerKind, Workload

HARDWARE: dict[str, Value] = {
    **{"rows": 8, "columns": 4, "dataflow": "os", "bits": 8},
    **{"input_buffer_kib": 8, "weight_buffer_kib": 8, "output_buffer_kib": 8},
    **{"dram_gb_per_s": 1.0, "clock_mhz": 400},
}


@pytest.fixture
def hardware() -> dict[str, Value]:
    return dict(HARDWARE)


@pytest.fixture
def varied() -> Workload:
    """A layer of each kind, with a batch, and two equal ones."""
    c, s = LayerKind.CONVOLUTION, 6
    layers = (
        Layer("stem", c, 3, 8, s, s, s, s, 3, bias=True),
        Layer("depthwise", LayerKind.DEPTHWISE, 8, 8, s, s, 3, 3, 3, 2),
        Layer("grouped", c, 8, 4, 3, 3, 3, 3, 3, groups=2, dilation=2, kernel_width=1),
        Layer("norm", LayerKind.NORMALISATION, 4, 4, 3, 3, 3, 3),
        Layer("query", LayerKind.LINEAR, 4, 6, 9, 1, 9, 1, bias=True),
        Layer("query2", LayerKind.LINEAR, 4, 6, 9, 1, 9, 1),
        Layer("attention", LayerKind.MATMUL, 6, 18, 9, 1, 9, 1, groups=2),
        Layer("add", LayerKind.ELEMENTWISE, 18, 18, 9, 1, 9, 1),
        Layer("relu", LayerKind.ELEMENTWISE, 18, 18, 9, 1, 9, 1, operands=1),
        Layer("pool", LayerKind.POOLING, 18, 18, 9, 1, 3, 1, 3, 3, kernel_width=1, stride_width=1),
        Layer("head", LayerKind.LINEAR, 54, 10, 1, 1, 1, 1),
    )
    return Workload("varied", layers, batch=2)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, to see what is left in it."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without any simulator."""
    from archwright.evaluators.hardware.simulators import installed

    def version(package: str) -> str:
        raise installed.importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(installed.importlib.metadata, "version", version)
