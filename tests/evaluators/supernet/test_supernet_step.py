"""A step's gradients: those of plain passes, bit for bit, however many workers."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from archwright.evaluators.supernet import (
    InputShape,
    Recipe,
    Supernet,
    largest_network,
    network_space,
    smallest_network,
)
from archwright.evaluators.supernet.losses import adaptive_alpha, from_answers
from archwright.evaluators.supernet.step import Stepper

SHAPE = InputShape(1, 8, 10)
SPACE = network_space(SHAPE, "universal")
LARGEST = largest_network(SPACE)
OTHERS = [smallest_network(SPACE), *SPACE.decode(SPACE.sample(np.random.default_rng(0), 3))]


@pytest.fixture
def supernet() -> Supernet:
    return Supernet(SPACE, SHAPE, torch.Generator().manual_seed(0))


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(8, 1, 8, 8, generator=generator), torch.arange(8)


def gradients_of(supernet: Supernet) -> list[Tensor | None]:
    gradients = [parameter.grad for parameter in supernet.parameters()]
    supernet.zero_grad(set_to_none=True)
    return gradients


def same(a: list[Tensor | None], b: list[Tensor | None]) -> bool:
    return all(
        x is y if x is None or y is None else torch.equal(x, y) for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("method", ["sandwich", "alpha"])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_gradients_are_those_of_plain_passes(supernet, batch, method, workers) -> None:
    images, labels = batch
    logits = supernet(images, LARGEST)
    first = functional.cross_entropy(logits, labels)
    first.backward()
    answers = logits.detach().softmax(1)
    total = first.item()
    for network in OTHERS:
        compare = adaptive_alpha if method == "alpha" else from_answers
        loss = compare(supernet(images, network), answers)
        loss.backward()
        total += loss.item()
    plain = gradients_of(supernet)
    recipe = Recipe(method=method, workers=workers)
    with Stepper(recipe, supernet, LARGEST, "cpu") as stepper:
        for _ in range(2):
            found = stepper.add_gradients(images, labels, OTHERS)
            assert same(gradients_of(supernet), plain)
    assert found == pytest.approx((first.item(), total))


def test_the_largest_network_alone(supernet, batch) -> None:
    images, labels = batch
    with Stepper(Recipe(), supernet, LARGEST, "cpu") as stepper:
        loss, total = stepper.add_gradients(images, labels, [])
        assert loss == total
        ours = gradients_of(supernet)
        assert stepper.loss_on(images, labels, LARGEST) == loss
    functional.cross_entropy(supernet(images, LARGEST), labels).backward()
    assert same(ours, gradients_of(supernet))


@pytest.mark.parametrize("workers", [1, 2])
def test_without_the_largest_the_others_learn_from_the_labels(supernet, batch, workers) -> None:
    images, labels = batch
    with Stepper(Recipe(workers=workers), supernet, LARGEST, "cpu") as stepper:
        loss, total = stepper.add_gradients(images, labels, OTHERS, taught=False)
    ours = gradients_of(supernet)
    losses = [functional.cross_entropy(supernet(images, network), labels) for network in OTHERS]
    for one in losses:
        one.backward()
    assert loss is None
    assert total == pytest.approx(sum(one.item() for one in losses))
    assert same(ours, gradients_of(supernet))


def test_judging_a_network_leaves_no_gradient(supernet, batch) -> None:
    with Stepper(Recipe(), supernet, LARGEST, "cpu") as stepper:
        assert stepper.loss_on(*batch, OTHERS[0]) > 0
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_mixed_precision_is_near_full_precision(supernet, batch) -> None:
    losses = []
    for mixed in (False, True):
        with Stepper(Recipe(mixed_precision=mixed), supernet, LARGEST, "cpu") as stepper:
            losses.append(stepper.add_gradients(*batch, OTHERS))
        gradients = gradients_of(supernet)
        assert all(g is None or g.dtype == torch.float32 for g in gradients)
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_failing_worker_is_heard_of(supernet, batch) -> None:
    images, labels = batch
    with (
        Stepper(Recipe(workers=2), supernet, LARGEST, "cpu") as stepper,
        pytest.raises(KeyError),
    ):
        stepper.add_gradients(images, labels, [{"depth_1": 1}])
