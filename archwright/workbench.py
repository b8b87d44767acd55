"""What a run works with, built from its brief: data, spaces, supernet, instruments, problem.

Everything here is a pure function of the brief and the data, so that a resumed run
works with the same things.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archwright.agents.costing import Costing
from archwright.agents.feasibility import check_bounds
from archwright.agents.frontier import Pairings
from archwright.agents.phases import search_strategies
from archwright.agents.problem import Problem
from archwright.brief import Brief
from archwright.errors import BriefError, SpaceError, shown
from archwright.evaluators.hardware import AnalyticalEvaluator, hardware_space
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.front import Bound, Score, bounds_from_sample
from archwright.space import Space

if TYPE_CHECKING:
    from archwright.evaluators.hardware.simulators import SimulatorEvaluator
    from archwright.evaluators.supernet import (
        Checkpoint,
        Data,
        FurtherTraining,
        SupernetEvaluator,
        TrainingProgress,
    )

BOUNDS_SAMPLE = 4096
"""Designs drawn to find the range of each cost; stored with the run."""


def spaces_of(brief: Brief, shape: InputShape) -> tuple[Space, Space]:
    """The network space and the hardware space of a brief.

    Raises :class:`BriefError` naming the choice, its value and what is allowed.
    """
    try:
        networks = network_space(shape, brief.network.space).restrict(brief.network.choices)
    except SpaceError as error:
        raise BriefError(f"network.choices.{error}") from None
    try:
        fixed, hardware = brief.hardware.fixed, hardware_space(brief.hardware.space)
        if fixed is None:
            return networks, hardware.restrict(brief.hardware.choices)
        hardware.check(fixed)
        return networks, hardware.restrict({name: [v] for name, v in fixed.items()})
    except SpaceError as error:
        section = "choices" if brief.hardware.fixed is None else "fixed"
        raise BriefError(f"hardware.{section}.{error}") from None


def draw_bounds(brief: Brief, costing: Costing, classes: int) -> tuple[Bound, ...]:
    """The hypervolume's bounds: accuracy from chance to 1, costs over a seeded sample.

    Raises :class:`BriefError` when no sampled hardware can run any sampled network.
    """
    rng = np.random.default_rng((brief.seed, BOUNDS_SAMPLE))
    networks = costing.network_space.sample(rng, BOUNDS_SAMPLE)
    hardware = costing.hardware_space.sample(rng, BOUNDS_SAMPLE)
    sample = costing.zip(networks, hardware)
    if not np.isfinite(sample["latency_ms"]).any():
        raise BriefError(
            "hardware: no hardware of the space can run a network of the network space; "
            "allow more bits or larger buffers"
        )
    return bounds_from_sample(list(brief.objectives), classes, sample)


def check_strategy(brief: Brief) -> None:
    """Raise :class:`BriefError` for a strategy that there is not, naming those there are."""
    allowed = search_strategies()
    if brief.search.strategy not in allowed:
        raise BriefError(
            f"search.strategy = {shown(brief.search.strategy)}: allowed {', '.join(allowed)}"
        )


@dataclass(frozen=True)
class Bench:
    """Data, problem and the free instrument of one run; the supernet comes later."""

    brief: Brief
    data: Data
    problem: Problem
    pairings: Pairings
    costs: AnalyticalEvaluator

    def accuracy(
        self, checkpoint: Checkpoint, split: Literal["validation", "test"], workers: int
    ) -> SupernetEvaluator:
        """An instrument for accuracy on a split; a context manager that ends its workers.

        On validation it gives up early on a network that cannot be as accurate as the
        brief asks.
        """
        from archwright.evaluators.supernet import SupernetEvaluator

        asked = self.brief.constraints.get("accuracy")
        return SupernetEvaluator(
            checkpoint,
            self.supernet_space,
            self.data,
            split,
            workers=workers,
            at_least=asked.at_least if asked is not None and split == "validation" else None,
        )

    def further_training(
        self, checkpoint: Checkpoint, folder: Path, epochs: tuple[int, ...]
    ) -> FurtherTraining:
        """Networks of the supernet trained further; ``folder`` keeps their weights."""
        from archwright.evaluators.supernet import FurtherTraining

        return FurtherTraining(
            checkpoint, self.supernet_space, self.data, folder, epochs, self.brief.seed
        )

    def simulator(self, name: str, workers: int) -> SimulatorEvaluator:
        """A simulator as an instrument for designs of this brief."""
        from archwright.evaluators.hardware.simulators import SimulatorEvaluator, simulators

        workload = partial(workload_of, shape=self.data.shape, family=self.brief.network.space)
        space = self.problem.hardware_space
        return SimulatorEvaluator(simulators()[name], workload, space, workers)

    @property
    def supernet_space(self) -> Space:
        """The space that the supernet covers: also what the brief leaves out."""
        return network_space(self.data.shape, self.brief.network.space)


def prepare(brief: Brief, bounds: tuple[Bound, ...] | None) -> Bench:
    """All that needs no training. ``bounds`` are those of a run that has begun.

    Raises :class:`BriefError` or :class:`DataError` for what is wrong with the brief.
    """
    from archwright.evaluators.supernet import load_data

    check_strategy(brief)
    data = load_data(brief.task, brief.seed)
    networks, hardware = spaces_of(brief, data.shape)
    workload = partial(workload_of, shape=data.shape, family=brief.network.space)
    costing = Costing(networks, hardware, workload, brief.seed)
    score = Score(bounds or draw_bounds(brief, costing, data.classes))
    problem = Problem(networks, hardware, score, costing, brief.constraints)
    if bounds is None:
        check_bounds(problem, brief.seed)
    return Bench(brief, data, problem, Pairings(problem), AnalyticalEvaluator(workload, hardware))


def train_or_load(
    brief: Brief, data: Data, cache: Path, progress: Callable[[TrainingProgress], None]
) -> Checkpoint:
    """The brief's supernet: from the cache, or trained into it.

    It covers the whole network space, also where the brief restricts it: briefs on the
    same data share one supernet.
    """
    from archwright.evaluators.supernet import Recipe, cached_supernet

    recipe = Recipe(epochs=brief.supernet.epochs, seed=brief.seed)
    space = network_space(data.shape, brief.network.space)
    return cached_supernet(recipe, space, data, cache, progress)


def bounds_to_plain(bounds: tuple[Bound, ...]) -> list[dict[str, Any]]:
    """The bounds as JSON, for the archive."""
    return [vars(bound) for bound in bounds]


def bounds_from_plain(rows: list[Mapping[str, Any]]) -> tuple[Bound, ...]:
    """The bounds that the archive keeps."""
    return tuple(Bound(**row) for row in rows)
