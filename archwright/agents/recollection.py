"""What a run remembers of other runs: frozen into its archive when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from archwright.agents.problem import PastNetworks, Problem, fits
from archwright.brief import Brief
from archwright.memory.lessons import recall_lessons
from archwright.memory.past import read_past
from archwright.memory.past_networks import measured_networks
from archwright.memory.recall import ACCURACY_FIDELITY, DesignMemory, Query, RecalledRun
from archwright.memory.registry import Registry
from archwright.space import Point, Value
from archwright.workload import Workload

RUNS_ASKED = 16
"""Similar runs looked at: those of other network spaces have nothing to offer."""
PAST_RUNS = 4
RECALLED_NETWORKS = 64
RECALLED_LESSONS = 10


@dataclass(frozen=True)
class RecalledDesign:
    """A past design as the proposer sees it: an idea, never a measurement.

    ``similarity`` is that of its run to this one: of brief, hardware space and workload.
    """

    key: str
    run: str
    network: Point
    similarity: float


@dataclass(frozen=True)
class PastRun:
    """What a past run measured on its validation split: prior data, never measurements here.

    ``networks`` lie in the present space, each with its accuracy (0 to 1), the most
    accurate first; the data and the weights behind them may have been others.
    """

    run: str
    similarity: float
    networks: tuple[tuple[Point, float], ...]

    def in_space(self, problem: Problem) -> PastNetworks:
        """Its networks as indices of the present space."""
        points = [point for point, _ in self.networks]
        accuracies = np.array([accuracy for _, accuracy in self.networks])
        return PastNetworks(self.run, problem.network_space.encode(points), accuracies)

    def to_plain(self) -> dict[str, Any]:
        """As a JSON table; choices are named once, for all networks."""
        choices = list(self.networks[0][0]) if self.networks else []
        networks = [[[point[name] for name in choices], a] for point, a in self.networks]
        return {
            "run": self.run,
            "similarity": self.similarity,
            "choices": choices,
            "networks": networks,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PastRun:
        """What :meth:`to_plain` gave."""
        networks = (
            (dict(zip(plain["choices"], values, strict=True)), accuracy)
            for values, accuracy in plain["networks"]
        )
        return cls(plain["run"], plain["similarity"], tuple(networks))


@dataclass(frozen=True)
class Recollection:
    """Designs of past runs and what those measured, most similar first, and their lessons."""

    designs: tuple[RecalledDesign, ...] = ()
    lessons: tuple[str, ...] = ()
    past: tuple[PastRun, ...] = ()

    def to_plain(self) -> list[Any]:
        """As a JSON list, for the archive."""
        return [
            [asdict(design) for design in self.designs],
            list(self.lessons),
            [past.to_plain() for past in self.past],
        ]

    @classmethod
    def from_plain(cls, plain: Sequence[Any]) -> Recollection:
        """What :meth:`to_plain` gave; older archives hold designs and lessons alone."""
        designs, lessons, *newer = plain
        past = newer[0] if newer else []
        return cls(
            tuple(RecalledDesign(**row) for row in designs),
            tuple(lessons),
            tuple(PastRun.from_plain(row) for row in past),
        )


def recollect(
    memory: DesignMemory,
    registry: Registry,
    run: str,
    brief: Brief,
    problem: Problem,
    facts: Mapping[str, Value],
) -> tuple[Recollection, tuple[str, ...]]:
    """What ``run`` recalls, and why some past runs could not be read.

    ``facts`` hold for this run: lessons that they contradict are left out.
    """
    query = Query(brief=brief, workload=middle_workload(problem))
    found = memory.recall_runs(query, RUNS_ASKED, exclude_run=run)
    lessons = recall_lessons(registry, facts, RECALLED_LESSONS, exclude_run=run)
    skipped = [*found.skipped, *lessons.skipped]
    recollection = Recollection(
        _designs(found.runs, problem),
        tuple(lesson.text for lesson in lessons.lessons),
        _past_runs(found.runs, registry, problem, skipped),
    )
    return recollection, tuple(dict.fromkeys(skipped))


def middle_workload(problem: Problem) -> Workload:
    """The workload of the network in the middle of the space: it stands for all of them."""
    middle = np.array(problem.network_space.shape) // 2
    return problem.costing.workloads(middle[None])[0]


def _designs(runs: Sequence[RecalledRun], problem: Problem) -> tuple[RecalledDesign, ...]:
    """The networks of the runs' fronts that lie in the present space, each once."""
    networks: dict[str, RecalledDesign] = {}
    for past in runs:
        for recalled in past.front:
            design = recalled.design
            if fits(problem.network_space, design.network):
                idea = RecalledDesign(design.key, past.run, design.network, past.similarity)
                networks.setdefault(design.network_key, idea)
    return tuple(networks.values())[:RECALLED_NETWORKS]


def _past_runs(
    runs: Sequence[RecalledRun], registry: Registry, problem: Problem, skipped: list[str]
) -> tuple[PastRun, ...]:
    """The first :data:`PAST_RUNS` runs that measured networks of the present space."""
    entries = {entry.run: entry for entry in registry.list()}
    found: list[PastRun] = []
    for past in runs:
        if len(found) == PAST_RUNS or past.run not in entries:
            continue
        read = partial(
            measured_networks,
            run=past.run,
            space=problem.network_space,
            fidelity=ACCURACY_FIDELITY,
        )
        if networks := read_past(entries[past.run], read, skipped):
            found.append(PastRun(past.run, past.similarity, networks))
    return tuple(found)
