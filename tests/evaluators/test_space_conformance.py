"""What every space promises. To add one: name it in ``SPACES``."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.errors import SpaceError
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.space import Space

SPACES = {
    "mbconv, digits": network_space(InputShape(1, 8, 10)),
    "mbconv, colour": network_space(InputShape(3, 32, 100)),
    "universal": network_space(InputShape(1, 28, 10), "universal"),
    "small": network_space(InputShape(1, 28, 10), "small"),
    "mobile": network_space(InputShape(3, 96, 100), "mobile"),
    "systolic": hardware_space(),
    "row_stationary": hardware_space("row_stationary"),
}


@pytest.fixture(params=SPACES.values(), ids=SPACES.keys())
def space(request: pytest.FixtureRequest) -> Space:
    found: Space = request.param
    return found


def test_every_choice_says_what_it_does(space: Space) -> None:
    assert space.choices
    for choice in space.choices:
        assert len(choice.meaning) > 10
        assert choice.meaning in space.describe()


def test_numbers_grow_from_small_to_large(space: Space) -> None:
    for choice in space.choices:
        if choice.ordered:
            assert list(choice.values) == sorted(choice.values)  # type: ignore[type-var]


def test_points_go_to_indices_and_back(space: Space) -> None:
    rows = space.sample(np.random.default_rng(1), 200)
    points = space.decode(rows)
    for point in points:
        space.check(point)
    assert (space.encode(points) == rows).all()


def test_what_is_not_in_it_is_named_with_what_is_allowed(space: Space) -> None:
    point = space.decode(space.sample(np.random.default_rng(2), 1))[0]
    name = space.names[0]
    with pytest.raises(SpaceError, match=rf"{name} = 77: allowed \["):
        space.check({**point, name: 77})
    with pytest.raises(SpaceError, match="colour"):
        space.check({**point, "colour": 1})
    with pytest.raises(SpaceError, match=name):
        space.restrict({name: [77]})


def test_a_restriction_keeps_what_it_names(space: Space) -> None:
    for choice in space.choices:
        kept = space.restrict({choice.name: [choice.values[-1]]})
        assert kept.size * len(choice.values) == space.size


@pytest.mark.parametrize("name", ["mbconv, digits", "mbconv, colour"])
def test_no_choice_of_a_network_space_is_idle(name: str) -> None:
    """Changing any choice of the largest network changes what it asks of a hardware."""
    shape = InputShape(1, 8, 10) if "digits" in name else InputShape(3, 32, 100)
    space = SPACES[name]
    largest = {choice.name: choice.values[-1] for choice in space.choices}
    for choice in space.choices:
        smaller = {**largest, choice.name: choice.values[0]}
        assert workload_of(smaller, shape) != workload_of(largest, shape), choice.name
