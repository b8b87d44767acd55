"""Narrow rounds: only networks near the front, whatever strategy proposes them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from archwright.agents.frontier import Frontier, Pairings
from archwright.agents.phases import WHOLE_SPACE
from archwright.agents.problem import Mask, Problem, Suggestion
from archwright.agents.strategies import Strategy
from archwright.agents.strategies.common import balanced_hardware, network_keys, untried
from archwright.space import Indices

ASKED_FOR = 4
"""A strategy is asked for so many times the round, of which the near ones are kept."""

DRAWS = 256
"""Variants of the front that are drawn at a time where the strategy has too few near ones."""


def near(rows: Indices, front: Indices, most: int) -> Mask:
    """Which networks differ from one of ``front`` in at most ``most`` choices.

    Both have shape (networks, choices).
    """
    different = (rows[:, None, :] != front[None, :, :]).sum(axis=2)
    return np.asarray((different <= most).any(axis=1))


def narrowed(problem: Problem, frontier: Frontier, focus: int) -> Problem:
    """The problem of a round within ``focus`` choices of the front, for its strategy."""
    front = _front(frontier)
    if focus == WHOLE_SPACE or not front:
        return problem
    owners = np.stack(front)
    return replace(problem, admits=lambda rows: near(rows, owners, focus))


def _front(frontier: Frontier) -> list[Indices]:
    """The networks of the front, each once."""
    return list({p.evaluated.key: p.evaluated.row for p in frontier.points()}.values())


def focused(
    strategy: Strategy,
    n: int,
    focus: int,
    problem: Problem,
    pairings: Pairings,
    frontier: Frontier,
    tried: Collection[str],
    rng: np.random.Generator,
) -> list[Suggestion]:
    """Up to ``n`` of the strategy's proposals within ``focus`` choices of the front.

    Where it has too few of them, variants of the front are drawn; where the front has no
    more untried ones, the strategy's others follow. Each says in its reason which it is.
    The whole space where the focus is 0 or nothing is on the front.
    """
    front = _front(frontier)
    if n <= 0 or focus == WHOLE_SPACE or not front:
        return strategy.ask(n)
    owners = np.stack(front)
    asked = strategy.ask(ASKED_FOR * n)
    rows = np.array([s.network for s in asked], dtype=np.int64).reshape(-1, owners.shape[1])
    inside = near(rows, owners, focus)
    what = f"within {focus} choices of the front"
    kept = [_saying(s, what) for s, close in zip(asked, inside, strict=True) if close][:n]
    known = {*tried, *network_keys(problem.network_space, rows)}
    for row in _variants(problem, owners, focus, known, rng) if len(kept) < n else ():
        pairing = pairings.of(row)
        if len(pairing):
            hardware = balanced_hardware(problem, pairing)
            kept.append(Suggestion(row, hardware, f"drawn {what}"))
        if len(kept) == n:
            break
    far = [s for s, close in zip(asked, inside, strict=True) if not close]
    return kept + [_saying(s, f"nothing new {what}") for s in far[: n - len(kept)]]


def _saying(suggestion: Suggestion, what: str) -> Suggestion:
    return replace(suggestion, reason=f"{suggestion.reason}; {what}")


def _variants(
    problem: Problem, owners: Indices, focus: int, known: set[str], rng: np.random.Generator
) -> Iterator[Indices]:
    """Untried variants of the front's networks, each once; ends when hardly any are new."""
    space = problem.network_space
    seen = set(known)
    for _ in range(ASKED_FOR):
        rows = owners[rng.integers(len(owners), size=DRAWS)]
        # The smallest of each row's random numbers mark the choices that are drawn anew.
        order = rng.random(rows.shape).argsort(axis=1).argsort(axis=1)
        changed = order < rng.integers(1, focus + 1, size=DRAWS)[:, None]
        fresh = untried(space, np.where(changed, space.sample(rng, DRAWS), rows), seen)
        if len(fresh) == 0:
            return
        seen.update(network_keys(space, fresh))
        yield from fresh
