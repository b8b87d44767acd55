"""The search problem as every mind sees it: spaces, objectives, constraints, free costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from archwright.agents.costing import Costing, Costs
from archwright.brief import Constraint
from archwright.errors import SpaceError
from archwright.front import Floats, Score
from archwright.space import Indices, Point, Space

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluated:
    """A network that was evaluated.

    ``row`` holds its indices in the network space, shape (choices,); ``design`` is the
    key of the design it was proposed in; ``measured`` holds every metric that only an
    evaluation gives (:attr:`Problem.learned`).
    """

    key: str
    design: str
    row: Indices
    measured: Mapping[str, float]
    step: int

    @property
    def accuracy(self) -> float:
        """The measured accuracy."""
        return self.measured["accuracy"]


@dataclass(frozen=True)
class History:
    """What a step may know: the archive's rows of the steps before it.

    ``tried`` names every network that was measured, failed or was rejected for good;
    none of them may be proposed again.
    """

    evaluated: tuple[Evaluated, ...] = ()
    tried: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PastNetworks:
    """What a past run measured of networks of this space: an idea, never a measurement.

    ``rows`` has shape (networks, choices), ``accuracies`` (networks,).
    """

    run: str
    rows: Indices
    accuracies: Floats


@dataclass(frozen=True)
class Suggestion:
    """A design that a strategy proposes, as indices, with its reason and parents' keys.

    ``expected_gain`` is the share of the hypervolume's cube that the strategy expects it to
    add after those before it in the batch; None where the strategy does not know.
    """

    network: Indices
    hardware: Indices
    reason: str
    parents: tuple[str, ...] = ()
    expected_gain: float | None = None


class Features(Protocol):
    """What a regression sees of networks; ``groups`` says what each column belongs to."""

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each column; columns of a group are weighed together."""
        ...

    def __call__(self, points: Sequence[Point]) -> Floats:
        """Shape (networks, columns)."""
        ...


@dataclass(frozen=True)
class Problem:
    """Spaces, objectives, constraints and the score of one run.

    ``learned`` names the metrics that only an evaluation gives; all others are costs, free
    and exact. ``features`` is what a regression sees of a network (its choices, if None).
    ``promise``, where the problem offers it, is cheap structural knowledge: of two networks
    of one complexity the one with more of it is likely the better one. ``admits`` says which
    networks a narrow round is about (all, if None): what a strategy should choose from.
    ``about`` says in a few sentences what the networks are, for a model.
    """

    network_space: Space
    hardware_space: Space
    score: Score
    costing: Costing
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    learned: tuple[str, ...] = ("accuracy",)
    features: Features | None = None
    promise: Callable[[Sequence[Point]], Floats] | None = None
    admits: Callable[[Indices], Mask] | None = None
    about: str = ""

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that are free and exact."""
        return tuple(metric for metric in self.score.metrics if metric not in self.learned)

    @property
    def learned_objectives(self) -> tuple[str, ...]:
        """The objectives that only an evaluation gives."""
        return tuple(metric for metric in self.score.metrics if metric in self.learned)

    def affordable(self, costs: Costs) -> Mask:
        """Which designs the hardware can run within every bound on a cost."""
        mask = _runs(costs)
        for metric, constraint in self.constraints.items():
            if metric not in self.learned:
                mask &= _within(constraint, costs[metric])
        return mask

    def acceptable(self, measured: Mapping[str, float]) -> bool:
        """Whether what an evaluation gave is within the bounds on it."""
        return all(
            constraint.holds(measured[metric])
            for metric, constraint in self.constraints.items()
            if metric in self.learned
        )

    def miss(self, measured: Mapping[str, float | Floats], costs: Costs) -> Floats:
        """By how much designs miss the bounds: relative, summed; 0 within all of them.

        Infinite where the hardware cannot run the network. ``measured`` is one network's,
        or holds a value for each design.
        """
        total = np.where(_runs(costs), 0.0, np.inf)
        for metric, constraint in self.constraints.items():
            values = measured[metric] if metric in self.learned else costs[metric]
            total = total + _miss(constraint, np.asarray(values, np.float64))
        return total

    def losses(self, measured: Mapping[str, float], costs: Costs) -> Floats:
        """Losses of one network on all hardware of ``costs``: shape (hardware, objectives)."""
        shape = next(iter(costs.values())).shape
        values = {metric: np.full(shape, measured[metric]) for metric in self.learned_objectives}
        return self.score.losses({**costs, **values})

    def cost_losses(self, costs: Costs) -> Floats:
        """The losses of the cost objectives only, shape (..., cost objectives)."""
        shape = next(iter(costs.values())).shape
        bounds = [bound for bound in self.score.bounds if bound.metric not in self.learned]
        columns = [bound.normalise(costs[bound.metric]) for bound in bounds]
        return np.stack(columns, -1) if columns else np.zeros((*shape, 0))

    def why_not(self, costs: Mapping[str, float]) -> str | None:
        """The first bound on a cost that one design breaks, in words; None when none."""
        for metric, constraint in self.constraints.items():
            if metric in self.learned or constraint.holds(costs[metric]):
                continue
            if constraint.at_most is not None and costs[metric] > constraint.at_most:
                return f"{metric} above the brief's {constraint.at_most:g}"
            return f"{metric} below the brief's {constraint.at_least:g}"
        return None

    def networks(self, rows: Indices) -> list[dict[str, int | float | str]]:
        """Rows of network indices, shape (networks, choices), as points."""
        return self.network_space.decode(rows)


def _runs(costs: Costs) -> Mask:
    """Where the hardware can run the network: what cannot has no finite latency."""
    return np.isfinite(costs["latency_ms"] if "latency_ms" in costs else next(iter(costs.values())))


def _within(constraint: Constraint, values: Floats) -> Mask:
    mask = np.ones(np.shape(values), dtype=bool)
    if constraint.at_most is not None:
        mask &= values <= constraint.at_most
    if constraint.at_least is not None:
        mask &= values >= constraint.at_least
    return mask


def _miss(constraint: Constraint, values: Floats) -> Floats:
    miss = np.zeros(np.shape(values))
    if constraint.at_most is not None:
        miss = np.maximum(miss, values / constraint.at_most - 1.0)
    if constraint.at_least is not None and constraint.at_least > 0:
        miss = np.maximum(miss, 1.0 - values / constraint.at_least)
    return miss


def fits(space: Space, point: Point) -> bool:
    """Whether ``point`` (from a model, a memory, another space) lies in ``space``."""
    try:
        space.check(point)
    except SpaceError:
        return False
    return True
