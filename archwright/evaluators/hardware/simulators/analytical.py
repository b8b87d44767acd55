"""The analytical model with a simulator's face, so that all are asked in one way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.evaluator import AnalyticalEvaluator
from archwright.evaluators.hardware.simulators.result import HardwareResult, LayerResult
from archwright.measurement import Fidelity
from archwright.space import Point
from archwright.workload import Workload


@dataclass(frozen=True)
class Analytical:
    """:class:`AnalyticalModel`, one pair at a time. For many pairs ask the model itself."""

    name: ClassVar[str] = "analytical"
    fidelity: ClassVar[Fidelity] = Fidelity.ANALYTICAL

    @property
    def version(self) -> str:
        """The model's."""
        return AnalyticalEvaluator.version

    @property
    def settings(self) -> Mapping[str, str | int | float | bool | None]:
        """None: the model has no options."""
        return {}

    def missing(self) -> str | None:
        """Nothing: it is part of Archwright."""
        return None

    def simulate(self, workload: Workload, hardware: Point) -> HardwareResult:
        """Every metric, and every layer with what bounds it."""
        start = time.perf_counter()
        model = AnalyticalModel()
        layers = tuple(
            LayerResult(
                name=cost.name,
                macs=layer.macs * workload.batch,
                cycles=cost.cycles,
                stall_cycles=cost.stall_cycles,
                utilisation=cost.utilisation,
                dram_bytes=sum(cost.dram_bytes.values()),
                energy_uj=sum(cost.energy_uj.values()),
                latency_us=cost.latency_us,
                bound=cost.bound,
            )
            for layer, cost in zip(
                workload.layers, model.per_layer(workload, hardware), strict=True
            )
        )
        columns = {name: np.array([value]) for name, value in hardware.items()}
        values = model.evaluate([workload], columns, pairing="zip")
        totals = {name: float(value[0]) for name, value in values.items()}
        return HardwareResult(self.name, self.fidelity, totals, layers, time.perf_counter() - start)
