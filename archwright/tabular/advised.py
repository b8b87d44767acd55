"""A surrogate search of a table with a model behind its proposer: the hybrid, as in a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid.committee import Committee
from archwright.agents.hybrid.notebook import Advice, PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.hybrid.share import FIRST
from archwright.agents.model.ledger import ANSWERED, Asked
from archwright.agents.model.limits import run_limits
from archwright.agents.model.port import ModelPort
from archwright.agents.model.ports import open_port
from archwright.agents.model.transports import Transports
from archwright.agents.phases import EXPLORE, OPENING
from archwright.agents.problem import History, Problem, Suggestion
from archwright.agents.proposer import Request, RuleBasedProposer
from archwright.brief import Budget
from archwright.design import Design
from archwright.settings import Settings

STRATEGY = "surrogate"


@dataclass(frozen=True)
class Remark:
    """What the proposer noted in a step: who, what, why."""

    step: int
    mind: str
    decision: str
    reason: str


@dataclass(frozen=True)
class Account:
    """A model's part in a search: every ask, what came of each, and what was noted."""

    asks: tuple[Asked, ...]
    advice: tuple[Advice, ...]
    remarks: tuple[Remark, ...]

    @property
    def asked(self) -> int:
        """How often the model was asked."""
        return len(self.asks)

    @property
    def failed(self) -> int:
        """Asks that brought no answer."""
        return len(self.faults)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why each of those failed."""
        return tuple(ask.outcome for ask in self.asks if ask.outcome != ANSWERED)

    @property
    def tokens(self) -> int:
        """Tokens of all asks, in and out."""
        return sum(asked.tokens_in + asked.tokens_out for asked in self.asks)

    @property
    def dollars(self) -> float | None:
        """What they cost; None where a price is not known."""
        known = [asked.dollars for asked in self.asks if asked.dollars is not None]
        return sum(known) if len(known) == len(self.asks) else None

    @property
    def taken(self) -> int:
        """Designs that the model proposed and that were evaluated."""
        return sum(len(advice.networks) for advice in self.advice)

    @property
    def refused(self) -> int:
        """Designs that were turned down before anything was paid for."""
        return sum(advice.refused for advice in self.advice)

    @property
    def share(self) -> float:
        """The model's share of a batch when it was last asked."""
        return self.advice[-1].share if self.advice else FIRST


@dataclass(frozen=True)
class Adviser:
    """A model profile behind a hybrid: each search reaches it anew, with a budget of its own.

    A replay begins with the transcript's first answers in every search. ``committee`` is how
    often the proposer's model is asked for a batch. Picklable, so that workers can ask, too.
    """

    settings: Settings
    profile: str
    budget: Budget
    record: Path | None = None
    replay: Path | None = None
    committee: int = 1

    def check(self) -> None:
        """Raise :class:`UserError` for a profile or a file that cannot be used."""
        self._transports()

    def open(self, ledger: Callable[[Asked], None]) -> ModelPort:
        """A port to the model; ``ledger`` hears of every ask."""
        return open_port(self._transports(), self.profile, run_limits(self.budget), ledger)

    def _transports(self) -> Transports:
        return Transports(self.settings, [self.profile], self.record, self.replay)


class AdvisedSearch:
    """One search with one seed: proposes batch after batch as a run's proposer would.

    The first batch is twice as large: half of an opening is the optimiser's own.
    """

    def __init__(self, problem: Problem, pairings: Pairings, seed: int, adviser: Adviser) -> None:
        self._problem, self._pairings = problem, pairings
        self._notebook, self._remarks, self._asks = PlainNotebook(), list[Remark](), list[Asked]()
        port = adviser.open(self._asks.append)
        rules = RuleBasedProposer(problem, pairings, seed)
        self._proposer = ModelProposer(
            rules,
            problem,
            pairings,
            port,
            self._note,
            self._notebook,
            committee=Committee(adviser.committee),
        )

    @property
    def account(self) -> Account:
        """What the model took, and what came of what it proposed."""
        return Account(tuple(self._asks), tuple(self._notebook.kept), tuple(self._remarks))

    def ask(self, step: int, designs: int, history: History) -> list[Suggestion]:
        """The batch of a step, after what the steps before it revealed."""
        frontier = Frontier(self._problem, self._pairings)
        frontier.add(history.evaluated)
        phase = EXPLORE if step else replace(OPENING, strategy=STRATEGY)
        request = Request(
            step=step,
            attempt=0,
            phase=phase,
            designs=designs if step else 2 * designs,
            history=history,
            frontier=frontier,
            proposed=len(history.tried),
        )
        return [self._suggestion(design) for design in self._proposer.propose(request)]

    def _suggestion(self, design: Design) -> Suggestion:
        network = self._problem.network_space.encode([design.network])[0]
        hardware = self._problem.hardware_space.encode([design.hardware])[0]
        return Suggestion(network, hardware, design.origin.reason, design.origin.parents)

    def _note(self, step: int, role: str, mind: str, decision: str, reason: str) -> None:
        self._remarks.append(Remark(step, mind, decision, reason))
