"""Strategies by name, as a comparison names them: NAME, NAME:POPULATION, NAME+costing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from archwright.agents.frontier import Pairings
from archwright.agents.problem import History, Problem, Suggestion
from archwright.agents.strategies import STRATEGIES, Strategy, make_strategy
from archwright.errors import UserError, shown
from archwright.tabular.advised import Account, AdvisedSearch, Adviser

COSTING = "+costing"
ALWAYS_COSTED = ("surrogate", "spread", "hybrid")
"""Strategies that are made of free costing: for them NAME and NAME+costing are the same."""
WITH_POPULATION = ("nsga2",)
ADVISED = "hybrid"
LARGEST_POPULATION = 10_000


class Asking(Protocol):
    """One search's source of proposals."""

    @property
    def account(self) -> Account | None:
        """What a model took and proposed; None where there is none."""
        ...

    def ask(self, step: int, designs: int, history: History) -> list[Suggestion]:
        """The proposals of a step, after what the steps before it revealed."""
        ...


@dataclass(frozen=True)
class Entrant:
    """A strategy that is compared.

    ``costed``: an evaluated network is paired with all hardware. Else the strategy sees a
    black box, in which an evaluation reveals one design. ``population`` is None for the
    strategy's own. ``adviser`` is the model behind a hybrid, where it has one.
    """

    label: str
    strategy: str
    costed: bool
    population: int | None = None
    adviser: Adviser | None = None

    def prepare(self, pairings: Pairings) -> None:
        """Compute what the strategy knows of all networks: once, and in no strategy's time."""
        if self.strategy in ALWAYS_COSTED:
            pairings.catalogue.prepare()

    def begin(self, problem: Problem, pairings: Pairings, seed: int) -> Asking:
        """A search with one seed: what proposes each of its batches."""
        if self.adviser is not None:
            return AdvisedSearch(problem, pairings, seed, self.adviser)
        return AnewEachStep(self, problem, pairings, seed)

    def make(self, problem: Problem, pairings: Pairings, seed: tuple[int, ...]) -> Strategy:
        """The strategy, as for one step of a run."""
        if self.population is None:
            return make_strategy(self.strategy, problem, pairings, seed)
        return make_strategy(self.strategy, problem, pairings, seed, population=self.population)


@dataclass(frozen=True)
class AnewEachStep:
    """A strategy that is made for each step, told everything and asked, as in a run."""

    entrant: Entrant
    problem: Problem
    pairings: Pairings
    seed: int
    account: Account | None = None

    def ask(self, step: int, designs: int, history: History) -> list[Suggestion]:
        """The proposals of a step."""
        strategy = self.entrant.make(self.problem, self.pairings, (self.seed, step, 0))
        strategy.tell(history)
        return strategy.ask(designs)[:designs]


def parse_entrants(
    text: str, hardware: bool, adviser: Adviser | None = None
) -> tuple[Entrant, ...]:
    """The strategies named in ``text``, with commas between; each label once.

    ``adviser`` is the model behind every hybrid among them.

    ``hardware``: whether the problem has any. Where it has none there is nothing to cost,
    and NAME+costing is refused. Raises :class:`UserError`, one line.
    """
    labels = [label.strip() for label in text.split(",")]
    labels = list(dict.fromkeys(label for label in labels if label))
    if not labels:
        raise UserError(f"--strategies = {shown(text)}: at least one is needed; {_allowed()}")
    entrants = [_parse(label, hardware) for label in labels]
    return tuple(replace(e, adviser=adviser) if e.strategy == ADVISED else e for e in entrants)


def _parse(label: str, hardware: bool) -> Entrant:
    wrong = f"--strategies: {shown(label)}"
    wanted = label.removesuffix(COSTING)
    name, colon, size = wanted.partition(":")
    if name not in STRATEGIES:
        raise UserError(f"{wrong}: {_allowed()}")
    if label.endswith(COSTING) and not hardware:
        raise UserError(f"{wrong}: a table without hardware has no free costs; say {wanted}")
    population = None
    if colon:
        if name not in WITH_POPULATION:
            raise UserError(f"{wrong}: only {', '.join(WITH_POPULATION)} takes a population")
        if not (size.isascii() and size.isdigit() and 2 <= int(size[:9]) <= LARGEST_POPULATION):
            raise UserError(f"{wrong}: allowed populations from 2 to {LARGEST_POPULATION}")
        population = int(size)
    costed = hardware and (label.endswith(COSTING) or name in ALWAYS_COSTED)
    return Entrant(label, name, costed, population)


def _allowed() -> str:
    return f"allowed {', '.join(STRATEGIES)}, each also as NAME{COSTING}"
