"""The phases of a search: what the proposer is to do, and how near to the front."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archwright.agents import strategies
from archwright.brief import Brief


@dataclass(frozen=True)
class Phase:
    """What the proposer is to do: which strategy, and how far to trust uncertainty."""

    name: str
    strategy: str
    exploration: float
    meaning: str


OPENING = Phase("opening", "spread", 1.0, "cover every order of magnitude of complexity")
EXPLORE = Phase("explore", "surrogate", 1.0, "credit uncertain networks with what they may be")
REFINE = Phase("refine", "surrogate", 0.3, "improve what is known to be good")
WIDEN = Phase("widen", "random", 1.0, "look over the whole space with another strategy")

OTHERS = ("evolution", "surrogate", "random")
"""What widens a search, in order of preference: the first that there is and that is not
the brief's own. Evolution learns no model, so it does not share a surrogate's mistakes."""

OPEN_THEMSELVES = ("surrogate", "hybrid")
"""Strategies whose own opening covers the complexities, with what structure and past runs say."""

WHOLE_SPACE = 0
"""The focus of a round that may propose any network."""


def search_strategies() -> tuple[str, ...]:
    """The strategies that a brief may name: the opening's covers a space and learns nothing."""
    return tuple(name for name in strategies.STRATEGIES if name != "spread")


def phases_of(brief: Brief) -> dict[str, Phase]:
    """The phases by name, with the brief's strategy and the one that widens it."""
    own = brief.search.strategy
    known = search_strategies()
    other = next((name for name in OTHERS if name in known and name != own), own)
    opening = own if own in OPEN_THEMSELVES else OPENING.strategy
    chosen = (
        replace(OPENING, strategy=opening),
        replace(EXPLORE, strategy=own),
        replace(REFINE, strategy=own),
        replace(WIDEN, strategy=other),
    )
    return {phase.name: phase for phase in chosen}


def narrow_focus(choices: int) -> int:
    """In how many of a network's ``choices`` a narrow round may differ from the front.

    A quarter, at least one: of 14 choices 3, where a surrogate's own variants change 1.
    The whole space where that would leave no choice out.
    """
    most = max(1, choices // 4)
    return most if most < choices else WHOLE_SPACE
