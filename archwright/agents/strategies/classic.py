"""What the classic optimisers share: a random opening, and which of their ideas count.

A classic optimiser is written as an endless flow of ideas, each a network, from what it
sees of the networks evaluated so far. Here ideas that were tried before or that no
hardware suits are passed over, and the rest of the batch is drawn at random.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from archwright.agents.problem import Suggestion
from archwright.agents.strategies.common import StartedAnew, balanced_hardware, network_keys
from archwright.agents.strategies.random_search import RandomSearch
from archwright.agents.strategies.view import View, view_of
from archwright.space import Indices

HANDFUL = 10
"""Evaluated networks that an optimiser begins with; before them, networks are drawn uniformly.

Optuna's default. The papers draw a whole first population of 50 to 100, which here would
often be the whole budget.
"""


@dataclass(frozen=True)
class Idea:
    """A network that an optimiser would like to see evaluated: a row of indices."""

    network: Indices
    reason: str
    parents: tuple[str, ...] = ()


class Classic(StartedAnew, ABC):
    """An optimiser that turns a view of the evaluated networks into ideas."""

    patience: ClassVar[int] = 256
    """Ideas in a row that were tried or unaffordable before the rest is drawn at random."""

    @abstractmethod
    def _ideas(self, view: View) -> Iterator[Idea]:
        """Networks of the space, without end, repeats allowed."""

    def ask(self, n: int) -> list[Suggestion]:
        """Up to ``n`` untried networks: the optimiser's, then uniform draws."""
        view = view_of(self._problem, self._pairings, self._history.evaluated)
        proposals = self._guided(view, n) if len(view) >= HANDFUL else []
        return proposals + self._drawn(n - len(proposals), proposals)

    def _guided(self, view: View, n: int) -> list[Suggestion]:
        """The first ``n`` ideas that count; fewer where ``patience`` runs out."""
        ideas = self._ideas(view)
        space, known, misses = self._problem.network_space, set(self._history.tried), 0
        proposals: list[Suggestion] = []
        while len(proposals) < n and misses < self.patience and len(known) < space.size:
            idea = next(ideas)
            (key,) = network_keys(space, idea.network[None])
            misses += 1
            if key in known:
                continue
            known.add(key)
            pairing = self._pairings.of(idea.network)
            if len(pairing):
                hardware = balanced_hardware(self._problem, pairing)
                proposals.append(Suggestion(idea.network, hardware, idea.reason, idea.parents))
                misses = 0
        return proposals

    def _drawn(self, n: int, proposals: list[Suggestion]) -> list[Suggestion]:
        """``n`` uniform draws beside ``proposals``."""
        if n == 0:
            return []
        rest = RandomSearch(self._problem, self._pairings, self._rng)
        rest.tell(self._beside(proposals))
        return rest.ask(n)
