"""The search problem as every mind sees it: spaces, objectives, constraints, free costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """A network whose accuracy was measured.

    ``row`` holds its indices in the network space, shape (choices,); ``design`` is the
    key of the design it was proposed in.
    """

    key: str
    design: str
    row: Indices
    accuracy: float
    step: int


@dataclass(frozen=True)
class History:
    """What a step may know: the archive's rows of the steps before it.

    ``tried`` names every network that was measured, failed or was rejected for good;
    none of them may be proposed again.
    """

    evaluated: tuple[Evaluated, ...] = ()
    tried: frozenset[str] = frozenset()


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


@dataclass(frozen=True)
class Problem:
    """Spaces, objectives, constraints and the score of one run."""

    network_space: Space
    hardware_space: Space
    score: Score
    costing: Costing
    constraints: Mapping[str, Constraint] = field(default_factory=dict)

    @property
    def cost_objectives(self) -> tuple[str, ...]:
        """The objectives that the analytical model knows exactly."""
        return tuple(metric for metric in self.score.metrics if metric != "accuracy")

    def affordable(self, costs: Costs) -> Mask:
        """Which designs the hardware can run within every bound on a cost."""
        mask = np.isfinite(costs["latency_ms"])
        for metric, constraint in self.constraints.items():
            if metric != "accuracy":
                mask &= _within(constraint, costs[metric])
        return mask

    def accurate(self, accuracy: Floats) -> Mask:
        """Which accuracies are within the brief's bound on accuracy."""
        constraint = self.constraints.get("accuracy")
        if constraint is None:
            return np.ones(np.shape(accuracy), dtype=bool)
        return _within(constraint, accuracy)

    def miss(self, accuracy: Floats, costs: Costs) -> Floats:
        """By how much designs miss the bounds: relative, summed; 0 within all of them.

        Infinite where the hardware cannot run the network.
        """
        total = np.where(np.isfinite(costs["latency_ms"]), 0.0, np.inf)
        for metric, constraint in self.constraints.items():
            total = total + _miss(constraint, accuracy if metric == "accuracy" else costs[metric])
        return total

    def losses(self, accuracy: Floats, costs: Costs) -> Floats:
        """Losses of shape (designs, objectives); ``accuracy`` and costs of shape (designs,)."""
        return self.score.losses({**costs, "accuracy": accuracy})

    def why_not(self, costs: Mapping[str, float]) -> str | None:
        """The first bound on a cost that one design breaks, in words; None when none."""
        for metric, constraint in self.constraints.items():
            if metric == "accuracy" or constraint.holds(costs[metric]):
                continue
            if constraint.at_most is not None and costs[metric] > constraint.at_most:
                return f"{metric} above the brief's {constraint.at_most:g}"
            return f"{metric} below the brief's {constraint.at_least:g}"
        return None

    def networks(self, rows: Indices) -> list[dict[str, int | float | str]]:
        """Rows of network indices, shape (networks, choices), as points."""
        return self.network_space.decode(rows)


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
