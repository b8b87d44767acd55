"""The hybrid: an advisor is heard, for its share, and cannot break the contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archwright.agents.problem import History
from archwright.agents.strategies import make_strategy
from archwright.agents.strategies.common import network_keys
from archwright.agents.strategies.hybrid import ADVISED_SHARE

pytestmark = pytest.mark.usefixtures("little_evolution")


@pytest.fixture(scope="module")
def told(problem, small) -> History:
    rows = problem.network_space.sample(np.random.default_rng(5), 12)
    return small.history_of(small.evaluate(problem, rows))


def ask(problem: Any, pairings: Any, told: History, advisor: Any, n: int = 10) -> Any:
    strategy = make_strategy("hybrid", problem, pairings, (1, 2), advisor=advisor)
    strategy.tell(told)
    return strategy.ask(n)


def test_without_an_advisor_it_is_the_surrogate(problem, pairings, told):
    surrogate = make_strategy("surrogate", problem, pairings, (1, 2))
    surrogate.tell(told)
    batches = surrogate.ask(5), ask(problem, pairings, told, None, 5)
    assert [s.network.tolist() for s in batches[0]] == [s.network.tolist() for s in batches[1]]


def test_an_advisor_replaces_its_share_and_no_more(problem, pairings, told):
    advised = problem.network_space.sample(np.random.default_rng(8), 10)
    asked = []

    def advisor(batch: Any, allowed: int) -> Any:
        asked.append(allowed)
        return dict(enumerate(advised))

    plain = ask(problem, pairings, told, None)
    batch = ask(problem, pairings, told, advisor)
    replaced = [k for k in range(10) if (batch[k].network != plain[k].network).any()]
    assert asked == [len(replaced)]
    assert abs(len(replaced) - ADVISED_SHARE * 10) <= 1
    assert all((batch[k].network == advised[k]).all() for k in replaced)
    assert all(batch[k].parents == plain[k].parents for k in replaced)


def test_advice_that_breaks_the_contract_is_not_taken(problem, pairings, told):
    plain = ask(problem, pairings, told, None)
    tried, repeated = told.evaluated[0].row, plain[1].network
    outside = np.full_like(tried, 99)

    def advisor(batch: Any, allowed: int) -> Any:
        return {0: tried, 1: outside, 2: repeated, 3: tried[:2], 99: plain[0].network, -1: tried}

    batch = ask(problem, pairings, told, advisor)
    assert [s.network.tolist() for s in batch] == [s.network.tolist() for s in plain]
    keys = network_keys(problem.network_space, np.stack([s.network for s in batch]))
    assert len(set(keys)) == 10
