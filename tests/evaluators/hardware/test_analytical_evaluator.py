"""The analytical model as an instrument."""

from __future__ import annotations

import numpy as np

from archwright.design import Design, Origin
from archwright.errors import SpaceError
from archwright.evaluators import Evaluator
from archwright.evaluators.hardware import AnalyticalEvaluator, AnalyticalModel, hardware_space
from archwright.measurement import COSTS, METRICS, Fidelity

ORIGIN = Origin("test", "a test")


def _evaluator(workloads) -> Evaluator:
    def workload_of(network):
        if network["net"] == "none":
            raise SpaceError("net = 'none': allowed digits, residual")
        return getattr(workloads, network["net"])(network["bits"])

    return AnalyticalEvaluator(workload_of, hardware_space())


def test_measures_every_cost_in_order(workloads) -> None:
    space = hardware_space().restrict({"bits": [16]})
    hardware = space.decode(space.sample(np.random.default_rng(3), 12))
    networks = [
        {"net": ("digits", "residual")[i % 2], "bits": (8, 16)[i % 3 == 0]} for i in range(12)
    ]
    designs = [Design(n, h, ORIGIN) for n, h in zip(networks, hardware, strict=True)]
    evaluator = _evaluator(workloads)
    outcomes = evaluator.measure(designs)
    assert len(outcomes) == 12
    for design, outcome in zip(designs, outcomes, strict=True):
        assert outcome.failure is None
        workload = getattr(workloads, design.network["net"])(design.network["bits"])
        expected = AnalyticalModel().evaluate([workload], design.hardware)
        assert [m.metric for m in outcome.measurements] == list(COSTS)
        for m in outcome.measurements:
            assert (m.subject, m.context) == (design.key, evaluator.context)
            assert m.value == m.low == m.high == expected[m.metric].item()
            assert m.fidelity is Fidelity.ANALYTICAL
            assert m.unit == METRICS[m.metric].unit
            assert (m.evaluator, m.version) == ("analytical", evaluator.version)


def test_what_cannot_be_measured_is_a_failure_with_its_reason(workloads) -> None:
    space = hardware_space()
    narrow = space.decode(np.zeros((1, 9), dtype=np.int64))[0]
    designs = [
        Design({"net": "digits", "bits": 16}, narrow, ORIGIN),
        Design({"net": "none", "bits": 8}, narrow, ORIGIN),
        Design({"net": "digits", "bits": 8}, {**narrow, "rows": 5}, ORIGIN),
        Design({"net": "digits", "bits": 8}, narrow, ORIGIN),
    ]
    outcomes = _evaluator(workloads).measure(designs)
    reasons = [outcome.failure.reason if outcome.failure else None for outcome in outcomes]
    assert "bits = 8" in (reasons[0] or "")
    assert "net = 'none'" in (reasons[1] or "")
    assert "rows = 5" in (reasons[2] or "")
    assert reasons[3] is None
    assert len(outcomes[3].measurements) == len(COSTS)
    assert _evaluator(workloads).measure([]) == []
