"""What is known of networks before any evaluation: features, complexity, promise, coverage.

Of a space that can be enumerated it is computed once for all networks and remembered;
of a larger one for the networks that are asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from archwright.agents.problem import Problem
from archwright.evaluators.predictor import NetworkFeatures
from archwright.front import Floats, non_dominated
from archwright.space import Indices, point_hash

ENUMERABLE = 20_000
"""Network spaces up to this size are known whole: about 10 s once, 100 MB."""
ENUMERABLE_PAIRS = 2**24
"""And they with all hardware are at most so many designs, whose costs are computed once."""
COST_LEVELS = 1024
"""Points of the cost box at which fronts are compared."""
AT_ONCE = 256

Weights = npt.NDArray[np.float32]
Made = TypeVar("Made")
Computed = TypeVar("Computed", Floats, Weights)


class Catalogue:
    """Knowledge of a problem's networks. A pure function of the problem."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._features = problem.features or NetworkFeatures(problem.network_space)
        self._known: dict[str, Any] = {}
        self._made: dict[str, Any] = {}

    @property
    def enumerable(self) -> bool:
        """Whether all networks are known at once."""
        networks = self._problem.network_space.size
        pairs = networks * self._problem.hardware_space.size
        return networks <= ENUMERABLE and pairs <= ENUMERABLE_PAIRS

    def prepare(self) -> None:
        """Compute now what would be computed when a strategy first asks for it."""
        if self.enumerable:
            self.features(self.networks[:1])
            self.coverage(self.networks[:1])
            self.without(())

    @cached_property
    def networks(self) -> Indices:
        """All networks of a space that is enumerable."""
        return self._problem.network_space.enumerate()

    @cached_property
    def levels(self) -> Floats:
        """Points of the box of losses, shape (levels, dimensions): an even cover.

        First the cost objectives, then all learned objectives but the first. Sobol's
        sequence, always the same: the mean over the levels is a share of the box.
        """
        others = self._problem.learned_objectives[1:]
        dimensions = len(self._problem.cost_objectives) + len(others)
        if dimensions == 0:
            return np.zeros((1, 0))
        from scipy.stats.qmc import Sobol

        return np.asarray(Sobol(dimensions, seed=0).random(COST_LEVELS))

    @property
    def groups(self) -> tuple[str, ...]:
        """Which group each column of the features belongs to."""
        return (*self._features.groups, "complexity", "complexity", "promise")

    def features(self, rows: Indices) -> Floats:
        """What a regression sees of networks: shape (networks, columns)."""
        return self.remembered("features", rows, self._compute_features)

    def complexity(self, rows: Indices) -> Floats:
        """log10 of multiply-accumulates, shape (networks,)."""
        return self._sizes(rows)[:, 0]

    def promise(self, rows: Indices) -> Floats:
        """The problem's structural knowledge, shape (networks,); 0 where it offers none."""
        return self.remembered("promise", rows, self._compute_promise)

    def coverage(self, rows: Indices, panel: Indices | None = None) -> Weights:
        """Which cost levels a network reaches on some affordable hardware, 0 or 1.

        Shape (networks, levels). ``panel``: the hardware to look at; all of it, if None.
        """
        if panel is None:
            panel = self._problem.costing.hardware
            return self.remembered(
                "coverage", rows, lambda some: self._compute_coverage(some, panel)
            )
        return self._compute_coverage(rows, panel)

    def once(self, what: str, make: Callable[[], Made]) -> Made:
        """What ``make`` gives, made once for each ``what``: a function of these alone."""
        if what not in self._made:
            self._made[what] = make()
        made: Made = self._made[what]
        return made

    def remembered(
        self, what: str, rows: Indices, compute: Callable[[Indices], Computed]
    ) -> Computed:
        """``compute`` of networks, remembered under ``what`` where all can be known."""
        if not self.enumerable:
            return compute(rows)
        if what not in self._known:
            self._known[what] = compute(self.networks)
        known: Computed = self._known[what]
        return known[self.positions(rows)]

    def without(self, keys: Collection[str]) -> npt.NDArray[np.bool_]:
        """Mask over :attr:`networks`: all but those with these keys."""
        left = np.ones(len(self.networks), dtype=bool)
        left[[self._position[key] for key in keys if key in self._position]] = False
        return left

    @cached_property
    def _position(self) -> dict[str, int]:
        points = self._problem.networks(self.networks)
        return {point_hash(point): k for k, point in enumerate(points)}

    def positions(self, rows: Indices) -> Indices:
        """Where networks stand among :attr:`networks`."""
        return np.asarray(np.ravel_multi_index(tuple(rows.T), self._problem.network_space.shape))

    def _compute_features(self, rows: Indices) -> Floats:
        columns = self._features(self._problem.networks(rows))
        more = np.concatenate([self._sizes(rows), self.promise(rows)[:, None]], axis=1)
        return np.concatenate([columns, more], axis=1)

    def _sizes(self, rows: Indices) -> Floats:
        return self.remembered("sizes", rows, self._problem.costing.sizes)

    def _compute_promise(self, rows: Indices) -> Floats:
        promise = self._problem.promise
        return np.zeros(len(rows)) if promise is None else promise(self._problem.networks(rows))

    def _compute_coverage(self, rows: Indices, panel: Indices) -> Weights:
        problem, found = self._problem, []
        bounded = [metric for metric in problem.constraints if metric not in problem.learned]
        needed = tuple(dict.fromkeys((*problem.cost_objectives, *bounded, "latency_ms")))
        for start in range(0, len(rows), AT_ONCE):
            costs = problem.costing.cross(rows[start : start + AT_ONCE], panel, needed)
            affordable, losses = problem.affordable(costs), problem.cost_losses(costs)
            found += [self._reached(losses[n][mask]) for n, mask in enumerate(affordable)]
        return np.stack(found) if found else np.zeros((0, len(self.levels)), np.float32)

    def _reached(self, losses: Floats) -> Weights:
        """Levels that are as costly or costlier than one of ``losses`` in every objective."""
        costs = losses.shape[1]
        if costs == 0:
            return np.full(len(self.levels), bool(len(losses)), np.float32)
        front = losses[non_dominated(losses)]
        within = front[:, None] <= self.levels[:, :costs]
        return np.asarray(within.all(axis=-1).any(axis=0), np.float32)
