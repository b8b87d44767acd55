"""One network trained on labels: further training, and the truth from the start."""

from dataclasses import replace

import pytest
import torch

from archwright.errors import DataError, MeasurementFailed
from archwright.evaluators.supernet import Recipe, extract, network_space, smallest_network
from archwright.evaluators.supernet.extraction import recalibrate
from archwright.evaluators.supernet.fine_tuning import accuracy, fine_tune, fit
from archwright.evaluators.supernet.plan import count
from archwright.evaluators.supernet.space import plan_of
from archwright.evaluators.supernet.standalone import (
    StandaloneTraining,
    initial_network,
    read_truths,
    train_truths,
)
from archwright.space import point_hash

RECIPE = Recipe(epochs=3, batch_size=32, learning_rate=5e-3, shift=0.0, device="cpu")


@pytest.fixture
def network(trained):
    point = {choice.name: choice.values[-1] for choice in trained.space.choices}
    return extract(trained.supernet, point)


def validation_accuracy(network, data) -> float:
    chosen = data.splits.validation
    return accuracy(network, data.images[chosen], data.labels[chosen])


def test_fine_tuning_keeps_the_best_epoch(trained, network) -> None:
    calibration = torch.from_numpy(trained.data.take(trained.data.calibration())[0])
    recalibrate(network, calibration)
    before = validation_accuracy(network, trained.data)
    seen = []
    result = fine_tune(network, trained.data, RECIPE, progress=seen.append)
    assert [progress.epoch for progress in seen] == [1, 2, 3]
    assert result.losses[-1] < result.losses[0]
    best = validation_accuracy(network, trained.data)
    assert best == max(before, *result.accuracies) > before
    assert result.accuracies[result.best - 1] == best


def test_a_stopped_training_goes_on_to_the_same_weights(trained, network, tmp_path) -> None:
    class Stopped(Exception):
        pass

    def stop(progress) -> None:
        if progress.epoch == 2:
            raise Stopped

    start = {name: value.clone() for name, value in network.state_dict().items()}
    for train in (fit, fine_tune):
        network.load_state_dict(start)
        whole = train(network, trained.data, RECIPE)
        expected = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(start)
        file = tmp_path / f"{train.__name__}.pt"
        with pytest.raises(Stopped):
            train(network, trained.data, RECIPE, file, stop)
        network.load_state_dict(start)
        epochs = []
        resumed = train(network, trained.data, RECIPE, file, epochs.append)
        assert [progress.epoch for progress in epochs] == [3]
        assert resumed.losses == whole.losses
        assert all(torch.equal(value, expected[k]) for k, value in network.state_dict().items())
        other = replace(RECIPE, learning_rate=1e-3)
        network.load_state_dict(start)
        train(network, trained.data, other, file, epochs.append)
        assert len(epochs) == 1 + RECIPE.epochs  # another recipe does not go on there


def test_a_loss_that_is_no_number_is_one_line_and_loses_nothing(trained, network, tmp_path):
    wild = replace(RECIPE, learning_rate=100.0, weight_decay=100.0, warm_up=0.0)
    file = tmp_path / "training.pt"
    before = extract(trained.supernet, network_point(network, trained))
    recalibrate(before, torch.from_numpy(trained.data.take(trained.data.calibration())[0]))
    with pytest.raises(MeasurementFailed) as caught:
        fine_tune(network, trained.data, wild, file)
    assert "at epoch 1, step" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not file.exists()
    assert validation_accuracy(network, trained.data) == validation_accuracy(before, trained.data)


def network_point(network, trained):
    return {choice.name: choice.values[-1] for choice in trained.space.choices}


def test_truths_are_recorded_as_they_finish_and_not_trained_twice(few_digits, tmp_path) -> None:
    space = network_space(few_digits.shape)
    first = smallest_network(space)
    points = [first, {**first, "width_3": 16, "bits": 16}]
    recipe = replace(RECIPE, epochs=2)
    training = StandaloneTraining(few_digits, space.name, recipe, tmp_path / "unfinished")
    file = tmp_path / "truths.csv"
    seen = []
    truths = train_truths(points, [0, 1], training, file, 0, lambda *done: seen.append(done))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert [(truth.network, truth.seed) for truth in truths] == [
        (point_hash(point), seed) for seed in (0, 1) for point in points
    ]
    assert read_truths(file) == truths
    for truth, point in zip(truths, points * 2, strict=True):
        plan = plan_of(point, few_digits.shape, space.name)
        assert (truth.parameters, truth.macs) == count(plan)
        assert 0.1 < truth.accuracy <= 1
    assert truths[1].accuracy == pytest.approx(truths[1].accuracy_unquantised, abs=0.01)  # 16 bits
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(rows[:-1]))  # as if killed before the last one was done
    seen.clear()
    again = train_truths(points, [0, 1], training, file, 0, lambda *done: seen.append(done))
    assert seen == [(3, 4), (4, 4)]
    assert [replace(truth, seconds=0.0) for truth in again] == [
        replace(truth, seconds=0.0) for truth in truths
    ]
    other = replace(training, recipe=replace(recipe, epochs=1))
    assert other.settings != training.settings
    file.write_text("not,truths\n1,2\n")
    with pytest.raises(DataError, match="not a file of truths"):
        read_truths(file)


def test_every_network_can_learn_from_its_start(few_digits) -> None:
    """Also where a block that halves the image keeps the channels: it has no shortcut."""
    space = network_space(few_digits.shape)
    point = {**smallest_network(space), "resolution": 8}
    module = initial_network(plan_of(point, few_digits.shape, space.name), few_digits, 0)
    images, labels = few_digits.take(few_digits.splits.train[:64])
    logits = module.train()(torch.from_numpy(images))
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).backward()
    assert float(module.body.stem.convolution.weight.grad.abs().sum()) > 0
