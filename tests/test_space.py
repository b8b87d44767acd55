"""Laws of spaces, and what they say about points that do not fit."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import SpaceError
from archwright.space import Choice, Point, Space, point_hash

NUMBERS = st.one_of(st.integers(-1000, 1000), st.floats(-1e3, 1e3, allow_nan=False))
WORDS = st.text("abcxyz_", min_size=1, max_size=4)
VALUES = st.one_of(
    st.lists(NUMBERS, min_size=1, max_size=4, unique=True).map(sorted),
    st.lists(WORDS, min_size=1, max_size=4, unique=True),
)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    values = draw(st.lists(VALUES, min_size=1, max_size=4))
    choices = (Choice(f"c{i}", tuple(v), "a choice") for i, v in enumerate(values))
    return Space("drawn", tuple(choices))


TOY = Space(
    "toy",
    (
        Choice("width", (4, 8, 16), "channels"),
        Choice("rate", (0.25, 1.0, 4.0), "bandwidth", "GB/s"),
        Choice("flow", ("os", "ws"), "what stays"),
    ),
)
POINT: Point = {"width": 8, "rate": 1.0, "flow": "ws"}


@given(spaces())
def test_enumerate_lists_every_point_once(space: Space) -> None:
    every = space.enumerate()
    assert (
        every.shape == (space.size, len(space.choices)) == (math.prod(space.shape), every.shape[1])
    )
    assert len({tuple(row) for row in every.tolist()}) == space.size
    assert (every >= 0).all()
    assert (every < np.array(space.shape)).all()
    last = len(space.choices[-1].values)
    assert every[:last, -1].tolist() == list(range(last))


@given(spaces(), st.integers(0, 2**32 - 1))
def test_decode_and_encode_are_inverse(space: Space, seed: int) -> None:
    indices = space.sample(np.random.default_rng(seed), 20)
    points = space.decode(indices)
    assert np.array_equal(space.encode(points), indices)
    assert space.decode(space.encode(points)) == points
    for point in points:
        space.check(point)
        assert list(point) == list(space.names)


@given(spaces(), st.integers(0, 2**32 - 1))
def test_columns_agree_with_points(space: Space, seed: int) -> None:
    indices = space.sample(np.random.default_rng(seed), 7)
    columns = space.columns(indices)
    for p, point in enumerate(space.decode(indices)):
        assert {name: column[p].item() for name, column in columns.items()} == point


@given(spaces(), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_samples_lie_inside_and_follow_the_seed(space: Space, seed: int, n: int) -> None:
    sample = space.sample(np.random.default_rng(seed), n)
    assert sample.shape == (n, len(space.choices))
    assert sample.dtype == np.int64
    assert ((sample >= 0) & (sample < np.array(space.shape))).all()
    assert np.array_equal(sample, space.sample(np.random.default_rng(seed), n))


def test_samples_reach_every_value() -> None:
    sample = TOY.sample(np.random.default_rng(0), 500)
    assert [len(np.unique(column)) for column in sample.T] == list(TOY.shape)


@given(st.data())
def test_a_restricted_space_holds_exactly_the_points_kept(data: st.DataObject) -> None:
    space = data.draw(spaces())
    choice = data.draw(st.sampled_from(space.choices))
    kept = data.draw(st.lists(st.sampled_from(choice.values), min_size=1, unique=True))
    smaller = space.restrict({choice.name: kept})
    assert smaller.names == space.names
    expected = [p for p in space.decode(space.enumerate()) if p[choice.name] in kept]
    assert smaller.decode(smaller.enumerate()) == expected
    assert smaller.restrict({}) == smaller


def test_no_points_encode_and_decode() -> None:
    assert TOY.encode([]).shape == (0, 3)
    assert TOY.decode(TOY.encode([])) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 5}, "width = 5: allowed [4, 8, 16]"),
        ({"width": True}, "width = True: allowed [4, 8, 16]"),
        ({"width": "8"}, "width = '8': allowed [4, 8, 16]"),
        ({"width": [8]}, "width = [8]: allowed [4, 8, 16]"),
        ({"width": float("nan")}, "width = nan: allowed [4, 8, 16]"),
        ({"rate": True}, "rate = True: allowed [0.25, 1.0, 4.0]"),
        ({"flow": "x" * 200}, f"flow = '{'x' * 76}...: allowed ['os', 'ws']"),
        ({"width": 16**5000}, "width = (int): allowed [4, 8, 16]"),
        (
            {"depth": 3},
            "depth: not a choice of the toy space; its choices are width, rate, flow",
        ),
    ],
)
def test_a_point_outside_is_one_line(change: dict[str, object], message: str) -> None:
    point = {**POINT, **change}
    for refuse in (TOY.check, lambda wrong: TOY.encode([wrong])):
        with pytest.raises(SpaceError) as caught:
            refuse(point)
        assert str(caught.value) == message


def test_a_missing_choice_is_named() -> None:
    with pytest.raises(SpaceError) as caught:
        TOY.check({"width": 8, "flow": "os"})
    assert str(caught.value) == "rate: missing; allowed [0.25, 1.0, 4.0]"


@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        ({"width": [8, 9]}, "width = 9: allowed [4, 8, 16]"),
        ({"width": [True]}, "width = True: allowed [4, 8, 16]"),
        ({"width": []}, "width = []: at least one value is needed"),
        ({"size": [8]}, "size: not a choice of the toy space; its choices are width, rate, flow"),
    ],
)
def test_a_wrong_restriction_is_one_line(allowed: dict[str, list[int]], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        TOY.restrict(allowed)
    assert str(caught.value) == message


def test_equal_numbers_are_one_value_with_one_name() -> None:
    """8.0 from JSON and 4 for 4.0 from TOML are the space's own values, with one hash."""
    foreign = {"flow": "ws", "width": 8.0, "rate": 1}
    assert TOY.encode([foreign]).tolist() == TOY.encode([POINT]).tolist()
    own = TOY.decode(TOY.encode([foreign]))[0]
    assert [type(value) for value in own.values()] == [int, float, str]
    assert point_hash(foreign) == point_hash(POINT) == point_hash(own)
    kept = TOY.restrict({"width": [8.0, 8], "rate": [4]})
    assert [choice.values for choice in kept.choices] == [(8,), (4.0,), ("os", "ws")]


@given(spaces(), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_names_of_points_are_stable_and_tell_points_apart(space: Space, seed: int) -> None:
    points = space.decode(space.sample(np.random.default_rng(seed), 10))
    for point in points:
        backwards = dict(reversed(point.items()))
        through_json = json.loads(json.dumps(point))
        assert point_hash(point) == point_hash(backwards) == point_hash(through_json)
        for other in points:
            assert (point_hash(point) == point_hash(other)) == (point == other)


def test_the_name_of_a_point_does_not_change_between_versions() -> None:
    """Archives are read by later versions: a change here loses every cached measurement."""
    assert point_hash(POINT) == "355499419482c289"
    assert point_hash(POINT, {"rows": 4}) == "390e952193d36c46"
    assert point_hash({"rows": 4}, POINT) != point_hash(POINT, {"rows": 4})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((), "c = []: at least one value is needed"),
        ((8, 8), "c = [8, 8]: each value may stand once"),
        ((8, 8.0), "c = [8, 8.0]: each value may stand once"),
        ((1, True), "c = [1, True]: allowed numbers or words, not both, no booleans"),
        ((False, True), "c = [False, True]: allowed numbers or words, not both, no booleans"),
        ((1, "a"), "c = [1, 'a']: allowed numbers or words, not both, no booleans"),
        ((8, 4), "c = [8, 4]: numbers stand from small to large"),
    ],
)
def test_a_choice_with_unclear_values_is_refused(values: tuple[int, ...], message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Choice("c", values, "a choice")
    assert str(caught.value) == message


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_a_space_needs_choices_of_different_names(names: tuple[str, ...]) -> None:
    with pytest.raises(SpaceError, match="at least one choice is needed"):
        Space("s", tuple(Choice(name, (1, 2), "a choice") for name in names))


def test_words_have_no_order_and_numbers_have() -> None:
    assert [choice.ordered for choice in TOY.choices] == [True, True, False]


def test_a_description_names_every_choice_with_values_unit_and_meaning() -> None:
    assert TOY.describe().splitlines() == [
        "width [4, 8, 16]: channels",
        "rate [0.25, 1.0, 4.0] GB/s: bandwidth",
        "flow ['os', 'ws']: what stays",
    ]
