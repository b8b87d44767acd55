"""From what a mapping wants to what an array can do: loops unrolled across its dimensions.

Semantics after Mei et al., "ZigZag", IEEE Transactions on Computers 2021: factors are clipped to
the layer, to the array and to what the innermost memories can feed and hold. A loop that is no
multiple of its factor is spread evenly: 10 rows over 4 units take 3 rounds of 3.33 on average,
which counts for energy, and of 3 (the floor) where whole units count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor, prod

from archwright.errors import UserError
from archwright.evaluators.hardware.hierarchy.accelerator import Accelerator, MemoryOperand
from archwright.evaluators.hardware.hierarchy.mapping import Wish
from archwright.evaluators.hardware.hierarchy.nest import OPERANDS, Nest, Operand

Factors = dict[str, dict[str, float]]
"""Array dimension -> loop -> factor."""

CANDIDATES = 3
"""Unrollings tried where the mapping leaves array dimensions open (ZigZag's default)."""


@dataclass(frozen=True)
class Unrolling:
    """Loops across the array: ``average`` with fractions, ``whole`` rounded down, and the number
    of units in use along each dimension. ``links`` as in :class:`Wish`.
    """

    average: Factors
    whole: Factors
    units: dict[str, int]
    links: dict[Operand, MemoryOperand]

    def rounds(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """How often each loop is left to repeat in time, where more than once."""
        left = {}
        for loop, size in sizes.items():
            spread = prod(factors.get(loop, 1) for factors in self.average.values())
            repeats = ceil(size / spread - 1e-9)
            if repeats > 1:
                left[loop] = repeats
        return left


def levels_of(
    factors: Factors, accelerator: Accelerator, operand: MemoryOperand
) -> list[dict[str, float]]:
    """What is unrolled below each of an operand's memories, and above the last.

    A memory serves the dimensions it names, unless one below it already does; entry 0 lies
    between the multipliers and the innermost memory.
    """
    left = dict(factors)
    levels = []
    for index in accelerator.memories_of(operand):
        served = [d for d in accelerator.memories[index].served if d in left]
        levels.append(_merged([left.pop(dimension) for dimension in served]))
    levels.append(_merged(list(left.values())))
    return levels


def unrollings(wish: Wish, nest: Nest, accelerator: Accelerator) -> list[Unrolling]:
    """The unrollings that a mapping's entry allows: one, or a few where it leaves room.

    Raises :class:`UserError` for array dimensions that the accelerator does not have.
    """
    array = dict(accelerator.dimensions)
    for dimension, _ in (*wish.unrolled, *wish.hints):
        if dimension not in array:
            allowed = ", ".join(array)
            raise UserError(f"mapping for {nest.name}: {dimension}: allowed {allowed}")
    if set(wish.ordered) & set(nest.sizes):
        raise UserError(
            f"mapping for {nest.name}: temporal_ordering: not supported; leave it out, the order "
            "is searched"
        )
    links = dict(wish.links)
    most = _most(nest, accelerator, links)
    given = _clipped(wish, nest, array, most)
    chosen = [given] if len(given) == len(array) else _filled(given, wish, nest, array, most)
    return [
        _spread(_fitting(factors, nest, accelerator, links), nest, array, links)
        for factors in chosen
    ]


def _merged(parts: list[dict[str, float]]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for part in parts:
        for loop, factor in part.items():
            merged[loop] = merged.get(loop, 1) * factor
    return merged


def _bits(nest: Nest, operand: Operand) -> int:
    return nest.partial_bits if operand == "O" else nest.bits


def _most(
    nest: Nest, accelerator: Accelerator, links: dict[Operand, MemoryOperand]
) -> dict[str, dict[str, int]]:
    """The largest factor of each loop across each array dimension.

    Units that need different elements in the same cycle share the innermost memory's port.
    """
    most = {
        dimension: {loop: min(size, units) for loop, size in nest.sizes.items()}
        for dimension, units in accelerator.dimensions
    }
    for memory in accelerator.innermost:
        for operand in OPERANDS:
            port = memory.port_of.get((links[operand], "fl" if operand == "O" else "tl"))
            if port is None:
                continue
            elements = max(1, port.bandwidth_max // _bits(nest, operand))
            repeats = nest.repeats(operand)
            for dimension in memory.served:
                for loop in nest.sizes:
                    if loop not in repeats:
                        most[dimension][loop] = min(most[dimension][loop], elements)
    return most


def _clipped(
    wish: Wish, nest: Nest, array: Mapping[str, int], most: dict[str, dict[str, int]]
) -> Factors:
    """The wanted factors as far as layer and array allow; what does not fit goes, last first."""
    clipped: Factors = {}
    for dimension, factors in wish.unrolled:
        kept: dict[str, float] = {
            loop: min(factor, most[dimension][loop])
            for loop, factor in factors
            if loop in nest.sizes
        }
        while prod(kept.values()) > array[dimension]:
            kept.popitem()
        clipped[dimension] = kept
    for loop, size in nest.sizes.items():
        holders = [dimension for dimension, factors in clipped.items() if loop in factors]
        while prod(clipped[dimension][loop] for dimension in holders) > size:
            del clipped[holders.pop()][loop]
    return clipped


def _filled(
    given: Factors,
    wish: Wish,
    nest: Nest,
    array: Mapping[str, int],
    most: dict[str, dict[str, int]],
) -> list[Factors]:
    """The ``CANDIDATES`` that use most units, and of those the ones that mix most loops.

    Across each open dimension one loop is unrolled, by a divisor of its largest factor.
    """
    hints = {d: [loop for loop in loops if loop in nest.sizes] for d, loops in wish.hints}
    options = [
        [
            (factor, dimension, loop)
            for loop in (hints.get(dimension) or list(nest.sizes))
            for factor in _divisors(most[dimension][loop])
        ]
        for dimension in array
        if dimension not in given
    ]
    for choices in options:
        choices.sort(key=lambda choice: -choice[0])
    best: list[tuple[float, Factors]] = []

    def extend(factors: Factors, rest: list[list[tuple[int, str, str]]]) -> None:
        totals = _merged(list(factors.values()))
        if any(total > nest.sizes[loop] for loop, total in totals.items()):
            return
        used = prod(totals.values())
        # the score of what follows is at most twice the units it can still use
        reach = 2 * used * prod(choices[0][0] for choices in rest)
        if len(best) == CANDIDATES and reach <= best[-1][0]:
            return
        if not rest:
            best.append((used + used / max(totals.values(), default=1), factors))
            best.sort(key=lambda found: -found[0])
            del best[CANDIDATES:]
            return
        for factor, dimension, loop in rest[0]:
            extend(factors | {dimension: {loop: float(factor)}}, rest[1:])

    extend(given, options)
    return [factors for _, factors in best]


def _divisors(number: int) -> Iterator[int]:
    """Largest first."""
    return (n for n in range(number, 0, -1) if number % n == 0)


def _fitting(
    factors: Factors,
    nest: Nest,
    accelerator: Accelerator,
    links: dict[Operand, MemoryOperand],
) -> Factors:
    """Factors shrunk until an innermost memory holds one element for each unit it serves."""
    fitting = {dimension: dict(loops) for dimension, loops in factors.items()}
    for memory in accelerator.innermost:
        for operand in OPERANDS:
            if links[operand] not in memory.operands:
                continue
            repeats = nest.repeats(operand)
            places = [
                (dimension, loop)
                for dimension in memory.served
                for loop in fitting.get(dimension, {})
                if loop not in repeats
            ]
            room = memory.size / _bits(nest, operand)
            while prod(fitting[d][loop] for d, loop in places) > room:
                dimension, loop = max(places, key=lambda place: fitting[place[0]][place[1]])
                if fitting[dimension][loop] <= 1:
                    break
                fitting[dimension][loop] -= 1
    return fitting


def _spread(
    factors: Factors,
    nest: Nest,
    array: Mapping[str, int],
    links: dict[Operand, MemoryOperand],
) -> Unrolling:
    """Even tiles: the largest factor of each loop gives way, so that the rounds are whole."""
    widest = {
        loop: max(factors, key=lambda d: factors[d].get(loop, 0))
        for loop in nest.sizes
        if any(loop in loops for loops in factors.values())
    }
    average: Factors = {}
    whole: Factors = {}
    for result, rounded in ((average, False), (whole, True)):
        for dimension, loops in factors.items():
            result[dimension] = {}
            for loop, factor in loops.items():
                if widest[loop] == dimension:
                    before = prod(
                        earlier.get(loop, 1) for d, earlier in result.items() if d != dimension
                    )
                    rounds = ceil(nest.sizes[loop] / (factor * before) - 1e-9)
                    factor = nest.sizes[loop] / rounds / before
                    factor = floor(factor + 1e-9) if rounded else factor
                result[dimension][loop] = factor
    units = {d: ceil(prod(loops.values())) for d, loops in factors.items()}
    return Unrolling(average, whole, units, links)
