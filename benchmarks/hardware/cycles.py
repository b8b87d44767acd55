"""Stall-free cycles: the formulas against SCALE-Sim's, tabled and run here.

Run here: the first 20 layers of MobileNetV2 that differ and whose product takes SCALE-Sim
no more than half a minute or so, each on the next of six arrays and dataflows.

The table: ``systolic_cycles.csv`` of the shared data, or its copy among the tests' data
(PrincetonUniversity/LLMCompass, see NOTICE).
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware import AnalyticalModel, gemm_cycles
from archwright.evaluators.hardware.simulators import ScaleSim
from archwright.workload import Layer, Workload
from benchmarks.hardware.throughput import mobilenet_v2
from benchmarks.row import Row

ROOT = Path(__file__).resolve().parents[2]
NAME = "systolic_cycles.csv"
LAYERS = 20
MOST_CYCLES = 20_000
"""Of one product: SCALE-Sim takes up to half a millisecond for each."""
ARRAYS = (
    ("os", 32, 32),
    ("ws", 16, 64),
    ("is", 64, 16),
    ("ws", 32, 32),
    ("is", 8, 32),
    ("os", 64, 8),
)


def measure() -> list[Row]:
    return [_table(), _simulated()]


def _table() -> Row:
    shared = Path(os.environ.get("ARCHWRIGHT_SHARED", ROOT.parent / "shared")) / "data" / NAME
    path = shared if shared.is_file() else ROOT / "tests" / "data" / NAME
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    m, n, k, height, width, expected = (
        np.array([int(row[name]) for row in rows])
        for name in ("M", "N", "K", "rows", "cols", "cycles")
    )
    cycles = gemm_cycles(m, n, k, height, width, np.array([row["dataflow"] for row in rows]))
    equal = int((cycles == expected).sum())
    return Row(
        "stall-free cycles, rows of systolic_cycles.csv",
        f"{len(rows)} of {len(rows)} equal",
        f"{equal} of {len(rows)} equal",
        equal == len(rows),
    )


def _simulated() -> Row:
    layers = _layers()
    asked = f"{LAYERS} of {LAYERS} equal"
    equal = 0
    for layer, dataflow, rows, columns in layers:
        hardware = {
            **{"rows": rows, "columns": columns, "dataflow": dataflow, "bits": 8},
            **{"input_buffer_kib": 64, "weight_buffer_kib": 64, "output_buffer_kib": 64},
            **{"dram_gb_per_s": 16.0, "clock_mhz": 400},
        }
        workload = Workload(layer.name, (layer,))
        try:
            (found,) = ScaleSim().simulate(workload, hardware).layers
        except MeasurementFailed as failure:
            return Row(
                "stall-free cycles, layers run through SCALE-Sim", asked, str(failure), False
            )
        (ours,) = AnalyticalModel().per_layer(workload, hardware)
        equal += found.cycles == ours.cycles
    return Row(
        "stall-free cycles, layers of MobileNetV2 run through SCALE-Sim here",
        asked,
        f"{equal} of {len(layers)} equal",
        equal == len(layers) == LAYERS,
    )


def _layers() -> list[tuple[Layer, str, int, int]]:
    """Layers that differ, in the network's order, each with a dataflow and an array."""
    chosen: dict[tuple[int, ...], tuple[Layer, str, int, int]] = {}
    for layer in mobilenet_v2().layers:
        if layer.gemm in chosen or len(chosen) == LAYERS:
            continue
        m, n, k, _ = layer.gemm
        dataflow, rows, columns = ARRAYS[len(chosen) % len(ARRAYS)]
        if int(gemm_cycles(m, n, k, rows, columns, dataflow)) <= MOST_CYCLES:
            chosen[layer.gemm] = (layer, dataflow, rows, columns)
    return list(chosen.values())
