"""Networks trained further from inherited weights: measured, kept, and gone on with."""

from dataclasses import replace

import pytest
import torch

from archwright.design import Design, Origin
from archwright.evaluators.supernet import (
    FurtherTrainedEvaluator,
    FurtherTraining,
    SupernetEvaluator,
    further,
    smallest_network,
)
from archwright.measurement import Fidelity


@pytest.fixture
def training(trained, tmp_path) -> FurtherTraining:
    return FurtherTraining(
        trained.checkpoint, trained.space, trained.data, tmp_path / "weights", (1, 2)
    )


@pytest.fixture
def designs(trained) -> list[Design]:
    largest = {choice.name: choice.values[-1] for choice in trained.space.choices}
    points = [smallest_network(trained.space), largest]
    return [Design(point, {}, Origin("test", "a test")) for point in points]


def weights(network) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_training_further_teaches_more_than_was_inherited(trained, training, designs) -> None:
    with SupernetEvaluator(trained.checkpoint, trained.space, trained.data, workers=0) as judge:
        inherited = [outcome.measurements[0].value for outcome in judge.measure(designs)]
    with FurtherTrainedEvaluator(training, workers=0) as judge:
        outcomes = judge.measure(designs)
        assert judge.measure(designs[::-1])[::-1][0].measurements[0].value == (
            outcomes[0].measurements[0].value
        )
    for before, outcome in zip(inherited, outcomes, strict=True):
        accuracy = outcome.measurements[0]
        assert accuracy.metric == "accuracy"
        assert accuracy.fidelity is Fidelity.TRAINED
        assert accuracy.low <= accuracy.value <= accuracy.high
        assert accuracy.value > before


def test_what_it_measures_is_the_module_that_is_exported(trained, training, designs) -> None:
    with FurtherTrainedEvaluator(training, "test", workers=0) as judge:
        measured = judge.measure(designs[:1])[0].measurements[0].value
    module = training.at_bits(designs[0].network)
    images, labels = trained.data.take(trained.data.split("test"))
    with torch.no_grad():
        right = module(torch.from_numpy(images)).argmax(1) == torch.from_numpy(labels)
    assert measured == pytest.approx(float(right.float().mean()), abs=1.5 / len(labels))


def test_a_longer_training_goes_on_where_a_shorter_one_ended(
    training, designs, tmp_path, monkeypatch
) -> None:
    point = designs[0].network
    short, whole = replace(training, epochs=(1,)), weights(training.network(point))
    elsewhere = replace(training, folder=tmp_path / "elsewhere")
    calls = []
    fine_tune = further.fine_tune
    monkeypatch.setattr(further, "fine_tune", lambda *a: calls.append(a[2]) or fine_tune(*a))
    replace(short, folder=elsewhere.folder).network(point)
    assert equal(weights(elsewhere.network(point)), whole)
    assert [recipe.epochs for recipe in calls] == [1, 2]
    assert equal(weights(elsewhere.network(point)), whole)  # and now it is there
    assert len(calls) == 2
    for file in elsewhere.folder.iterdir():
        file.write_bytes(b"not weights")
    assert equal(weights(elsewhere.network(point)), whole)  # trained again
    assert len(calls) == 4


def test_the_context_names_all_that_a_value_depends_on(training) -> None:
    def context(changed, split="validation") -> str:
        return FurtherTrainedEvaluator(changed, split, workers=0).context

    others = [
        context(training, "test"),
        context(replace(training, epochs=(1,))),
        context(replace(training, epochs=(2, 1))),
        context(replace(training, seed=1)),
        context(replace(training, checkpoint=replace(training.checkpoint, digest="another"))),
    ]
    assert len({context(training), *others}) == 1 + len(others)
    assert context(training) == context(replace(training, folder=training.folder / "moved"))


def test_a_network_that_cannot_be_trained_is_a_failure_beside_the_others(training, designs) -> None:
    outside = Design({**designs[0].network, "bits": 3}, {}, Origin("test", "outside the space"))
    with FurtherTrainedEvaluator(replace(training, epochs=(1,)), workers=0) as judge:
        outcomes = judge.measure([outside, designs[0]])
    assert outcomes[0].failure is not None
    assert "bits" in outcomes[0].failure.reason
    assert outcomes[1].failure is None
