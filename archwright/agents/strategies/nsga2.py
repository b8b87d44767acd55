"""NSGA-II: the best of all evaluated networks are crossed and mutated.

Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm:
NSGA-II", IEEE TEVC 6(2), 2002. Its survivors are kept from generation to generation by
rank and crowding; here they are found anew among everything evaluated, so that nothing
has to be kept between steps. Rank and crowding are pymoo's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from archwright.agents.frontier import Pairings
from archwright.agents.problem import Problem
from archwright.agents.strategies.classic import Classic, Idea
from archwright.agents.strategies.view import View, places
from archwright.space import Indices

CROSSOVER = 0.9
"""How often two parents are crossed, and not the first one only mutated (Deb et al. 2002)."""


class NSGA2(Classic):
    """Children of two survivors each, chosen by binary tournaments among ``population``."""

    name = "nsga2"

    def __init__(
        self, problem: Problem, pairings: Pairings, rng: np.random.Generator, population: int
    ) -> None:
        if population < 2:
            raise ValueError(f"population = {population}: allowed 2 or more")
        super().__init__(problem, pairings, rng)
        self._population = population

    def _ideas(self, view: View) -> Iterator[Idea]:
        """One child after the other, of the survivors of all that was evaluated."""
        chance = self._rng.permutation(len(view))  # among equals
        order = np.lexsort((chance, places(view)))[: self._population]
        survivors = view.rows[order]
        while True:
            # Survivors stand best first, so the smaller of two positions has won.
            first, second = self._rng.integers(len(order), size=(2, 2)).min(axis=1)
            crossed = self._rng.random() < CROSSOVER
            child = self._mutated(
                self._crossed(survivors[first], survivors[second]) if crossed else survivors[first]
            )
            parents = [first, second] if crossed and first != second else [first]
            designs = tuple(view.networks[order[p]].design for p in parents)
            how = "crossed from two" if len(parents) == 2 else "mutated from one"
            yield Idea(child, f"{how} of the {len(order)} best so far", designs)

    def _crossed(self, first: Indices, second: Indices) -> Indices:
        """Uniform crossover: each choice is either parent's (Syswerda 1989)."""
        return np.where(self._rng.random(len(first)) < 0.5, first, second)

    def _mutated(self, row: Indices) -> Indices:
        """One choice in the mean changed: numbers by one step, words to any other word."""
        space = self._problem.network_space
        many, count = np.array(space.shape), len(row)
        ordered = np.array([choice.ordered for choice in space.choices])
        up = self._rng.random(count) < 0.5
        stepped = row + np.where((up & (row < many - 1)) | (row == 0), 1, -1)
        other = (row + self._rng.integers(1, np.maximum(many, 2))) % many
        changed = np.where(ordered, np.minimum(stepped, many - 1), other)
        return np.where(self._rng.random(count) < 1.0 / count, changed, row)
