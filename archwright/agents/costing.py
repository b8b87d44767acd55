"""Free costs: what the analytical model says of networks on hardware, without any budget.

Every evaluated network can be put on every hardware. Where the hardware space has
more points than ``exhaustive``, a seeded sample of that size stands for it and the
neighbours of the sample's best are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from archwright.evaluators.hardware import AnalyticalModel
from archwright.front import Floats
from archwright.measurement import COSTS
from archwright.space import Choice, Indices, Point, Space, Value, neighbours, point_hash
from archwright.workload import Workload

EXHAUSTIVE = 65_536
"""Hardware spaces up to this size are paired whole: about 0.1 s a network."""

Costs = Mapping[str, Floats]
Columns = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Costing:
    """The analytical costs of any network of one space on any hardware of another.

    Hardware spaces of up to ``exhaustive`` points are paired whole. ``parameters_of`` turns
    the hardware space's columns into the analytical model's, where they are others.
    """

    network_space: Space
    hardware_space: Space
    workload_of: Callable[[Point], Workload]
    seed: int = 0
    exhaustive: int = EXHAUSTIVE
    parameters_of: Callable[[Columns], Columns] | None = None

    @cached_property
    def _model(self) -> AnalyticalModel:
        return AnalyticalModel()

    @cached_property
    def hardware(self) -> Indices:
        """The hardware that networks are paired with: the space, or a seeded sample of it."""
        if self.hardware_space.size <= self.exhaustive:
            return self.hardware_space.enumerate()
        rng = np.random.default_rng((self.seed, self.hardware_space.size % 2**31))
        return np.unique(self.hardware_space.sample(rng, self.exhaustive), axis=0)

    @cached_property
    def _cached_workload(self) -> Callable[[tuple[tuple[str, Value], ...]], Workload]:
        @lru_cache(maxsize=20_000)
        def workload(items: tuple[tuple[str, Value], ...]) -> Workload:
            return self.workload_of(dict(items))

        return workload

    def workloads(self, networks: Indices) -> list[Workload]:
        """The workloads of networks, given as indices of shape (networks, choices)."""
        return [
            self._cached_workload(tuple(point.items()))
            for point in self.network_space.decode(networks)
        ]

    def zip(self, networks: Indices, hardware: Indices) -> Costs:
        """Every cost of each pair; both of shape (pairs, choices), each cost (pairs,)."""
        if len(networks) == 0:
            return {metric: np.zeros(0) for metric in COSTS}
        return self._evaluate(networks, hardware, "zip")

    def cross(self, networks: Indices, hardware: Indices, metrics: Sequence[str] = COSTS) -> Costs:
        """Costs of every network on every hardware: each of shape (networks, hardware).

        The fewer ``metrics`` are asked for, the quicker.
        """
        return self._evaluate(networks, hardware, "cross", metrics)

    def sizes(self, networks: Indices) -> Floats:
        """log10 of multiply-accumulates and of parameters, shape (networks, 2)."""
        sizes = [(max(w.macs, 1), max(w.parameters, 1)) for w in self.workloads(networks)]
        return np.log10(np.array(sizes, np.float64).reshape(-1, 2))

    def everywhere(self, network: Indices) -> tuple[Indices, Costs]:
        """One network, shape (choices,), on all of :attr:`hardware`, and what each costs."""
        costs = self.cross(network[None, :], self.hardware)
        return self.hardware, {metric: values[0] for metric, values in costs.items()}

    def around(self, network: Indices, hardware: Indices) -> tuple[Indices, Costs]:
        """One network on ``hardware`` and on all that differ from one of it in one step.

        Nothing new where the whole space is paired already.
        """
        if self.hardware_space.size <= self.exhaustive or len(hardware) == 0:
            return hardware, self.zip(np.repeat(network[None, :], len(hardware), 0), hardware)
        both = np.unique(
            np.concatenate([hardware, neighbours(self.hardware_space, hardware)]), axis=0
        )
        costs = self.cross(network[None, :], both)
        return both, {metric: values[0] for metric, values in costs.items()}

    def why_not(self, network: Indices, hardware: Point) -> str | None:
        """Why ``hardware`` cannot run one network, shape (choices,); None if it can."""
        workload = self.workloads(network[None, :])[0]
        return self._model.infeasible(workload, self.parameters(hardware))

    def parameters(self, hardware: Point) -> Point:
        """A hardware as the analytical model takes it."""
        if self.parameters_of is None:
            return hardware
        columns = self.parameters_of({name: np.array([v]) for name, v in hardware.items()})
        return {name: np.asarray(values)[0].item() for name, values in columns.items()}

    def _evaluate(
        self,
        networks: Indices,
        hardware: Indices,
        pairing: Literal["cross", "zip"],
        metrics: Sequence[str] = COSTS,
    ) -> Costs:
        columns: Columns = self.hardware_space.columns(hardware)
        if self.parameters_of is not None:
            columns = self.parameters_of(columns)
        workloads = self.workloads(networks)
        result = self._model.evaluate(workloads, columns, pairing=pairing, metrics=metrics)
        return {metric: np.asarray(result[metric], dtype=np.float64) for metric in metrics}

    @property
    def fingerprint(self) -> str:
        """A hash of both spaces, for contexts and caches."""
        return point_hash(
            *(
                {c.name: repr(c.values) for c in space.choices}
                for space in (self.network_space, self.hardware_space)
            )
        )


class NothingFree(Costing):
    """Where every metric is learned: one hardware, which stands for none and costs nothing."""

    def __init__(self, network_space: Space) -> None:
        anything = Choice("hardware", ("any",), "no hardware is chosen")
        super().__init__(network_space, Space("none", (anything,)), _no_workload)

    def sizes(self, networks: Indices) -> Floats:
        """Nothing is known of sizes: all alike."""
        return np.zeros((len(networks), 2))

    def _evaluate(
        self,
        networks: Indices,
        hardware: Indices,
        pairing: Literal["cross", "zip"],
        metrics: Sequence[str] = COSTS,
    ) -> Costs:
        cross = pairing == "cross"
        return {"nothing": np.zeros((len(networks), len(hardware)) if cross else len(networks))}


def _no_workload(network: Point) -> Workload:
    raise NotImplementedError("a problem in which every metric is learned has no workloads")
