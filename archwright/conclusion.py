"""After the search has frozen: test scores, random search beside it, the chosen design, the result.

Everything here is idempotent: a run killed meanwhile concludes again from the archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from archwright.agents.evaluator import AccuracyInstrument, Laboratory
from archwright.agents.frontier import hypervolume_curve
from archwright.agents.graph import STOPPED_BY_USER
from archwright.agents.minds import FLAGGED, one_in_words
from archwright.agents.model.ledger import ANSWERED, Asked, recorded
from archwright.agents.model.limits import Spent
from archwright.agents.problem import Evaluated, History, Problem
from archwright.agents.strategies import make_strategy
from archwright.agents.team import Team
from archwright.design import Design, Origin
from archwright.evaluators.hardware import AnalyticalModel
from archwright.events import Event
from archwright.front import Floats, Score, shares_lost
from archwright.measurement import COSTS, Failure, Fidelity, Measurement, Outcome
from archwright.memory.records import Role
from archwright.result import (
    CurvePoint,
    Decision,
    Inspection,
    JudgedDesign,
    ModelUse,
    PromotedDesign,
    Promotion,
    RandomBaseline,
    Rejection,
    RoleUse,
    RunResult,
)
from archwright.workbench import Bench

BASELINE_SEED = 1_000_003
"""Keeps the random baseline's draws apart from every step's."""


@dataclass(frozen=True)
class Ending:
    """How the search ended: its last step, why it stopped, and seconds by part."""

    step: int
    stopped: str
    created: str
    seconds_by_part: Mapping[str, float]


def frozen_front(team: Team, step: int) -> list[JudgedDesign]:
    """The front of the steps before ``step``, with the measurements that the search made."""
    points = team.frontier(team.history(step)).points()
    designs = [team.design_of(point) for point in points]
    validated = team.laboratory.known(designs)
    archived = {d.key: d for d in (team.archive.design(team.run, d.key) for d in designs) if d}
    return [
        JudgedDesign(
            design=archived.get(design.key, design),
            accuracy_validation=replace(
                validated[design.network_key], metric="accuracy_validation"
            ),
            costs=_costs(team, design),
            step=point.evaluated.step,
        )
        for design, point in zip(designs, points, strict=True)
    ]


def tested_front(
    team: Team, bench: Bench, test: AccuracyInstrument, step: int
) -> list[JudgedDesign]:
    """The frozen front, each network scored once on the test split with inherited weights."""
    front = frozen_front(team, step)
    subjects = list({judged.design.network_key: judged.design for judged in front}.values())
    _tell(team, "part", part="test scores", detail=f"{len(subjects)} networks of the front")
    laboratory = Laboratory(team.run, team.archive, test, bench.costs)
    laboratory.measure(step, subjects, range(len(subjects)), _ignore, _never, Role.TEST)
    tested = laboratory.known(subjects)
    return [
        replace(judged, accuracy_test=_as_test(tested.get(judged.design.network_key)))
        for judged in front
    ]


def _as_test(measurement: Measurement | None) -> Measurement | None:
    return None if measurement is None else replace(measurement, metric="accuracy_test")


def _costs(team: Team, design: Design) -> dict[str, Measurement]:
    """Costs at the front's fidelity, whatever else has judged the design since."""
    measured = team.archive.measurements_of(design.key)
    exact = [m for m in measured if m.fidelity is Fidelity.ANALYTICAL]
    return {m.metric: m for m in exact if m.metric in COSTS}


def random_baseline(team: Team, evaluations: int, step: int) -> RandomBaseline:
    """Random search with the same evaluations, supernet and free costing, outside the budget."""
    before = team.clock.seconds
    strategy = make_strategy(
        "random", team.problem, team.pairings, (team.brief.seed, BASELINE_SEED)
    )
    strategy.tell(History())
    _tell(team, "part", part="random baseline", detail="drawing networks")
    suggestions = strategy.ask(evaluations)
    if not suggestions:
        return RandomBaseline((), 0.0, team.clock.seconds - before)
    rows = np.stack([s.network for s in suggestions])
    hardware = team.problem.hardware_space.decode(np.stack([s.hardware for s in suggestions]))
    origin = Origin("random baseline", "drawn uniformly, outside the search")
    designs = [
        Design(network, device, origin)
        for network, device in zip(team.problem.networks(rows), hardware, strict=True)
    ]
    accuracy: dict[str, float] = {}

    def measured(design: Design, outcome: Outcome) -> None:
        if outcome.failure is None:
            accuracy[design.network_key] = outcome.measurements[0].value
        _tell(team, "baseline", part="random baseline", detail=f"{len(accuracy)} of {len(designs)}")

    team.laboratory.measure(step, designs, range(len(designs)), measured, _never, Role.BASELINE)
    evaluated = [
        Evaluated(d.network_key, d.key, row, {"accuracy": accuracy[d.network_key]}, step)
        for d, row in zip(designs, rows, strict=True)
        if d.network_key in accuracy
    ]
    curve = _curve(hypervolume_curve(team.problem, team.pairings, evaluated))
    final = curve[-1].hypervolume if curve else 0.0
    return RandomBaseline(curve, final, team.clock.seconds - before)


def nearest_miss(team: Team, history: History) -> JudgedDesign | None:
    """The evaluated design nearest to the bounds, where none meets the brief's on accuracy.

    Those on costs it meets: the critic lets nothing else be evaluated.
    """
    if not history.evaluated:
        return None
    asked = {m: c for m, c in team.problem.constraints.items() if m == "accuracy"}
    accuracy = np.array([evaluated.accuracy for evaluated in history.evaluated])
    missed = replace(team.problem, constraints=asked).miss(
        {"accuracy": accuracy}, {"latency_ms": np.zeros(len(accuracy))}
    )
    best = history.evaluated[int(np.lexsort((-accuracy, missed))[0])]
    design = team.archive.design(team.run, best.design)
    if design is None:
        return None
    measured = team.laboratory.known([design])[design.network_key]
    return JudgedDesign(
        design, replace(measured, metric="accuracy_validation"), _costs(team, design), best.step
    )


def losses_for_choice(judged: Sequence[JudgedDesign], score: Score) -> Floats:
    """Losses of shape (designs, objectives) in which accuracy counts at its interval's low end.

    Small, noisy evaluations choose bad winners (arXiv 2602.16805): so a lucky network does
    not win by its luck.
    """
    values = {metric: np.array([j.value(metric) for j in judged]) for metric in COSTS}
    values["accuracy"] = np.array([j.accuracy_validation.low for j in judged])
    return score.losses(values)


def choose(
    candidates: Sequence[JudgedDesign],
    score: Score,
    front: Sequence[JudgedDesign] = (),
    whose: str = "on the front",
) -> tuple[JudgedDesign | None, str]:
    """The design to build: the best compromise over the range of ``front`` and candidates.

    Each objective is scaled from the range's worst (0) to its best (1); chosen is the
    candidate nearest to the point that is best in all (compromise programming, Zeleny 1973).
    """
    if not candidates:
        return None, "no design meets every bound of the brief"
    losses = losses_for_choice(candidates, score)
    spread = losses_for_choice([*front, *candidates], score) if front else losses
    scaled = shares_lost(losses, spread)
    best = int(np.argmin((scaled**2).sum(axis=1)))
    shares = ", ".join(
        f"{metric} {1 - loss:.0%}" for metric, loss in zip(score.metrics, scaled[best], strict=True)
    )
    return candidates[best], (
        f"The best compromise of the {_many(candidates)} {whose}: nearest to the point that "
        "has the best of every objective, all counted alike, costs by orders of magnitude, "
        "accuracy at the low end of its interval. From the front's worst to its best it goes: "
        f"{shares}."
    )


def _many(designs: Sequence[JudgedDesign]) -> str:
    return "one design" if len(designs) == 1 else f"{len(designs)} designs"


def choose_promoted(
    front: Sequence[JudgedDesign], promotion: Promotion | None, problem: Problem
) -> tuple[JudgedDesign | None, str]:
    """The design to build, of those that came furthest where any was promoted.

    These are compared by their dearest numbers, and those within the brief's bounds by
    them come first. The chosen one has the accuracies of its exported weights; its costs
    are the front's, at the analytical fidelity.
    """
    on_front = {judged.design.key: judged for judged in front}
    reached = [p for p in promotion.designs if p.reached] if promotion else []
    if not reached:
        return choose(front, problem.score)
    candidates = [_at_dearest(on_front[p.design.key], p) for p in reached]
    within = [judged for judged in candidates if _within(judged, problem)]
    simulated = " and simulated" if reached[0].simulated else ""
    whose = f"that were trained further{simulated}, of {len(front)} on the front"
    chosen, why = choose(within or candidates, problem.score, front, whose)
    if chosen is None:
        return None, why
    if not within:
        why += " By these dearer numbers none of them meets every bound of the brief."
    promoted = next(p for p in reached if p.design == chosen.design)
    costs = on_front[chosen.design.key].costs
    return replace(chosen, costs=costs, accuracy_test=_as_test(promoted.accuracy_test)), why


def _at_dearest(judged: JudgedDesign, promoted: PromotedDesign) -> JudgedDesign:
    """A design of the front with the numbers that its promotion gave."""
    accuracy = promoted.trained or judged.accuracy_validation
    return replace(
        judged,
        accuracy_validation=replace(accuracy, metric="accuracy_validation"),
        costs={**judged.costs, **promoted.simulated},
    )


def _within(judged: JudgedDesign, problem: Problem) -> bool:
    bounds = problem.constraints.items()
    return all(bound.holds(judged.value(metric)) for metric, bound in bounds)


def conclude(
    team: Team,
    bench: Bench,
    test: AccuracyInstrument,
    ending: Ending,
    promotion: Promotion | None,
    *,
    with_baseline: bool,
) -> RunResult:
    """Score the frozen front, measure the baseline, choose, and put the result together."""
    history = team.history(ending.step)
    curve = _curve(hypervolume_curve(team.problem, team.pairings, history.evaluated))
    _tell(team, "part", part="costing", detail="the front")
    before = team.clock.seconds
    front = tested_front(team, bench, test, ending.step)
    testing = team.clock.seconds - before
    baseline = None
    if with_baseline:
        # A step of its own: what failed in the test pass may be measured here.
        baseline = random_baseline(team, len(history.evaluated), ending.step + 1)
    best, why = choose_promoted(front, promotion, team.problem)
    explanation = None
    if team.analyst is not None and best is not None and ending.stopped != STOPPED_BY_USER:
        context = came_to(team, ending, front, best, why, baseline, curve)
        explanation = team.analyst.explain(team.archive, team.run, ending.step, context)
    decisions = _decisions(team)
    proposals = team.archive.proposals(team.run)
    rejections = _rejections(team)
    parts = {**ending.seconds_by_part, **(promotion.seconds_by_part if promotion else {})}
    parts["test scores"] = testing
    if baseline is not None:
        parts["random baseline"] = baseline.seconds
    return RunResult(
        run=team.run,
        brief=team.brief,
        created=ending.created,
        stopped=ending.stopped,
        seconds=sum(parts.values()),
        seconds_by_part=parts,
        evaluations=team.spent(before_step=ending.step),
        proposed=len(proposals),
        rejected=sum(rejection.count for rejection in rejections),
        rejections=rejections,
        failures=tuple(
            Failure(f.subject, f.evaluator, f.reason) for f in team.archive.failures(team.run)
        ),
        score=team.problem.score,
        hypervolume=curve[-1].hypervolume if curve else 0.0,
        curve=curve,
        baseline=baseline,
        front=tuple(front),
        best=best,
        why_best=why,
        inspection=None if best is None else inspect(team, best.design),
        decisions=decisions,
        lessons=team.lessons(ending.step + 1),
        recalled=tuple(
            f"{recalled.key} of run {recalled.run}" for recalled in team.recollection.designs
        ),
        images_by_split={
            name: len(bench.data.split(name)) for name in ("train", "validation", "test")
        },
        classes=bench.data.classes,
        model_use=_model_use(team),
        nearest=None if front else nearest_miss(team, history),
        promotion=promotion,
        explanation=explanation,
        flagged=sum(row["kind"] == FLAGGED for row in team.events.rows()),
    )


def came_to(
    team: Team,
    ending: Ending,
    front: Sequence[JudgedDesign],
    best: JudgedDesign,
    why: str,
    baseline: RandomBaseline | None,
    curve: Sequence[CurvePoint],
) -> str:
    """What the search came to, in words for a model; nothing of it differs in a replay."""
    shown = [best.accuracy_validation, *([best.accuracy_test] if best.accuracy_test else [])]
    accuracies = [f"{m.metric} {m.value:.4g} (95% {m.low:.4g} to {m.high:.4g})" for m in shown]
    costs = [f"{m} {best.value(m):.4g}" for m in COSTS]
    bounds = [f"{m} {c.model_dump(exclude_none=True)}" for m, c in team.problem.constraints.items()]
    ranges = [
        f"{m} {min(values):.4g} to {max(values):.4g}"
        for m in team.brief.objectives
        for values in [[judged.value(m) for judged in front]]
    ]
    scores = [f"the search {curve[-1].hypervolume:.4f}"]
    if baseline is not None:
        scores.append(f"random search with as many evaluations {baseline.hypervolume:.4f}")
    return "\n".join(
        [
            f"objectives: {', '.join(f'{m} ({way})' for m, way in team.brief.objectives.items())}",
            f"bounds: {', '.join(bounds) or 'none'}",
            f"the chosen design, {best.design.key[:8]}: {one_in_words(best.design)}",
            f"measured: {', '.join(accuracies + costs)}",
            f"why it was chosen: {why}",
            f"the front: {len(front)} designs, {', '.join(ranges)}",
            f"hypervolume: {', '.join(scores)}",
            f"evaluations: {len(curve)} of {team.brief.budget.evaluations}; it ended because "
            f"{ending.stopped}",
        ]
    )


def inspect(team: Team, design: Design) -> Inspection:
    """The design layer by layer at the analytical fidelity."""
    row = team.problem.network_space.encode([design.network])
    workload = team.problem.costing.workloads(row)[0]
    model = AnalyticalModel()
    layers = tuple(model.per_layer(workload, design.hardware))
    return Inspection(layers, model.area_breakdown(design.hardware))


def _decisions(team: Team) -> tuple[Decision, ...]:
    return tuple(
        Decision(*(row[name] for name in ("step", "role", "mind", "decision", "reason")))
        for row in team.events.rows()
        if row["kind"] == "decision"
    )


def _model_use(team: Team) -> ModelUse:
    """What models took in all, as the run's limits have it, and by role, as it was recorded."""
    spent = team.model_spent()
    asks = recorded(team.events.rows())
    together: dict[tuple[str, str], list[Asked]] = {}
    for asked in asks:
        together.setdefault((asked.role, asked.model), []).append(asked)
    return ModelUse(
        spent.requests,
        _failures(asks),
        spent.tokens,
        None if spent.unpriced else spent.dollars,
        tuple(_role_use(role, model, own) for (role, model), own in together.items()),
        tuple(dict.fromkeys(asked.model for asked in asks if asked.dollars is None)),
    )


def _role_use(role: str, model: str, asks: Sequence[Asked]) -> RoleUse:
    spent = sum((asked.spent for asked in asks), Spent())
    return RoleUse(
        role,
        model,
        len(asks),
        _failures(asks),
        spent.requests,
        sum(asked.tokens_in for asked in asks),
        sum(asked.tokens_out for asked in asks),
        spent.seconds,
        None if spent.unpriced else spent.dollars,
    )


def _failures(asks: Sequence[Asked]) -> int:
    return sum(asked.outcome != ANSWERED for asked in asks)


def _rejections(team: Team) -> tuple[Rejection, ...]:
    examples: dict[str, Design] = {}
    for proposal in team.archive.proposals(team.run):
        if proposal.review is not None and proposal.review.verdict == "reject":
            examples.setdefault(proposal.review.reason, proposal.design)
    counts = team.archive.rejections(team.run)
    return tuple(Rejection(why, n, examples[why]) for why, n in counts.most_common())


def _curve(hypervolumes: Sequence[float]) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(k, value) for k, value in enumerate(hypervolumes, start=1))


def _tell(team: Team, kind: str, **data: Any) -> None:
    team.events.show(Event(kind, data=data))


def _ignore(design: Design, outcome: Outcome) -> None:
    """Nothing to do beside what the laboratory has kept."""


def _never() -> bool:
    return False
