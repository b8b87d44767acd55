"""Whether any design is within a brief's bounds on costs, and which comes nearest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from archwright.agents.problem import Problem
from archwright.errors import BriefError
from archwright.space import Indices, Point, neighbours

NETWORKS = 64
HARDWARE = 1024
"""The sample: networks, the smallest and the largest among them, each on so many hardware."""
STARTS = 8
"""Sampled designs nearest to the bounds, from which better ones are looked for step by step."""
STEPS = 40
CLEAR_MISS = 0.05
"""Bounds that are met each, but by nothing that was found together, are refused from this
relative miss on: steps of single choices may pass by the few designs between close bounds.
Of 24 sets of four bounds, each 3% beside a random design's costs, one was missed, by 1%."""


@dataclass(frozen=True)
class Nearest:
    """The design found nearest to the bounds: its costs, and by how much it misses them.

    ``miss`` is relative, summed over the bounds; 0 within all of them. ``tried`` counts the
    designs that were looked at.
    """

    network: Point
    hardware: Point
    costs: dict[str, float]
    miss: float
    tried: int


def nearest_design(problem: Problem, seed: int) -> Nearest:
    """The design nearest to all bounds on costs together, of a sample and around its best.

    From the sample's best designs one choice at a time is moved by a step for as long as
    that comes nearer. The search ends at the first design within all bounds.
    """
    bounds = {m: c for m, c in problem.constraints.items() if m not in problem.learned}
    problem = replace(problem, constraints=bounds)
    rng = np.random.default_rng((seed, NETWORKS, HARDWARE))
    costing, space = problem.costing, problem.network_space
    top = np.array(space.shape) - 1
    networks = np.stack([np.zeros_like(top), top, *space.sample(rng, NETWORKS - 2)])
    hardware = costing.hardware[rng.permutation(len(costing.hardware))[:HARDWARE]]
    misses = problem.miss({}, costing.cross(networks, hardware))
    tried = misses.size
    best = np.unravel_index(np.argsort(misses, axis=None, kind="stable")[:STARTS], misses.shape)
    designs = np.concatenate([networks[best[0]], hardware[best[1]]], axis=1)
    split, least = len(top), float(misses.min())
    for _ in range(STEPS):
        if least == 0.0:
            break
        around = _around(problem, designs, split)
        misses = problem.miss({}, costing.zip(around[:, :split], around[:, split:]))
        tried += len(misses)
        order = np.argsort(misses, kind="stable")[:STARTS]
        if len(order) == 0 or not misses[order[0]] < least:
            break
        designs, least = around[order], float(misses[order[0]])
    network, device = designs[:1, :split], designs[:1, split:]
    costs = {m: float(values[0]) for m, values in costing.zip(network, device).items()}
    return Nearest(
        space.decode(network)[0], problem.hardware_space.decode(device)[0], costs, least, tried
    )


def check_bounds(problem: Problem, seed: int) -> None:
    """Say early when no design that was found is within the brief's bounds on costs.

    Raises :class:`BriefError`, one line: the bounds that are in the way, the nearest design
    and what it costs. One bound that nothing meets by itself is named alone; several, and a
    band with two ends, are refused where the nearest design clearly misses them.
    """
    bounds = {m: c for m, c in problem.constraints.items() if m not in problem.learned}
    nearest = nearest_design(problem, seed) if bounds else None
    if nearest is None or nearest.miss == 0.0:
        return
    if not np.isfinite(nearest.miss):
        return  # no hardware of the sample runs a network: the bounds are not to blame
    for metric, constraint in bounds.items():
        alone = nearest
        if len(bounds) > 1:
            alone = nearest_design(replace(problem, constraints={metric: constraint}), seed)
        sides = constraint.model_dump(exclude_none=True)
        if alone.miss > (CLEAR_MISS if len(sides) > 1 else 0.0):
            value = alone.costs[metric]
            low = constraint.at_most is None or value <= constraint.at_most
            side, extreme = ("at_least", "most") if low else ("at_most", "least")
            extreme = "nearest" if len(sides) > 1 else extreme
            raise BriefError(
                f"constraints.{metric}.{side} = {getattr(constraint, side):g}: the {extreme} "
                f"found over {alone.tried} designs is {value:.3g}, {_where(alone)}"
            )
    if nearest.miss < CLEAR_MISS:
        return
    asked = " and ".join(
        f"{metric} {side.replace('_', ' ')} {bound:g}"
        for metric, constraint in bounds.items()
        for side, bound in constraint.model_dump(exclude_none=True).items()
    )
    reached = ", ".join(f"{metric} {nearest.costs[metric]:.3g}" for metric in bounds)
    raise BriefError(
        f"constraints: no design of {nearest.tried} looked at meets {asked} together; the nearest "
        f"has {reached}, {_where(nearest)}"
    )


def _around(problem: Problem, designs: Indices, split: int) -> Indices:
    """All designs that differ from one of ``designs`` by a step in one choice of either space."""
    found = []
    for design in designs:
        network, hardware = design[None, :split], design[None, split:]
        moved = neighbours(problem.network_space, network)
        others = neighbours(problem.hardware_space, hardware)
        found.append(np.concatenate([moved, hardware.repeat(len(moved), axis=0)], axis=1))
        found.append(np.concatenate([network.repeat(len(others), axis=0), others], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _where(nearest: Nearest) -> str:
    parts = (("network", nearest.network), ("hardware", nearest.hardware))
    return ", ".join(
        f"{name} {' '.join(f'{choice}={value}' for choice, value in point.items())}"
        for name, point in parts
    )
