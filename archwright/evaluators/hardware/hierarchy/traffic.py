"""What moves through each memory, how much at a time and how often; what that costs in energy.

After Mei et al., "ZigZag", IEEE Transactions on Computers 2021. A memory's content is refreshed
once a period: the cycles of the loops that it and those below it keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from archwright.evaluators.hardware.hierarchy.accelerator import Accelerator, Direction, Port
from archwright.evaluators.hardware.hierarchy.nest import OPERANDS, Array, Nest, Operand
from archwright.evaluators.hardware.hierarchy.spatial import Factors, Unrolling, levels_of
from archwright.evaluators.hardware.hierarchy.temporal import Schedule, sizes_inside


@dataclass(frozen=True)
class Move:
    """One operand's way into or out of one memory; arrays have one entry per loop order.

    ``elements`` of ``bits`` each move ``times`` times, once in ``period`` cycles, through each of
    ``units`` copies of the memory. ``level`` counts the operand's memories from the inside.
    """

    operand: Operand
    level: int
    direction: Direction
    memory: int
    port: Port
    elements: Array
    bits: Array
    times: Array
    period: Array
    units: int

    @property
    def accesses(self) -> Array:
        """Accesses of ``bandwidth_max`` bits, in all; a part of one counts in steps of
        ``bandwidth_min`` bits."""
        smallest = self.port.bandwidth_min
        words = np.ceil(self.elements * self.bits / smallest - 1e-9)
        words = words * (smallest / self.port.bandwidth_max)
        return np.floor(words * self.times * self.units + 1e-9)


@dataclass(frozen=True)
class Footprint:
    """An operand's tiles, from the multipliers (entry 0) outwards over its memories.

    ``elements`` that one unit keeps, the ``cycles`` it keeps them for, whether what comes out at
    an entry is ``unfinished`` (outputs only), ``units`` side by side and, of what an entry gets
    from the next, how many times one unit's share moves in one go (``spread``).
    """

    memories: tuple[int, ...]
    elements: list[Array]
    cycles: list[Array]
    unfinished: list[Array]
    units: list[int]
    spread: list[int]


def footprints(
    nest: Nest, accelerator: Accelerator, unrolling: Unrolling, schedule: Schedule, factors: Factors
) -> dict[Operand, Footprint]:
    """Each operand's tiles, with ``factors`` unrolled (the average or the whole ones)."""
    return {
        operand: _footprint(nest, accelerator, unrolling, schedule, factors, operand)
        for operand in OPERANDS
    }


def moves(
    nest: Nest, accelerator: Accelerator, unrolling: Unrolling, prints: dict[Operand, Footprint]
) -> list[Move]:
    """Everything that moves. Nothing moves above an operand's outermost memory.

    Inputs and weights go in from above and out below. Outputs go in from below and, unfinished,
    out below again; and, unless at home, out above and, unfinished, in again.
    """
    result = []
    for operand, tiles in prints.items():
        last = len(tiles.memories) - 1
        for level, index in enumerate(tiles.memories):
            memory = accelerator.memories[index]
            for direction in _directions(operand, level == last):
                side = level if direction in ("fl", "tl") else level + 1
                unfinished = tiles.unfinished[side]
                spread = tiles.spread[level] if side == level else 1
                returns = (operand, direction) in (("O", "tl"), ("O", "fh"))
                times = tiles.cycles[-1] // tiles.cycles[side]
                result.append(
                    Move(
                        operand=operand,
                        level=level,
                        direction=direction,
                        memory=index,
                        port=memory.port_of[unrolling.links[operand], direction],
                        elements=tiles.elements[side] * spread,
                        bits=np.where(unfinished, nest.partial_bits, nest.bits),
                        times=np.where(unfinished, times, 0) if returns else times,
                        period=tiles.cycles[side],
                        units=tiles.units[level + 1],
                    )
                )
    return result


def energy_pj(accelerator: Accelerator, moved: list[Move]) -> list[Array]:
    """Energy of each move, pJ, per loop order."""
    result = []
    for move in moved:
        memory = accelerator.memories[move.memory]
        cost = memory.write_cost if move.direction in ("fh", "fl") else memory.read_cost
        result.append(move.accesses * cost)
    return result


def _directions(operand: Operand, outermost: bool) -> tuple[Direction, ...]:
    if operand == "O":
        return ("tl", "fl") if outermost else ("tl", "fl", "th", "fh")
    return ("tl",) if outermost else ("tl", "fh")


def _footprint(
    nest: Nest,
    accelerator: Accelerator,
    unrolling: Unrolling,
    schedule: Schedule,
    factors: Factors,
    operand: Operand,
) -> Footprint:
    link = unrolling.links[operand]
    levels = levels_of(factors, accelerator, link)
    orders, kept = schedule.orders, schedule.kept[operand]
    rows, count = orders.loops.shape
    tensor = nest.tensors[operand]
    first = np.zeros(rows, dtype=np.intp)
    elements = [np.ones(rows)]
    if operand == "O":
        cycles = [np.ones(rows, dtype=np.int64)]  # a multiplier's sum leaves it every cycle
    else:
        cycles = [_at(orders.iterations, _leading(nest, schedule, operand))]
    for level, number in enumerate(kept):
        inside = {loop: _at(steps, number) for loop, steps in orders.inside.items()}
        tile = tensor.elements(sizes_inside(inside, levels[: level + 1]))
        elements.append(np.broadcast_to(np.rint(tile), (rows,)))
        cycles.append(_at(orders.iterations, number))
    reduces = orders.are_in(nest.repeats("O")) & (orders.steps > 1)
    unfinished: list[Array] = []
    for side, number in enumerate([first, *kept]):
        later = (reduces & (np.arange(count) >= number[:, None])).any(axis=1)
        above = any(
            factor > 1
            for level in levels[side + 1 :]
            for loop, factor in level.items()
            if loop in nest.repeats("O")
        )
        unfinished.append(np.logical_and(operand == "O", later | above))
    return Footprint(
        memories=accelerator.memories_of(link),
        elements=elements,
        cycles=cycles,
        unfinished=unfinished,
        units=[round(prod(_factor(level) for level in levels[i:])) for i in range(len(levels))],
        spread=[
            round(
                float(tensor.elements(sizes_inside({}, levels[: level + 1])))
                / float(tensor.elements(sizes_inside({}, levels[:level])))
            )
            for level in range(len(kept))
        ],
    )


def _at(table: Array, columns: Array) -> Array:
    taken: Array = table[np.arange(len(table)), columns]
    return taken


def _leading(nest: Nest, schedule: Schedule, operand: Operand) -> Array:
    """How many of the innermost loops ignore an operand."""
    repeating = schedule.orders.are_in(nest.repeats(operand))
    leading: Array = np.logical_and.accumulate(repeating, axis=1).sum(axis=1)
    return leading


def _factor(level: dict[str, float]) -> float:
    return prod(level.values())
