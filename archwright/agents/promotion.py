"""Which designs are promoted to dearer fidelities: rungs, who enters, who goes on.

Successive halving (Jamieson and Talwalkar, AISTATS 2016; one bracket of Hyperband, Li et
al., JMLR 18, 2018): every rung spends twice as many epochs on half as many designs. It
ends with two, so that the choice between the last ones is made on all that was paid for.
Everything here is a pure function of results in the order of the designs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archwright.agents.problem import Mask
from archwright.front import Floats, Score, shares_lost

FINALISTS = 2


@dataclass(frozen=True)
class Rung:
    """How many designs are trained, and the epochs of each period up to this rung's."""

    designs: int
    epochs: tuple[int, ...]


def rungs(designs: int, epochs: int) -> tuple[Rung, ...]:
    """The rungs for so many designs; ``epochs`` are those of the last rung's period.

    Each rung has half the designs of the one before, rounded up, and twice its epochs,
    down to one epoch. No designs, no rungs.
    """
    sizes = [designs] if designs else []
    while sizes and sizes[-1] > FINALISTS:
        sizes.append((sizes[-1] + 1) // 2)
    periods = [max(1, epochs >> (len(sizes) - 1 - k)) for k in range(len(sizes))]
    return tuple(Rung(size, tuple(periods[: k + 1])) for k, size in enumerate(sizes))


def entrants(losses: Floats, networks: Sequence[str], designs: int, score: Score) -> list[int]:
    """Positions of the designs that enter the first rung, each with a network of its own.

    ``losses`` of the front, shape (points, objectives); ``networks`` names each point's.
    A network enters on the hardware where it is the best compromise. The first is the
    best of these, every next the one that adds most hypervolume: so they are good and
    spread over the front.
    """
    distances = (shares_lost(losses, losses) ** 2).sum(axis=1) if len(losses) else np.zeros(0)
    nearest: dict[str, int] = {}
    for position in np.argsort(distances, kind="stable").tolist():
        nearest.setdefault(networks[position], position)
    waiting = list(nearest.values())
    entered = waiting[: min(1, designs)]
    waiting = waiting[1:]
    while waiting and len(entered) < designs:
        volumes = [score.hypervolume(losses[[*entered, k]]) for k in waiting]
        entered.append(waiting.pop(int(np.argmax(volumes))))
    return entered


def survivors(losses: Floats, within: Mask, designs: int, score: Score) -> list[int]:
    """Positions of the designs that go on, in order.

    ``losses`` of shape (designs, objectives), ``within`` says which designs are within the
    brief's bounds. Those that are not go first; then, again and again, the one whose
    going costs the least hypervolume (as in SMS-EMOA, Beume et al., EJOR 181, 2007), of
    several the one with the largest losses, then the last.
    """
    left = list(range(len(losses)))
    while len(left) > designs:
        outside = [k for k in left if not within[k]]
        candidates = outside or left
        # Rounded, so that those whose going costs nothing are equal.
        kept = {
            k: round(score.hypervolume(losses[[j for j in left if j != k]]), 12) for k in candidates
        }
        left.remove(max(candidates, key=lambda k: (kept[k], float(losses[k].sum()), k)))
    return left
