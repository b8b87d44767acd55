"""From cycles and bytes to metrics: time, energy, area, and what cannot run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from archwright.evaluators.hardware import costs
from archwright.evaluators.hardware.columns import HardwareColumns, Integers
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.demand import Demand, LayerRows, Row
from archwright.workload import Workload


class Totals(NamedTuple):
    """Sums over layers (or one layer's), of one shape. Cycles; bytes."""

    cycles: Floats
    total_cycles: Floats
    dram: Floats
    buffer_inputs: Floats
    buffer_weights: Floats
    buffer_outputs: Floats


def totals_of(asked: Demand, total_cycles: Floats) -> Totals:
    """What the costs need of a demand."""
    return Totals(
        asked.cycles,
        total_cycles,
        asked.dram,
        asked.buffer_inputs,
        asked.buffer_weights,
        asked.buffer_outputs,
    )


def stalled_cycles(
    cycles: Floats, first_fill: Floats, dram: Floats, cycles_per_byte: Floats
) -> Floats:
    """Cycles with stalls: compute after the first fill, or the DRAM, whichever ends last."""
    filled = np.ceil(first_fill * cycles_per_byte) + cycles
    total: Floats = np.maximum(filled, np.ceil(dram * cycles_per_byte))
    return total


def energy_by_component(
    points: HardwareColumns, macs: Floats, vector_operations: Floats, totals: Totals
) -> dict[str, Floats]:
    """Energy by component, uJ (the 1e-6 turns pJ into uJ; mW x ms is uJ)."""
    scale = 1e-6 * (points.voltage / costs.NOMINAL_VOLTAGE) ** 2
    milliseconds = totals.total_cycles / (points["clock_mhz"] * 1e3)
    core = points.area_mm2 - points.areas["interface"]
    element = costs.register_bits(points["bits"]) * costs.REGISTER_BIT_CYCLE_PJ
    registers = points["rows"] * points["columns"] * element * scale
    buffers = {
        f"{name}_buffer": accessed
        * (costs.buffer_pj_per_byte(points[f"{name}_buffer_kib"]) * scale)
        for name, accessed in (
            ("input", totals.buffer_inputs),
            ("weight", totals.buffer_weights),
            ("output", totals.buffer_outputs),
        )
    }
    return {
        "mac": macs * (costs.by_bits(costs.MAC_PJ, points["bits"]) * scale),
        "registers": totals.cycles * registers,
        "vector_unit": vector_operations * (costs.VECTOR_OPERATION_PJ * scale),
        **buffers,
        "dram": totals.dram * (costs.DRAM_PJ_PER_BYTE * 1e-6),
        "interface": milliseconds * (points["dram_gb_per_s"] * costs.INTERFACE_MW_PER_GB_PER_S),
        "leakage": milliseconds * costs.leakage_mw(core, points.voltage),
    }


class Networks(NamedTuple):
    """What the metrics need of the workloads themselves: arrays of shape (workloads,)."""

    bits: Floats
    macs: Floats
    vector_operations: Floats
    parameters: Floats
    memory_kib: Floats

    def as_rows(self) -> Networks:
        """With an axis for the hardware: shape (workloads, 1)."""
        return Networks(*(array[:, None] for array in self))

    def take(self, indices: Integers) -> Networks:
        """The workloads at ``indices``."""
        return Networks(*(array[indices] for array in self))


def networks_of(workloads: Sequence[Workload], tables: Sequence[list[Row]]) -> Networks:
    """The workloads' own numbers; ``tables`` holds the rows of each one's layers."""
    operations = LayerRows._fields.index("vector_operations")
    table = [
        (w.bits, w.macs, sum(row[operations] for row in rows), w.parameters, w.memory_kib)
        for w, rows in zip(workloads, tables, strict=True)
    ]
    return Networks(*np.array(table, dtype=np.float64).T)


def metrics_of(networks: Networks, points: HardwareColumns, totals: Totals) -> dict[str, Floats]:
    """The totals as metrics, with inf where a pair cannot run."""
    energy = sum(
        energy_by_component(points, networks.macs, networks.vector_operations, totals).values(),
        np.zeros(1),
    )
    latency = totals.total_cycles / (points["clock_mhz"] * 1e3)
    peak = points["rows"] * points["columns"]
    values = {
        "latency_ms": latency,
        "energy_uj": energy,
        "area_mm2": points.area_mm2,
        "power_mw": energy / latency,
        "cycles": totals.cycles,
        "stall_cycles": totals.total_cycles - totals.cycles,
        "utilisation": networks.macs / (peak * totals.total_cycles),
        "dram_bytes": totals.dram,
        "macs": networks.macs,
        "parameters": networks.parameters,
        "memory_kib": networks.memory_kib,
    }
    broken = networks.bits > points["bits"]
    for small in points.too_small(networks.bits).values():
        broken = broken | small
    if broken.any():
        for name, value in values.items():
            values[name] = np.where(broken, 0.0 if name == "utilisation" else np.inf, value)
    return values
