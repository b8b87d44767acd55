"""What a classic optimiser sees of evaluated networks: a vector of losses and a miss each.

Such an optimiser knows designs with one value per objective, but an evaluated network
stands for all hardware that suits it. Its losses are those of the learned objectives and,
where costs are objectives too, one more that sums up its own cost front: one minus the
hypervolume that the front covers, which is free and exact. Where every objective is
learned that is the plain black-box problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archwright.agents.frontier import Pairing, Pairings
from archwright.agents.problem import Evaluated, Problem
from archwright.front import Floats
from archwright.space import Indices

FURTHEST = 10.0
"""Losses are cut here: a measured zero has no logarithm, its loss is infinite."""
BARELY = 1e-9
"""The least miss of a network that is not within the bounds."""


@dataclass(frozen=True)
class View:
    """Evaluated networks in the order of their evaluation.

    ``losses``: shape (networks, losses), smaller is better, at least one column.
    ``miss``: shape (networks,), by how much each misses the bounds on what is learned;
    0 within all of them.
    """

    networks: tuple[Evaluated, ...]
    losses: Floats
    miss: Floats

    def __len__(self) -> int:
        return len(self.losses)

    @property
    def rows(self) -> Indices:
        """The networks' indices, shape (networks, choices)."""
        return np.stack([network.row for network in self.networks])

    def latest(self, n: int) -> View:
        """The ``n`` youngest, or all if they are fewer."""
        return View(self.networks[-n:], self.losses[-n:], self.miss[-n:])


def view_of(problem: Problem, pairings: Pairings, evaluated: Sequence[Evaluated]) -> View:
    """The view of all evaluated networks that some hardware can run within the bounds."""
    pairs = [(network, pairings.of(network.row)) for network in evaluated]
    seen = [(network, pairing) for network, pairing in pairs if len(pairing)]
    columns = [
        bound.normalise(np.array([network.measured[bound.metric] for network, _ in seen], float))
        for bound in problem.score.bounds
        if bound.metric in problem.learned
    ]
    if problem.cost_objectives:
        columns.append(np.array([_cost_loss(problem, pairing) for _, pairing in seen], float))
    return View(
        tuple(network for network, _ in seen),
        np.clip(np.stack(columns, axis=-1), -FURTHEST, FURTHEST),
        np.array([_miss(problem, network, pairing) for network, pairing in seen], float),
    )


def _cost_loss(problem: Problem, pairing: Pairing) -> float:
    """One minus the share of the unit cube of cost losses that the pairing dominates."""
    return 1.0 - problem.score.hypervolume(problem.cost_losses(pairing.costs))


def _miss(problem: Problem, network: Evaluated, pairing: Pairing) -> float:
    if problem.acceptable(network.measured):
        return 0.0
    return max(float(problem.miss(network.measured, pairing.costs).min()), BARELY)


def places(view: View) -> Indices:
    """The place of each network, shape (networks,): 0 is the best, equals share theirs.

    Within the bounds come first, by non-domination rank and of one rank the least crowded
    first; then all others by their miss (NSGA-II: Deb et al. 2002, IEEE TEVC 6(2)). With a
    single loss the ranks are its order.
    """
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem as PymooProblem
    from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

    rank, crowding = np.zeros(len(view)), np.zeros(len(view))
    within = np.flatnonzero(view.miss == 0.0)
    if len(within):
        population = Population.new("F", view.losses[within])
        RankAndCrowding().do(PymooProblem(n_obj=view.losses.shape[1]), population)
        rank[within], crowding[within] = population.get("rank", "crowding")
    keys = np.stack([view.miss, rank, -crowding], axis=-1)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
