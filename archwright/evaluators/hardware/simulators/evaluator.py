"""A simulator as an instrument: designs in, measurements of what it knows out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from archwright.design import Design
from archwright.errors import ArchwrightError, MeasurementFailed
from archwright.evaluators.hardware.simulators.result import HardwareResult, Simulator
from archwright.evaluators.pool import TaskFailed, WorkerPool
from archwright.measurement import METRICS, Failure, Fidelity, Measurement, Outcome
from archwright.space import Point, Space
from archwright.workload import Workload

SIMULATED = ("latency_ms", "energy_uj", "area_mm2", "power_mw")
"""What a simulator may be asked about; the other costs are counted, not simulated."""

Pair = tuple[Workload, Point]


class SimulatorEvaluator:
    """Measures designs by a :class:`Simulator`, one after another or ``workers`` at a time.

    ``workload_of`` turns a network point into its workload; ``space`` is the hardware
    space in which the designs' hardware must lie. A simulator that is not installed, a
    pair that it cannot express, a time-out: each is a failure with the reason. Values are
    exact (low and high are the value), but for those with an interval of their own.
    """

    def __init__(
        self,
        simulator: Simulator,
        workload_of: Callable[[Point], Workload],
        space: Space,
        workers: int = 0,
    ) -> None:
        self._simulator = simulator
        self._workload_of = workload_of
        self._space = space
        self._workers = workers

    @property
    def name(self) -> str:
        """The simulator's."""
        return self._simulator.name

    @property
    def version(self) -> str:
        """The simulator's."""
        return self._simulator.version

    @property
    def fidelity(self) -> Fidelity:
        """The simulator's."""
        return self._simulator.fidelity

    @property
    def context(self) -> str:
        """Hash of the version and of the options that the values depend on."""
        settings = {"version": self.version, **self._simulator.settings}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """The costs that the simulator knows, of each design; equal designs run once."""
        outcomes = dict(self.measure_each(designs))
        return [outcomes[index] for index in range(len(designs))]

    def measure_each(self, designs: Sequence[Design]) -> Iterator[tuple[int, Outcome]]:
        """(index, outcome) of every design, each as soon as it exists."""
        same: dict[str, list[int]] = {}
        pairs: dict[str, Pair] = {}
        for index, design in enumerate(designs):
            try:
                self._space.check(design.hardware)
                pairs[design.key] = (self._workload_of(design.network), design.hardware)
                same.setdefault(design.key, []).append(index)
            except ArchwrightError as error:
                yield index, self._outcome(design, str(error))
        for key, found in self._run(pairs):
            for index in same[key]:
                yield index, self._outcome(designs[index], found)

    def _run(self, pairs: dict[str, Pair]) -> Iterator[tuple[str, HardwareResult | str]]:
        """Each pair's result, or the reason why it has none."""
        if not pairs:
            return
        if reason := self._simulator.missing():
            yield from ((key, reason) for key in pairs)
            return
        keys = list(pairs)
        start = _Start(self._simulator)
        # Each simulator limits its own time, by layer.
        with WorkerPool(start, min(self._workers, len(keys)), time_limit_s=float("inf")) as pool:
            try:
                for index, found in pool.run([pairs[key] for key in keys]):
                    yield (
                        keys[index],
                        found.reason if isinstance(found, TaskFailed) else found,
                    )
            except MeasurementFailed as error:  # the workers cannot be started
                yield from ((key, str(error)) for key in keys)

    def _outcome(self, design: Design, result: HardwareResult | str) -> Outcome:
        if isinstance(result, str):
            return Outcome(failure=Failure(design.key, self.name, result))
        measurements = []
        for name in SIMULATED:
            if name not in result.totals:
                continue
            value = result.totals[name]
            low, high = result.intervals.get(name, (value, value))
            measurements.append(
                Measurement(
                    subject=design.key,
                    metric=name,
                    value=value,
                    unit=METRICS[name].unit,
                    evaluator=self.name,
                    version=self.version,
                    fidelity=self.fidelity,
                    context=self.context,
                    low=low,
                    high=high,
                    seconds=result.seconds,
                )
            )
        return Outcome(tuple(measurements))


@dataclass(frozen=True)
class _Start:
    """What a worker begins with."""

    simulator: Simulator

    def __call__(self) -> Callable[[Pair], HardwareResult | str]:
        return self._simulate

    def _simulate(self, pair: Pair) -> HardwareResult | str:
        try:
            return self.simulator.simulate(*pair)
        except ArchwrightError as error:
            return str(error)
