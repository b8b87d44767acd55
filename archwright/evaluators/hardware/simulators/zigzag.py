"""ZigZag 3 as a simulator: energy and cycles of the best order of loops that it finds.

The hardware's memories and energies go over as they are (see ``zigzag_inputs``), a layer
runs in a process of its own, equal layers run once. What is found is without fill and
drain of each fold, without leakage and without the DRAM interface's standby.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.simulators.child import run_child
from archwright.evaluators.hardware.simulators.installed import installed_version, missing_package
from archwright.evaluators.hardware.simulators.result import (
    ALONE,
    HardwareResult,
    LayerResult,
    not_covered,
    totals_of,
)
from archwright.evaluators.hardware.simulators.zigzag_inputs import (
    UNROLLED,
    accelerator,
    dram_bits_per_cycle,
    mapping,
    sum_bits,
)
from archwright.evaluators.hardware.zigzag_export import zigzag_workload
from archwright.measurement import Fidelity
from archwright.space import Point
from archwright.workload import Layer, Workload

_FIGURES = ("energy_pj", "total_cycles", "cycles", "dram_bytes")


@dataclass(frozen=True)
class ZigZag:
    """``objective`` is what the search minimises over the orders of ``loop_factors`` loops.

    6 factors are ZigZag's own default: 2 to 15 s a layer; 4 are much quicker and may miss
    the best order. ``time_limit_s`` holds for each layer. The search has no chance in it.
    """

    objective: Literal["energy", "latency"] = "energy"
    loop_factors: int = 6
    time_limit_s: float = 300.0
    name: ClassVar[str] = "zigzag"
    fidelity: ClassVar[Fidelity] = Fidelity.SIMULATOR

    @property
    def version(self) -> str:
        """Of ZigZag, and of the way in which hardware and layers are handed over."""
        return f"{installed_version('zigzag-dse')}+1"

    @property
    def settings(self) -> Mapping[str, str | int | float | bool | None]:
        """The options of the search."""
        return {"objective": self.objective, "loop_factors": self.loop_factors}

    def missing(self) -> str | None:
        """None when it can run, else how to install it."""
        return missing_package("zigzag-dse", "ZigZag") or missing_package("six", "ZigZag's six")

    def simulate(self, workload: Workload, hardware: Point) -> HardwareResult:
        """Energy, cycles and DRAM traffic of the layers that run on the array."""
        start = time.perf_counter()
        if reason := self.missing():
            raise MeasurementFailed(reason)
        points = HardwareColumns.checked(hardware)
        if hardware["dataflow"] not in UNROLLED:
            raise MeasurementFailed(
                f"dataflow = {hardware['dataflow']!r}: for ZigZag there are {', '.join(UNROLLED)}"
            )
        if reason := AnalyticalModel().infeasible(workload, hardware):
            raise MeasurementFailed(reason)
        known: dict[str, dict[str, float]] = {}
        layers = []
        for layer in workload.layers:
            if layer.on_array:
                layers.append(self._layer(layer, workload, hardware, known))
            else:
                layers.append(LayerResult(layer.name, 0))
        return HardwareResult(
            self.name,
            self.fidelity,
            totals_of(layers, hardware),
            tuple(layers),
            time.perf_counter() - start,
            (*not_covered(workload), ALONE, *_notes(points)),
        )

    def _layer(
        self,
        layer: Layer,
        workload: Workload,
        hardware: Point,
        known: dict[str, dict[str, float]],
    ) -> LayerResult:
        try:
            found = self._run(layer, workload, hardware, known)
        except MeasurementFailed as error:
            raise MeasurementFailed(f"layer {layer.name}: {error}") from error
        macs = layer.macs * workload.batch
        total = found["total_cycles"]
        peak = int(hardware["rows"]) * int(hardware["columns"])
        return LayerResult(
            name=layer.name,
            macs=macs,
            cycles=found["cycles"],
            stall_cycles=total - found["cycles"],
            utilisation=macs / (peak * total),
            dram_bytes=found["dram_bytes"],
            energy_uj=found["energy_pj"] / 1e6,
            latency_us=total / float(hardware["clock_mhz"]),
        )

    def _run(
        self,
        layer: Layer,
        workload: Workload,
        hardware: Point,
        known: dict[str, dict[str, float]],
    ) -> dict[str, float]:
        """ZigZag's figures for one layer; those of an equal one if it was there before."""
        alone = replace(workload, layers=(layer,))
        (described,) = zigzag_workload(alone, sum_bits=sum_bits(hardware))
        key = json.dumps({**described, "name": "", "id": 0}, sort_keys=True)
        if key in known:
            return known[key]
        loops = dict(zip(described["loop_dims"], described["loop_sizes"], strict=True))
        # JSON is YAML, and needs no library to write.
        files = {
            "workload.json": json.dumps([described]),
            "accelerator.yaml": json.dumps(accelerator(hardware)),
            "mapping.yaml": json.dumps(mapping(loops, hardware)),
        }
        task: dict[str, Any] = {"objective": self.objective, "loop_factors": self.loop_factors}
        answer = run_child("zigzag_layer.py", task, self.time_limit_s, files)
        try:
            known[key] = {name: float(answer[name]) for name in _FIGURES}
        except (KeyError, TypeError, ValueError) as error:
            raise MeasurementFailed(f"its result cannot be read: {error}") from error
        return known[key]


def _notes(points: HardwareColumns) -> tuple[str, ...]:
    notes = ["energy of multiply-accumulates and memories; no leakage, no standby"]
    wanted = dram_bits_per_cycle(points)
    taken = max(1, round(wanted))
    if abs(taken - wanted) > 0.01 * wanted:
        notes.append(f"DRAM taken as {taken} bits per cycle instead of {wanted:.3g}")
    return tuple(notes)
