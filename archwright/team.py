"""Putting a run's team together: which mind each role has, and what they work with."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from archwright.agents.analyst import Analyst
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
from archwright.agents.model.abilities import keep_abilities, kept_abilities
from archwright.agents.model.limits import Limits, Spent
from archwright.agents.model.port import ModelPort
from archwright.agents.model.tool_loop import ToolUse
from archwright.agents.planner import ModelPlanner, Planner, RuleBasedPlanner
from archwright.agents.proposer import ModelProposer, Proposer, RuleBasedProposer
from archwright.agents.recollection import Recollection, recollect
from archwright.agents.toolbox import Toolbox
from archwright.brief import Brief
from archwright.events import Event, EventLog
from archwright.memory.archive import Archive
from archwright.memory.recall import DesignMemory
from archwright.memory.registry import Registry
from archwright.settings import Profile, Settings
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

    def record_tool(step: int, role: str, use: ToolUse) -> None:
        label = f"{role}/{use.ask}/{use.number}"
        events.record(Event("tool", step, label, {"role": role, **use.to_plain()}))

    ports = {
        name: _port(settings.profile(name), limits, record_tool)
        for name in sorted(set(brief.models.values()))
    }

    def note(step: int, role: str, mind: str, decision: str, reason: str) -> None:
        label = f"{role}/{decision}/{zlib.crc32(reason.encode()):08x}"
        data = {"role": role, "mind": mind, "decision": decision, "reason": reason}
        events.record(Event("decision", step, label, data))

    def port(role: Any) -> ModelPort | None:
        return ports[brief.models[role]] if role in brief.models else None

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

    recollection = Recollection.from_plain(archive.freeze_recall(run, 0, remember))
    toolbox = Toolbox(
        problem, pairings, brief.seed, recollection, lambda step: team.history(before_step=step)
    )
    planner: Planner = RuleBasedPlanner()
    proposer_rules = RuleBasedProposer(problem, pairings, brief.seed, note)
    proposer: Proposer = proposer_rules
    critic_rules = RuleBasedCritic(problem, pairings)
    critic: Critic = critic_rules
    evaluator_rules = RuleBasedEvaluator(problem)
    evaluator: EvaluatorMind = evaluator_rules
    analyst: Analyst | None = None
    if found := port("planner"):
        planner = ModelPlanner(found, note)
    if found := port("proposer"):
        proposer = ModelProposer(proposer_rules, problem, found, note)
    if found := port("critic"):
        critic = ModelCritic(critic_rules, found, note)
    if found := port("evaluator"):
        evaluator = ModelEvaluator(evaluator_rules, found, note)
        analyst = Analyst(found, note, toolbox)

    team = Team(
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
        recollection=recollection,
        conditions=conditions,
        note=note,
        model_spent=lambda: limits.spent,
        stopping=stopping,
        analyst=analyst,
    )
    return team


def _port(
    profile: Profile, limits: Limits, record_tool: Callable[[int, str, ToolUse], None]
) -> ModelPort:
    """The port to a model; what its endpoint can do is found out once for all runs."""
    known, keep = kept_abilities(profile), partial(keep_abilities, profile)
    return ModelPort(profile, limits, abilities=known, learn=keep, record_tool=record_tool)
