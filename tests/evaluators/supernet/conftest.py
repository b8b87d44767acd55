from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from archwright.brief import Task
from archwright.evaluators.supernet import (
    Checkpoint,
    Data,
    Recipe,
    Splits,
    Supernet,
    cached_supernet,
    load_data,
    load_supernet,
    network_space,
)
from archwright.space import Space

RECIPE = Recipe(epochs=3, batch_size=32, random_networks=1)


class Trained(NamedTuple):
    """A small supernet, briefly trained on a third of digits."""

    data: Data
    space: Space
    checkpoint: Checkpoint
    supernet: Supernet


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits() -> Data:
    return load_data(Task(data="digits"), seed=0)


@pytest.fixture(scope="session")
def few_digits(digits: Data) -> Data:
    splits = digits.splits
    few = Splits(splits.train[::3], splits.validation, splits.test)
    return Data("few digits", digits.images, digits.labels, digits.classes, few)


@pytest.fixture(scope="session")
def small_space(digits: Data) -> Space:
    """Two values of each choice, none of them large."""
    space = network_space(digits.shape)
    kept = {choice.name: choice.values[:2] for choice in space.choices}
    return space.restrict(kept | {"resolution": [6, 8]})


@pytest.fixture(scope="session")
def trained(
    few_digits: Data, small_space: Space, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    cache: Path = tmp_path_factory.mktemp("cache")
    checkpoint = cached_supernet(RECIPE, small_space, few_digits, cache, lambda _: None)
    supernet = load_supernet(checkpoint.path, small_space, few_digits.shape)
    return Trained(few_digits, small_space, checkpoint, supernet)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
