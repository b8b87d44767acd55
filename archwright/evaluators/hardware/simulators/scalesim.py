"""SCALE-Sim 3 as a simulator: cycle-accurate cycles of systolic arrays.

A layer is the products that the analytical model computes, too; equal ones run once, each
in a process of its own (a large one takes gigabytes and many seconds), and count as often
as they occur. SCALE-Sim knows neither energy nor area, and in the mode in which it is run
its stalls do not depend on the bandwidth.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.columns import HardwareColumns
from archwright.evaluators.hardware.scalesim_export import (
    RUN_NAME,
    export_scalesim,
    products,
)
from archwright.evaluators.hardware.simulators.child import run_child
from archwright.evaluators.hardware.simulators.installed import installed_version, missing_package
from archwright.evaluators.hardware.simulators.result import (
    ALONE,
    HardwareResult,
    LayerResult,
    not_covered,
    totals_of,
)
from archwright.measurement import Fidelity
from archwright.space import Point
from archwright.workload import Layer, LayerKind, Workload

DATAFLOWS = ("os", "ws", "is")

Product = tuple[int, int, int]
"""Output pixels, filters, window."""


@dataclass(frozen=True)
class ScaleSim:
    """``time_limit_s`` holds for each layer."""

    time_limit_s: float = 600.0
    name: ClassVar[str] = "scalesim"
    fidelity: ClassVar[Fidelity] = Fidelity.SIMULATOR

    @property
    def version(self) -> str:
        """Of SCALE-Sim, and of the way layers become products."""
        return f"{installed_version('scalesim')}+1"

    @property
    def settings(self) -> Mapping[str, str | int | float | bool | None]:
        """Stalls are those of SCALE-Sim's own estimate of the bandwidth."""
        return {"bandwidth": "CALC"}

    def missing(self) -> str | None:
        """None when it can run, else how to install it."""
        return missing_package("scalesim", "SCALE-Sim")

    def simulate(self, workload: Workload, hardware: Point) -> HardwareResult:
        """Cycles, stalls, utilisation and DRAM traffic of the layers that run on the array."""
        start = time.perf_counter()
        if reason := self.missing():
            raise MeasurementFailed(reason)
        HardwareColumns.checked(hardware)
        if hardware["dataflow"] not in DATAFLOWS:
            known_flows = ", ".join(DATAFLOWS)
            raise MeasurementFailed(
                f"dataflow = {hardware['dataflow']!r}: SCALE-Sim has {known_flows} only"
            )
        if reason := AnalyticalModel().infeasible(workload, hardware):
            raise MeasurementFailed(reason)
        known: dict[Product, dict[str, float]] = {}
        layers = tuple(
            self._layer(layer, workload, hardware, known)
            if layer.on_array
            else LayerResult(layer.name, 0)
            for layer in workload.layers
        )
        return HardwareResult(
            self.name,
            self.fidelity,
            totals_of(layers, hardware),
            layers,
            time.perf_counter() - start,
            (
                *not_covered(workload),
                ALONE,
                "stall cycles: SCALE-Sim's own estimate, which does not depend on dram_gb_per_s",
            ),
        )

    def _layer(
        self,
        layer: Layer,
        workload: Workload,
        hardware: Point,
        known: dict[Product, dict[str, float]],
    ) -> LayerResult:
        *product, times = products(layer, workload.batch)
        m, n, k = product
        if (m, n, k) not in known:
            try:
                known[m, n, k] = self._run((m, n, k), workload.bits, hardware)
            except (MeasurementFailed, UserError) as error:
                raise MeasurementFailed(f"layer {layer.name} ({m} x {n} x {k}): {error}") from error
        found = known[m, n, k]
        stalls = times * found["stall_cycles"]
        cycles = times * found["cycles"] - stalls
        macs = layer.macs * workload.batch
        peak = int(hardware["rows"]) * int(hardware["columns"])
        return LayerResult(
            name=layer.name,
            macs=macs,
            cycles=cycles,
            stall_cycles=stalls,
            utilisation=macs / (peak * (cycles + stalls)),
            dram_bytes=times * found["dram_words"] * workload.bits / 8,
            latency_us=(cycles + stalls) / float(hardware["clock_mhz"]),
        )

    def _run(self, product: Product, bits: int, hardware: Point) -> dict[str, float]:
        """One product: its total cycles, the stalls among them, and its DRAM words."""
        m, n, k = product
        layer = Layer("product", LayerKind.LINEAR, k, n, m, 1, m, 1)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            export_scalesim(Workload("product", (layer,), bits), hardware, folder)
            files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        answer = run_child("scalesim_layer.py", {"run_name": RUN_NAME}, self.time_limit_s, files)
        try:
            return {key: float(answer[key]) for key in ("cycles", "stall_cycles", "dram_words")}
        except (KeyError, TypeError, ValueError) as error:
            raise MeasurementFailed(f"its report cannot be read: {error}") from error
