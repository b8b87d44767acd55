"""Spaces: ordered sets of named choices, and the points in them.

A *point* is a mapping from choice name to value. For computation, points are rows of
an index array: ``indices`` has shape (points, choices), dtype int64, and the entry
[p, c] is the position of the value in ``space.choices[c].values``.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archwright.errors import SpaceError, shown

Value = int | float | str
Point = Mapping[str, Value]
Indices = npt.NDArray[np.int64]


def point_hash(*points: Point) -> str:
    """A stable name for a point, or for several taken together: 16 hex digits.

    Equal points have equal names: the order of their choices does not matter, and 8 and
    8.0 are one value.
    """
    plain = [{name: _canonical(point[name]) for name in sorted(point)} for point in points]
    text = json.dumps(plain, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Choice:
    """One named choice of a space.

    ``values`` are numbers, from small to large, or words; ``meaning`` says what the
    choice does, for users and for models.
    """

    name: str
    values: tuple[Value, ...]
    meaning: str
    unit: str = ""

    def __post_init__(self) -> None:
        values = f"{self.name} = {shown(list(self.values))}"
        if not self.values:
            raise SpaceError(f"{values}: at least one value is needed")
        words = [isinstance(value, str) for value in self.values]
        if any(words) != all(words) or any(isinstance(value, bool) for value in self.values):
            raise SpaceError(f"{values}: allowed numbers or words, not both, no booleans")
        if len(set(self.values)) != len(self.values):
            raise SpaceError(f"{values}: each value may stand once")
        if self.ordered and list(self.values) != sorted(self.values):
            raise SpaceError(f"{values}: numbers stand from small to large")

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers, so that neighbours are alike."""
        return not isinstance(self.values[0], str)

    def position(self, value: object) -> int:
        """Where ``value`` stands among the values.

        8 and 8.0 are one value; a boolean is none. Raises :class:`SpaceError`.
        """
        if isinstance(value, bool) or value not in self.values:
            raise SpaceError(f"{self.name} = {shown(value)}: allowed {list(self.values)}")
        return self.values.index(value)


@dataclass(frozen=True)
class Space:
    """An ordered set of named choices; its points are all combinations of their values."""

    name: str
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        if not self.choices or len(set(self.names)) != len(self.names):
            raise SpaceError(
                f"{self.name} = {shown(list(self.names))}: at least one choice is needed, "
                "and each name may stand once"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the choices, in order."""
        return tuple(choice.name for choice in self.choices)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """How many values each choice has."""
        return tuple(len(choice.values) for choice in self.choices)

    @property
    def size(self) -> int:
        """How many points the space has."""
        return math.prod(self.shape)

    def check(self, point: Point) -> None:
        """Raise :class:`SpaceError` unless ``point`` lies in the space."""
        self._check_names(point)
        for choice in self.choices:
            if choice.name not in point:
                raise SpaceError(f"{choice.name}: missing; allowed {list(choice.values)}")
            choice.position(point[choice.name])

    def restrict(self, allowed: Mapping[str, Sequence[Value]]) -> Space:
        """The same space with fewer values for the named choices.

        Raises :class:`SpaceError` for an unknown choice or a value that is not there.
        """
        self._check_names(allowed)
        choices = []
        for choice in self.choices:
            wanted = {choice.position(v) for v in allowed.get(choice.name, choice.values)}
            kept = tuple(choice.values[p] for p in sorted(wanted))
            choices.append(Choice(choice.name, kept, choice.meaning, choice.unit))
        return Space(self.name, tuple(choices))

    def _check_names(self, names: Iterable[str]) -> None:
        """Raise :class:`SpaceError` unless each of ``names`` is a choice."""
        for name in names:
            if name not in self.names:
                raise SpaceError(
                    f"{name}: not a choice of the {self.name} space; "
                    f"its choices are {', '.join(self.names)}"
                )

    def encode(self, points: Sequence[Point]) -> Indices:
        """Points to indices, shape (points, choices). Points outside raise SpaceError."""
        for point in points:
            self.check(point)
        rows = [[c.position(point[c.name]) for c in self.choices] for point in points]
        return np.array(rows, dtype=np.int64).reshape(len(points), len(self.choices))

    def decode(self, indices: Indices) -> list[dict[str, Value]]:
        """Indices, shape (points, choices), to points."""
        return [
            {c.name: c.values[i] for c, i in zip(self.choices, row, strict=True)}
            for row in indices.tolist()
        ]

    def columns(self, indices: Indices) -> dict[str, npt.NDArray[np.generic]]:
        """Indices to one array of values per choice, each of shape (points,)."""
        return {
            choice.name: np.array(choice.values)[indices[:, c]]
            for c, choice in enumerate(self.choices)
        }

    def sample(self, rng: np.random.Generator, n: int) -> Indices:
        """``n`` points drawn uniformly, with repetition, as indices."""
        return rng.integers(0, np.array(self.shape), size=(n, len(self.choices)), dtype=np.int64)

    def enumerate(self) -> Indices:
        """Every point, as indices of shape (size, choices); the last choice varies fastest."""
        return np.indices(self.shape, dtype=np.int64).reshape(len(self.shape), -1).T

    def describe(self) -> str:
        """The space in words, one choice a line."""
        return "\n".join(
            f"{c.name} {list(c.values)}{' ' + c.unit if c.unit else ''}: {c.meaning}"
            for c in self.choices
        )


def neighbours(space: Space, rows: Indices) -> Indices:
    """All points that differ from one of ``rows`` by one step in one choice.

    Words have no order: there every other value is one step away.
    """
    found = []
    for c, choice in enumerate(space.choices):
        steps = (-1, 1) if choice.ordered else range(1, len(choice.values))
        for step in steps:
            moved = rows.copy()
            moved[:, c] = moved[:, c] + step
            if not choice.ordered:
                moved[:, c] %= len(choice.values)
            found.append(moved[(moved[:, c] >= 0) & (moved[:, c] < len(choice.values))])
    return np.unique(np.concatenate(found), axis=0) if found else rows[:0]
