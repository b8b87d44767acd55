"""A surrogate search of a table with a model behind its proposer: the hybrid, as in a run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.model.port import ModelPort
from archwright.agents.phases import EXPLORE, OPENING
from archwright.agents.problem import History, Problem, Suggestion
from archwright.agents.proposer import Request, RuleBasedProposer
from archwright.design import Design

STRATEGY = "surrogate"


@dataclass(frozen=True)
class Remark:
    """What the proposer noted in a step: who, what, why."""

    step: int
    mind: str
    decision: str
    reason: str


class AdvisedSearch:
    """One search with one seed: proposes batch after batch as a run's proposer would."""

    def __init__(self, problem: Problem, pairings: Pairings, seed: int, port: ModelPort) -> None:
        self._problem, self._pairings = problem, pairings
        self.notebook, self.remarks = PlainNotebook(), list[Remark]()
        rules = RuleBasedProposer(problem, pairings, seed)
        self._proposer = ModelProposer(rules, problem, pairings, port, self._note, self.notebook)

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
        self.remarks.append(Remark(step, mind, decision, reason))
