"""Layers on hardware as rows of numbers, with what the analytical model says of them.

Simulators judge each layer of the array alone, with its operands in the DRAM; so here
each layer is a workload of its own, and layers of the vector unit are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.errors import UserError
from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.cycles import DATAFLOWS, ceil_div, fold_streams
from archwright.workload import MATRIX_KINDS, Layer, Workload

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Columns = Mapping[str, npt.NDArray[Any]]

SIZES = ("rows", "columns", "dram_gb_per_s", "clock_mhz", "bits")
BUFFERS = ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib")
TENSORS = ("inputs", "weights", "outputs")
DYNAMIC = (
    *("mac", "registers", "register_file", "array"),
    *("input_buffer", "weight_buffer", "output_buffer", "dram"),
)
"""Components of energy that are paid by the operation or the byte."""
ASKED = (
    *("latency_ms", "energy_uj", "cycles", "stall_cycles", "utilisation"),
    *(f"dram_bytes.{name}" for name in TENSORS),
    *(f"buffer_bytes.{name}" for name in TENSORS),
    *(f"energy_uj.{name}" for name in DYNAMIC),
)


@dataclass(frozen=True)
class LayerTable:
    """Layers of pairs (workload, hardware): ``pair`` says whose a row is.

    ``features`` has shape (rows, features). ``analytical`` and ``base`` map a target to
    values of shape (rows,): what the model says, and the part of it that simulators have,
    too, from which the proxy starts: compute or DRAM without fill and drain, energy
    without leakage and standby. Where a pair cannot run, ``analytical`` is inf and
    ``able`` is false.
    """

    pair: Integers
    pairs: int
    features: Floats
    analytical: Mapping[str, Floats]
    base: Mapping[str, Floats]
    able: npt.NDArray[np.bool_]

    def total(self, values: Floats) -> Floats:
        """``values`` of rows, summed over each pair's layers; shape (pairs,)."""
        return np.bincount(self.pair, values, self.pairs).astype(np.float64)


def layer_table(workloads: Sequence[Workload], hardware: Columns) -> LayerTable:
    """The i-th workload on the i-th hardware, layer by layer.

    ``hardware`` maps choices to arrays of shape (pairs,). Raises :class:`UserError` for a
    workload without a layer on the array.
    """
    numbers: dict[tuple[Layer, int, int], int] = {}
    of_workload: dict[int, list[int]] = {}
    for workload in workloads:
        if id(workload) not in of_workload:
            of_workload[id(workload)] = _array_layers(workload, numbers)
    lists = [of_workload[id(workload)] for workload in workloads]
    pair = np.repeat(np.arange(len(lists)), [len(rows) for rows in lists])
    row = np.array([number for rows in lists for number in rows], dtype=np.int64)
    alone = [Workload("layer", (layer,), bits, batch) for layer, bits, batch in numbers]
    points = {name: np.asarray(values)[pair] for name, values in hardware.items()}
    costs = AnalyticalModel().evaluate([alone[i] for i in row], points, "zip", ASKED)
    able = np.isfinite(costs["latency_ms"])
    safe = {name: np.where(able, costs[name], 1.0) for name in ASKED}
    layers = np.array([_layer_numbers(*key) for key in numbers], dtype=np.float64)[row]
    base, ratios = _base(layers, points, safe)
    return LayerTable(
        pair=pair,
        pairs=len(lists),
        features=np.column_stack([np.log2(1 + layers), *_fit(layers, points), *ratios]),
        analytical={name: costs[name] for name in base},
        base=base,
        able=able,
    )


def _array_layers(workload: Workload, numbers: dict[tuple[Layer, int, int], int]) -> list[int]:
    """The numbers of a workload's layers on the array; new ones get one."""
    layers = [replace(layer, name="layer") for layer in workload.layers if layer.on_array]
    if not layers:
        raise UserError(f"workload {workload.name}: no layer of it runs on the array")
    keys = [(layer, workload.bits, workload.batch) for layer in layers]
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _layer_numbers(layer: Layer, bits: int, batch: int) -> tuple[float, ...]:
    """First the products: m, n, k and their number; then bytes of inputs, weights, outputs."""
    m, n, k, products = layer.gemm
    size = bits / 8
    return (
        *(m * batch, n, k, products),
        size * batch * layer.input_elements,
        size * layer.weight_elements,
        size * batch * layer.output_elements,
        *(*layer.window, *layer.strides, bits),
        *(float(layer.kind is kind) for kind in MATRIX_KINDS),
    )


def _fit(layers: Floats, points: Columns) -> list[Floats]:
    """The hardware, and how layers fit it: their shares of the array and of the buffers."""
    found = [np.log2(points[name].astype(np.float64)) for name in (*SIZES, *BUFFERS)]
    found += [(points["dataflow"] == flow).astype(np.float64) for flow in DATAFLOWS]
    for size, side in product(layers.T[:3], ("rows", "columns")):
        lanes = points[side].astype(np.float64)
        found.append(size / (ceil_div(size, lanes) * lanes))
    for tensor, name in zip(layers.T[4:7], BUFFERS, strict=True):
        found.append(np.log2((1 + tensor) / (512 * points[name].astype(np.float64))))
    return found


def _base(
    layers: Floats, points: Columns, costs: Mapping[str, Floats]
) -> tuple[dict[str, Floats], list[Floats]]:
    """Where the proxy starts from, and how the analytical model's parts relate to it."""
    dram_bytes = np.sum([costs[f"dram_bytes.{name}"] for name in TENSORS], axis=0)
    folds, streamed = _folds(layers, points)
    compute_ms = folds * streamed / (1e3 * points["clock_mhz"])
    dram_ms = dram_bytes / (1e6 * points["dram_gb_per_s"])
    once_ms = layers.T[4:7] / (1e6 * points["dram_gb_per_s"])
    latency = np.maximum(compute_ms, dram_ms)
    energy = np.sum([costs[f"energy_uj.{name}"] for name in DYNAMIC], axis=0)
    shorter = np.minimum(points["rows"], points["columns"])
    ratios = [
        *(np.log2(latency), np.log2(energy), np.log2(folds), np.log2(streamed)),
        *(np.log2(points["rows"] / streamed), np.log2(points["columns"] / streamed)),
        np.log2(shorter / streamed),
        np.log2(dram_ms / compute_ms),
        np.log2(points["dram_gb_per_s"] / points["clock_mhz"]),
        np.log2(costs["latency_ms"] / latency),
        np.log2(costs["energy_uj"] / energy),
        costs["stall_cycles"] / (costs["cycles"] + costs["stall_cycles"]),
        costs["utilisation"],
        *(once / latency for once in once_ms),
        *(costs[f"energy_uj.{name}"] / energy for name in DYNAMIC),
    ]
    for name, size in zip(TENSORS, layers.T[4:7], strict=True):
        for level in ("dram", "buffer"):  # how often each byte passes
            ratios.append(np.log2((1 + costs[f"{level}_bytes.{name}"]) / (1 + size)))
    return {"latency_ms": latency, "energy_uj": energy}, ratios


def _folds(layers: Floats, points: Columns) -> tuple[Floats, Floats]:
    """How often the array is filled anew, and for how many cycles data then streams by."""
    m, n, k, products = layers.T[:4]
    rows, columns = (points[name].astype(np.float64) for name in ("rows", "columns"))
    folds = products * ceil_div(m, rows) * ceil_div(n, columns)
    streamed = k.copy()
    for flow in DATAFLOWS:
        here = points["dataflow"] == flow
        fold = fold_streams(flow, m, n, k, rows, columns)
        folds = np.where(here, products * fold.rows * fold.columns, folds)
        streamed = np.where(here, fold.streamed, streamed)
    return folds, streamed
