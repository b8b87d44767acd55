"""Cycles: the array's own, waits for memory ports, the first load and the last store.

After Mei et al., "A Uniform Latency Model for DNN Accelerators with Diverse Architectures and
Dataflows", DATE 2022: each move has a window in every period in which it may take place (all of
it if the memory has room for two tiles); moves that share a port share the port's time. Ports work
side by side: the slowest one sets the stall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archwright.evaluators.hardware.hierarchy.accelerator import Accelerator, Direction, Port
from archwright.evaluators.hardware.hierarchy.nest import OPERANDS, Array, Nest, Operand
from archwright.evaluators.hardware.hierarchy.spatial import Unrolling
from archwright.evaluators.hardware.hierarchy.temporal import Schedule
from archwright.evaluators.hardware.hierarchy.traffic import Footprint, Move, moves


@dataclass(frozen=True)
class Cycles:
    """``ideal`` cycles of the array, and what comes on top; one entry per loop order."""

    ideal: Array
    stall: Array
    loading: Array
    storing: Array
    drain: int

    @property
    def total(self) -> Array:
        """All of them."""
        return self.ideal + self.stall + self.loading + self.storing + self.drain


@dataclass(frozen=True)
class _Transfer:
    """A move with the cycles that it takes and the window that it has, each period."""

    move: Move
    takes: Array
    window: Array

    @property
    def repeats(self) -> Array:
        """Periods after the first; 0 where nothing moves."""
        repeats: Array = np.maximum(0, self.move.times - 1)
        return repeats


def cycles(
    nest: Nest,
    accelerator: Accelerator,
    unrolling: Unrolling,
    schedule: Schedule,
    average: dict[Operand, Footprint],
    whole: dict[Operand, Footprint],
) -> Cycles:
    """The cycles of each order. ``average`` tiles decide what fits twice, ``whole`` ones how long
    their moves take.
    """
    buffered = _buffered(nest, accelerator, schedule, average)
    windows = {operand: _top_repeats(nest, schedule, operand) for operand in OPERANDS}
    transfers = []
    for move in moves(nest, accelerator, unrolling, whole):
        side = move.level if move.direction in ("fl", "tl") else move.level + 1
        free = buffered[move.operand][side]
        window = np.where(free, move.period, move.period // windows[move.operand][side])
        takes = np.ceil(move.elements * move.bits / move.port.bandwidth_max)
        transfers.append(_Transfer(move, np.where(move.times > 0, takes, 0), window))
    by_port: dict[tuple[int, str], list[_Transfer]] = {}
    for transfer in transfers:
        by_port.setdefault((transfer.move.memory, transfer.move.port.name), []).append(transfer)
    ideal = schedule.orders.iterations[:, -1]
    stall = np.zeros(len(ideal))
    for sharing in by_port.values():
        stall = np.maximum(stall, _port_stall(sharing))
    first_bits = {
        operand: tiles.elements[1] * np.where(tiles.unfinished[1], nest.partial_bits, nest.bits)
        for operand, tiles in whole.items()
    }
    times = {}
    for sharing in by_port.values():
        at_edges = _edge_cycles(sharing, first_bits, ideal + stall)
        for transfer, taken in zip(sharing, at_edges, strict=True):
            move = transfer.move
            times[move.operand, move.level, move.direction] = (taken, move.port)
    depth = {operand: len(tiles.memories) for operand, tiles in average.items()}
    return Cycles(
        ideal=ideal,
        stall=stall,
        loading=_loading(times, depth),
        storing=sum(
            (
                np.maximum(times["O", level, "th"][0], times["O", level + 1, "fl"][0])
                for level in range(depth["O"] - 1)
            ),
            start=np.zeros(len(ideal)),
        ),
        drain=sum(max(0, unrolling.units.get(d, 1) - 1) for d in accelerator.systolic),
    )


def _run_at_top(wanted: Array, levels: list[Array], steps: Array) -> list[Array]:
    """Per level the steps of the outermost loops that it keeps, as long as they are ``wanted``."""
    rows, count = wanted.shape
    runs = []
    below = np.zeros(rows, dtype=np.intp)
    for number in levels:
        product = np.ones(rows, dtype=np.int64)
        unbroken = np.ones(rows, dtype=bool)
        for i in range(count - 1, -1, -1):
            inside = (below <= i) & (i < number)
            unbroken &= ~inside | wanted[:, i]
            product *= np.where(inside & unbroken, steps[:, i], 1)
        runs.append(product)
        below = number
    return runs


def _top_repeats(nest: Nest, schedule: Schedule, operand: Operand) -> list[Array]:
    """Per tile (entry 0: a multiplier's) in how many parts its period is cut while nothing moves.

    While the outermost loops of a memory repeat the same elements, those may not be replaced.
    """
    orders = schedule.orders
    repeating = orders.are_in(nest.repeats(operand))
    runs = _run_at_top(repeating, schedule.kept[operand], orders.steps)
    return [np.ones(len(orders.steps), dtype=np.int64), *runs]


def _buffered(
    nest: Nest, accelerator: Accelerator, schedule: Schedule, average: dict[Operand, Footprint]
) -> dict[Operand, list[Array]]:
    """Per tile whether the next one may arrive at any time: the memory has room for both.

    Only what is in use at once counts (a tile over its outermost relevant loops). Operands that
    share a memory take its free room in turn. Multipliers have no such room.
    """
    orders = schedule.orders
    used: dict[tuple[Operand, int], Array] = {}
    for operand, tiles in average.items():
        relevant = orders.are_in(frozenset(nest.tensors[operand].dims))
        parts = _run_at_top(relevant, schedule.kept[operand], orders.steps)
        for level, index in enumerate(tiles.memories):
            side = level + 1
            bits = np.where(tiles.unfinished[side], nest.partial_bits, nest.bits)
            held = tiles.elements[side] * bits
            used[operand, index] = held // parts[level] / accelerator.memories[index].size
    full: dict[int, Array] = {}
    for (_, index), share in used.items():
        full[index] = full.get(index, 0) + share
    buffered = {}
    for operand, tiles in average.items():
        flags = [np.zeros(len(orders.steps), dtype=bool)]
        for index in tiles.memories:
            plenty = full[index] <= 0.5
            room = ~plenty & (used[operand, index] <= 1 - full[index])
            full[index] = full[index] + np.where(room, used[operand, index], 0)
            flags.append(plenty | room)
        buffered[operand] = flags
    return buffered


def _port_stall(sharing: list[_Transfer]) -> Array:
    """Cycles that the array waits for one port (negative: the port's slack)."""
    active = np.array([transfer.move.times > 0 for transfer in sharing])
    repeats = np.array([transfer.repeats for transfer in sharing])
    windows = np.array([transfer.window for transfer in sharing])
    late = np.array([transfer.takes for transfer in sharing]) - windows
    late = np.where(active, late * repeats, 0)
    wanted = np.where(active, windows * repeats, 0)
    waits = np.maximum(late, 0).sum(axis=0)
    slack = np.minimum(late, 0).sum(axis=0)
    together = waits + np.maximum(0, slack + wanted.sum(axis=0) - _busy(sharing, active))
    return np.where(active.sum(axis=0) > 1, together, late.sum(axis=0))


def _busy(sharing: list[_Transfer], active: Array) -> Array:
    """Cycles of the layer in which any transfer of a port has its window.

    Windows lie at the start of each period, and each period is a multiple of the shorter ones:
    going from the shortest period to the longest, the last window hides what it overlaps.
    """
    periods = np.where(active, [transfer.move.period for transfer in sharing], 1)
    windows = np.where(active, [transfer.window for transfer in sharing], 0)
    order = np.argsort(periods, axis=0, kind="stable")
    periods = np.take_along_axis(periods, order, axis=0).astype(np.int64)
    windows = np.take_along_axis(windows, order, axis=0).astype(np.int64)
    busy: list[Array] = []  # in one period of each
    hidden: list[Array] = []  # by its window, of what came before

    def until(k: int, cycle: Array) -> Array:
        """Busy cycles of the first k transfers before a cycle."""
        if k == 0:
            return np.zeros_like(cycle)
        rounds, rest = np.divmod(cycle, periods[k - 1])
        beyond = windows[k - 1] - hidden[k - 1] + until(k - 1, rest)
        partly: Array = np.where(rest <= windows[k - 1], rest, beyond)
        return rounds * busy[k - 1] + partly

    for k in range(len(periods)):
        hidden.append(until(k, windows[k]))
        busy.append(windows[k] - hidden[k] + until(k, periods[k]))
    total = np.max([transfer.move.times * transfer.move.period for transfer in sharing], axis=0)
    all_busy: Array = busy[-1] * (total // periods[-1])
    return all_busy


def _edge_cycles(
    sharing: list[_Transfer], first_bits: dict[Operand, Array], computing: Array
) -> list[Array]:
    """Cycles of each transfer of a port before or after the array's work.

    What moves only once may use the port's spare time while the array works, down to the
    innermost tile, which is needed first; the longest goes first. Partial sums that come back do
    not count at the edges.
    """
    port = sharing[0].move.port
    asked = np.zeros(len(computing))
    for transfer in sharing:
        move = transfer.move
        if move.operand != "O" or move.direction in ("fl", "th"):
            rate = np.ceil(np.floor(move.elements * move.bits / move.period))
            asked += np.where(move.times > 1, rate, 0)
    spare = np.maximum(0, (port.bandwidth_max - asked) / port.bandwidth_max * computing)
    taken = np.array([transfer.takes for transfer in sharing], dtype=float)
    edges = np.array(
        [t.move.operand != "O" or t.move.direction in ("fl", "th") for t in sharing], dtype=bool
    )
    once = np.array([transfer.move.times == 1 for transfer in sharing]) & edges[:, None]
    least = np.array([np.ceil(first_bits[t.move.operand] / port.bandwidth_max) for t in sharing])
    order = np.argsort(-np.where(once, taken, -1), axis=0, kind="stable")
    columns = np.arange(taken.shape[1])
    for rank in range(len(sharing)):
        row = order[rank]
        saved = np.maximum(0, taken[row, columns] - least[row, columns])
        saved = np.where(once[row, columns], np.minimum(saved, spare), 0)
        taken[row, columns] -= saved
        spare = spare - saved
    return list(taken)


def _loading(
    times: dict[tuple[Operand, int, Direction], tuple[Array, Port]], depth: dict[Operand, int]
) -> Array:
    """Cycles until both inputs' first tiles are in place.

    A link between two memories takes as long as its slower end. Where both ends serve both
    inputs these take turns, elsewhere they load side by side; the better turn is taken.
    """
    inputs: tuple[Operand, Operand] = ("I", "W")
    shared, own = ({op: np.zeros(1) for op in inputs} for _ in range(2))
    for operand in inputs:
        for level in range(depth[operand] - 1):
            into, into_port = times[operand, level, "fh"]
            out_of, out_port = times[operand, level + 1, "tl"]
            both = into_port.feeds_both_inputs and out_port.feeds_both_inputs
            part = shared if both else own
            part[operand] = part[operand] + np.maximum(into, out_of)
    first, second = inputs
    loading: Array = np.minimum(
        shared[first] + np.maximum(shared[second] + own[second], own[first]),
        shared[second] + np.maximum(shared[first] + own[first], own[second]),
    )
    return loading
