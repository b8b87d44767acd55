"""Loop orders in time, and which memory keeps which loops: all orders of a layer at once.

After Symons et al., "LOMA: Fast Auto-Scheduling on DNN Accelerators through Loop-Order-based
Memory Allocation", AICAS 2021: loops are cut into prime factors, few enough to try every order;
for each order the memories, from the inside out, take as many of the innermost loops as fit,
each operand its own number, so that the memory above is asked for least.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np

from archwright.evaluators.hardware.hierarchy.accelerator import Accelerator, Memory
from archwright.evaluators.hardware.hierarchy.nest import OPERANDS, Array, Nest, Operand
from archwright.evaluators.hardware.hierarchy.spatial import Unrolling, levels_of

FACTORS = 6
"""Most prime factors whose orders are tried (ZigZag's default); more are merged."""
BLOCK = 4096
"""Orders at a time, which bounds memory."""
_TIE = 1 + 1e-9


@dataclass(frozen=True)
class Orders:
    """Loop orders, one per row, from the innermost loop outwards.

    ``loops`` and ``steps`` (orders x loops) say which loop has how many steps; ``inside[loop]``
    (orders x loops + 1) is the loop's steps among the first i; ``iterations`` that of all loops.
    """

    names: tuple[str, ...]
    loops: Array
    steps: Array
    inside: dict[str, Array]
    iterations: Array

    def take(self, rows: Array) -> Orders:
        """Some of the orders."""
        inside = {name: steps[rows] for name, steps in self.inside.items()}
        return Orders(self.names, self.loops[rows], self.steps[rows], inside, self.iterations[rows])

    def are_in(self, names: frozenset[str]) -> Array:
        """Whether each loop of each order is one of ``names`` (orders x loops)."""
        return np.isin(self.loops, [i for i, name in enumerate(self.names) if name in names])


@dataclass(frozen=True)
class Schedule:
    """Orders with their loops shared out: operand -> for each of its memories, innermost first,
    how many of the innermost loops that memory and those below it keep (one number per order).
    """

    orders: Orders
    kept: dict[Operand, list[Array]]

    def take(self, rows: Array) -> Schedule:
        """Some of the orders."""
        kept = {operand: [k[rows] for k in levels] for operand, levels in self.kept.items()}
        return Schedule(self.orders.take(rows), kept)


def schedules(
    nest: Nest, unrolling: Unrolling, accelerator: Accelerator, most_factors: int
) -> Iterator[Schedule]:
    """Every loop order whose loops fit the memories, in blocks; none where nothing fits."""
    factors = prime_factors(unrolling.rounds(nest.sizes), most_factors)
    if not factors:  # all is unrolled: one step of any loop
        factors = [(next(iter(nest.sizes)), 1)]
    for orders in _orders(factors):
        yield from _share_out(nest, unrolling, accelerator, orders)


def prime_factors(rounds: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """(loop, factor): the prime factors of each loop, merged until at most ``most`` are left.

    The loop with most factors gives its two smallest. At least one is left per loop.
    """
    factors = {loop: _primes(size) for loop, size in rounds.items()}
    most = max(most, len(factors))
    while sum(map(len, factors.values())) > most:
        longest = max(factors.values(), key=len)
        longest[:2] = [longest[0] * longest[1]]
        longest.sort()
    return [(loop, factor) for loop, parts in factors.items() for factor in parts]


def _primes(number: int) -> list[int]:
    """Ascending."""
    primes = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            primes.append(divisor)
            number //= divisor
        divisor += 1
    return [*primes, number] if number > 1 else primes


def _orders(factors: list[tuple[str, int]]) -> Iterator[Orders]:
    """Every different order of the factors."""
    names = tuple(dict.fromkeys(loop for loop, _ in factors))
    groups = sorted(range(len(factors)), key=lambda i: factors[i])
    alike = tuple(factors[i] == factors[j] for i, j in zip(groups[1:], groups[:-1], strict=True))
    index = np.array([names.index(factors[i][0]) for i in groups])
    steps = np.array([factors[i][1] for i in groups], dtype=np.int64)
    everything = _permutations(alike)
    for start in range(0, len(everything), BLOCK):
        chosen = everything[start : start + BLOCK]
        loops, sizes = index[chosen], steps[chosen]
        inside = {
            name: _running_product(np.where(loops == i, sizes, 1)) for i, name in enumerate(names)
        }
        yield Orders(names, loops, sizes, inside, _running_product(sizes))


@lru_cache(maxsize=64)
def _permutations(alike: tuple[bool, ...]) -> Array:
    """Permutations (rows) of ``len(alike) + 1`` things; ``alike[i]``: i + 1 is the same as i.

    Of things that are the same, the first comes first, so that no order comes twice.
    """
    rows = np.array(list(permutations(range(len(alike) + 1))), dtype=np.intp)
    places = np.argsort(rows, axis=1)
    keep = np.ones(len(rows), dtype=bool)
    for i, same in enumerate(alike):
        if same:
            keep &= places[:, i] < places[:, i + 1]
    distinct: Array = rows[keep]
    return distinct


def _running_product(sizes: Array) -> Array:
    ones = np.ones((len(sizes), 1), dtype=np.int64)
    return np.concatenate([ones, np.cumprod(sizes, axis=1)], axis=1)


def _share_out(
    nest: Nest, unrolling: Unrolling, accelerator: Accelerator, orders: Orders
) -> Iterator[Schedule]:
    """The orders that fit, with their loops shared out over the memories from the inside out."""
    levels = {
        operand: levels_of(unrolling.average, accelerator, unrolling.links[operand])
        for operand in OPERANDS
    }
    count = orders.loops.shape[1]
    kept: dict[Operand, list[Array]] = {operand: [] for operand in OPERANDS}
    fits = np.ones(len(orders.loops), dtype=bool)
    for memory in accelerator.memories:
        holders = [op for op in OPERANDS if unrolling.links[op] in memory.operands]
        holders.sort(key=lambda op: memory.operands.index(unrolling.links[op]))
        if not holders:
            continue
        choices = [
            _choices(nest, memory, orders, operand, levels[operand], kept[operand])
            for operand in holders
        ]
        chosen, possible = _cheapest(choices, memory.size)
        fits &= possible
        for operand, number in zip(holders, chosen, strict=True):
            if len(kept[operand]) + 2 == len(levels[operand]):  # nothing above takes the rest
                fits &= number == count
            kept[operand].append(number)
    if fits.any():
        rows = np.flatnonzero(fits)
        yield _stationary(nest, Schedule(orders, kept).take(rows))


@dataclass(frozen=True)
class _Choices:
    """What keeping the first i loops (columns) takes in bits, and what the memory above is then
    asked for in bits; infinite where i is no choice."""

    bits: Array
    asked: Array


def _choices(
    nest: Nest,
    memory: Memory,
    orders: Orders,
    operand: Operand,
    levels: list[dict[str, float]],
    kept: list[Array],
) -> _Choices:
    level = len(kept)
    below = np.zeros(len(orders.loops), dtype=np.intp) if level == 0 else kept[-1]
    columns = np.arange(orders.loops.shape[1] + 1)
    elements = nest.tensors[operand].elements(sizes_inside(orders.inside, levels[: level + 1]))
    elements = np.broadcast_to(elements, orders.iterations.shape)
    bits = elements * _bits_kept(nest, orders, operand, levels[level + 1 :], below)[:, None]
    if memory.double_buffered:
        everything = bits[:, -1:]
        bits = np.where((columns < columns[-1]) & (bits < everything), 2 * bits, bits)
    # a loop that does not fit keeps those outside it out as well
    overflows = (bits > memory.size * _TIE) & (columns >= below[:, None])
    possible = (columns >= below[:, None]) & ~np.logical_or.accumulate(overflows, axis=1)
    if level + 2 == len(levels):  # the outermost memory keeps all that it can
        last = possible.shape[1] - 1 - np.argmax(possible[:, ::-1], axis=1)
        possible &= columns == last[:, None]
        asked = np.zeros_like(bits)
    else:
        asked = bits * (orders.iterations[:, -1:] / orders.iterations)
    return _Choices(np.where(possible, bits, np.inf), np.where(possible, asked, np.inf))


def sizes_inside(inside: Mapping[str, Array], levels: list[dict[str, float]]) -> dict[str, Array]:
    """Loop sizes among some loops in time together with what is unrolled in ``levels``."""
    sizes: dict[str, Array] = dict(inside)
    for level in levels:
        for loop, factor in level.items():
            sizes[loop] = sizes.get(loop, np.asarray(1.0)) * factor
    return sizes


def _bits_kept(
    nest: Nest, orders: Orders, operand: Operand, above: list[dict[str, float]], below: Array
) -> Array:
    """Bits of an element: of an output that is not finished below, those of a partial sum."""
    if operand != "O":
        return np.full(len(below), nest.bits)
    reductions = nest.repeats("O")
    if any(factor > 1 for level in above for loop, factor in level.items() if loop in reductions):
        return np.full(len(below), nest.partial_bits)
    outside = np.arange(orders.loops.shape[1]) >= below[:, None]
    unfinished = (orders.are_in(reductions) & outside).any(axis=1)
    return np.where(unfinished, nest.partial_bits, nest.bits)


def _cheapest(choices: list[_Choices], size: int) -> tuple[list[Array], Array]:
    """For each operand how many loops to keep, and whether an order fits at all.

    Of the combinations that fit together, the one that asks the memories above for least; of
    equals, the one that keeps most.
    """
    rows, columns = choices[0].bits.shape
    bits = asked = np.zeros((rows, 1))
    for choice in choices:
        bits = (bits[:, :, None] + choice.bits[:, None, :]).reshape(rows, -1)
        asked = (asked[:, :, None] + choice.asked[:, None, :]).reshape(rows, -1)
    asked = np.where(bits <= size * _TIE, asked, np.inf)
    least = asked.min(axis=1, keepdims=True)
    best = asked.shape[1] - 1 - np.argmax((asked <= least * _TIE)[:, ::-1], axis=1)
    chosen = np.unravel_index(best, (columns,) * len(choices))
    return [np.asarray(number) for number in chosen], np.isfinite(least[:, 0])


def _stationary(nest: Nest, schedule: Schedule) -> Schedule:
    """The schedule with loops that only repeat an operand's elements moved below the memory.

    The innermost loops that a memory keeps refill nothing below it if they ignore the operand:
    what lies below stays where it is while they run.
    """
    orders = schedule.orders
    rows, count = orders.loops.shape
    kept: dict[Operand, list[Array]] = {}
    for operand, levels in schedule.kept.items():
        repeating = orders.are_in(nest.repeats(operand))
        after = np.full((rows, count + 1), count, dtype=np.intp)
        for i in range(count - 1, -1, -1):
            after[:, i] = np.where(repeating[:, i], after[:, i + 1], i)
        kept[operand] = [np.take_along_axis(after, k[:, None], axis=1)[:, 0] for k in levels]
    return Schedule(orders, kept)
