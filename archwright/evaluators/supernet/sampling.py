"""Which networks a step of training draws: growing spaces, and samplers in them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.evaluators.supernet.plan import NetworkPlan, count
from archwright.evaluators.supernet.recipe import Recipe
from archwright.evaluators.supernet.space import largest_network, smallest_network
from archwright.space import Indices, Point, Space

PlanOf = Callable[[Point], NetworkPlan]
LossOf = Callable[[Point], float]

POOL_SIZE = 256
_PHASES = {"bits": 0, "depth": 2, "expansion": 3, "width": 3}
"""When a choice becomes elastic. All others, the kernel among them, in phase 1; bits do
not matter to training."""


def space_at(recipe: Recipe, space: Space, epoch: int) -> Space:
    """The networks that an epoch may draw: all, or with ``progressive`` what is released.

    In its phase a choice gives free one value after another, from the largest down, as
    Once-for-All's does; what the phases before it gave free stays so.
    """
    if recipe.method != "progressive":
        return space
    done = epoch / recipe.epochs
    allowed = {}
    for choice in space.choices:
        phase = _PHASES.get(choice.name.split("_")[0], 1)
        begin, share = sum(recipe.phases[:phase]), recipe.phases[phase]
        number = len(choice.values)
        if phase == 0 or done >= begin + share - 1e-9:
            free = number
        elif done >= begin - 1e-9:
            free = min(number, 2 + int((done - begin) / share * (number - 1) + 1e-9))
        else:
            free = 1
        allowed[choice.name] = choice.values[-free:]
    return space.restrict(allowed)


class Sampler:
    """Draws random networks of ``space`` for the steps of one epoch.

    With ``uniform`` networks are drawn from the space. Else a pool of networks is drawn
    once; each draw chooses a level uniformly over the logarithm of multiply-accumulates
    between the space's extremes. ``complexity`` takes the network of the pool nearest to
    it; ``attentive`` the best or worst, by its loss on the step's batch, of the
    ``recipe.candidates`` nearest. (AttentiveNAS judges candidates by a predictor or by the
    loss on a batch; the latter needs no further state.)
    """

    def __init__(
        self, recipe: Recipe, space: Space, plan_of: PlanOf, rng: np.random.Generator
    ) -> None:
        self._recipe = recipe
        self._space = space
        self._pool = _Pool.draw(space, plan_of, rng) if recipe.sampler != "uniform" else None

    def draw(self, rng: np.random.Generator, loss_of: LossOf) -> list[Point]:
        """The random networks of a step; ``loss_of`` gives a network's loss on its batch."""
        number = self._recipe.random_networks
        if self._pool is None:
            return list(self._space.decode(self._space.sample(rng, number)))
        return [self._drawn(self._pool, rng, loss_of) for _ in range(number)]

    def _drawn(self, pool: _Pool, rng: np.random.Generator, loss_of: LossOf) -> Point:
        level = rng.uniform(pool.lowest, pool.highest)
        if self._recipe.sampler == "complexity":
            return pool.nearest(level, 1)[0]
        candidates = pool.nearest(level, self._recipe.candidates)
        choose = min if self._recipe.attention == "best" else max
        return choose(candidates, key=loss_of)


@dataclass(frozen=True, eq=False)
class _Pool:
    """Networks with the logarithms of their multiply-accumulates, and the space's extremes."""

    networks: list[Point]
    levels: npt.NDArray[np.float64]
    lowest: float
    highest: float

    @classmethod
    def draw(cls, space: Space, plan_of: PlanOf, rng: np.random.Generator) -> _Pool:
        networks: list[Point] = list(space.decode(spread_over_costs(space, rng, POOL_SIZE)))
        levels = np.array([_level(plan_of(network)) for network in networks])
        ends = (_level(plan_of(end(space))) for end in (smallest_network, largest_network))
        return cls(networks, levels, *ends)

    def nearest(self, level: float, number: int) -> list[Point]:
        """The ``number`` networks nearest to ``level``, nearest first."""
        order = np.argsort(np.abs(self.levels - level), kind="stable")
        return [self.networks[i] for i in order[:number]]


def spread_over_costs(space: Space, rng: np.random.Generator, number: int) -> Indices:
    """Networks from the smallest to the largest, as indices.

    Drawn uniformly, nearly all networks are of middling cost. Here each has its own
    tendency to large values: a choice's position is binomial with that chance, so that
    every value of a choice is still equally frequent (a beta-binomial with a = b = 1).
    """
    tendency: npt.NDArray[Any] = rng.random((number, 1))
    positions: Indices = rng.binomial(np.array(space.shape) - 1, tendency).astype(np.int64)
    return positions


def _level(plan: NetworkPlan) -> float:
    return math.log(count(plan)[1])
