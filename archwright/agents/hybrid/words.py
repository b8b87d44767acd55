"""What a proposer's model is told, as short as it can be: tables of values, not sentences.

The space and what each of its values costs stand in the fixed part of the prompt; the
state of the search is the part that changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np

from archwright.agents.costing import NothingFree
from archwright.agents.frontier import Frontier, FrontPoint, Pairings
from archwright.agents.hybrid.levels import Levels, LevelState, thin
from archwright.agents.minds import LONGEST_REASON
from archwright.agents.problem import PastNetworks, Problem
from archwright.agents.strategies.common import balanced_hardware
from archwright.agents.strategies.spread import draw_scaled
from archwright.design import Design
from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware import AnalyticalModel
from archwright.front import Floats
from archwright.memory.lessons import LONGEST_TEXT, plain_text
from archwright.space import Choice, Indices, Point, Value

SEED = 13
COMPARED = 24
"""Networks in which each value is tried to see what it costs."""
FRONT_ROWS = 8
MOST_NOTES = 8
"""Of lessons, and of the user's own."""
LONGEST_NOTE = 240
MOST_OBJECTIONS = 4
"""Designs that someone objected to: they are long."""
SLOW_LAYERS = 2
PAST_RUNS, PAST_ROWS = 2, 3


def problem_in_words(problem: Problem, pairings: Pairings, levels: Levels) -> str:
    """The fixed part: what is searched, what each choice does and costs, the cost levels."""
    aims = ", ".join(
        f"{bound.metric} ({'more' if bound.rises else 'less'} is better)"
        for bound in problem.score.bounds
    )
    bounds = [f"{metric}: {_bound(c)}" for metric, c in problem.constraints.items()]
    costs = _network_costs(problem, pairings)
    priced = (
        f", with what each value costs in {_priced(problem)} as a multiple of the first value's, "
        "all else equal"
    )
    lines = [
        *([problem.about] if problem.about else []),
        f"Objectives: {aims}.",
        *([f"Bounds that every design must keep: {'; '.join(bounds)}."] if bounds else []),
        f"Choices of a network{priced if costs else ''}:",
        *_choices(problem.network_space.choices, costs),
        columns_in_words(problem),
    ]
    if problem.hardware_space.size > 1:
        lines += [
            "Choices of the hardware. A measured network is paired with every hardware for "
            "nothing, so what counts is the network:",
            *_choices(problem.hardware_space.choices, None),
        ]
    lines += ["Cost levels of networks:", *map(levels.in_words, range(len(levels.names)))]
    return "\n".join(lines)


def _bound(constraint: object) -> str:
    low, high = getattr(constraint, "at_least", None), getattr(constraint, "at_most", None)
    sides = [f"at least {low:g}"] if low is not None else []
    return " and ".join([*sides, *([f"at most {high:g}"] if high is not None else [])])


def _choices(choices: Sequence[Choice], costs: Sequence[Floats] | None) -> Iterator[str]:
    """A line each; what a stage's choice does is said once for all stages."""
    alike: dict[str, str] = {}
    for c, choice in enumerate(choices):
        first = alike.setdefault(re.sub(r"\d+", "#", choice.meaning), choice.name)
        meaning = choice.meaning if first == choice.name else f"as {first}"
        values = [str(value) for value in choice.values]
        if costs is not None:
            times = costs[c]
            values = [f"{v}{_times(x)}" for v, x in zip(values, times, strict=True)]
        unit = f" {choice.unit}" if choice.unit else ""
        yield f"{choice.name} [{', '.join(values)}]{unit}: {meaning}"


def _times(factor: float) -> str:
    """A cost against the first value's, where it is another."""
    said = f"{factor:.2g}"
    return "" if said == "1" else f" ({said}x)"


def columns_in_words(problem: Problem) -> str:
    """How the tables below write a network: its values alone, for they are many."""
    return f"Networks are written in this order: {' '.join(problem.network_space.names)}"


def _priced(problem: Problem) -> str:
    return "latency_ms" if "latency_ms" in problem.cost_objectives else "multiply-accumulates"


def _network_costs(problem: Problem, pairings: Pairings) -> list[Floats] | None:
    """For each choice, each value's cost over the first one's: the geometric mean over draws.

    Latency is that on one hardware, which suits a network of the middle; None where nothing
    is known of costs without an evaluation.
    """
    space, rng = problem.network_space, np.random.default_rng(SEED)
    drawn = draw_scaled(space, rng, COMPARED)
    hardware = _middle_hardware(problem, pairings, drawn)
    found = []
    for c, choice in enumerate(space.choices):
        rows = np.repeat(drawn, len(choice.values), axis=0)
        rows[:, c] = np.tile(np.arange(len(choice.values)), len(drawn))
        if hardware is None:
            logs = pairings.catalogue.complexity(rows) * np.log(10)
        else:
            costs = problem.costing.zip(rows, np.repeat(hardware[None], len(rows), axis=0))
            logs = np.log(costs["latency_ms"])
        table = logs.reshape(len(drawn), len(choice.values))
        with np.errstate(invalid="ignore"):
            table = table - table[:, :1]
        known = np.isfinite(table).all(axis=1)
        found.append(np.exp(table[known].mean(axis=0)) if known.any() else np.ones(table.shape[1]))
    return found if any((times != 1.0).any() for times in found) else None


def _middle_hardware(problem: Problem, pairings: Pairings, drawn: Indices) -> Indices | None:
    if _priced(problem) != "latency_ms":
        return None
    for row in (drawn[len(drawn) // 2], *drawn):
        pairing = pairings.of(row)
        if len(pairing):
            return balanced_hardware(problem, pairing)
    return None


def front_in_words(problem: Problem, frontier: Frontier, most: int = FRONT_ROWS) -> Iterator[str]:
    """The front's networks as a table, best accuracy first, thinned.

    Each on the first of its hardware: it is on many, and none of them costs a measurement.
    """
    networks: dict[str, FrontPoint] = {}
    for point in frontier.points():
        networks.setdefault(point.evaluated.key, point)
    points = _thinned(list(networks.values()), most)
    if not points:
        yield "none yet"
        return
    metrics = problem.score.metrics
    yield f"{', '.join(metrics)} | network"
    for point in points:
        known = {**point.costs, **point.evaluated.measured}
        numbers = ", ".join(f"{known[metric]:.3g}" for metric in metrics)
        [network] = problem.network_space.decode(point.evaluated.row[None])
        yield f"{numbers} | {_values(network, problem.network_space.names)}"


def past_in_words(problem: Problem, past: Sequence[PastNetworks]) -> Iterator[str]:
    """What past runs measured as most accurate: ideas, on other data or by other means."""
    for one in past[:PAST_RUNS]:
        best = np.argsort(-one.accuracies, kind="stable")[:PAST_ROWS]
        for accuracy, row in zip(one.accuracies[best], one.rows[best], strict=True):
            network = problem.network_space.decode(row[None])[0]
            values = _values(network, problem.network_space.names)
            yield f"accuracy there {accuracy:.3f} | {values}"


def networks_in_words(problem: Problem, designs: Sequence[Design]) -> Iterator[str]:
    """The networks of designs, one a line."""
    return (_values(design.network, problem.network_space.names) for design in designs)


def designs_in_words(problem: Problem, designs: Sequence[Design]) -> Iterator[str]:
    """Designs as a table: their networks, and why each was proposed, as a quotation."""
    yield "number | network | why"
    for number, design in enumerate(designs):
        [why] = quoted([design.origin.reason], LONGEST_REASON)
        yield f"{number} | {_values(design.network, problem.network_space.names)} | {why}"


def levels_in_words(levels: Levels, states: Sequence[LevelState]) -> Iterator[str]:
    """How each cost level stands, and which are thin."""
    sparse = set(thin(list(states)))
    for level, state in enumerate(states):
        best = "" if state.best is None else f", best accuracy {state.best:.3f}"
        here = " <- thin" if level in sparse else ""
        yield f"{levels.names[level]}: {state.measured} measured{best}{here}"


def bottlenecks_in_words(problem: Problem, frontier: Frontier) -> Iterator[str]:
    """The slowest layers of the front's most accurate, middle and cheapest design.

    None where networks have no layers that anyone knows of.
    """
    if isinstance(problem.costing, NothingFree):
        return
    for point in _thinned(frontier.points(), 3):
        workload = problem.costing.workloads(point.evaluated.row[None])[0]
        hardware = problem.hardware_space.decode(point.hardware[None])[0]
        try:
            layers = AnalyticalModel().per_layer(workload, problem.costing.parameters(hardware))
        except MeasurementFailed:
            continue
        total = sum(layer.latency_us for layer in layers)
        slowest = sorted(layers, key=lambda layer: -layer.latency_us)[:SLOW_LAYERS]
        said = ", ".join(
            f"{layer.name} {layer.latency_us / total:.0%} bound by {layer.bound}"
            for layer in slowest
        )
        measured = ", ".join(f"{m} {v:.3g}" for m, v in point.evaluated.measured.items())
        yield f"design with {measured}: {said}"


def objected(problem: Problem, objections: Sequence[tuple[Design, str]]) -> list[str]:
    """The last designs that someone objected to, and why, as data on a line each."""
    last = objections[-MOST_OBJECTIONS:]
    texts = [f"{_row(problem, d.network, d.hardware)}: {why}" for d, why in last]
    return quoted(texts, LONGEST_TEXT)


def quoted(texts: Sequence[str], longest: int = LONGEST_NOTE) -> list[str]:
    """Texts, each on one line between quotation marks that it cannot close."""
    return [json.dumps(plain_text(text, longest), ensure_ascii=False) for text in texts]


def _row(problem: Problem, network: Point, hardware: Point) -> str:
    """The values of a design, in the order of the spaces."""
    first = _values(network, problem.network_space.names)
    if problem.hardware_space.size == 1:
        return first
    return f"{first} | {_values(hardware, problem.hardware_space.names)}"


def _values(point: Point, names: Sequence[str]) -> str:
    values: list[Value] = [point.get(name, "?") for name in names]
    return " ".join(map(str, values))


def _thinned(items: Sequence[FrontPoint], most: int) -> list[FrontPoint]:
    """At most ``most`` of ``items``, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[round(k)] for k in np.linspace(0, len(items) - 1, most)]
