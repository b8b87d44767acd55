"""The front of a search, kept up to date as networks are evaluated.

An evaluated network is paired with all hardware; what survives its own cost front
competes with the rest. Pairings are exact and free, so they are computed once per
network and remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archwright.agents.catalogue import Catalogue
from archwright.agents.costing import Costs
from archwright.agents.problem import Evaluated, Problem
from archwright.front import Floats, non_dominated
from archwright.space import Indices

DOMINATED = "dominated on every hardware even at an accuracy of 1"
"""Why a network that could not join a front is turned away."""


@dataclass(frozen=True)
class Pairing:
    """One network on the hardware where it is worth most: its own cost front.

    ``hardware`` has shape (pairs, choices); each cost has shape (pairs,).
    """

    hardware: Indices
    costs: Costs

    def __len__(self) -> int:
        return len(self.hardware)


class Pairings:
    """Remembers what is known without evaluations. A pure function of the problem.

    Each network's pairing, and a :class:`Catalogue` of all of them.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._known: dict[bytes, Pairing] = {}
        self.catalogue = Catalogue(problem)

    def of(self, network: Indices) -> Pairing:
        """The affordable, mutually non-dominated hardware for one network row."""
        found = self._known.get(network.tobytes())
        if found is None:
            costing = self._problem.costing
            pairing = self._best(*costing.everywhere(network))
            found = self._best(*costing.around(network, pairing.hardware))
            self._known[network.tobytes()] = found
        return found

    def _best(self, hardware: Indices, costs: Costs) -> Pairing:
        affordable = np.flatnonzero(self._problem.affordable(costs))
        if len(affordable) and self._problem.cost_objectives:
            objectives = [costs[m][affordable] for m in self._problem.cost_objectives]
            affordable = affordable[non_dominated(np.stack(objectives, axis=-1))]
        elif len(affordable):  # accuracy alone: any hardware will do, so the least energy
            energy = costs.get("energy_uj", np.zeros(len(hardware)))
            affordable = affordable[[int(np.argmin(energy[affordable]))]]
        return Pairing(hardware[affordable], {m: v[affordable] for m, v in costs.items()})


@dataclass(frozen=True)
class FrontPoint:
    """A design on the front: which evaluated network, on which hardware, at which costs."""

    evaluated: Evaluated
    hardware: Indices
    costs: dict[str, float]


class Frontier:
    """The non-dominated feasible designs so far and their hypervolume."""

    def __init__(self, problem: Problem, pairings: Pairings) -> None:
        self._problem = problem
        self._pairings = pairings
        objectives = len(problem.score.metrics)
        self.losses: Floats = np.zeros((0, objectives))
        # Of each design on the front: its network, and where its hardware stands in the pairing.
        self._owners: list[tuple[Evaluated, int]] = []

    def add(self, evaluated: Sequence[Evaluated]) -> None:
        """Let evaluated networks compete on every hardware that suits them."""
        joining, pairings = list[Evaluated](), list[Pairing]()
        for network in evaluated:
            pairing = self._pairings.of(network.row)
            if len(pairing) and self._problem.acceptable(network.measured):
                joining.append(network)
                pairings.append(pairing)
        if not joining:
            return
        together = np.concatenate([self.losses, self._losses(joining, pairings)])
        kept, before = np.flatnonzero(non_dominated(together)), len(self.losses)
        self.losses = together[kept]
        starts = np.concatenate([[0], np.cumsum([len(pairing) for pairing in pairings])])
        new = kept[kept >= before] - before
        which = np.searchsorted(starts, new, side="right") - 1
        places = (new - starts[which]).tolist()
        self._owners = [
            *(self._owners[k] for k in kept[kept < before]),
            *((joining[n], place) for n, place in zip(which, places, strict=True)),
        ]

    def _losses(self, networks: Sequence[Evaluated], pairings: Sequence[Pairing]) -> Floats:
        """The losses of networks, each on all hardware of its pairing, one below the other."""
        times = [len(pairing) for pairing in pairings]
        values: dict[str, Floats] = {}
        for metric in self._problem.score.metrics:
            if metric in self._problem.learned:
                values[metric] = np.repeat([n.measured[metric] for n in networks], times)
            else:
                values[metric] = np.concatenate([pairing.costs[metric] for pairing in pairings])
        return self._problem.score.losses(values)

    @property
    def hypervolume(self) -> float:
        """The share of the unit cube that the front dominates."""
        return self._problem.score.hypervolume(self.losses)

    def gain(self, network: Evaluated) -> float:
        """What one more network would add to the hypervolume."""
        pairing = self._pairings.of(network.row)
        if len(pairing) == 0 or not self._problem.acceptable(network.measured):
            return 0.0
        together = np.concatenate([self.losses, self._losses([network], [pairing])])
        joined = self._problem.score.hypervolume(together[non_dominated(together)])
        return max(joined - self.hypervolume, 0.0)

    def could_join(self, pairing: Pairing) -> bool:
        """Whether a network on its pairing would be on the front, were its accuracy 1.

        Of whatever else is learned it is given the best.
        """
        if len(pairing) == 0:
            return False
        bounds = {bound.metric: bound for bound in self._problem.score.bounds}
        best = {m: bounds[m].value(0.0) for m in self._problem.learned_objectives}
        if "accuracy" in best:
            best["accuracy"] = 1.0
        together = np.concatenate([self.losses, self._problem.losses(best, pairing.costs)])
        return bool(non_dominated(together)[len(self.losses) :].any())

    def points(self) -> list[FrontPoint]:
        """The designs on the front, best accuracy first, then by their losses."""
        points = []
        order = sorted(
            range(len(self._owners)),
            key=lambda k: (self._order(self._owners[k][0]), tuple(self.losses[k].tolist())),
        )
        for k in order:
            evaluated, position = self._owners[k]
            pairing = self._pairings.of(evaluated.row)
            costs = {metric: float(values[position]) for metric, values in pairing.costs.items()}
            points.append(FrontPoint(evaluated, pairing.hardware[position], costs))
        return points

    def _order(self, evaluated: Evaluated) -> float:
        """The most accurate first, where accuracy is measured."""
        return -evaluated.measured.get("accuracy", 0.0)


def hypervolume_curve(
    problem: Problem, pairings: Pairings, evaluated: Sequence[Evaluated]
) -> list[float]:
    """The hypervolume after each evaluation, in order."""
    frontier = Frontier(problem, pairings)
    curve = []
    for network in evaluated:
        frontier.add([network])
        curve.append(frontier.hypervolume)
    return curve
