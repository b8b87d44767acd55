"""What every instrument promises. To add one: name it in INSTRUMENTS, build it in ``make``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from archwright.brief import Task
from archwright.design import Design, Origin
from archwright.evaluators import Evaluator
from archwright.evaluators.hardware import AnalyticalEvaluator, hardware_space
from archwright.evaluators.hardware.simulators import (
    Measured,
    ScaleSim,
    Simulator,
    SimulatorEvaluator,
    ZigZag,
)
from archwright.evaluators.supernet import (
    InputShape,
    Recipe,
    SupernetEvaluator,
    cached_supernet,
    load_data,
    network_space,
    workload_of,
)
from archwright.measurement import DIAGNOSTICS, METRICS, Fidelity
from archwright.space import Point
from archwright.workload import Workload

SIMULATORS: dict[str, Simulator] = {
    "scalesim": ScaleSim(),
    "zigzag": ZigZag(loop_factors=2),
    "measured": Measured(seconds=0.02),
}
INSTRUMENTS = (
    "analytical",
    "supernet",
    *(pytest.param(name, marks=pytest.mark.slow) for name in SIMULATORS),
)
SHAPE = InputShape(1, 8, 10)
ORIGIN = Origin("test", "drawn uniformly")

Make = Callable[[], Evaluator]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SupernetEvaluator]:
    data = load_data(Task(data="digits"), 0)
    space = network_space(data.shape)
    cache = tmp_path_factory.mktemp("supernets")
    checkpoint = cached_supernet(Recipe(epochs=1), space, data, Path(cache), lambda _: None)
    return lambda: SupernetEvaluator(checkpoint, space, data, "validation", workers=0)


def first_layer(point: Point) -> Workload:
    """Enough of a network for what takes seconds a layer."""
    workload = workload_of(point, SHAPE)
    return replace(workload, layers=workload.layers[:1])


@pytest.fixture(params=INSTRUMENTS)
def make(request: pytest.FixtureRequest, trained: Make) -> Make:
    if request.param == "supernet":
        return trained
    if request.param in SIMULATORS:
        simulator = SIMULATORS[request.param]
        if reason := simulator.missing():
            pytest.skip(reason)
        return lambda: SimulatorEvaluator(simulator, first_layer, hardware_space())
    return lambda: AnalyticalEvaluator(partial(workload_of, shape=SHAPE), hardware_space())


@pytest.fixture(scope="module")
def designs() -> list[Design]:
    rng = np.random.default_rng(5)
    networks, hardware = network_space(SHAPE), hardware_space()
    pairs = zip(
        networks.decode(networks.sample(rng, 5)),
        hardware.restrict({"bits": [16]}).decode(hardware.restrict({"bits": [16]}).sample(rng, 5)),
        strict=True,
    )
    return [Design(network, device, ORIGIN) for network, device in pairs]


def test_one_outcome_per_design_in_order(make: Make, designs: list[Design]) -> None:
    outcomes = make().measure(designs)
    assert len(outcomes) == len(designs)
    for design, outcome in zip(designs, outcomes, strict=True):
        assert outcome.failure is None
        assert outcome.measurements
        for measurement in outcome.measurements:
            assert measurement.subject in (design.key, design.network_key)


def test_every_number_has_its_provenance(make: Make, designs: list[Design]) -> None:
    instrument = make()
    for outcome in instrument.measure(designs):
        for m in outcome.measurements:
            assert (METRICS | DIAGNOSTICS)[m.metric].unit == m.unit
            assert math.isfinite(m.value)
            assert m.low <= m.value <= m.high
            assert m.seconds >= 0
            assert (m.evaluator, m.version) == (instrument.name, instrument.version)
            assert (m.fidelity, m.context) == (instrument.fidelity, instrument.context)


def test_values_do_not_depend_on_the_company_or_the_order(
    make: Make, designs: list[Design]
) -> None:
    exact = make().fidelity is not Fidelity.MEASURED

    def values(batch: list[Design]) -> dict[tuple[str, str], float]:
        found = [m for o in make().measure(batch) for m in o.measurements]
        return {(m.subject, m.metric): m.value if exact else 0.0 for m in found}

    together = values(designs)
    assert values(designs[::-1]) == together
    assert values(designs[2:3]).items() <= together.items()


def test_a_design_that_cannot_be_measured_is_a_failure_among_the_others(
    make: Make, designs: list[Design]
) -> None:
    broken = Design(
        {**designs[0].network, "width_1": 7}, {**designs[0].hardware, "rows": 7}, ORIGIN
    )
    outcomes = make().measure([designs[0], broken, designs[1]])
    assert [outcome.failure is None for outcome in outcomes] == [True, False, True]
    failure = outcomes[1].failure
    assert failure is not None
    assert failure.reason
    assert not outcomes[1].measurements


def test_an_empty_batch_is_no_work(make: Make) -> None:
    assert make().measure([]) == []


def test_context_is_a_plain_stable_name(make: Make) -> None:
    assert make().context == make().context
    assert 0 < len(make().context) <= 64
