"""The committee: several asks of the proposer's model for one batch, and who chooses among them.

Off by default: more words cost more tokens and are not known to find more. The members are
the same model at different temperatures and seeds. Where they name more designs than the
batch takes, the critic's model puts them in order, if the brief gives the critic one;
without its word networks that several members name come first, then each member's best.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from pydantic import BaseModel, Field

from archwright.agents.frontier import Frontier
from archwright.agents.hybrid.answers import Understood
from archwright.agents.hybrid.words import columns_in_words, designs_in_words, front_in_words
from archwright.agents.minds import Minded, Note, Position, Voice
from archwright.agents.model.port import ModelPort
from archwright.agents.problem import Problem
from archwright.agents.trust import PlainTrust, Trust
from archwright.design import Design

TEMPERATURES = (0.2, 1.0)
"""Of the first member and the last: from nearly always the same words to varied ones."""
MOST_SHOWN = 32
"""Designs among which a model chooses: the first by rule."""
FRONT_ROWS = 4


class Chosen(BaseModel):
    """The numbers of the designs to measure, best first."""

    best: list[Position] = Field(max_length=MOST_SHOWN)


class Chooser(Minded):
    """The critic's model, asked which of a committee's designs are best."""

    role = "critic"
    instructions = (
        "Several proposers named designs, each a neural network on an accelerator. Only some "
        "can be measured, which costs a budget. Choose those that together should add most to "
        "the measured front: of two that are alike the better one. Answer with their numbers, "
        "the best first."
    )

    def __init__(
        self, problem: Problem, port: ModelPort, note: Note, trust: Trust | None = None
    ) -> None:
        super().__init__(port, note)
        self._problem, self._trust = problem, trust or PlainTrust()

    def choose(
        self, step: int, designs: Sequence[Design], several: int, most: int, frontier: Frontier
    ) -> list[Design]:
        """The designs that the model names, best first; none where it gives no answer.

        The first ``several`` were named by more than one; ``most`` can be measured.
        """
        if self._trust.rests(self.role, step):
            return []
        lines = [
            columns_in_words(self._problem),
            "Measured designs on the front:",
            *front_in_words(self._problem, frontier, FRONT_ROWS),
            f"The proposers' designs{f'; several named the first {several}' if several else ''}:",
            *designs_in_words(self._problem, designs),
            f"Choose the {most} to measure, the best first.",
        ]
        answer = self.ask(step, "\n".join(lines), Chosen)
        named = dict.fromkeys(answer.best) if answer else ()
        return [designs[position] for position in named if position < len(designs)]


@dataclass(frozen=True)
class Committee:
    """How many are asked for a batch (1: no committee), and the model that chooses, if any."""

    members: int = 1
    chooser: Chooser | None = None

    @property
    def voices(self) -> list[Voice]:
        """The members: each with a temperature and a seed of its own."""
        temperatures = np.linspace(*TEMPERATURES, self.members).round(2).tolist()
        return [
            Voice(
                name=f"member {k} of {self.members}",
                words=f"You are proposer {k} of {self.members} who are asked this, each alone.",
                temperature=temperature,
                seed=k,
            )
            for k, temperature in enumerate(temperatures, start=1)
        ]

    def agree(
        self, heard: Sequence[Understood], step: int, most: int, frontier: Frontier
    ) -> Understood:
        """What the members said as one: designs best first, refusals together.

        A model is asked only where there are more than ``most`` designs.
        """
        if len(heard) == 1:
            return heard[0]
        votes = Counter(design.network_key for one in heard for design in one.designs)
        designs = by_votes([one.designs for one in heard], votes)
        if self.chooser is not None and len(designs) > most:
            several = sum(count > 1 for count in votes.values())
            shown = designs[:MOST_SHOWN]
            first = self.chooser.choose(step, shown, min(several, len(shown)), most, frontier)
            taken = {design.network_key for design in first}
            designs = [*first, *(d for d in designs if d.network_key not in taken)]
        return Understood(tuple(designs), tuple(r for one in heard for r in one.refusals))


def by_votes(lists: Sequence[Sequence[Design]], votes: Counter[str]) -> list[Design]:
    """Each network once: the more members name it the earlier, else by its rank in their lists."""
    each: dict[str, Design] = {}
    for design in _by_rank(lists):
        each.setdefault(design.network_key, design)
    return sorted(each.values(), key=lambda design: -votes[design.network_key])


def _by_rank(lists: Sequence[Sequence[Design]]) -> Iterator[Design]:
    """Every member's first design, then every member's second ..."""
    for rank in zip_longest(*lists):
        yield from (design for design in rank if design is not None)
