"""The analytical model: what a network costs on a hardware, for many pairs at once.

A layer takes max(first fill + compute, memory) cycles: loads and compute overlap
(double buffering) but for the first tile. Everything else is a sum over layers; see
``demand`` for what a layer asks, ``costs`` for what that costs, docs/hardware-model.md
for both in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware.blocks import LayerQuantities, cross_blocks, zip_blocks
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.costs import Floats
from archwright.evaluators.hardware.dataflows import too_small
from archwright.evaluators.hardware.layers import layer_rows
from archwright.evaluators.hardware.totals import (
    BOUNDS,
    BUFFERS,
    ENERGIES,
    OUTPUTS,
    TOTALS,
    TYPES,
    Bound,
    Costs,
)
from archwright.space import Point
from archwright.workload import Workload

LARGEST_WORKING_SET = 2**24  # bytes at work in a block


@dataclass(frozen=True)
class LayerCost:
    """One layer on one hardware, for the whole batch.

    Bytes by "inputs", "weights", "outputs", that pass each level of memory (``array_bytes``
    from one processing element to another); energy, uJ, by ``ENERGIES``; ``peak_bytes``,
    by "input_buffer" and so on, is what a buffer must hold for the layer's tiling, both
    halves. ``utilisation`` is the share of the array's multiply-accumulates that the layer
    used over its total cycles; ``bound`` is the resource that takes most of its time.
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
    register_bytes: Mapping[str, float] = field(default_factory=dict)
    array_bytes: float = 0.0
    peak_bytes: Mapping[str, float] = field(default_factory=dict)


class AnalyticalModel:
    """Costs of networks on arrays of processing elements, for batches of inputs."""

    def evaluate(
        self,
        workloads: Sequence[Workload],
        hardware: Mapping[str, Any],
        pairing: Literal["cross", "zip"] = "cross",
        metrics: Sequence[str] = TOTALS,
    ) -> dict[str, Floats]:
        """Each of ``metrics`` for every pair of a workload and a hardware point.

        ``metrics`` are of ``OUTPUTS``; only what they need is computed. ``hardware`` maps
        choice names to 1-D arrays of one length, as ``Space.columns`` gives them (see
        :meth:`HardwareColumns.checked`). "cross" gives arrays of shape (workloads,
        hardware), "zip" pairs the i-th with the i-th: shape (pairs,). Pairs that cannot
        run (see :meth:`infeasible`) are inf in every metric but ``utilisation``, which is
        0. A pair's values do not depend on its company, to the bit. Beside the results,
        memory stays below about 100 MB. Raises :class:`UserError` (:class:`SpaceError` for
        the hardware).
        """
        unknown = [name for name in metrics if name not in OUTPUTS]
        if unknown:
            raise UserError(f"metrics: {unknown[0]!r}: allowed {', '.join(OUTPUTS)}")
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
        # The C library keeps freed memory up to the size of the largest block freed so far:
        # without this, each block's pages would be handed back and faulted in anew.
        np.empty(LARGEST_WORKING_SET // 8)
        blocks = zip_blocks if pairing == "zip" else cross_blocks
        for where, costs in blocks(workloads, points):
            cannot_run = costs.cannot_run if costs.cannot_run.any() else None
            for name in metrics:
                values = costs.metric(name)
                if cannot_run is not None:
                    nothing = 0.0 if name == "utilisation" else np.inf
                    values = np.where(cannot_run, nothing, values)
                results[name][where] = values
        return results

    def per_layer(self, workload: Workload, hardware_point: Point) -> list[LayerCost]:
        """The costs of each layer; they add up to what :meth:`evaluate` gives.

        Raises :class:`MeasurementFailed` with the reason where the pair cannot run.
        """
        points = HardwareColumns.checked(hardware_point)
        reason = self.infeasible(workload, hardware_point)
        if reason is not None:
            raise MeasurementFailed(reason)
        quantities = LayerQuantities(
            layer_rows([workload]), points, str(points.dataflow[0]), points.cycles_per_byte
        )
        costs = Costs(points, quantities)
        size = (len(workload.layers),)
        table = {name: np.broadcast_to(costs.metric(name), size) for name in OUTPUTS}
        bounds = quantities.timing.bounds

        def parts(family: str, names: Sequence[str], i: int) -> dict[str, float]:
            return {name: float(table[f"{family}.{name}"][i]) for name in names}

        return [
            LayerCost(
                name=layer.name,
                cycles=int(table["cycles"][i]),
                stall_cycles=int(table["stall_cycles"][i]),
                total_cycles=int(table["cycles"][i] + table["stall_cycles"][i]),
                utilisation=float(table["utilisation"][i]),
                dram_bytes=parts("dram_bytes", TYPES, i),
                buffer_bytes=parts("buffer_bytes", TYPES, i),
                register_bytes=parts("register_bytes", TYPES, i),
                array_bytes=float(table["array_bytes"][i]),
                peak_bytes=parts("peak_bytes", [f"{name}_buffer" for name in BUFFERS], i),
                energy_uj=parts("energy_uj", ENERGIES, i),
                latency_us=1e3 * float(table["latency_ms"][i]),
                bound=next(name for name in BOUNDS if bounds[name][i]),
            )
            for i, layer in enumerate(workload.layers)
        ]

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
        for name, small in too_small(points, workload.bits).items():
            if small[0]:
                return (
                    f"{name} = {points[name][0]:g}: too small for one tile of an array of "
                    f"{points['rows'][0]:g} x {points['columns'][0]:g} at {workload.bits} bits"
                )
        return None
