"""front.csv: one row per design of the front, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from archwright.measurement import COSTS, Measurement
from archwright.result import JudgedDesign, RunResult
from archwright.space import Point, Value

VALIDATION_MEANS = "the search selected on it, hence optimistic"
TEST_MEANS = "scored once after the search froze, on inherited weights"

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_front_csv(result: RunResult, path: Path) -> None:
    """Write the front to ``path``, numbers in full precision, in the units of their names.

    Columns: design, chosen, both accuracies with the bounds of their 95% intervals and what
    each means (empty where the test split was not scored), every cost, ``network.CHOICE`` and
    ``hardware.CHOICE``, proposer, reason, step. An empty front gives the heading alone.
    """
    best = result.best.design.key if result.best else None
    networks = _choices([judged.design.network for judged in result.front])
    hardwares = _choices([judged.design.hardware for judged in result.front])
    heading = [
        *("design", "chosen"),
        *(f"accuracy_validation{part}" for part in ("", "_low", "_high", "_meaning")),
        *(f"accuracy_test{part}" for part in ("", "_low", "_high", "_meaning")),
        *COSTS,
        *(f"network.{name}" for name in networks),
        *(f"hardware.{name}" for name in hardwares),
        *("proposer", "reason", "step"),
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_safe(cell) for cell in heading)
        for judged in result.front:
            cells = [
                judged.design.key,
                "yes" if judged.design.key == best else "no",
                *_explained(judged.accuracy_validation, VALIDATION_MEANS),
                *_explained(judged.accuracy_test, TEST_MEANS),
                *(_cost(judged, metric) for metric in COSTS),
                *(judged.design.network.get(name, "") for name in networks),
                *(judged.design.hardware.get(name, "") for name in hardwares),
                judged.design.origin.proposer,
                judged.design.origin.reason,
                judged.step,
            ]
            writer.writerow(_safe(cell) for cell in cells)


def _choices(points: Sequence[Point]) -> list[str]:
    """The names of the choices of ``points``, in their order, each once."""
    return list(dict.fromkeys(name for point in points for name in point))


def _explained(found: Measurement | None, meaning: str) -> tuple[Value, ...]:
    """Value, bounds and meaning; all empty where nothing was measured."""
    return ("",) * 4 if found is None else (found.value, found.low, found.high, meaning)


def _cost(judged: JudgedDesign, metric: str) -> Value:
    found = judged.costs.get(metric)
    return "" if found is None else found.value


def _safe(cell: Value) -> Value:
    """A text that a spreadsheet does not take for a formula; numbers stay numbers."""
    if not isinstance(cell, str):
        return cell
    # Readers stop at NUL, and it could hide what follows.
    text = cell.replace("\0", "")
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
