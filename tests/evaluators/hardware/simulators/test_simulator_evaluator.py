"""Simulators as instruments: what becomes of results, failures, intervals and workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from archwright.design import Design, Origin
from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.hardware.simulators import (
    Analytical,
    HardwareResult,
    ScaleSim,
    SimulatorEvaluator,
    ZigZag,
    simulators,
)
from archwright.measurement import Fidelity
from archwright.space import Point
from archwright.workload import Layer, LayerKind, Workload

HARDWARE = {
    **{"rows": 8, "columns": 4, "dataflow": "os", "bits": 8},
    **{"input_buffer_kib": 8, "weight_buffer_kib": 8, "output_buffer_kib": 8},
    **{"dram_gb_per_s": 1.0, "clock_mhz": 400},
}


def workload_of(point: Point) -> Workload:
    width = int(point["width"])
    if width > 100:
        raise UserError(f"width = {width}: at most 100")
    return Workload("w", (Layer("only", LayerKind.LINEAR, width, 4, 1, 1, 1, 1),))


def design(width: int, **changes: object) -> Design:
    return Design({"width": width}, {**HARDWARE, **changes}, Origin("test", "test"))


@dataclass(frozen=True)
class Scripted:
    """Latency from the network's width; odd ones fail."""

    option: int = 0
    gone: bool = False
    name: ClassVar[str] = "scripted"
    version: ClassVar[str] = "7"
    fidelity: ClassVar[Fidelity] = Fidelity.SIMULATOR

    @property
    def settings(self) -> Mapping[str, int]:
        return {"option": self.option}

    def missing(self) -> str | None:
        return "scripted is not installed: pip install it" if self.gone else None

    def simulate(self, workload: Workload, hardware: Point) -> HardwareResult:
        width = workload.layers[0].in_channels
        if width % 2:
            raise MeasurementFailed(f"layer only: {width} is odd")
        if width == 4:
            raise ZeroDivisionError("a defect")
        totals = {"latency_ms": float(width), "cycles": 3.0, "macs": 9.0}
        interval = {"latency_ms": (width - 1.0, width + 1.0)}
        return HardwareResult(self.name, self.fidelity, totals, (), 0.5, (), interval)


def evaluator(simulator: object, workers: int = 0) -> SimulatorEvaluator:
    return SimulatorEvaluator(simulator, workload_of, hardware_space(), workers)


def test_results_and_failures_stand_in_order() -> None:
    designs = [design(2), design(3), design(4), design(6), design(2), design(101)]
    outcomes = evaluator(Scripted()).measure([*designs, design(2, rows=7)])
    reasons = [outcome.failure and outcome.failure.reason for outcome in outcomes]
    assert reasons[0] is reasons[3] is reasons[4] is None
    assert reasons[1] == "layer only: 3 is odd"
    assert "a defect" in str(reasons[2])
    assert reasons[5] == "width = 101: at most 100"
    assert str(reasons[6]).startswith("rows = 7")
    (latency,) = outcomes[3].measurements
    assert (latency.metric, latency.value, latency.low, latency.high) == ("latency_ms", 6, 5, 7)
    assert (latency.evaluator, latency.version, latency.seconds) == ("scripted", "7", 0.5)
    assert latency.subject == designs[3].key
    assert outcomes[4] == outcomes[0]


def test_workers_give_what_one_process_gives() -> None:
    designs = [design(2), design(101), design(7), design(2, bits=4), design(9, dataflow="ws")]

    def plain(workers: int) -> list[object]:
        outcomes = evaluator(Analytical(), workers).measure(designs)
        return [
            outcome.failure or [(m.metric, m.value) for m in outcome.measurements]
            for outcome in outcomes
        ]

    assert plain(2) == plain(0)


def test_a_simulator_that_is_missing_is_a_failure_of_each_design() -> None:
    outcomes = evaluator(Scripted(gone=True)).measure([design(2), design(6)])
    for outcome in outcomes:
        assert outcome.failure is not None
        assert outcome.failure.reason == "scripted is not installed: pip install it"


def test_the_context_follows_version_and_options() -> None:
    contexts = {
        evaluator(simulator).context
        for simulator in (Scripted(), Scripted(1), ZigZag(), ZigZag("latency"), ZigZag("energy", 3))
    }
    assert len(contexts) == 5
    assert evaluator(ScaleSim(1.0)).context == evaluator(ScaleSim(2.0)).context


def test_the_analytical_one_measures_what_the_model_gives() -> None:
    (outcome,) = evaluator(Analytical()).measure([design(2)])
    result = Analytical().simulate(workload_of({"width": 2}), HARDWARE)
    found = {m.metric: m.value for m in outcome.measurements}
    assert found == {name: result.totals[name] for name in found}
    assert set(found) == {"latency_ms", "energy_uj", "area_mm2", "power_mw"}
    assert sum(layer.energy_uj or 0 for layer in result.layers) == pytest.approx(
        result.totals["energy_uj"]
    )


def test_all_are_named_by_themselves_in_the_order_of_cost() -> None:
    assert list(simulators()) == ["analytical", "scalesim", "zigzag", "measured"]
    assert all(simulator.name == name for name, simulator in simulators().items())
