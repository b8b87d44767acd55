"""Models that are scripts: one that knows the table, and bad ones of every kind.

Each is a function from a chat-completions request to the content of an answer, as
tests/agents/chat_server.py serves it over HTTP.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from archwright.agents.frontier import Frontier, Pairings
from archwright.tabular.problem import TabularProblem

Script = Callable[[Mapping[str, Any], int], object]
BINS, BEST_OF_A_BIN = 64, 6


def role_of(request: Mapping[str, Any]) -> str:
    """The role that a request asks for."""
    found = re.search(r"Role: (\w+)", request["messages"][0]["content"])
    assert found is not None
    return found.group(1)


def said(request: Mapping[str, Any]) -> str:
    """What the model was told beside its instructions."""
    return "\n".join(message["content"] or "" for message in request["messages"][1:])


def opens(request: Mapping[str, Any]) -> bool:
    """Whether a proposer is asked for an opening."""
    return "Nothing is measured yet" in said(request)


def better_networks(tabular: TabularProblem, pairings: Pairings) -> list[dict[str, Any]]:
    """Networks of the table's front, cheapest first: what a model would know that knows all.

    The most accurate of each order of complexity compete for it.
    """
    rows, problem = tabular.networks, tabular.problem
    evaluated = tabular.evaluate(rows, 0)
    complexity = pairings.catalogue.complexity(rows)
    edges = np.quantile(complexity, np.linspace(0, 1, BINS + 1)[1:-1])
    where = np.searchsorted(edges, complexity)
    accuracies = np.array([network.accuracy for network in evaluated])
    kept = [
        evaluated[k]
        for own in (np.flatnonzero(where == which) for which in range(BINS))
        for k in own[np.argsort(-accuracies[own])[:BEST_OF_A_BIN]]
    ]
    frontier = Frontier(problem, pairings)
    frontier.add(kept)
    front = {point.evaluated.key: point.evaluated.row for point in frontier.points()}
    order = np.argsort(pairings.catalogue.complexity(np.stack(list(front.values()))))
    return problem.networks(np.stack(list(front.values()))[order])


class Knowing:
    """A proposer's model that names networks of the front, each once, over all complexities."""

    def __init__(self, networks: Sequence[Mapping[str, Any]], opening: bool) -> None:
        # Bit-reversed order: every beginning of the list covers the whole range.
        n = len(networks)
        order = sorted(range(n), key=lambda k: (k * 0.6180339887) % 1)
        self._left = [dict(networks[k]) for k in order]
        self._opening = opening

    def __call__(self, request: Mapping[str, Any], number: int) -> object:
        if role_of(request) != "proposer" or (opens(request) and not self._opening):
            return "I have nothing to say."
        if opens(request):
            taken, self._left = self._left[:8], self._left[8:]
            return {"designs": [opening_design("medium", network) for network in taken]}
        taken, self._left = self._left[:5], self._left[5:]
        return {"proposals": [replacement(0, network) for network in taken]}


def opening_design(level: str, network: Mapping[str, Any]) -> dict[str, Any]:
    """A design of an opening."""
    return {"level": level, "network": dict(network), "rationale": "it should do well there"}


def replacement(candidate: int, network: Mapping[str, Any]) -> dict[str, Any]:
    """A candidate with all its network's choices changed."""
    changes = [{"choice": name, "value": str(value)} for name, value in network.items()]
    return {"candidate": candidate, "changes": changes, "rationale": "it is better"}


class Noisy:
    """A proposer's model that is right half of the time: other words to every ask.

    What it says hangs on the request's own seed and words, so a committee's members differ.
    """

    def __init__(self, networks: Sequence[Mapping[str, Any]], seed: int) -> None:
        self._good, self._seed = [dict(network) for network in networks], seed

    def __call__(self, request: Mapping[str, Any], number: int) -> object:
        words = (str(request.get("seed")), str(self._seed), said(request))
        rng = np.random.default_rng(zlib.crc32("\n".join(words).encode()))
        named = [
            dict(pool[rng.integers(len(pool))])
            for pool in (self._good if right else CUT_OFF for right in rng.random(8) < 0.5)
        ]
        if opens(request):
            return {"designs": [opening_design("medium", network) for network in named]}
        return {"proposals": [replacement(0, network) for network in named[:4]]}


class Sensible:
    """A model that plays every role as it is meant, and knows no more than most.

    Its opening is ``opening``; then it takes the optimiser's next candidates as they are,
    plans what the rules would, and doubts nothing.
    """

    def __init__(self, opening: Mapping[str, Any]) -> None:
        self._opening = opening

    def __call__(self, request: Mapping[str, Any], number: int) -> object:
        text = said(request)
        if role_of(request) == "planner":
            plan = re.search(r"phase (explore|refine|widen) with (\d+) designs", text)
            assert plan is not None
            return {"phase": plan[1], "designs": int(plan[2]), "reason": "the rules are right"}
        if role_of(request) == "critic":
            return {"doubts": []}
        if opens(request):
            return self._opening
        last = re.search(r"0 to (\d+) are its batch", text)
        assert last is not None
        next_best = [int(last[1]) + k for k in (1, 2, 3)]
        return {
            "proposals": [
                {"candidate": k, "changes": [], "rationale": "it is next in the order"}
                for k in next_best
            ]
        }


EDGES = ("edge_0_1", "edge_0_2", "edge_1_2", "edge_0_3", "edge_1_3", "edge_2_3")
CUT_OFF = [
    dict(zip(EDGES, (a, b, c, "none", "none", "none"), strict=True))
    for a in ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect")
    for b in ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect")
    for c in ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect")
]
"""Cells whose output nothing reaches: the costliest first, each dominated by the empty one."""


def invalid(request: Mapping[str, Any], number: int) -> object:
    """Designs outside the space, and no candidates."""
    outside = dict.fromkeys(EDGES, "dilated_conv_9x9")
    if opens(request):
        return {"designs": [opening_design("medium", outside)] * 8}
    return {"proposals": [replacement(0, outside), replacement(63, outside)]}


def duplicate(request: Mapping[str, Any], number: int) -> object:
    """One design again and again."""
    same = dict.fromkeys(EDGES, "skip_connect")
    if opens(request):
        return {"designs": [opening_design("tiny", same)] * 8}
    as_it_is = {"candidate": 0, "changes": [], "rationale": "keep it"}
    return {"proposals": [replacement(0, same), as_it_is, as_it_is]}


class Dominated:
    """Valid designs that are worth nothing, new ones each time."""

    def __init__(self) -> None:
        self._left = list(CUT_OFF)

    def __call__(self, request: Mapping[str, Any], number: int) -> object:
        if opens(request):
            taken, self._left = self._left[:8], self._left[8:]
            return {"designs": [opening_design("huge", network) for network in taken]}
        taken, self._left = self._left[:5], self._left[5:]
        return {"proposals": [replacement(0, network) for network in taken]}


def rejects_everything(request: Mapping[str, Any], number: int) -> object:
    """A critic to whom every design is wrong."""
    wrong = [{"position": k, "action": "send_back", "reason": "no"} for k in range(16)]
    return {"doubts": wrong}


def wants_to_stop(request: Mapping[str, Any], number: int) -> object:
    """A planner that has seen enough."""
    return {"phase": "stop", "designs": 16, "reason": "enough"}


def everything_bad() -> Script:
    """All of it at once: each role has its own way of being wrong."""
    proposers: Sequence[Script] = (invalid, duplicate, Dominated())

    def answer(request: Mapping[str, Any], number: int) -> object:
        others = {"critic": rejects_everything, "planner": wants_to_stop}
        return others.get(role_of(request), proposers[number % 3])(request, number)

    return answer
