"""The promoted designs as a table: each number as the search had it, and as it was judged again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archwright.measurement import METRICS, Measurement
from archwright.report.text import clean, metric_value, metric_words
from archwright.result import JudgedDesign, PromotedDesign, RunResult

NOTHING = "–"


@dataclass(frozen=True)
class PromotedTable:
    """Headings and rows of text, one row per promoted design, and what they mean."""

    meaning: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def promoted_table(result: RunResult) -> PromotedTable | None:
    """The table, None where nothing was promoted."""
    promotion = result.promotion
    if promotion is None or not promotion.designs:
        return None
    on_front = {judged.design.key: judged for judged in result.front}
    simulated = [m for m in METRICS if any(m in p.simulated for p in promotion.designs)]
    heading = ["design", "came furthest", "epochs", "validation: inherited", "trained"]
    heading += ["test: inherited", "trained"]
    for metric in simulated:
        heading += [f"{metric_words(metric)}: analytical", "simulated"]
    best = result.best.design.key if result.best else None
    rows = (_row(p, on_front[p.design.key], simulated, best) for p in promotion.designs)
    return PromotedTable(_meaning(result), tuple(heading), tuple(rows))


def _meaning(result: RunResult) -> str:
    promotion = result.promotion
    count = len(promotion.designs) if promotion else 0
    text = (
        f"{count} of the front's {len(result.front)} designs were judged once more before one was "
        "called best: their networks trained further from inherited weights, half of them going on "
        "at every rung. The others are on the front with the search's numbers alone."
    )
    if promotion and promotion.stopped:
        text += f" It ended early: {clean(promotion.stopped)}."
    return text


def _row(
    promoted: PromotedDesign, judged: JudgedDesign, simulated: list[str], best: str | None
) -> tuple[str, ...]:
    chosen = " (chosen)" if promoted.design.key == best else ""
    cells = [
        f"{promoted.design.key[:8]}{chosen}",
        "yes" if promoted.reached else "no",
        str(sum(promoted.epochs)),
        _value(judged.accuracy_validation),
        _value(promoted.trained),
        _value(judged.accuracy_test),
        _value(promoted.accuracy_test),
    ]
    for metric in simulated:
        cells += [_of(judged.costs, metric), _of(promoted.simulated, metric)]
    return tuple(cells)


def _of(costs: Mapping[str, Measurement], metric: str) -> str:
    return metric_value(metric, costs[metric].value) if metric in costs else NOTHING


def _value(accuracy: Measurement | None) -> str:
    return NOTHING if accuracy is None else metric_value("accuracy", accuracy.value)
