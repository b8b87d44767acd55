"""Putting a run's team together: which mind each role has, and what they work with."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from archwright.agents.critic import Critic, ModelCritic, RuleBasedCritic
from archwright.agents.evaluator import (
    AccuracyInstrument,
    EvaluatorMind,
    Laboratory,
    ModelEvaluator,
    RuleBasedEvaluator,
)
from archwright.agents.failings import all_circumstances
from archwright.agents.graph import Clock, Team
from archwright.agents.minds import Figures
from archwright.agents.model.limits import Limits, Spent
from archwright.agents.model.port import ModelPort
from archwright.agents.planner import ModelPlanner, Planner, RuleBasedPlanner
from archwright.agents.proposer import ModelProposer, Proposer, RuleBasedProposer
from archwright.agents.recollection import Recollection, recollect
from archwright.brief import Brief
from archwright.events import Event, EventLog
from archwright.memory.archive import Archive
from archwright.memory.recall import DesignMemory
from archwright.memory.registry import Registry
from archwright.settings import Settings
from archwright.space import Value
from archwright.workbench import Bench


def assemble(
    run: str,
    brief: Brief,
    bench: Bench,
    settings: Settings,
    registry: Registry,
    memory: DesignMemory,
    archive: Archive,
    events: EventLog,
    accuracy: AccuracyInstrument,
    clock: Clock,
    spent: Spent,
    stopping: Callable[[], bool],
) -> Team:
    """The team of a run. Roles that the brief gives a model profile get a model's mind."""
    problem, pairings = bench.problem, bench.pairings
    limits = Limits(brief.budget.tokens, brief.budget.dollars, spent)
    ports = {name: ModelPort(settings.profile(name), limits) for name in set(brief.models.values())}

    def note(step: int, role: str, mind: str, decision: str, reason: str) -> None:
        label = f"{role}/{decision}/{zlib.crc32(reason.encode()):08x}"
        data = {"role": role, "mind": mind, "decision": decision, "reason": reason}
        events.record(Event("decision", step, label, data))

    figures = Figures.of_run(run, archive, brief, events)

    def port(role: Any) -> ModelPort | None:
        return ports[brief.models[role]] if role in brief.models else None

    planner: Planner = RuleBasedPlanner()
    proposer_rules = RuleBasedProposer(problem, pairings, brief.seed, note)
    proposer: Proposer = proposer_rules
    critic_rules = RuleBasedCritic(problem, pairings)
    critic: Critic = critic_rules
    evaluator_rules = RuleBasedEvaluator(problem)
    evaluator: EvaluatorMind = evaluator_rules
    if found := port("planner"):
        planner = ModelPlanner(found, note, figures)
    if found := port("proposer"):
        proposer = ModelProposer(proposer_rules, problem, found, note, figures)
    if found := port("critic"):
        critic = ModelCritic(critic_rules, found, note, figures)
    if found := port("evaluator"):
        evaluator = ModelEvaluator(evaluator_rules, found, note, figures)

    conditions: dict[str, Value] = {
        "network space": problem.network_space.name,
        "data": bench.data.name,
    }

    def remember() -> list[Any]:
        facts = {**conditions, **all_circumstances(problem)}
        recollection, skipped = recollect(memory, registry, run, brief, problem, facts)
        for reason in skipped:
            note(0, "proposer", "rules", "skipped a past run", reason)
        return recollection.to_plain()

    return Team(
        run=run,
        brief=brief,
        problem=problem,
        pairings=pairings,
        archive=archive,
        laboratory=Laboratory(run, archive, accuracy, bench.costs),
        events=events,
        clock=clock,
        planner=planner,
        proposer=proposer,
        critic=critic,
        evaluator=evaluator,
        recollection=Recollection.from_plain(archive.freeze_recall(run, 0, remember)),
        conditions=conditions,
        note=note,
        model_spent=lambda: limits.spent,
        stopping=stopping,
    )
