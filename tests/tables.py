"""Tables for the tests: a tiny one of networks with hardware, and how a table is written."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from archwright.agents.costing import Costing
from archwright.agents.problem import Problem
from archwright.evaluators.hardware import hardware_space
from archwright.front import Score, bounds_from_sample
from archwright.space import Choice, Point, Space, point_hash
from archwright.tabular.problem import TabularProblem
from archwright.tabular.table import Table
from archwright.workload import Layer, LayerKind, Workload

NETWORKS = Space(
    "tiny",
    (
        Choice("width", (8, 16, 32, 64), "features of a layer"),
        Choice("depth", (1, 2, 3), "layers"),
        Choice("rows", ("plain", "biased"), "what layers add; also the name of a hardware choice"),
        Choice("bits", (8, 16), "of the network: hardware of 8 bits cannot run 16"),
    ),
)
HARDWARE = hardware_space().restrict(
    {
        "rows": [4, 16], "columns": [4, 16], "dataflow": ["ws"], "input_buffer_kib": [1],
        "weight_buffer_kib": [1], "output_buffer_kib": [1], "dram_gb_per_s": [0.25, 4.0],
        "clock_mhz": [200], "bits": [8, 16],
    }
)  # fmt: skip
COLUMNS = ("width", "depth", "rows", "bits")
OBJECTIVES = ("accuracy", "latency_ms", "area_mm2")


def workload_of(point: Point) -> Workload:
    """So many linear layers of one width."""
    width = int(point["width"])
    linear, biased = LayerKind.LINEAR, point["rows"] == "biased"
    layers = [
        Layer(f"layer{k}", linear, width, width, 1, 1, 1, 1, bias=biased)
        for k in range(int(point["depth"]))
    ]
    return Workload("tiny", tuple(layers), int(point["bits"]))


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """A CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_tiny(path: Path) -> Path:
    """The 48 tiny networks with two columns of accuracies, one like the other."""
    rng = np.random.default_rng(1)
    rows = []
    for point in NETWORKS.decode(NETWORKS.enumerate()):
        size = np.log2(float(point["width"])) + float(point["depth"])
        short = 0.1 * size + 0.05 * (point["bits"] == 16) + rng.normal(0, 0.02)
        rows.append([*point.values(), round(short, 4), round(short + rng.normal(0, 0.02), 4)])
    return write(path, (*COLUMNS, "short", "long"), rows)


def tiny(table: Table, accuracy: str) -> TabularProblem:
    """The tiny networks crossed with 16 accelerators, as ``nas201`` does with its own."""
    points = [
        {"width": int(w), "depth": int(d), "rows": r, "bits": int(b)}
        for w, d, r, b in zip(*(table.words(column) for column in COLUMNS), strict=True)
    ]
    values = table.numbers(accuracy).tolist()
    rows = {point_hash(p): {"accuracy": v} for p, v in zip(points, values, strict=True)}
    costing = Costing(NETWORKS, HARDWARE, workload_of)
    costs = costing.cross(NETWORKS.enumerate(), HARDWARE.enumerate())
    sample = {metric: of.reshape(-1) for metric, of in costs.items()}
    score = Score(bounds_from_sample(OBJECTIVES, 10, sample))
    return TabularProblem("tiny", Problem(NETWORKS, HARDWARE, score, costing), rows)
