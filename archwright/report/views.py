"""A run's result as rows and cells: what the tables of a report show, in which order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from archwright.measurement import COSTS, METRICS, Measurement
from archwright.report.story import limit
from archwright.report.text import (
    clean,
    in_words,
    interval,
    metric_value,
    metric_words,
    number,
    unit,
)
from archwright.result import JudgedDesign, RunResult

VALIDATION, TEST = "accuracy_validation", "accuracy_test"


@dataclass(frozen=True)
class Column:
    """A metric's column: ``name`` in front.csv, and how it is headed and drawn."""

    name: str
    metric: str
    heading: str
    unit: str
    objective: bool
    maximise: bool

    @property
    def label(self) -> str:
        """Heading and unit, as on an axis."""
        return f"{self.heading}, {self.unit}" if self.unit else self.heading


@dataclass(frozen=True)
class Cell:
    """One number of a table: as printed without its unit, its interval, and as a number.

    Numbers are in the column's unit; all are None where there is no measurement.
    """

    text: str
    interval: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class FrontRow:
    """A design of the front, ready to print. ``cells`` go with the columns."""

    key: str
    chosen: bool
    cells: tuple[Cell, ...]
    network: str
    hardware: str
    proposer: str
    reason: str
    step: int


@dataclass(frozen=True)
class Tile:
    """One metric of the chosen design, with the constraint on it in words, if there is one."""

    heading: str
    value: str
    limit: str
    held: bool
    objective: bool


@dataclass(frozen=True)
class EvidenceRow:
    """The measurement behind one number."""

    what: str
    measurement: Measurement


def columns(result: RunResult) -> tuple[Column, ...]:
    """The metrics of the front: both accuracies, the objectives, then the other costs."""
    objectives = [metric for metric in result.brief.objectives if metric != "accuracy"]
    others = [metric for metric in COSTS if metric not in objectives]
    accuracy = "accuracy" in result.brief.objectives
    return (
        Column(VALIDATION, "accuracy", "accuracy, validation", "%", accuracy, True),
        Column(TEST, "accuracy", "accuracy, test", "%", False, True),
        *(_cost_column(metric, metric in objectives) for metric in [*objectives, *others]),
    )


def _cost_column(metric: str, objective: bool) -> Column:
    known = METRICS[metric]
    return Column(metric, metric, metric_words(metric), unit(known.unit), objective, known.maximise)


def measurement(judged: JudgedDesign, column: str) -> Measurement | None:
    """The measurement behind a design's number in ``column``, where there is one."""
    if column == VALIDATION:
        return judged.accuracy_validation
    if column == TEST:
        return judged.accuracy_test
    return judged.costs.get(column)


def printed(column: Column, value: float) -> float:
    """A value in the unit of its column: accuracy in percent, all else as it is."""
    return 100 * value if column.metric == "accuracy" else value


def _cell(column: Column, found: Measurement | None) -> Cell:
    if found is None or not math.isfinite(found.value):
        return Cell("–" if found is None else number(found.value))
    value, low, high = (printed(column, each) for each in (found.value, found.low, found.high))
    exact_count = not column.unit and float(value).is_integer() and abs(value) < 1e6
    text = f"{value:,.0f}" if exact_count else number(value)
    return Cell(text, interval(found), value, low, high)


def front_rows(result: RunResult, shown: tuple[Column, ...]) -> list[FrontRow]:
    """The front's designs: the chosen one first, then in turn one of each network.

    A network stands on the front with many hardware points; so the first rows, which are all
    that a long front shows at once, span its networks.
    """
    best = result.best.design.key if result.best else None
    rows = [
        FrontRow(
            key=judged.design.key,
            chosen=judged.design.key == best,
            cells=tuple(_cell(column, measurement(judged, column.name)) for column in shown),
            network=in_words(judged.design.network),
            hardware=in_words(judged.design.hardware),
            proposer=clean(judged.design.origin.proposer, 80),
            reason=clean(judged.design.origin.reason, 240),
            step=judged.step,
        )
        for judged in result.front
    ]
    turn: Counter[str] = Counter()
    turns = []
    for row in rows:
        turns.append(turn[row.network])
        turn[row.network] += 1
    order = sorted(range(len(rows)), key=lambda k: (not rows[k].chosen, turns[k]))
    return [rows[k] for k in order]


def tiles(result: RunResult, judged: JudgedDesign) -> list[Tile]:
    """Every cost of the chosen design, objectives first, with the limits of the brief."""
    made = []
    for column in columns(result):
        found = judged.costs.get(column.name)
        if found is None:
            continue
        bound = result.brief.constraints.get(column.metric)
        made.append(
            Tile(
                column.heading,
                metric_value(column.metric, found.value),
                limit(column.metric, bound) if bound else "",
                bound.holds(found.value) if bound else True,
                column.objective,
            )
        )
    return made


def evidence(result: RunResult) -> Iterator[EvidenceRow]:
    """The measurement behind every number of the front, the chosen design's first.

    One that several designs share (the accuracy of a network) comes once.
    """
    designs = list(result.front)
    if result.best is not None:
        designs.insert(0, result.best)
    seen = set()
    for judged in designs:
        for column in columns(result):
            found = measurement(judged, column.name)
            if found is not None and (column.name, found) not in seen:
                seen.add((column.name, found))
                yield EvidenceRow(column.heading, found)
