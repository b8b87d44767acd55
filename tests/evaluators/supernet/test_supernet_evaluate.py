from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archwright.design import Design, Origin
from archwright.errors import DataError
from archwright.evaluators.supernet import SupernetEvaluator, extract, prepare
from archwright.evaluators.supernet.extraction import recalibrate
from archwright.evaluators.supernet.score import LOOKS, Score, wilson_interval
from archwright.measurement import Fidelity


def design(network, rows: int = 8) -> Design:
    return Design(network, {"rows": rows}, Origin("test", "a test"))


@pytest.fixture
def designs(trained, rng):
    return [design(point) for point in trained.space.decode(trained.space.sample(rng, 6))]


def values(outcomes) -> list[float]:
    return [outcome.measurements[0].value for outcome in outcomes]


def test_value_is_the_accuracy_of_the_prepared_module(trained, designs) -> None:
    images, labels = trained.data.take(trained.data.splits.validation)
    calibration = torch.from_numpy(trained.data.take(trained.data.calibration())[0])
    with SupernetEvaluator(trained.checkpoint, trained.space, trained.data, workers=0) as evaluator:
        outcomes = evaluator.measure(designs)
    for one, outcome in zip(designs, outcomes, strict=True):
        module = prepare(trained.supernet, one.network, calibration)
        with torch.no_grad():
            right = (module(torch.from_numpy(images)).argmax(1).numpy() == labels).mean()
        measurement, cross_entropy, seen = outcome.measurements
        assert measurement.value == right
        assert measurement.low < measurement.value < measurement.high
        assert measurement.subject == one.network_key
        assert (measurement.metric, measurement.fidelity) == ("accuracy", Fidelity.SUPERNET)
        assert measurement.context == evaluator.context
        assert measurement.seconds > 0
        assert (cross_entropy.metric, cross_entropy.unit) == ("cross_entropy", "nats")
        assert cross_entropy.low < cross_entropy.value < cross_entropy.high
        assert (seen.metric, seen.value) == ("images", len(labels))


def test_values_do_not_depend_on_workers_or_order(trained, designs) -> None:
    make = SupernetEvaluator
    with make(trained.checkpoint, trained.space, trained.data, workers=0) as evaluator:
        expected = values(evaluator.measure(designs))
        context = evaluator.context
    for workers in (1, 2):
        with make(trained.checkpoint, trained.space, trained.data, workers=workers) as evaluator:
            assert values(evaluator.measure(designs)) == expected
            assert values(evaluator.measure(designs[::-1])) == expected[::-1]
            assert evaluator.context == context


def test_equal_networks_are_measured_once(trained, designs) -> None:
    twins = [designs[0], design(designs[0].network, rows=16), designs[1]]
    with SupernetEvaluator(trained.checkpoint, trained.space, trained.data, workers=0) as evaluator:
        outcomes = evaluator.measure(twins)
        assert outcomes[0] == outcomes[1]  # to the nanosecond it took
        assert outcomes[0] != outcomes[2]
        assert evaluator.measure([]) == []


def test_failures_are_outcomes(trained, designs) -> None:
    wrong = design({**designs[0].network, "kernel_1": 9})
    missing = replace(trained.checkpoint, path=trained.checkpoint.path / "gone")
    make = SupernetEvaluator
    with make(trained.checkpoint, trained.space, trained.data, workers=0) as evaluator:
        good, bad = evaluator.measure([designs[0], wrong])
    assert good.failure is None
    assert bad.failure is not None
    assert bad.failure.reason.startswith("kernel_1 = 9: allowed")
    with make(
        trained.checkpoint, trained.space, trained.data, workers=1, time_limit_s=1e-4
    ) as evaluator:
        (late,) = evaluator.measure(designs[:1])
    assert late.failure is not None
    assert "time limit" in late.failure.reason
    for workers in (0, 1):
        with make(missing, trained.space, trained.data, workers=workers) as evaluator:
            outcomes = evaluator.measure(designs[:2])
        for outcome in outcomes:
            assert outcome.failure is not None
            assert "no such file" in outcome.failure.reason


def test_context_covers_weights_data_and_split(trained) -> None:
    def context(checkpoint=trained.checkpoint, data=trained.data, split="validation") -> str:
        return SupernetEvaluator(checkpoint, trained.space, data, split, workers=0).context

    other = replace(trained.data, labels=(trained.data.labels + 1) % 10)
    contexts = {
        context(),
        context(checkpoint=replace(trained.checkpoint, digest="0" * 16)),
        context(data=other),
        context(split="test"),
    }
    assert len(contexts) == 4
    assert context() in contexts


def test_an_accuracy_out_of_reach_ends_the_evaluation(trained, designs) -> None:
    make = SupernetEvaluator
    with make(trained.checkpoint, trained.space, trained.data, workers=0) as evaluator:
        whole = evaluator.measure(designs)
    with make(
        trained.checkpoint, trained.space, trained.data, workers=0, at_least=0.99
    ) as evaluator:
        early = evaluator.measure(designs)
        assert (
            evaluator.context
            != make(trained.checkpoint, trained.space, trained.data, workers=0).context
        )
    total = len(trained.data.splits.validation)
    for full, stopped in zip(whole, early, strict=True):
        accuracy, _, seen = stopped.measurements
        assert seen.value == np.ceil(total * LOOKS[0])
        assert accuracy.low <= full.measurements[0].value <= accuracy.high < 0.99
    with pytest.raises(DataError, match=r"at_least = 1.5: allowed 0 to 1"):
        make(trained.checkpoint, trained.space, trained.data, at_least=1.5)


def test_scores_before_quantisation(trained, designs) -> None:
    networks = [one.network for one in designs]
    make = SupernetEvaluator
    with make(
        trained.checkpoint, trained.space, trained.data, workers=0, at_bits=False
    ) as evaluator:
        scores = dict(evaluator.score_each([*networks, {**networks[0], "kernel_1": 9}]))
    validation = trained.data.splits.validation
    images, labels = trained.data.take(validation)
    calibration = torch.from_numpy(trained.data.take(trained.data.calibration())[0])
    for index, network in enumerate(networks):
        module = extract(trained.supernet, network)
        recalibrate(module, calibration)
        with torch.no_grad():
            right = int((module(torch.from_numpy(images)).argmax(1).numpy() == labels).sum())
        score = scores[index]
        assert isinstance(score, Score)
        assert score.correct == right
    assert "kernel_1 = 9" in scores[len(networks)].reason


def test_one_bad_network_does_not_fail_its_group(trained, designs, monkeypatch) -> None:
    """What cannot be computed is found by measuring each network of its group alone."""
    from archwright.evaluators.supernet import evaluate, together

    networks = [one.network for one in designs]
    prepared = together.prepare_together

    def failing(supernet, group, images, **settings):
        if networks[2] in group:
            raise RuntimeError("a broken layer")
        return prepared(supernet, group, images, **settings)

    monkeypatch.setattr(together, "prepare_together", failing)
    monkeypatch.setattr(evaluate, "GROUPS_PER_WORKER", 1)
    with SupernetEvaluator(trained.checkpoint, trained.space, trained.data, workers=0) as evaluator:
        scores = dict(evaluator.score_each(networks))
    assert "a broken layer" in scores[2].reason
    assert all(isinstance(scores[k], Score) for k in range(len(networks)) if k != 2)


def test_splits_are_scored_apart(trained, designs) -> None:
    results = {}
    for split in ("validation", "test"):
        make = SupernetEvaluator
        with make(trained.checkpoint, trained.space, trained.data, split, workers=0) as evaluator:
            results[split] = values(evaluator.measure(designs))
    assert results["validation"] != results["test"]


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval(pair: tuple[int, int]) -> None:
    correct, images = pair
    low, high = wilson_interval(correct, images)
    assert 0 <= low <= correct / images + 1e-12
    assert correct / images - 1e-12 <= high <= 1
    mirrored = wilson_interval(images - correct, images)
    assert np.allclose((1 - high, 1 - low), mirrored)


def test_wilson_interval_of_a_known_case() -> None:
    """8 of 10: 0.4902 to 0.9433 (Newcombe, Stat. Med. 17, 1998, method 3)."""
    assert np.allclose(wilson_interval(8, 10), (0.4902, 0.9433), atol=1e-4)
