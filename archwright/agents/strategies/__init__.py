"""Ask/tell optimisers over a search problem.

A strategy is made anew for every step from the run's seed and the step, told what the
archive holds of earlier steps, and asked for a batch. It keeps nothing between steps,
so a resumed run proposes what the uninterrupted one would have.

To add one: copy ``spread.py``, name it in :data:`STRATEGIES`, and pass
``tests/agents/strategies/test_conformance.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from archwright.agents.frontier import Pairings
from archwright.agents.problem import History, PastNetworks, Problem, Suggestion


class Strategy(Protocol):
    """An optimiser over designs.

    ``ask`` returns at most ``n`` proposals of distinct networks that are in the space,
    were never tried, and have hardware within the brief's bounds on costs. It returns
    fewer only when it finds no more.
    """

    name: str
    remarks: tuple[str, ...]
    """What it decided beside its proposals, after ``ask``, each in one sentence."""

    def tell(self, history: History) -> None:
        """Learn what earlier steps measured. Called once, before ``ask``."""
        ...

    def ask(self, n: int) -> list[Suggestion]:
        """Propose up to ``n`` designs, best first."""
        ...


STRATEGIES = ("random", "spread", "surrogate", "evolution", "nsga2", "tpe", "hybrid")


def make_strategy(
    name: str,
    problem: Problem,
    pairings: Pairings,
    seed: tuple[int, ...],
    exploration: float = 1.0,
    *,
    past: Sequence[PastNetworks] = (),
    population: int = 20,
) -> Strategy:
    """The strategy called ``name``; all its randomness comes from ``seed``.

    ``exploration`` and ``past`` (what other runs measured) are the surrogate's and the
    hybrid's; ``population`` is NSGA-II's: how many of the evaluated networks have children.
    """
    rng = np.random.default_rng(seed)
    if name == "random":
        from archwright.agents.strategies.random_search import RandomSearch

        return RandomSearch(problem, pairings, rng)
    if name == "spread":
        from archwright.agents.strategies.spread import Spread

        return Spread(problem, pairings, rng)
    if name == "surrogate":
        from archwright.agents.strategies.surrogate import Surrogate

        return Surrogate(problem, pairings, rng, exploration, past)
    if name == "hybrid":
        from archwright.agents.strategies.hybrid import Hybrid

        return Hybrid(problem, pairings, rng, exploration, past)
    if name == "evolution":
        from archwright.agents.strategies.evolution import RegularisedEvolution

        return RegularisedEvolution(problem, pairings, rng)
    if name == "nsga2":
        from archwright.agents.strategies.nsga2 import NSGA2

        return NSGA2(problem, pairings, rng, population)
    if name == "tpe":
        from archwright.agents.strategies.tpe import TreeParzen

        return TreeParzen(problem, pairings, rng)
    raise ValueError(f"strategy = {name!r}: allowed {', '.join(STRATEGIES)}")
