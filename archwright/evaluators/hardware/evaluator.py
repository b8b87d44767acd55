"""The analytical model as an instrument: designs in, cost measurements out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence

import numpy as np

from archwright.design import Design
from archwright.errors import UserError
from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.columns import NUMBERS
from archwright.measurement import COSTS, METRICS, Failure, Fidelity, Measurement, Outcome
from archwright.space import Point, Space
from archwright.workload import Workload


class AnalyticalEvaluator:
    """Costs of designs by :class:`AnalyticalModel`: exact, so low and high are the value.

    ``workload_of`` turns a network point into its workload; ``space`` is the hardware
    space that the designs' hardware must lie in. A design that cannot be measured gives
    a failure with the reason.
    """

    name = "analytical"
    version = "2"  # to be raised whenever a formula or a constant changes
    fidelity = Fidelity.ANALYTICAL

    def __init__(self, workload_of: Callable[[Point], Workload], space: Space) -> None:
        self._workload_of = workload_of
        self._space = space
        self._model = AnalyticalModel()

    @property
    def context(self) -> str:
        """Hash of the model's settings. It has none but its version."""
        settings = json.dumps({"version": self.version, "node_nm": 45})
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """All cost metrics of each design; ``seconds`` is its share of the batch's time."""
        start = time.perf_counter()
        workloads: dict[str, Workload | str] = {}
        reasons = [self._reason(design, workloads) for design in designs]
        pairs = [
            (i, workload)
            for i, design in enumerate(designs)
            if reasons[i] is None
            and isinstance(workload := workloads[design.network_key], Workload)
        ]
        columns = {
            name: np.array([designs[i].hardware[name] for i, _ in pairs])
            for name in ("dataflow", *NUMBERS)
        }
        values = (
            self._model.evaluate([w for _, w in pairs], columns, pairing="zip", metrics=COSTS)
            if pairs
            else {}
        )
        seconds = (time.perf_counter() - start) / max(len(designs), 1)
        outcomes = {}
        for row, (i, workload) in enumerate(pairs):
            if np.isfinite(values["latency_ms"][row]):
                measured = {name: float(values[name][row]) for name in COSTS}
                outcomes[i] = self._measured(designs[i], measured, seconds)
            else:
                reasons[i] = self._model.infeasible(workload, designs[i].hardware)
        return [
            outcomes[i] if i in outcomes else self._failed(design, str(reasons[i]))
            for i, design in enumerate(designs)
        ]

    def _reason(self, design: Design, workloads: dict[str, Workload | str]) -> str | None:
        """Why a design has no workload or lies outside the space, if so.

        Keeps each network's workload, or the reason why it has none, in ``workloads``.
        """
        key = design.network_key
        if key not in workloads:
            try:
                workloads[key] = self._workload_of(design.network)
            except UserError as error:
                workloads[key] = str(error)
        workload = workloads[key]
        if isinstance(workload, str):
            return workload
        try:
            self._space.check(design.hardware)
        except UserError as error:
            return str(error)
        return None

    def _failed(self, design: Design, reason: str) -> Outcome:
        return Outcome(failure=Failure(design.key, self.name, reason))

    def _measured(self, design: Design, values: dict[str, float], seconds: float) -> Outcome:
        return Outcome(
            tuple(
                Measurement(
                    subject=design.key,
                    metric=name,
                    value=value,
                    unit=METRICS[name].unit,
                    evaluator=self.name,
                    version=self.version,
                    fidelity=self.fidelity,
                    context=self.context,
                    low=value,
                    high=value,
                    seconds=seconds,
                )
                for name, value in values.items()
            )
        )
