"""Strategies by name, as a comparison names them: NAME, NAME:POPULATION, NAME+costing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from archwright.agents.frontier import Pairings
from archwright.agents.model.port import ModelPort
from archwright.agents.problem import History, Problem, Suggestion
from archwright.agents.strategies import STRATEGIES, Strategy, make_strategy
from archwright.errors import UserError, shown

COSTING = "+costing"
ALWAYS_COSTED = ("surrogate", "spread", "hybrid")
"""Strategies that are made of free costing: for them NAME and NAME+costing are the same."""
WITH_POPULATION = ("nsga2",)
LARGEST_POPULATION = 10_000
Ask = Callable[[int, int, History], list[Suggestion]]
"""The proposals of a step: how many are wanted, after what was revealed before."""


@dataclass(frozen=True)
class Entrant:
    """A strategy that is compared.

    ``costed``: an evaluated network is paired with all hardware. Else the strategy sees a
    black box, in which an evaluation reveals one design. ``population`` is None for the
    strategy's own. ``model``, where the hybrid has one, gives a port for each search.
    """

    label: str
    strategy: str
    costed: bool
    population: int | None = None
    model: Callable[[], ModelPort] | None = None

    def prepare(self, pairings: Pairings) -> None:
        """Compute what the strategy knows of all networks: once, and in no strategy's time."""
        if self.strategy in ALWAYS_COSTED:
            pairings.catalogue.prepare()

    def begin(self, problem: Problem, pairings: Pairings, seed: int) -> Ask:
        """A search with one seed: what proposes each of its batches."""
        if self.model is not None:
            from archwright.tabular.advised import AdvisedSearch

            return AdvisedSearch(problem, pairings, seed, self.model()).ask

        def ask(step: int, designs: int, history: History) -> list[Suggestion]:
            strategy = self.make(problem, pairings, (seed, step, 0))
            strategy.tell(history)
            return strategy.ask(designs)[:designs]

        return ask

    def make(self, problem: Problem, pairings: Pairings, seed: tuple[int, ...]) -> Strategy:
        """The strategy, as for one step of a run."""
        if self.population is None:
            return make_strategy(self.strategy, problem, pairings, seed)
        return make_strategy(self.strategy, problem, pairings, seed, population=self.population)


def parse_entrants(text: str, hardware: bool) -> tuple[Entrant, ...]:
    """The strategies named in ``text``, with commas between; each label once.

    ``hardware``: whether the problem has any. Where it has none there is nothing to cost,
    and NAME+costing is refused. Raises :class:`UserError`, one line.
    """
    labels = [label.strip() for label in text.split(",")]
    labels = list(dict.fromkeys(label for label in labels if label))
    if not labels:
        raise UserError(f"--strategies = {shown(text)}: at least one is needed; {_allowed()}")
    return tuple(_parse(label, hardware) for label in labels)


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
