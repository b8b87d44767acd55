"""Lessons: what the measurements of a run say about single choices, with their evidence.

For each value of each choice: does accuracy, beyond what the network's size explains,
differ between the networks that have it and those that have not? Tested by ordinary
least squares on log10(MACs), log10(parameters) and their squares plus an indicator of the
value; written down when the t statistic exceeds :data:`SIGNIFICANT`. Of a choice with two
values only the second is named: what holds for it holds the other way round for the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archwright.agents.problem import History, Problem
from archwright.front import Floats
from archwright.space import Value

SIGNIFICANT = 3.8
"""p = 0.05 over 40 values tested at once (Bonferroni), with 18 degrees of freedom (Student's t)."""
FEWEST = 24
FEWEST_EACH = 6


@dataclass(frozen=True)
class Finding:
    """One value of a choice and what it does to accuracy at equal size."""

    choice: str
    value: Value
    effect: float
    t: float
    evidence: tuple[str, ...]

    @property
    def claim(self) -> str:
        """What is claimed, without its numbers: equal for equal findings."""
        return f"{self.choice} = {self.value} {'raises' if self.effect > 0 else 'lowers'}"

    @property
    def text(self) -> str:
        """The finding as one sentence."""
        return (
            f"{self.claim} accuracy by {abs(self.effect):.3f} at equal "
            f"size ({len(self.evidence)} networks have it, t = {self.t:.1f})"
        )


def findings(problem: Problem, history: History) -> list[Finding]:
    """Significant effects, strongest first; none while too few networks are measured."""
    evaluated = history.evaluated
    if len(evaluated) < FEWEST:
        return []
    rows = np.stack([network.row for network in evaluated])
    accuracy = np.array([network.accuracy for network in evaluated])
    workloads = problem.costing.workloads(rows)
    macs = _centred_log([w.macs for w in workloads])
    parameters = _centred_log([w.parameters for w in workloads])
    size = np.stack([np.ones(len(rows)), macs, parameters, macs**2, parameters**2], axis=1)
    found = []
    for c, choice in enumerate(problem.network_space.choices):
        for v, value in enumerate(choice.values):
            has = rows[:, c] == v
            said_already = len(choice.values) == 2 and v == 0
            if said_already or min(has.sum(), (~has).sum()) < FEWEST_EACH:
                continue
            effect, t = _effect(size, has.astype(float), accuracy)
            if abs(t) >= SIGNIFICANT:
                evidence = tuple(evaluated[k].design for k in np.flatnonzero(has))
                found.append(Finding(choice.name, value, effect, t, evidence))
    return sorted(found, key=lambda finding: -abs(finding.t))


def _centred_log(sizes: list[int]) -> Floats:
    """log10, centred: beside its own square it would be almost collinear."""
    logarithms = np.log10(sizes)
    return np.asarray(logarithms - logarithms.mean())


def _effect(size: Floats, has: Floats, accuracy: Floats) -> tuple[float, float]:
    """Coefficient of the indicator ``has`` beside ``size``, and its t statistic."""
    design = np.concatenate([size, has[:, None]], axis=1)
    solution, _, rank, _ = np.linalg.lstsq(design, accuracy, rcond=None)
    freedom = len(accuracy) - int(rank)
    if rank < design.shape[1] or freedom < 1:
        return 0.0, 0.0
    residual = accuracy - design @ solution
    variance = float(residual @ residual) / freedom
    inverse = np.linalg.inv(design.T @ design)
    error = float(np.sqrt(max(variance * inverse[-1, -1], 1e-18)))
    return float(solution[-1]), float(solution[-1]) / error
