"""Putting a run's team together: which mind each role has, and what they work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from archwright.agents.hybrid.committee import Chooser, Committee
from archwright.agents.hybrid.notebook import ArchiveNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.minds import Figures
from archwright.agents.model.ledger import Ledger, recorded, spent_before, spent_by_step
from archwright.agents.model.limits import Spent, run_limits
from archwright.agents.model.port import ModelPort
from archwright.agents.model.ports import open_port
from archwright.agents.model.prices import price_of, unknown_price
from archwright.agents.model.question import OfferedTool
from archwright.agents.model.tool_loop import ToolUse
from archwright.agents.model.transports import Transports
from archwright.agents.planner import ModelPlanner, Planner, RuleBasedPlanner
from archwright.agents.proposer import Proposer, RuleBasedProposer
from archwright.agents.recollection import Recollection, recollect
from archwright.agents.team import Clock, Team
from archwright.agents.toolbox import Toolbox
from archwright.agents.trust import ArchiveTrust
from archwright.brief import Brief
from archwright.errors import UserError
from archwright.events import Event, EventLog
from archwright.memory.archive import Archive
from archwright.memory.recall import DesignMemory
from archwright.memory.registry import Registry
from archwright.space import Value
from archwright.workbench import Bench


def assemble(
    run: str,
    brief: Brief,
    bench: Bench,
    transports: Transports,
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
    asks = recorded(events.rows())
    limits = run_limits(brief.budget, spent_before(spent, asks), spent_by_step(asks))
    ledger = Ledger(events)

    def record_tool(step: int, role: str, use: ToolUse) -> None:
        label = f"{role}/{use.ask}/{use.number}"
        events.record(Event("tool", step, label, {"role": role, **use.to_plain()}))

    ports = {
        name: open_port(transports, name, limits, ledger, record_tool)
        for name in sorted(set(brief.models.values()))
    }
    for profile in (asking.profile for asking in ports.values()):
        if price_of(profile) is None:  # its asking is bounded by all but dollars
            said = {"said": unknown_price(profile.model)}
            events.record(Event("price", label=profile.model, data=said))

    note = events.note

    figures = Figures.of_run(run, archive, brief, events)

    def port(role: Any) -> ModelPort | None:
        return ports[brief.models[role]] if role in brief.models else None

    conditions: dict[str, Value] = {
        "network space": problem.network_space.name,
        "data": bench.data.name,
    }

    def remember() -> list[Any]:
        facts = {**conditions, **all_circumstances(problem)}

        def recall() -> tuple[list[Any], tuple[str, ...]]:
            recollection, skipped = recollect(memory, registry, run, brief, problem, facts)
            return recollection.to_plain(), skipped

        content, skipped = transports.recalled(recall)
        try:
            Recollection.from_plain(content)
        except (KeyError, TypeError, ValueError):
            what = "what it says that the run recalled cannot be read; record it anew"
            raise UserError(f"{transports.replay}: {what}") from None
        for reason in skipped:
            note(0, "proposer", "rules", "skipped a past run", reason)
        return content

    recollection = Recollection.from_plain(archive.freeze_recall(run, 0, remember))
    toolbox = Toolbox(
        problem, pairings, brief.seed, recollection, lambda step: team.history(before_step=step)
    )
    trust = ArchiveTrust(archive, run)
    planner: Planner = RuleBasedPlanner()
    proposer_rules = RuleBasedProposer(problem, pairings, brief.seed, note)
    proposer: Proposer = proposer_rules
    critic_rules = RuleBasedCritic(problem, pairings)
    critic: Critic = critic_rules
    evaluator_rules = RuleBasedEvaluator(problem)
    evaluator: EvaluatorMind = evaluator_rules
    analyst: Analyst | None = None

    def tools(role: str, step: int) -> Sequence[OfferedTool]:
        return toolbox.for_role(role, step)

    if found := port("planner"):
        planner = ModelPlanner(found, note, trust, figures, tools)
    if found := port("proposer"):
        critic_port = port("critic")
        chooser = Chooser(problem, critic_port, note, trust) if critic_port else None
        committee = Committee(brief.search.committee, chooser)
        notebook = ArchiveNotebook(archive, run)
        proposer = ModelProposer(
            proposer_rules, problem, pairings, found, note, notebook, figures, tools, committee
        )
    if found := port("critic"):
        critic = ModelCritic(critic_rules, problem, found, note, trust, figures, tools)
    if found := port("evaluator"):
        evaluator = ModelEvaluator(evaluator_rules, found, note, figures)
        analyst = Analyst(found, note, figures, tools)

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
