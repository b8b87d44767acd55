"""Whether the figures in a text were measured: numbers come from tools only.

A figure (:mod:`archwright.agents.figures`) stands when a measurement of its metric, rounded
to the precision stated, equals it; a bound ("below 3 uJ") is a figure like any other. The
brief's own bounds stand too. A sentence with any other figure is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from archwright.agents.figures import Figure, figures, sentences
from archwright.agents.metric_words import meaning_of
from archwright.brief import Constraint
from archwright.front import Floats
from archwright.measurement import METRICS

LARGEST_RESULT = 1_000_000
"""Characters of one tool result that are read for its values."""
SLACK = 1e-9
"""Relative: what arithmetic on a figure may cost."""

_KEY_AND_NUMBER = re.compile(
    r'"(\w{1,64})":\s?(?:\{"value":\s?)?(-?\d{1,30}(?:\.\d{1,30})?(?:e[+-]?\d{1,3})?)'
)


@dataclass(frozen=True)
class Known:
    """Values of metrics, each metric's in ascending order, in its own unit.

    ``given`` are figures that anyone may repeat, though nothing measured them: the brief's
    bounds, and what the user said.
    """

    measured: Mapping[str, Floats] = field(default_factory=dict)
    given: Mapping[str, Floats] = field(default_factory=dict)

    def with_results(self, results: Iterable[str]) -> Known:
        """And the values in the results of tools, which are JSON."""
        told = _by_metric(pair for result in results for pair in values_in_result(result))
        if not told:
            return self
        nothing = np.zeros(0)
        measured = {
            metric: np.sort(
                np.concatenate([of.get(metric, nothing) for of in (self.measured, told)])
            )
            for metric in {**self.measured, **told}
        }
        return Known(measured, self.given)


NOTHING_KNOWN = Known()


@dataclass(frozen=True)
class FalseClaim:
    """A figure that nothing measured, and the measurement nearest to it, if there is any."""

    figure: Figure
    nearest: float | None

    @property
    def words(self) -> str:
        """The claim: "accuracy 0.99", "latency 310 us"."""
        metric = METRICS[self.figure.metric]
        name = metric.name.removesuffix(f"_{metric.unit.lower()}")
        said = self.figure.text
        return said if name.rstrip("s") in said.lower() else f"{name} {said}"


@dataclass(frozen=True)
class Checked:
    """A text without the sentences that state what nothing measured, and those claims."""

    text: str
    flagged: tuple[FalseClaim, ...] = ()


def false_claims(text: str, known: Known) -> tuple[FalseClaim, ...]:
    """The figures of a text that do not stand, in order."""
    return tuple(
        FalseClaim(figure, _nearest(figure, known.measured))
        for figure in figures(text)
        if not _stands(figure, known)
    )


def checked(text: str, known: Known) -> Checked:
    """The text with a note instead of each sentence that holds a false claim."""
    kept: list[str] = []
    flagged: list[FalseClaim] = []
    for sentence in sentences(text):
        found = false_claims(sentence, known)
        flagged += found
        said = ", ".join(dict.fromkeys(claim.words for claim in found))
        kept.append(f"(left out: it states {said}, which nothing measured)" if found else sentence)
    return Checked(" ".join(kept), tuple(flagged)) if flagged else Checked(text)


def known_values(
    measured: Iterable[tuple[str, float]], given: Iterable[tuple[str, float]] = ()
) -> Known:
    """Pairs of metric and value as :class:`Known`; those that are not numbers are left out."""
    return Known(_by_metric(measured), _by_metric(given))


def bounds_of(constraints: Mapping[str, Constraint]) -> list[tuple[str, float]]:
    """A brief's bounds on metrics: figures that anyone may repeat."""
    sides = [(m, side) for m, c in constraints.items() for side in (c.at_most, c.at_least)]
    return [(metric, side) for metric, side in sides if side is not None]


def values_in_result(text: str) -> list[tuple[str, float]]:
    """The values of metrics in a tool's result, which is JSON: ``{"latency_us": 310}``.

    Words in it are no source: they may repeat what a model once said. Of a result that was
    cut only numbers right behind their key count.
    """
    text = text[:LARGEST_RESULT]
    try:
        content = json.loads(text, parse_int=float)  # of any length
    except (ValueError, RecursionError):
        content = [{name: float(number)} for name, number in _KEY_AND_NUMBER.findall(text)]
    found: list[tuple[str, float]] = []
    waiting: list[tuple[object, str]] = [(content, "")]
    while waiting:
        value, name = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(v, str(k) if meaning_of(str(k)) else name) for k, v in value.items()]
        elif isinstance(value, list):
            waiting += [(v, name) for v in value]
        elif isinstance(value, float):
            meaning = meaning_of(name)
            if meaning is not None:
                found.append((meaning.metric, value * meaning.factor))
    return found


def _by_metric(pairs: Iterable[tuple[str, float]]) -> dict[str, Floats]:
    values: dict[str, list[float]] = {}
    for metric, value in pairs:
        if np.isfinite(value):
            values.setdefault(metric, []).append(float(value))
    return {metric: np.unique(found) for metric, found in values.items()}


def _stands(figure: Figure, known: Known) -> bool:
    within = figure.precision + SLACK * abs(figure.value)
    found = [_nearest(figure, values) for values in (known.measured, known.given)]
    return any(value is not None and abs(value - figure.value) <= within for value in found)


def _nearest(figure: Figure, values: Mapping[str, Floats]) -> float | None:
    """The value of the figure's metric that is nearest to it."""
    known = values.get(figure.metric)
    if known is None or len(known) == 0:
        return None
    place = int(np.searchsorted(known, figure.value))
    around = known[max(0, place - 1) : place + 1]
    return float(min(around, key=lambda value: abs(value - figure.value)))
