"""The evaluator's order, and the laboratory that runs the instruments and keeps every result."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from archwright.agents.evaluator import (
    Laboratory,
    ModelEvaluator,
    Round,
    RuleBasedEvaluator,
)
from archwright.evaluators.hardware import AnalyticalEvaluator
from archwright.measurement import COSTS
from archwright.memory.archive import Archive
from archwright.memory.records import Role


@pytest.fixture
def designs(problem, small):
    rows = problem.network_space.sample(np.random.default_rng(4), 6)
    wide = next(p for p in problem.hardware_space.decode(problem.hardware_space.enumerate())
                if p["bits"] == 16)  # fmt: skip
    return small.designs_of(problem, rows, wide)


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "archive.db") as archive:
        yield archive


@pytest.fixture
def lab(archive, problem, small):
    """``lab(instrument)`` on this test's archive; ``told`` holds what it tells of."""

    def build(**kind):
        instrument = small.Instrument(**kind)
        costs = AnalyticalEvaluator(small.workload_of, problem.hardware_space)
        laboratory = Laboratory("run", archive, instrument, costs)
        told = []

        def measure(designs, order=None, step=0, late=lambda: False, role=Role.SEARCH):
            order = range(len(designs)) if order is None else order
            return laboratory.measure(
                step, designs, order, lambda d, o: told.append((d.network_key, o)), late, role
            )

        return SimpleNamespace(
            measure=measure, instrument=instrument, told=told, known=laboratory.known,
            cost=laboratory.cost,
        )  # fmt: skip

    return build


def keys(designs, order=None):
    return [designs[k].network_key for k in order or range(len(designs))]


def test_small_networks_first(problem, designs, small):
    order = RuleBasedEvaluator(problem).plan(0, designs)
    macs = [small.workload_of(designs[k].network).macs for k in order]
    assert sorted(order) == list(range(6))
    assert macs == sorted(macs)
    assert RuleBasedEvaluator(problem).plan(0, []) == []


def test_measured_in_order_and_kept_in_the_order_of_proposal(lab, archive, designs, small):
    bench = lab()
    order = [3, 0, 5, 1, 4, 2]
    assert bench.measure(designs, order) == Round(6, 0, cut_short=False)
    assert bench.instrument.measured == keys(designs, order)
    kept = archive.evaluated_networks("run")
    assert [e.network_key for e in kept] == keys(designs)
    assert [e.accuracy.value for e in kept] == [small.accuracy(d.network) for d in designs]


def test_each_is_kept_before_the_next_begins(lab, archive, designs):
    bench = lab(interrupt_at=3)
    with pytest.raises(KeyboardInterrupt):
        bench.measure(designs)
    assert [e.network_key for e in archive.evaluated_networks("run")] == keys(designs)[:3]


def test_a_round_cut_off_is_finished_and_nothing_is_measured_again(lab, archive, designs):
    with pytest.raises(KeyboardInterrupt):
        lab(interrupt_at=4, failing=0.4).measure(designs)
    rest = lab(failing=0.4)
    again = rest.measure(designs)
    assert rest.instrument.measured == keys(designs)[4:]
    whole = Archive(archive.database.label + "-whole")
    straight = Laboratory("run", whole, lab(failing=0.4).instrument, None)
    expected = straight.measure(0, designs, range(6), lambda d, o: None, lambda: False)
    assert again == expected
    assert 0 < expected.failed < 6
    for read in (archive, whole):
        assert read.recorded_evaluations("run") == expected.measured
    assert archive.failures("run") == whole.failures("run")
    assert [e.network_key for e in archive.evaluated_networks("run")] == [
        e.network_key for e in whole.evaluated_networks("run")
    ]
    whole.close()


def test_what_is_known_costs_nothing(lab, archive, designs):
    lab().measure(designs[:4], role=Role.BASELINE)
    bench = lab()
    assert bench.measure(designs, step=2) == Round(6, 0, cut_short=False)
    assert bench.instrument.measured == keys(designs)[4:]
    assert sorted(key for key, _ in bench.told) == sorted(keys(designs))
    assert archive.recorded_evaluations("run") == 2
    assert len(archive.evaluated_networks("run")) == 6


def test_another_context_is_another_measurement(lab, designs):
    lab().measure(designs[:2])
    other = lab(context="other data")
    assert other.known(designs) == {}
    other.measure(designs[:2])
    assert len(other.instrument.measured) == 2


def test_failures_are_rows(lab, archive, designs):
    bench = lab(failing=1.0)
    assert bench.measure(designs) == Round(0, 6, cut_short=False)
    failures = archive.failures("run")
    assert [f.subject for f in failures] == keys(designs)
    assert {(f.evaluator, f.reason) for f in failures} == {("table", "the table has a hole")}
    assert all(outcome.failure for _, outcome in bench.told)


@pytest.mark.parametrize("value", [float("nan"), 1.5, -0.1, float("inf")])
def test_a_value_that_cannot_be_is_a_failure(lab, archive, designs, value):
    bench = lab(accuracy=lambda network: value)
    assert bench.measure(designs[:2]) == Round(0, 2, cut_short=False)
    assert archive.evaluated_networks("run") == []
    assert [f.subject for f in archive.failures("run")] == keys(designs[:2])


def test_out_of_time_cuts_a_round_short(lab, archive, designs):
    bench = lab()
    late = iter([False, False, True])
    assert bench.measure(designs, late=lambda: next(late)) == Round(3, 0, cut_short=True)
    assert len(archive.evaluated_networks("run")) == 3
    # The last one is not cut: there was nothing left to leave out.
    assert lab().measure(designs[:4], late=lambda: True) == Round(4, 0, cut_short=False)


@pytest.mark.parametrize(("done", "told"), [(6, [0, 1, 2, 3, 4, 5]), (3, [3, 4, 5])])
def test_told_in_order_whichever_worker_is_quicker(archive, designs, small, done, told):
    class LastFirst(small.Instrument):
        def measure_each(self, designs):
            yield from reversed(list(super().measure_each(designs)))

    kept = []

    def tell(design, outcome):
        kept.append((design.network_key, len(archive.evaluated_networks("run"))))

    laboratory = Laboratory("run", archive, LastFirst(), None)
    late = iter([False] * (done - 1) + [True])
    laboratory.measure(0, designs, range(6), tell, lambda: next(late))
    # The first is told when all that were quicker have been kept already.
    assert kept == [(designs[k].network_key, done) for k in told]


def test_a_round_cut_off_tells_of_every_failure_again(lab, designs):
    with pytest.raises(KeyboardInterrupt):
        lab(interrupt_at=4, failing=0.4).measure(designs)
    rest = lab(failing=0.4)
    rest.measure(designs)
    assert sorted(key for key, _ in rest.told) == sorted(keys(designs))
    assert any(outcome.failure for _, outcome in rest.told[:4]), "of the first process"


def test_costs_are_exact_and_written_once(lab, archive, designs):
    bench = lab()
    bench.cost(0, designs)
    bench.cost(0, designs)
    table = archive.designs("run", COSTS)
    assert [d.key for d in table.designs] == [d.key for d in designs]
    assert all(np.isfinite(table.values[metric]).all() for metric in COSTS)
    measured = archive.measurements_of(designs[0].key)
    assert len(measured) == len(COSTS)
    assert all(m.low == m.value == m.high for m in measured)


# A model's order


@pytest.fixture
def order(problem, port_to, designs):
    def build(answer):
        port, _ = port_to(lambda request, number: answer)
        notes = []
        mind = ModelEvaluator(RuleBasedEvaluator(problem), port, lambda *w: notes.append(w))
        return mind.plan(0, designs), notes

    return build


def test_a_model_orders_and_the_rules_complete(problem, designs, order):
    rules = RuleBasedEvaluator(problem).plan(0, designs)
    asked, _ = order({"order": [5, 63, 0, 5, 40]})
    assert asked == [5, 0, *[k for k in rules if k not in (5, 0)]]


@pytest.mark.parametrize("answer", ["first the third", {"order": [-1]}, {"order": [10**15]}])
def test_when_it_fails_the_rules_order(problem, designs, order, answer):
    asked, notes = order(answer)
    assert asked == RuleBasedEvaluator(problem).plan(0, designs)
    assert notes[-1][1:4] == ("evaluator", "rules", "answered instead of the model")
