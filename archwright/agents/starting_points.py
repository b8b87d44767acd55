"""Starting points: which recalled networks open a run, and on which hardware.

The front of a past run holds many near-copies of one network. Taken are those that lie far
apart in complexity, because models and optimisers that start close together stay so
(PEL-NAS, arXiv 2510.01472); hardware is chosen anew under this brief.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from archwright.agents.frontier import Pairings
from archwright.agents.problem import Problem, fits
from archwright.agents.recollection import RecalledDesign
from archwright.agents.strategies.common import balanced_hardware
from archwright.design import Design, Origin
from archwright.front import Floats
from archwright.space import point_hash

LEAST_SIMILARITY = 0.01
"""Similarity is a mean of cosines and may be negative: such a run still comes last."""


def starting_points(
    recalled: Sequence[RecalledDesign],
    problem: Problem,
    pairings: Pairings,
    tried: Collection[str],
    most: int,
) -> list[Design]:
    """At most ``most`` recalled networks on the hardware that suits them under this brief.

    The first of the most similar comes first. Then each time the one with the largest
    product of similarity and distance, in log10(multiply-accumulates), to the nearest
    that was taken. Passed over: networks outside the space, tried ones, and those that
    the brief allows on no hardware.
    """
    ideas = _usable(recalled, problem, tried)
    if not ideas:
        return []
    rows = problem.network_space.encode([idea.network for idea in ideas])
    networks = problem.network_space.decode(rows)  # 4.0 becomes the space's own 4
    complexity = np.log10([w.macs for w in problem.costing.workloads(rows)])
    similarity = np.array([max(idea.similarity, LEAST_SIMILARITY) for idea in ideas])
    left = np.ones(len(ideas), dtype=bool)
    taken: list[int] = []
    designs: list[Design] = []
    while left.any() and len(designs) < most:
        worth = similarity * _distance(complexity, taken)
        k = int(np.argmax(np.where(left, worth, -np.inf)))
        left[k] = False
        pairing = pairings.of(rows[k])
        if len(pairing) == 0:
            continue
        taken.append(k)
        best = balanced_hardware(problem, pairing)
        hardware = problem.hardware_space.decode(best[None])[0]
        reason = (
            f"recalled from run {ideas[k].run} (similarity {ideas[k].similarity:.2f}), "
            "its hardware chosen anew"
        )
        designs.append(
            Design(networks[k], hardware, Origin("memory", reason, recalled=(ideas[k].key,)))
        )
    return designs


def _usable(
    recalled: Sequence[RecalledDesign], problem: Problem, tried: Collection[str]
) -> list[RecalledDesign]:
    """Those in the space that were not tried, each network once."""
    usable: dict[str, RecalledDesign] = {}
    for idea in recalled:
        if fits(problem.network_space, idea.network):
            key = point_hash(idea.network)
            if key not in tried:
                usable.setdefault(key, idea)
    return list(usable.values())


def _distance(complexity: Floats, taken: Sequence[int]) -> Floats:
    """To the nearest that was taken, in decades; shape (networks,). One while none is."""
    if not taken:
        return np.ones(len(complexity))
    return np.asarray(np.abs(complexity[:, None] - complexity[taken]).min(axis=1))
