"""The exported SCALE-Sim files list the model's products, and run where it is installed."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from archwright.errors import UserError
from archwright.evaluators.hardware import export_scalesim, gemm_cycles
from archwright.workload import Layer, LayerKind, Workload

POINT = {
    "rows": 8,
    "columns": 4,
    "dataflow": "ws",
    "input_buffer_kib": 8,
    "weight_buffer_kib": 8,
    "output_buffer_kib": 1,
    "dram_gb_per_s": 1.0,
    "clock_mhz": 400,
    "bits": 16,
}
RUN = """
import sys
from scalesim.scale_sim import scalesim
folder = sys.argv[1]
scalesim(
    save_disk_space=True, verbose=False, input_type_gemm=True, config=folder + "/scale.cfg",
    topology=folder + "/topology.csv", layout=folder + "/layout.csv",
).run_scale(top_path=folder + "/out")
"""


def _products(workload) -> list[tuple[int, int, int]]:
    return [
        (m, n, k)
        for layer in workload.layers
        if layer.on_array
        for m, n, k, repeats in [layer.gemm]
        for _ in range(repeats)
    ]


def test_topology_lists_the_products_of_the_model(workloads, tmp_path: Path) -> None:
    workload = workloads.digits()
    export_scalesim(workload, POINT, tmp_path / "sim")
    with (tmp_path / "sim" / "topology.csv").open() as file:
        rows = list(csv.reader(file, skipinitialspace=True))[1:]
    assert [tuple(int(v) for v in row[1:4]) for row in rows] == _products(workload)
    layout = (tmp_path / "sim" / "layout.csv").read_text().splitlines()
    assert len(layout) == len(rows) + 1
    config = (tmp_path / "sim" / "scale.cfg").read_text()
    assert "ArrayHeight = 8\nArrayWidth = 4\n" in config
    assert "Dataflow = ws\n" in config


def test_groups_heads_and_batches_are_products_of_their_own(tmp_path: Path) -> None:
    layers = (
        Layer("grouped", LayerKind.CONVOLUTION, 4, 6, 5, 5, 3, 3, 3, groups=2),
        Layer("depthwise", LayerKind.DEPTHWISE, 3, 3, 5, 5, 3, 3, 3),
        Layer("tokens", LayerKind.LINEAR, 8, 5, 7, 1, 7, 1),
        Layer("heads", LayerKind.MATMUL, 8, 10, 7, 1, 7, 1, groups=2),
        Layer("softmax", LayerKind.NORMALISATION, 2, 2, 7, 5, 7, 5),
    )
    workload = Workload("all", layers, 8, batch=3)
    export_scalesim(workload, POINT, tmp_path)
    with (tmp_path / "topology.csv").open() as file:
        rows = list(csv.reader(file, skipinitialspace=True))[1:]
    found = [tuple(int(v) for v in row[1:4]) for row in rows]
    assert found == [
        *[(3 * 9, 3, 2 * 9)] * 2,
        *[(3 * 9, 1, 9)] * 3,
        (3 * 7, 5, 8),
        *[(7, 5, 4)] * 6,
    ]
    assert sum(m * n * k for m, n, k in found) == workload.macs
    assert len({row[0] for row in rows}) == len(rows)


def test_what_scalesim_cannot_take_is_one_line(workloads, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"output_buffer_kib = 0\.5"):
        export_scalesim(workloads.digits(), {**POINT, "output_buffer_kib": 0.5}, tmp_path)
    pooling = workloads.workload("pool", [workloads.pooling("p", 4, 4)])
    with pytest.raises(UserError, match="no layer that runs on the array"):
        export_scalesim(pooling, POINT, tmp_path)


@pytest.mark.skipif(
    importlib.util.find_spec("scalesim") is None,
    reason="scalesim is not installed (pip install scalesim==3.0.0)",
)
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_scalesim_counts_the_same_cycles(workloads, tmp_path: Path, dataflow: str) -> None:
    workload = workloads.digits()
    export_scalesim(workload, {**POINT, "dataflow": dataflow}, tmp_path)
    command = [sys.executable, "-c", RUN, str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with (tmp_path / "out" / "archwright" / "COMPUTE_REPORT.csv").open() as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    expected = [int(gemm_cycles(m, n, k, 8, 4, dataflow)) for m, n, k in _products(workload)]
    assert [int(float(row["Total Cycles"])) for row in rows] == expected
