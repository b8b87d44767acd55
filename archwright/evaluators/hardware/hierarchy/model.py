"""The entry point: layers on an accelerator that is described by its memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware.hierarchy.accelerator import Accelerator
from archwright.evaluators.hardware.hierarchy.latency import Cycles, cycles
from archwright.evaluators.hardware.hierarchy.mapping import Mapping
from archwright.evaluators.hardware.hierarchy.nest import Array, Nest, Operand, nest_of
from archwright.evaluators.hardware.hierarchy.spatial import Unrolling, unrollings
from archwright.evaluators.hardware.hierarchy.temporal import FACTORS, Schedule, schedules
from archwright.evaluators.hardware.hierarchy.traffic import energy_pj, footprints, moves
from archwright.workload import Layer, Workload

Objective = Literal["energy", "latency", "edp"]
OBJECTIVES: tuple[Objective, ...] = ("energy", "latency", "edp")
_TIE = 1 + 1e-12


@dataclass(frozen=True)
class LayerResult:
    """One layer with the best mapping that was found.

    Energies in pJ: ``mac_energy_pj``, and ``memory_energy_pj`` and ``accesses`` (of the memory's
    full width) by (memory, operand: I, W, O). Cycles: ``ideal_cycles`` of the array with this
    unrolling, then what comes on top. ``unrolled`` is (array dimension, loop, average factor);
    ``order`` the loops in time from the innermost, with the steps of each.
    """

    name: str
    macs: int
    mac_energy_pj: float
    memory_energy_pj: dict[tuple[str, Operand], float]
    accesses: dict[tuple[str, Operand], float]
    ideal_cycles: int
    stall_cycles: float
    loading_cycles: float
    storing_cycles: float
    drain_cycles: int
    unrolled: tuple[tuple[str, str, float], ...]
    order: tuple[tuple[str, int], ...]

    @property
    def energy_pj(self) -> float:
        """Multipliers and memories."""
        return self.mac_energy_pj + sum(self.memory_energy_pj.values())

    @property
    def cycles(self) -> float:
        """From the first load to the last store."""
        edges = self.loading_cycles + self.storing_cycles + self.drain_cycles
        return self.ideal_cycles + self.stall_cycles + edges


@dataclass(frozen=True)
class HierarchyModel:
    """Costs of layers on ``accelerator``, unrolled as ``mapping`` says, in the best loop order.

    ``objective``: what the order is chosen for. ``factors``: into at most how many factors a
    layer's loops are cut (more are slower and find better orders).
    """

    accelerator: Accelerator
    mapping: Mapping
    objective: Objective = "energy"
    factors: int = FACTORS

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UserError(f"objective = {self.objective!r}: allowed {', '.join(OBJECTIVES)}")
        if not 1 <= self.factors <= 9:
            raise UserError(f"factors = {self.factors}: allowed 1 to 9")

    def per_layer(self, workload: Workload) -> list[LayerResult]:
        """Every layer that does matrix work, in order; see :meth:`passed_over` for the others.

        Raises :class:`MeasurementFailed` naming a layer whose smallest tile some memory cannot
        hold, :class:`UserError` for a mapping that does not suit the accelerator.
        """
        return [
            self.layer(layer, workload.bits, workload.batch)
            for layer in workload.layers
            if layer.on_array
        ]

    @staticmethod
    def passed_over(workload: Workload) -> list[str]:
        """Names of the layers that are not matrix work, which this model knows nothing of."""
        return [layer.name for layer in workload.layers if not layer.on_array]

    def layer(self, layer: Layer, bits: int = 8, batch: int = 1) -> LayerResult:
        """One layer, for ``batch`` inputs."""
        nest = nest_of(layer, bits, batch)
        wish = self.mapping.of(layer.name, layer.kind)
        best: _Found | None = None
        for unrolling in unrollings(wish, nest, self.accelerator):
            for schedule in schedules(nest, unrolling, self.accelerator, self.factors):
                found = self._best(nest, unrolling, schedule)
                if best is None or found.rank < best.rank:
                    best = found
        if best is None:
            raise MeasurementFailed(
                f"layer {layer.name}: no loop order fits the memories of {self.accelerator.name}"
            )
        return self._result(nest, best)

    def _best(self, nest: Nest, unrolling: Unrolling, schedule: Schedule) -> _Found:
        """The best order; of equals the one that is better in the other respect."""
        energy = np.zeros(len(schedule.orders.steps))
        if self.objective != "latency":
            energy = self._energy(nest, unrolling, schedule)
        if self.objective == "energy":  # cycles are dearer to compute, and only break ties
            rows = np.flatnonzero(energy <= energy.min() * _TIE)
            schedule, energy = schedule.take(rows), energy[rows]
        spent = self._cycles(nest, unrolling, schedule)
        if self.objective == "latency":
            rows = np.flatnonzero(spent.total <= spent.total.min() * _TIE)
            schedule = schedule.take(rows)
            energy, total = self._energy(nest, unrolling, schedule), spent.total[rows]
            best = int(np.argmin(energy))
            rank = (float(total[best]), float(energy[best]))
        elif self.objective == "energy":
            best = int(np.argmin(spent.total))
            rank = (float(energy[best]), float(spent.total[best]))
        else:
            product = energy * spent.total
            best = int(np.argmin(product))
            rank = (float(product[best]), float(energy[best]))
        return _Found(rank, unrolling, schedule.take(np.array([best])))

    def _energy(self, nest: Nest, unrolling: Unrolling, schedule: Schedule) -> Array:
        tiles = footprints(nest, self.accelerator, unrolling, schedule, unrolling.average)
        moved = moves(nest, self.accelerator, unrolling, tiles)
        total = np.full(len(schedule.orders.steps), nest.macs * self.accelerator.mac_cost)
        for energy in energy_pj(self.accelerator, moved):
            total = total + energy
        return total

    def _cycles(self, nest: Nest, unrolling: Unrolling, schedule: Schedule) -> Cycles:
        average, whole = (
            footprints(nest, self.accelerator, unrolling, schedule, factors)
            for factors in (unrolling.average, unrolling.whole)
        )
        return cycles(nest, self.accelerator, unrolling, schedule, average, whole)

    def _result(self, nest: Nest, found: _Found) -> LayerResult:
        unrolling, schedule = found.unrolling, found.schedule
        tiles = footprints(nest, self.accelerator, unrolling, schedule, unrolling.average)
        moved = moves(nest, self.accelerator, unrolling, tiles)
        energies: dict[tuple[str, Operand], float] = {}
        accesses: dict[tuple[str, Operand], float] = {}
        for move, energy in zip(moved, energy_pj(self.accelerator, moved), strict=True):
            key = (self.accelerator.memories[move.memory].name, move.operand)
            energies[key] = energies.get(key, 0.0) + float(energy[0])
            accesses[key] = accesses.get(key, 0.0) + float(move.accesses[0])
        spent = self._cycles(nest, unrolling, schedule)
        orders = schedule.orders
        return LayerResult(
            name=nest.name,
            macs=nest.macs,
            mac_energy_pj=nest.macs * self.accelerator.mac_cost,
            memory_energy_pj=energies,
            accesses=accesses,
            ideal_cycles=int(spent.ideal[0]),
            stall_cycles=float(spent.stall[0]),
            loading_cycles=float(spent.loading[0]),
            storing_cycles=float(spent.storing[0]),
            drain_cycles=spent.drain,
            unrolled=tuple(
                (dimension, loop, float(factor))
                for dimension, loops in unrolling.average.items()
                for loop, factor in loops.items()
            ),
            order=tuple(
                (orders.names[loop], int(steps))
                for loop, steps in zip(orders.loops[0], orders.steps[0], strict=True)
            ),
        )


@dataclass(frozen=True)
class _Found:
    """A single order (a schedule of one row) and what it is compared by, less is better."""

    rank: tuple[float, float]
    unrolling: Unrolling
    schedule: Schedule
