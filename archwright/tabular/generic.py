"""Any table as a search problem: named choices, metrics to minimise and to maximise.

There is no hardware and nothing is free: every metric is learned by an evaluation. Where
the table holds only some combinations of its choices, only those are proposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from archwright.agents.costing import NothingFree
from archwright.agents.problem import Problem
from archwright.agents.strategies.common import network_keys
from archwright.errors import DataError, shown
from archwright.front import Bound, Floats, Score
from archwright.space import Choice, Indices, Space, Value
from archwright.tabular.listed import ListedSpace, OnlyListed
from archwright.tabular.problem import TabularProblem
from archwright.tabular.table import Table

DUPLICATES = ("refuse", "mean")
MOST_WORDS = 1_000
"""Different words in one choice: a regression sees each as a column of its own."""
LOG_FROM = 100.0
"""A positive metric whose largest value is more than so many times its smallest counts by log10."""


class Rows(Mapping[str, Mapping[str, float]]):
    """The metrics of each network, by its key."""

    def __init__(self, keys: Sequence[str], metrics: Sequence[str], values: Floats) -> None:
        self._position = {key: k for k, key in enumerate(keys)}
        self._metrics, self._values = tuple(metrics), values

    def __getitem__(self, key: str) -> Mapping[str, float]:
        return dict(zip(self._metrics, self._values[self._position[key]].tolist(), strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._position)

    def __len__(self) -> int:
        return len(self._position)

    def __contains__(self, key: object) -> bool:
        return key in self._position


def generic(
    table: Table,
    choices: Sequence[str],
    minimise: Sequence[str] = (),
    maximise: Sequence[str] = (),
    duplicates: str = "refuse",
) -> TabularProblem:
    """The problem of finding the front of ``table`` over the columns named ``choices``.

    Columns of numbers become ordered choices, all others words. Two rows of the same
    choices are refused, or averaged where ``duplicates`` is "mean". Raises
    :class:`DataError`, one line, for columns that are not there, are named twice, hold one
    value only, or hold what is not allowed.
    """
    metrics = [*minimise, *maximise]
    _check_names(table, choices, metrics, duplicates)
    table.check_complete([*choices, *metrics])
    columns = [_choice(table, column) for column in choices]
    rows, values = _grouped(
        table,
        np.stack([positions for _, positions in columns], axis=1),
        np.stack([table.numbers(metric) for metric in metrics], axis=1),
        duplicates,
    )
    space = Space(table.name, tuple(choice for choice, _ in columns))
    costing = NothingFree(space)
    if len(rows) < space.size:
        space = ListedSpace(space.name, space.choices, rows)
        costing = OnlyListed(space)
    bounds = tuple(
        _bound(table, metric, values[:, m], metric in maximise) for m, metric in enumerate(metrics)
    )
    problem = Problem(space, costing.hardware_space, Score(bounds), costing, {}, tuple(metrics))
    return TabularProblem(table.name, problem, Rows(network_keys(space, rows), metrics, values))


def _check_names(
    table: Table, choices: Sequence[str], metrics: Sequence[str], duplicates: str
) -> None:
    if duplicates not in DUPLICATES:
        raise DataError(f"duplicates = {shown(duplicates)}: allowed {', '.join(DUPLICATES)}")
    if not choices:
        raise DataError(f"{table.name}: at least one choice is needed: --choices COLUMN,COLUMN")
    if not metrics:
        raise DataError(f"{table.name}: at least one metric is needed: --minimize or --maximize")
    named: set[str] = set()
    for column in (*choices, *metrics):
        table.words(column)
        if column in named:
            raise DataError(f"{shown(column)}: named twice among choices and metrics")
        named.add(column)


def _choice(table: Table, column: str) -> tuple[Choice, Indices]:
    """A column as a choice, and the position of each row's value."""
    values: list[Value]
    if table.is_numeric(column):
        found, positions = np.unique(table.numbers(column), return_inverse=True)
        whole = [v for v in found.tolist() if v.is_integer()]
        values = [int(v) for v in whole] if len(whole) == len(found) else list(found.tolist())
    else:
        words = table.words(column)
        place = {word: k for k, word in enumerate(sorted(set(words)))}
        if len(place) > MOST_WORDS:
            raise DataError(
                f"{table.name}: column {shown(column)} has {len(place)} different words; "
                f"allowed {MOST_WORDS} in a choice"
            )
        values, positions = list(place), np.array([place[word] for word in words])
    if len(values) == 1:
        raise DataError(
            f"{table.name}: column {shown(column)} = {shown(values[0])} in every row: no choice"
        )
    meaning = f"column {column} of {table.name}"
    return Choice(column, tuple(values), meaning), positions.reshape(-1).astype(np.int64)


def _grouped(
    table: Table, rows: Indices, values: Floats, duplicates: str
) -> tuple[Indices, Floats]:
    """Each combination of choices once, sorted, and its metrics."""
    unique, first, inverse, counts = np.unique(
        rows, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(-1)
    if len(unique) == len(rows):
        return unique, values[first]
    if duplicates == "refuse":
        again = int(np.flatnonzero(first[inverse] != np.arange(len(rows)))[0])
        before = int(first[inverse[again]])
        raise DataError(
            f"{table.name}: rows {table.row_numbers[before]} and {table.row_numbers[again]} have "
            "the same choices; --duplicates mean averages them"
        )
    sums = [np.bincount(inverse, weights=values[:, m]) for m in range(values.shape[1])]
    return unique, np.stack(sums, axis=1) / counts[:, None]


def _bound(table: Table, metric: str, values: Floats, maximise: bool) -> Bound:
    """From the table's least to its most; log10 for positive metrics over orders of magnitude."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise DataError(
            f"{table.name}: column {shown(metric)} = {low:g} in every row: nothing to compare"
        )
    return Bound(metric, low, high, low > 0 and high / low > LOG_FROM, maximise)
