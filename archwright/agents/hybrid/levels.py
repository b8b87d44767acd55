"""Cost levels: a network space by complexity, so that every part of it gets its designs.

Models repeat themselves in a small region; a partition by complexity spreads what they
propose (PEL-NAS, arXiv 2510.01472).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archwright.agents.catalogue import Catalogue
from archwright.agents.problem import History, Problem
from archwright.agents.strategies.spread import draw_scaled
from archwright.front import Floats

NAMES = ("tiny", "small", "medium", "large", "huge")
DRAWS = 512
SEED = 11
"""Levels are a function of the problem alone: its own draws, always the same."""


@dataclass(frozen=True)
class Levels:
    """Even steps of log10(multiply-accumulates), cheapest first; ``edges`` is one longer."""

    names: tuple[str, ...]
    edges: Floats

    def of(self, complexity: Floats) -> npt.NDArray[np.int64]:
        """The level of each network, shape (networks,), from its log10(MACs)."""
        inner = self.edges[1:-1]
        return np.asarray(np.searchsorted(inner, complexity, side="right"), np.int64)

    def in_words(self, level: int) -> str:
        """A level's name and bounds."""
        low, high = 10.0 ** self.edges[level], 10.0 ** self.edges[level + 1]
        return f"{self.names[level]}: {low:.3g} to {high:.3g} multiply-accumulates"


def levels_of(problem: Problem, catalogue: Catalogue) -> Levels:
    """The levels of a problem: one, where nothing is known of its networks' sizes."""
    space = problem.network_space
    if catalogue.enumerable:
        rows = catalogue.networks
    else:
        rows = draw_scaled(space, np.random.default_rng((SEED, DRAWS)), DRAWS)
    complexity = catalogue.complexity(rows)
    low, high = float(complexity.min()), float(complexity.max())
    if high - low < 1e-9:
        return Levels(("all",), np.array([low, high]))
    return Levels(NAMES, np.linspace(low, high, len(NAMES) + 1))


@dataclass(frozen=True)
class LevelState:
    """What is known of one level: networks measured, and the best accuracy among them."""

    measured: int
    best: float | None


def states_of(levels: Levels, catalogue: Catalogue, history: History) -> list[LevelState]:
    """How each level stands."""
    evaluated = history.evaluated
    rows = np.stack([e.row for e in evaluated]) if evaluated else None
    which = np.zeros(0, np.int64) if rows is None else levels.of(catalogue.complexity(rows))
    states = []
    for level in range(len(levels.names)):
        here = [e for e, at in zip(evaluated, which, strict=True) if at == level]
        known = [e.measured["accuracy"] for e in here if "accuracy" in e.measured]
        states.append(LevelState(len(here), max(known, default=None)))
    return states


def thin(states: list[LevelState]) -> list[int]:
    """The levels with the fewest measured networks: at most half of all, thinnest first."""
    order = sorted(range(len(states)), key=lambda level: (states[level].measured, level))
    return order[: max(1, len(states) // 2)]
