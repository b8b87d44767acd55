"""What a tabular problem is: a search problem, a table that answers for every evaluation, and,
since every network is in it, the true front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from archwright.agents.problem import Evaluated, Mask, Problem
from archwright.agents.strategies.common import network_keys
from archwright.errors import DataError
from archwright.front import Floats, non_dominated
from archwright.space import Indices
from archwright.tabular.listed import ListedSpace

PAIRS_AT_ONCE = 262_144
"""Designs that are costed at once where the true front is enumerated: about 20 MB a metric."""


@dataclass(frozen=True)
class TabularProblem:
    """A search problem whose evaluations are looked up.

    ``row_of`` maps the key of a network (:func:`archwright.space.point_hash`) to every
    learned metric, as an evaluation reveals it.
    """

    name: str
    problem: Problem
    row_of: Mapping[str, Mapping[str, float]]

    @property
    def networks(self) -> Indices:
        """Every network that the table may hold, shape (networks, choices)."""
        space = self.problem.network_space
        return space.rows if isinstance(space, ListedSpace) else space.enumerate()

    def holds(self, rows: Indices) -> Mask:
        """Which networks, given as indices of shape (networks, choices), the table holds."""
        keys = network_keys(self.problem.network_space, rows)
        return np.array([key in self.row_of for key in keys], dtype=bool)

    def evaluate(self, rows: Indices, step: int) -> tuple[Evaluated, ...]:
        """What evaluations reveal of the networks ``rows``, shape (networks, choices).

        Networks that the table does not hold are left out.
        """
        keys = network_keys(self.problem.network_space, rows)
        return tuple(
            Evaluated(key, key, row, self.row_of[key], step)
            for key, row in zip(keys, rows, strict=True)
            if key in self.row_of
        )

    @cached_property
    def true_front(self) -> Floats:
        """The losses of the non-dominated designs of the whole table on all hardware.

        Shape (designs, objectives). Only where the hardware space is paired whole.
        """
        if len(self.problem.costing.hardware) < self.problem.hardware_space.size:
            raise ValueError(f"{self.name}: too much hardware to enumerate the true front")
        front = np.zeros((0, len(self.problem.score.metrics)))
        for losses in self._fronts():
            front = np.concatenate([front, losses])
            front = front[non_dominated(front)]
        return front

    @cached_property
    def true_hypervolume(self) -> float:
        """The hypervolume of :attr:`true_front`: what no search of the table can exceed."""
        found = self.problem.score.hypervolume(self.true_front)
        if found == 0.0:
            raise DataError(
                f"{self.name}: no design is better than the worst value of every objective: "
                "the true hypervolume is 0 and nothing can be compared with it"
            )
        return found

    def _fronts(self) -> Iterator[Floats]:
        """The losses of each chunk of networks on the hardware of their own cost fronts.

        What another hardware beats at every cost for one network is on no front at all.
        """
        problem, hardware = self.problem, self.problem.costing.hardware
        bounded = [metric for metric in problem.constraints if metric not in problem.learned]
        # Whatever is asked for, latency says what cannot run.
        needed = tuple(dict.fromkeys((*problem.cost_objectives, *bounded, "latency_ms")))
        networks = self.networks
        step = max(1, PAIRS_AT_ONCE // len(hardware))
        for start in range(0, len(networks), step):
            known = [
                e
                for e in self.evaluate(networks[start : start + step], 0)
                if problem.acceptable(e.measured)
            ]
            if not known:
                continue
            costs = problem.costing.cross(np.stack([e.row for e in known]), hardware, needed)
            learned = {
                metric: np.broadcast_to(
                    np.array([e.measured[metric] for e in known])[:, None],
                    (len(known), len(hardware)),
                )
                for metric in problem.learned_objectives
            }
            losses = problem.score.losses({**costs, **learned})
            affordable = problem.affordable(costs)
            if len(hardware) == 1:
                yield losses[affordable]
                continue
            own = [losses[k][affordable[k]] for k in range(len(known))]
            yield np.concatenate([some[non_dominated(some)] for some in own])
