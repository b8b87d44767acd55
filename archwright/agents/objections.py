"""What the rules make of a user's objection to a design.

They understand which cost a reason names ("too slow", "area"): what is proposed next costs
less than the rejected design. Of any rejected design they keep away from its near variants.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from archwright.agents.frontier import Pairing, Pairings
from archwright.agents.problem import Mask, Problem, fits
from archwright.agents.strategies.common import network_keys, untried
from archwright.agents.strategies.spread import draw_scaled
from archwright.brief import Constraint
from archwright.design import Design
from archwright.space import Indices, Space

NAMED_COSTS = {
    "latency_ms": ("slow", "slower", "latency", "late", "time"),
    "area_mm2": ("large", "larger", "big", "bigger", "area", "silicon", "expensive"),
    "energy_uj": ("energy", "hungry", "battery"),
    "power_mw": ("power", "hot", "heat"),
    "parameters": ("parameters", "weights", "heavy"),
    "memory_kib": ("memory",),
}
"""Words of a reason that name a cost."""

NEAR = 2
"""Networks that differ in at most so many choices are variants of each other."""

PANEL = 256
"""Hardware points with which a network is tried first."""
PROBES = 256
"""Networks that are tried to see whether objections leave anything."""

LESS = 1.0 - 1e-9
"""Of a cost: what counts as less, whatever the order in which its sum was added up."""


@dataclass(frozen=True)
class Objection:
    """One rejected design: where it stands, what it costs, and which cost was named."""

    design: Design
    reason: str
    metric: str | None


def understand(objections: Sequence[tuple[Design, str]]) -> list[Objection]:
    """The objections, each with the cost that its reason names first, if any."""
    found = []
    for design, reason in objections:
        words = re.findall(r"[a-z]+", reason.lower())
        named = [m for word in words for m, names in NAMED_COSTS.items() if word in names]
        found.append(Objection(design, reason, named[0] if named else None))
    return found


def bounded(problem: Problem, objections: Sequence[Objection]) -> Problem:
    """The problem in which a design costs less than what was rejected for that cost."""
    constraints = dict(problem.constraints)
    for objection in objections:
        limit = _named_cost(problem, objection)
        if objection.metric is None or limit is None:
            continue
        known = constraints.get(objection.metric, Constraint(at_most=limit))
        lowest = min(limit * LESS, known.at_most or np.inf)
        constraints[objection.metric] = known.model_copy(update={"at_most": lowest})
    return replace(problem, constraints=constraints)


def variants(problem: Problem, objections: Sequence[Objection]) -> frozenset[str]:
    """The keys of the rejected networks and of their near variants."""
    space = problem.network_space
    keys: set[str] = set()
    for objection in objections:
        if fits(space, objection.design.network):
            row = space.encode([objection.design.network])[0]
            keys.update(network_keys(space, np.stack(list(_near(space, row)))))
    return frozenset(keys)


class PanelPairings(Pairings):
    """Pairings under objections, which may leave very little: what is hopeless ends early.

    A network that no hardware of a panel suits counts as one that none suits: pairing with
    all hardware takes thirty times as long, and strategies ask for hundreds of networks
    until one is within a narrow bound.
    """

    def __init__(self, problem: Problem, wide: Pairings) -> None:
        super().__init__(problem)
        self._tight = problem
        rng = np.random.default_rng((problem.costing.seed, PANEL))
        top = np.array(problem.network_space.shape) - 1
        fronts = [wide.of(corner).hardware for corner in (np.zeros_like(top), top)]
        picked = [
            rng.permutation(rows)[: PANEL // 2] for rows in (*fronts, problem.costing.hardware)
        ]
        self._panel = np.unique(np.concatenate(picked), axis=0)

    def of(self, network: Indices) -> Pairing:
        """As without objections, but empty where the panel has nothing for the network."""
        if self.suits(network[None, :])[0]:
            return super().of(network)
        return Pairing(
            self._panel[:0], self._tight.costing.zip(network[None, :][:0], self._panel[:0])
        )

    def suits(self, networks: Indices) -> Mask:
        """Which networks, shape (networks, choices), some hardware of the panel suits."""
        costs = self._tight.costing.cross(networks, self._panel)
        return np.asarray(self._tight.affordable(costs).any(axis=1))

    def leaves_something(self, away: Collection[str]) -> bool:
        """Whether any of some networks of all sizes, without ``away``, is within the bounds."""
        space = self._tight.network_space
        rng = np.random.default_rng((self._tight.costing.seed, PROBES))
        drawn = untried(space, draw_scaled(space, rng, PROBES), away)
        return len(drawn) > 0 and bool(self.suits(drawn).any())


def against(problem: Problem, objections: Sequence[Objection], design: Design) -> bool:
    """Whether an objection speaks against a design; those outside the spaces are the critic's."""
    if not _inside(problem, design):
        return False
    row = problem.network_space.encode([design.network])
    hardware = problem.hardware_space.encode([design.hardware])
    costs = problem.costing.zip(row, hardware)
    for objection in objections:
        limit = _named_cost(problem, objection)
        named = objection.metric or ""
        if limit is not None and float(costs[named][0]) > limit * LESS:
            return True
        if fits(problem.network_space, objection.design.network):
            rejected = problem.network_space.encode([objection.design.network])
            if int((row != rejected).sum()) <= NEAR:
                return True
    return False


def _named_cost(problem: Problem, objection: Objection) -> float | None:
    """What the rejected design costs by the metric that the objection names."""
    design = objection.design
    if objection.metric is None or not _inside(problem, design):
        return None
    row = problem.network_space.encode([design.network])
    hardware = problem.hardware_space.encode([design.hardware])
    cost = float(problem.costing.zip(row, hardware)[objection.metric][0])
    return cost if np.isfinite(cost) else None


def _inside(problem: Problem, design: Design) -> bool:
    """Whether a design lies in the problem's spaces."""
    spaces = (problem.network_space, problem.hardware_space)
    return all(map(fits, spaces, (design.network, design.hardware)))


def _near(space: Space, row: Indices) -> Iterator[Indices]:
    """The row, and every row that differs from it in at most ``NEAR`` choices."""
    yield row
    for count in range(1, NEAR + 1):
        for places in combinations(range(len(space.shape)), count):
            others = [[v for v in range(space.shape[p]) if v != row[p]] for p in places]
            for values in product(*others):
                changed = row.copy()
                changed[list(places)] = values
                yield changed
