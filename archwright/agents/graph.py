"""The four agents as a LangGraph state machine.

    planner -> proposer -> critic -> approval -> evaluator -> lessons -> planner ... -> end
                  ^                     |
                  +------- revise ------+

The state holds counters, the plan and keys only; designs live in the archive. A step
reads the archive's rows of earlier steps, and what a node has written for its own step
is used again instead of being made anew: so a node that runs twice (after a kill) does
its work once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from archwright.agents.approval import (
    ATTEMPTS,
    EDITS,
    Word,
    give_word,
    networks_before,
    notes_given,
    rejected_designs,
    standing,
    was_rejected,
    word_for,
)
from archwright.agents.critic import Situation
from archwright.agents.expectation import expected_gain, keep_expectation
from archwright.agents.frontier import Frontier
from archwright.agents.phases import OPENING, phases_of
from archwright.agents.planner import ChangePhase, Progress, Stop
from archwright.agents.problem import History
from archwright.agents.proposer import Request
from archwright.agents.state import State
from archwright.agents.teaching import teach
from archwright.agents.team import Team
from archwright.design import Design
from archwright.events import Event
from archwright.measurement import Outcome
from archwright.memory.records import Proposal, Verdict

STOPPED_BY_USER = "stopped by the user"


class Nodes:
    """The nodes of the graph, as methods over one team."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._began, self._spent_before = team.clock.seconds, team.spent()

    def planner(self, state: State) -> dict[str, Any]:
        """Decide whether and how the next round goes."""
        team = self._team
        progress = Progress(
            step=state["step"],
            phase=state["phase"],
            rounds_in_phase=state["rounds_in_phase"],
            evaluations=team.spent(before_step=state["step"]),
            seconds=team.clock.seconds,
            empty_rounds=state["empty_rounds"],
            hypervolumes=tuple(state["hypervolumes"]),
            expected_gains=tuple(state["expected_gains"]),
            choices=len(team.problem.network_space.choices),
        )
        if team.stopping():
            return {"stop": STOPPED_BY_USER}
        plan = team.planner.next(team.brief, progress)
        if isinstance(plan, Stop):
            team.note(state["step"], "planner", "rules", "stop", plan.reason)
            return {"stop": plan.reason}
        phase, rounds, focus = state["phase"], state["rounds_in_phase"] + 1, state["focus"]
        if isinstance(plan, ChangePhase):
            phase, rounds, focus = plan.phase.name, 1, plan.focus
            team.note(state["step"], "planner", plan.mind, f"phase {phase}", plan.reason)
        else:  # a line in the log, but none of the few decisions that a report lists
            words = {"decision": f"go on: {phase}", "mind": plan.mind, "reason": plan.reason}
            self._tell("plan", state["step"], **words)
        return {
            "phase": phase,
            "focus": focus,
            "rounds_in_phase": rounds,
            "wanted": plan.designs,
            "attempt": 0,
            "accepted": [],
        }

    def proposer(self, state: State) -> dict[str, Any]:
        """Write a batch of designs into the archive, unless this attempt's is there."""
        team, step, attempt = self._team, state["step"], state["attempt"]
        if self._attempt(step, attempt):
            return {}
        history = team.history(step)
        request = Request(
            step=step,
            attempt=attempt,
            phase=phases_of(team.brief)[state["phase"]],
            focus=state["focus"],
            designs=state["wanted"] - len(state["accepted"]),
            history=self._with_attempts(history, step, attempt),
            frontier=team.frontier(history),
            proposed=len(team.archive.proposals(team.run, before_step=step))
            + sum(len(self._attempt(step, earlier)) for earlier in range(attempt)),
            recalled=team.recollection.designs if state["phase"] == OPENING.name else (),
            past=team.recollection.past,
            lessons=team.lessons(step),
            sent_back=tuple(
                pair
                for earlier in range(attempt)
                for pair in sent_back(self._attempt(step, earlier))
            ),
        )
        if team.brief.approval:
            before = (team.archive, team.run, step, attempt)
            objections, notes = tuple(rejected_designs(*before)), notes_given(*before)
            request = replace(request, objections=objections, notes=notes)
        designs = team.proposer.propose(request)
        keep_expectation(team.archive, team.run, step, attempt, designs)
        team.archive.add_proposals(team.run, step, attempt, designs)
        return {}

    def critic(self, state: State) -> dict[str, Any]:
        """Review this attempt's batch; what stands is accepted."""
        step, attempt = state["step"], state["attempt"]
        batch = self._reviewed(step, attempt)
        accepted = [*state["accepted"], *(design.key for design in standing(batch))]
        self._tell("reviewed", step, label=str(attempt), rejected=self._rejected())
        return {
            "accepted": accepted,
            "attempt": attempt + 1,
            "sent_back": len(sent_back(batch)),
        }

    def approval(self, state: State) -> dict[str, Any]:
        """Wait for the user's word on what the critic accepted, where the brief asks for it.

        Runs twice for one batch: up to the interrupt, and whole once the word is there.
        """
        team, step, attempt = self._team, state["step"], state["attempt"] - 1
        batch = [design.key for design in standing(self._attempt(step, attempt))]
        if not team.brief.approval or not batch:
            return {}
        from langgraph.types import interrupt

        word = word_for(team.archive, team.run, step, attempt)
        if word is None:
            word = Word.model_validate(interrupt({"step": step, "designs": batch}))
            give_word(team.archive, team.run, step, attempt, word.model_dump(mode="json"))
        for decision, reason in word.decisions():
            team.note(step, "user", "user", decision, reason)
        changed = set(word.rejected) | set(word.edited)
        accepted = [key for key in state["accepted"] if key not in changed]
        edited = {key: edit.design(key, team.problem) for key, edit in word.edited.items()}
        if edited:
            edits_of = {design.key: key for key, design in edited.items()}
            team.archive.add_proposals(team.run, step, EDITS + attempt, list(edited.values()))
            for proposal in self._reviewed(step, EDITS + attempt, replaced=set(word.edited)):
                accepted += [design.key for design in standing([proposal])]
                if proposal.review is not None and not standing([proposal]):
                    decision = f"refused your edit of {edits_of[proposal.design.key]}"
                    team.note(step, "critic", "critic", decision, proposal.review.reason)
        return {"accepted": accepted}

    def evaluator(self, state: State) -> dict[str, Any]:
        """Measure what was accepted; put every measured network on every hardware."""
        team, step = self._team, state["step"]
        found = [team.archive.design(team.run, key) for key in state["accepted"]]
        designs = [design for design in found if design is not None]
        team.laboratory.cost(step, designs)
        measured = team.laboratory.measure(
            step,
            designs,
            team.evaluator.plan(step, designs) if designs else [],
            self._teller(step),
            lambda: team.stopping() or team.clock.seconds >= team.brief.search_seconds,
        )
        objected = was_rejected(team.archive, team.run, step)
        frontier = team.frontier(team.history(step + 1))
        paired = [team.design_of(point) for point in frontier.points()]
        archived = {d.key for d in team.archive.designs(team.run, before_step=step).designs}
        new = [design for design in paired if design.key not in archived]
        team.laboratory.cost(step, new, position=len(designs))
        team.archive.add_workloads(self._workloads(designs))
        if measured.cut_short and team.stopping():  # a resumed run finishes this round first
            return {"stop": STOPPED_BY_USER, "unfinished": True}
        hypervolume = frontier.hypervolume
        self._tell(
            "round",
            step,
            hypervolume=hypervolume,
            evaluated=team.spent(),
            part=state["phase"],
            detail=f"round {step + 1}",
            best=_best_in_words(frontier),
            front=len(paired),
        )
        return {
            "unfinished": False,
            "step": step + 1,
            "hypervolumes": [*state["hypervolumes"], hypervolume],
            "expected_gains": [
                *state["expected_gains"],
                expected_gain(team.archive, team.run, step, designs),
            ],
            "empty_rounds": 0 if designs or objected else state["empty_rounds"] + 1,
        }

    def lessons(self, state: State) -> dict[str, Any]:
        """Let the critic write down what the measurements teach by now, and what failed."""
        team, step = self._team, state["step"] - 1
        history = team.history(step + 1)
        found, measured = team.critic.lessons(history), len(history.evaluated)
        teach(team.archive, team.run, step, team.problem, team.conditions, found, measured)
        return {}

    def accounted(self, node: Callable[[State], dict[str, Any]]) -> Any:
        """A node that also keeps the seconds and the model's use up to its end."""
        team = self._team

        def run(state: State) -> dict[str, Any]:
            update = node(state)
            spent = dict(vars(team.model_spent()))
            return {**update, "seconds": team.clock.seconds, "spent": spent}

        return run

    def _reviewed(self, step: int, attempt: int, replaced: Collection[str] = ()) -> list[Proposal]:
        """An attempt's proposals with the critic's reviews, given now where there are none.

        Of edited designs, ``replaced`` names those they stand for: their networks are free.
        """
        team = self._team
        batch = self._attempt(step, attempt)
        if any(proposal.review is None for proposal in batch):
            history = team.history(step)
            known = self._with_attempts(history, step, attempt, replaced)
            situation = Situation(step, known, team.frontier(history), attempt)
            reviews = team.critic.review([p.design for p in batch], situation)
            team.archive.review(team.run, step, attempt, reviews)
            batch = self._attempt(step, attempt)
        return batch

    def _attempt(self, step: int, attempt: int) -> list[Proposal]:
        proposals = self._team.archive.proposals(self._team.run, step)
        return [proposal for proposal in proposals if proposal.attempt == attempt]

    def _with_attempts(
        self, history: History, step: int, attempt: int, replaced: Collection[str] = ()
    ) -> History:
        """The history in which this step's earlier attempts count as tried, edits included."""
        proposals = self._team.archive.proposals(self._team.run, step)
        earlier = networks_before(proposals, attempt, replaced)
        return History(history.evaluated, history.tried | earlier)

    def _rejected(self) -> int:
        return sum(self._team.archive.rejections(self._team.run).values())

    def _workloads(self, designs: list[Design]) -> dict[str, Any]:
        problem = self._team.problem
        if not designs:
            return {}
        rows = problem.network_space.encode([design.network for design in designs])
        return {
            design.network_key: workload
            for design, workload in zip(designs, problem.costing.workloads(rows), strict=True)
        }

    def _teller(self, step: int) -> Callable[[Design, Outcome], None]:
        """Tells of each outcome; its counts do not depend on which worker was quicker."""
        team = self._team
        spent = team.spent(before_step=step)
        failed = {(f.step, f.subject, f.evaluator) for f in team.archive.failures(team.run)}

        def tell(design: Design, outcome: Outcome) -> None:
            nonlocal spent
            spent += 1
            data: dict[str, Any] = {"evaluated": spent, "seconds_left": self._seconds_left(spent)}
            if (failure := outcome.failure) is not None:
                failed.add((step, design.network_key, failure.evaluator))
                data |= {"failed": len(failed), "why": failure.reason}
            else:
                data["accuracy"] = outcome.measurements[0].value
            origin = design.origin.proposer
            team.events.record(Event("evaluated", step, design.key, {**data, "origin": origin}))

        return tell

    def _seconds_left(self, spent: int) -> float:
        """Until the first budget is spent, at the pace of this process."""
        budget, seconds = self._team.brief.budget, self._team.clock.seconds
        pace = (seconds - self._began) / max(spent - self._spent_before, 1)
        left = min(pace * (budget.evaluations - spent), self._team.brief.search_seconds - seconds)
        return round(max(left, 0.0), 1)

    def _tell(self, kind: str, step: int, label: str = "", **data: Any) -> None:
        self._team.events.record(Event(kind, step, label, data))


def sent_back(batch: list[Proposal]) -> list[tuple[Design, str]]:
    """The designs of a batch for which the critic wants better ones, and why."""
    return [
        (proposal.design, proposal.review.reason)
        for proposal in batch
        if proposal.review is not None and proposal.review.verdict is Verdict.REVISE
    ]


def _best_in_words(frontier: Frontier) -> str:
    points = frontier.points()
    if not points:
        return "none feasible yet"
    return f"accuracy {points[0].evaluated.accuracy:.3f}, {len(points)} designs on the front"


def build_graph(team: Team) -> Any:
    """The uncompiled StateGraph over a team."""
    from langgraph.graph import END, START, StateGraph

    nodes = Nodes(team)
    accounted = nodes.accounted

    def after_planner(state: State) -> str:
        return END if state["stop"] else "proposer"

    def after_evaluator(state: State) -> str:
        return END if state["unfinished"] else "lessons"

    def after_approval(state: State) -> str:
        accepted, wanted = len(state["accepted"]), state["wanted"]
        poor = accepted < wanted if team.brief.approval else accepted * 2 < wanted
        revised = poor or state.get("sent_back", 0) > 0
        return "proposer" if revised and state["attempt"] < ATTEMPTS else "evaluator"

    graph = StateGraph(State)
    graph.add_node("planner", accounted(nodes.planner))
    graph.add_node("proposer", accounted(nodes.proposer))
    graph.add_node("critic", accounted(nodes.critic))
    graph.add_node("approval", accounted(nodes.approval))
    graph.add_node("evaluator", accounted(nodes.evaluator))
    graph.add_node("lessons", accounted(nodes.lessons))
    graph.add_edge(START, "planner")
    graph.add_conditional_edges("planner", after_planner, {"proposer": "proposer", END: END})
    graph.add_edge("proposer", "critic")
    graph.add_edge("critic", "approval")
    graph.add_conditional_edges(
        "approval", after_approval, {"proposer": "proposer", "evaluator": "evaluator"}
    )
    graph.add_conditional_edges("evaluator", after_evaluator, {"lessons": "lessons", END: END})
    graph.add_edge("lessons", "planner")
    return graph
