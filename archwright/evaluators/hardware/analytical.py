"""The analytical model: what a network costs on a hardware, for many pairs at once.

A layer takes max(first fill + compute, memory) cycles: loads and compute overlap
(double buffering) but for the first tile. Everything else is a sum over layers; see
``demand`` for what a layer asks, ``costs`` for what that costs, docs/hardware-model.md
for both in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware.blocks import cross_blocks, zip_blocks
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.demand import (
    Demand,
    LayerRows,
    demand,
    layer_rows,
    workload_rows,
)
from archwright.evaluators.hardware.totals import (
    energy_by_component,
    metrics_of,
    stalled_cycles,
    totals_of,
)
from archwright.space import Point
from archwright.workload import Workload

TOTALS = (
    "latency_ms",
    "energy_uj",
    "area_mm2",
    "power_mw",
    "cycles",
    "stall_cycles",
    "utilisation",
    "dram_bytes",
    "macs",
    "parameters",
    "memory_kib",
)
"""What ``evaluate`` gives; ``cycles`` are without stalls."""

Bound = Literal["compute", "dram", "fill/drain", "vector unit"]


@dataclass(frozen=True)
class LayerCost:
    """One layer on one hardware. Bytes by "inputs", "weights", "outputs"; energy, uJ, by
    the components of :meth:`AnalyticalModel.per_layer`; ``utilisation`` is the share of
    the array's multiply-accumulates that the layer used over its total cycles.
    """

    name: str
    cycles: int
    stall_cycles: int
    total_cycles: int
    utilisation: float
    dram_bytes: Mapping[str, float]
    buffer_bytes: Mapping[str, float]
    energy_uj: Mapping[str, float]
    latency_us: float
    bound: Bound


class AnalyticalModel:
    """Costs of networks on systolic arrays at 45 nm, one input at a time (batch 1)."""

    def evaluate(
        self,
        workloads: Sequence[Workload],
        hardware: Mapping[str, Any],
        pairing: Literal["cross", "zip"] = "cross",
        metrics: Sequence[str] = TOTALS,
    ) -> dict[str, Floats]:
        """Each of ``metrics`` for every pair of a workload and a hardware point.

        ``hardware`` maps choice names to 1-D arrays of one length, as ``Space.columns``
        gives them. "cross" gives arrays of shape (workloads, hardware), "zip" pairs the
        i-th with the i-th: shape (pairs,). Pairs that cannot run (see :meth:`infeasible`)
        are inf in every metric but ``utilisation``, which is 0. A pair's values do not
        depend on its company, to the bit. Beside the results, memory stays below about
        100 MB. Raises :class:`UserError` (:class:`SpaceError` for the hardware).
        """
        unknown = [name for name in metrics if name not in TOTALS]
        if unknown:
            raise UserError(f"metrics: {unknown[0]!r}: allowed {', '.join(TOTALS)}")
        if pairing not in ("cross", "zip"):
            raise UserError(f"pairing = {pairing!r}: allowed 'cross', 'zip'")
        points = HardwareColumns.checked(hardware)
        if pairing == "zip" and len(workloads) != len(points):
            raise UserError(
                f"pairing = 'zip': {len(workloads)} workloads and {len(points)} hardware points; "
                "as many are needed"
            )
        shape = (len(points),) if pairing == "zip" else (len(workloads), len(points))
        results = {name: np.empty(shape) for name in metrics}
        blocks = zip_blocks if pairing == "zip" else cross_blocks
        for where, networks, block, totals in blocks(workloads, points):
            values = metrics_of(networks, block, totals)
            for name in metrics:
                results[name][where] = values[name]
        return results

    def per_layer(self, workload: Workload, hardware_point: Point) -> list[LayerCost]:
        """The costs of each layer; they add up to what :meth:`evaluate` gives.

        Energy by component: mac, registers, vector_unit, input_buffer, weight_buffer,
        output_buffer, dram, interface, leakage. Raises :class:`MeasurementFailed` with
        the reason where the pair cannot run.
        """
        points = HardwareColumns.checked(hardware_point)
        reason = self.infeasible(workload, hardware_point)
        if reason is not None:
            raise MeasurementFailed(reason)
        layers = layer_rows(workload_rows(workload))
        asked = demand(layers, points, str(points.dataflow[0]))
        ratio = points.cycles_per_byte
        total = stalled_cycles(asked.cycles, asked.first_fill, asked.dram, ratio)
        energy = energy_by_component(
            points, layers.macs, layers.vector_operations, totals_of(asked, total)
        )
        bounds = _bounds(layers, asked, ratio)
        peak = float(points["rows"][0] * points["columns"][0])
        result = []
        for i, layer in enumerate(workload.layers):
            result.append(
                LayerCost(
                    name=layer.name,
                    cycles=int(asked.cycles[i]),
                    stall_cycles=int(total[i] - asked.cycles[i]),
                    total_cycles=int(total[i]),
                    utilisation=float(layers.macs[i] / (peak * total[i])),
                    dram_bytes={
                        "inputs": float(asked.dram_inputs[i]),
                        "weights": float(asked.dram_weights[i]),
                        "outputs": float(asked.dram_outputs[i]),
                    },
                    buffer_bytes={
                        "inputs": float(asked.buffer_inputs[i]),
                        "weights": float(asked.buffer_weights[i]),
                        "outputs": float(asked.buffer_outputs[i]),
                    },
                    energy_uj={name: float(value[i]) for name, value in energy.items()},
                    latency_us=float(total[i] / points["clock_mhz"][0]),
                    bound=bounds[i],
                )
            )
        return result

    def area_breakdown(self, hardware_point: Point) -> dict[str, float]:
        """Area by component, mm2: array, vector_unit, the three buffers, interface."""
        areas = HardwareColumns.checked(hardware_point).areas
        return {name: float(area[0]) for name, area in areas.items()}

    def infeasible(self, workload: Workload, hardware_point: Point) -> str | None:
        """Why the workload cannot run on the hardware, naming the key; None if it can."""
        points = HardwareColumns.checked(hardware_point)
        supported = int(points["bits"][0])
        if workload.bits > supported:
            return (
                f"bits = {supported}: the network's operands have {workload.bits} bits; "
                f"hardware of at least as many is needed"
            )
        for name, small in points.too_small(workload.bits).items():
            if small[0]:
                return (
                    f"{name} = {points[name][0]:g}: half of it cannot hold one vector for an "
                    f"array of {points['rows'][0]:g} x {points['columns'][0]:g} at "
                    f"{workload.bits} bits"
                )
        return None


def _bounds(layers: LayerRows, asked: Demand, cycles_per_byte: Floats) -> list[Bound]:
    """Which resource bounds each layer: the one that takes most of its time."""
    fill = np.ceil(asked.first_fill * cycles_per_byte)
    dram = np.ceil(asked.dram * cycles_per_byte) > fill + asked.cycles
    filling = 2 * (fill + asked.folding) > fill + asked.cycles
    names: list[Bound] = []
    for on_dram, on_array, on_fill in zip(dram, layers.repeats > 0, filling, strict=True):
        on_chip: Bound = "fill/drain" if on_fill else "compute"
        names.append("dram" if on_dram else on_chip if on_array else "vector unit")
    return names
