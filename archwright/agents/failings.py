"""What failed in a run: the critic's rejections and the evaluator's failures, by reason.

A reason that came up :data:`FEWEST` times is worth a lesson: how often, at which sizes, and
which value of a choice all of them share beyond chance. The chance that so many drawn from
all proposals share a value is hypergeometric; it has to be below :data:`CHANCE` over all
values looked at (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from archwright.agents.critic import ALREADY_TRIED, TWICE
from archwright.agents.problem import Problem, fits
from archwright.design import Design
from archwright.measurement import METRICS
from archwright.memory.records import FailedSubject, Proposal, Verdict
from archwright.space import Value, point_hash

FEWEST = 3
CHANCE = 0.05
MOST_SHARED = 2
SAYS_NOTHING = frozenset({ALREADY_TRIED, TWICE})
"""Reasons that are about the search and not about a design."""
SIDES = ("at most", "at least")


@dataclass(frozen=True)
class Failing:
    """One reason for which designs failed: ``evidence`` has their keys.

    ``subject`` names the reason, equal for equal reasons. ``of_brief``: it holds only for
    this brief's bounds and hardware.
    """

    subject: str
    text: str
    times: int
    of_brief: bool
    evidence: tuple[str, ...]


def failings(
    problem: Problem,
    proposals: Sequence[Proposal],
    failures: Sequence[FailedSubject],
    measured: int,
) -> list[Failing]:
    """The reasons that came up at least :data:`FEWEST` times, the most frequent first.

    ``measured`` networks have an accuracy.
    """
    proposed = {p.design.key: p.design for p in proposals}
    rejected: dict[str, dict[str, Design]] = {}
    for proposal in proposals:
        review = proposal.review
        if review and review.verdict is Verdict.REJECT and review.reason not in SAYS_NOTHING:
            rejected.setdefault(review.reason, {})[proposal.design.key] = proposal.design
    failed = _failed(failures, proposed.values())
    tried = measured + len({f.subject for f in failures})
    everyone = list(proposed.values())
    found = [
        _failing(problem, reason, designs, everyone, f"{len(everyone)} proposals", of_brief=True)
        for reason, designs in rejected.items()
    ]
    found += [
        _failing(problem, reason, designs, everyone, f"{tried} evaluations", of_brief=False)
        for reason, designs in failed.items()
    ]
    return sorted((f for f in found if f.times >= FEWEST), key=lambda f: (-f.times, f.subject))


def circumstances(problem: Problem) -> dict[str, Value]:
    """The brief's bounds and hardware, as conditions of a lesson."""
    hardware = {choice.name: repr(choice.values) for choice in problem.hardware_space.choices}
    bounds = {
        f"{metric} {side}": bound
        for metric, constraint in problem.constraints.items()
        for side, bound in zip(SIDES, (constraint.at_most, constraint.at_least), strict=True)
        if bound is not None
    }
    return {"hardware": point_hash(hardware), **bounds}


def all_circumstances(problem: Problem) -> dict[str, Value]:
    """The same with every bound that the brief does not set, so that a lesson of it is left out."""
    unset = {f"{metric} {side}": "none" for metric in METRICS for side in SIDES}
    return {**unset, **circumstances(problem)}


def _failed(
    failures: Sequence[FailedSubject], proposed: Iterable[Design]
) -> dict[str, dict[str, Design]]:
    """By reason, the designs that the failed subjects were proposed in."""
    by_subject: dict[str, Design] = {}
    for design in proposed:
        by_subject.setdefault(design.network_key, design)
        by_subject[design.key] = design
    failed: dict[str, dict[str, Design]] = {}
    for failure in failures:
        if failure.subject in by_subject:
            reason = f"{failure.evaluator} could not measure: {failure.reason}"
            failed.setdefault(reason, {})[failure.subject] = by_subject[failure.subject]
    return failed


def _failing(
    problem: Problem,
    reason: str,
    designs: Mapping[str, Design],
    everyone: Sequence[Design],
    of: str,
    *,
    of_brief: bool,
) -> Failing:
    inside = [design for design in designs.values() if fits(problem.network_space, design.network)]
    known = [design for design in everyone if fits(problem.network_space, design.network)]
    said = [f"{reason}: {len(designs)} of {of}"]
    if len(inside) == len(designs):
        said += [_sizes(problem, inside), *_shared(problem, inside, known)]
    evidence = tuple(design.key for design in designs.values())
    return Failing(reason, ", ".join(said), len(designs), of_brief, evidence)


def _sizes(problem: Problem, designs: Sequence[Design]) -> str:
    rows = problem.network_space.encode([design.network for design in designs])
    macs = [math.log10(workload.macs) for workload in problem.costing.workloads(rows)]
    return f"of 10^{min(macs):.1f} to 10^{max(macs):.1f} multiply-accumulates"


def _shared(problem: Problem, designs: Sequence[Design], everyone: Sequence[Design]) -> list[str]:
    """The values that all of ``designs`` have and chance does not explain, at most two."""
    looked_at = sum(problem.network_space.shape)
    found: list[tuple[float, str]] = []
    for choice in problem.network_space.choices:
        values = {design.network[choice.name] for design in designs}
        if len(values) != 1 or len(choice.values) == 1:
            continue
        value = values.pop()
        have = sum(design.network[choice.name] == value for design in everyone)
        chance = math.comb(have, len(designs)) / math.comb(len(everyone), len(designs))
        if chance < CHANCE / looked_at:
            found.append((chance, f"all with {choice.name} = {value}"))
    return [words for _, words in sorted(found)[:MOST_SHARED]]
