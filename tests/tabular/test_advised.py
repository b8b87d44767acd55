"""A surrogate search with a model behind its proposer, on tables with and without hardware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from archwright.agents.frontier import Pairings
from archwright.agents.problem import History
from archwright.brief import Budget
from archwright.settings import Profile, Settings
from archwright.tabular.advised import AdvisedSearch, Adviser
from archwright.tabular.generic import generic
from archwright.tabular.problem import TabularProblem

ROUNDS = 4


def searched(tabular: TabularProblem, server: Any) -> tuple[AdvisedSearch, History]:
    """An opening and some rounds of three designs."""
    pairings = Pairings(tabular.problem)
    profile = Profile(base_url=server.base_url, model="scripted", max_retries=0)
    adviser = Adviser(Settings(models={"m": profile}), "m", Budget(evaluations=99))
    search, history = AdvisedSearch(tabular.problem, pairings, 1, adviser), History()
    for step in range(ROUNDS):
        rows = np.stack([suggestion.network for suggestion in search.ask(step, 3, history)])
        found = tabular.evaluate(rows, step)
        told = (*history.evaluated, *found)
        history = History(told, frozenset(e.key for e in told))
    return search, history


@pytest.fixture
def plain_table(make_table: Callable[..., Any]) -> TabularProblem:
    """A table without hardware, some combinations missing, its columns named as they please."""
    rows = [
        f"{a},{b},{c},{(a + 1) * (b + 2) / (c + 1):.3f},{1 + a * b + c}"
        for a in range(4)
        for b in range(4)
        for c in range(3)
        if (a + b + c) % 5
    ]
    table = make_table("_hidden,model_config,edge 0-1,error,delay", *rows)
    return generic(table, ("_hidden", "model_config", "edge 0-1"), minimise=("error", "delay"))


def test_it_opens_and_goes_on_as_a_runs_proposer(
    tiny: TabularProblem, start_chat_server: Callable[..., Any]
) -> None:
    good = {"width": "16", "depth": "2", "rows": "biased", "bits": "8"}

    def script(request: Any, number: int) -> object:
        if "Nothing is measured yet" in request["messages"][1]["content"]:
            return {"designs": [{"level": "small", "network": good, "rationale": "known"}]}
        changes = [{"choice": "depth", "value": "3"}]
        several = [{"candidate": k, "changes": changes, "rationale": "deeper"} for k in range(8)]
        return {"proposals": several}

    server = start_chat_server(script)
    search, history = searched(tiny, server)
    assert len(history.evaluated) == 3 * (ROUNDS + 1)
    first = history.evaluated[0]
    assert tiny.problem.network_space.decode(first.row[None])[0] == {
        "width": 16, "depth": 2, "rows": "biased", "bits": 8
    }  # fmt: skip
    assert search.account.advice[0].networks == (first.key,)
    assert len(server.requests) > 1
    assert any(remark.mind == "model/scripted" for remark in search.account.remarks)


def test_a_failing_model_leaves_the_search_of_the_rules(
    tiny: TabularProblem, start_chat_server: Callable[..., Any]
) -> None:
    failing = start_chat_server(lambda request, number: "no")
    silent = start_chat_server(lambda request, number: {"proposals": [], "designs": []})
    (search, one), (_, other) = searched(tiny, failing), searched(tiny, silent)
    assert [e.key for e in one.evaluated] == [e.key for e in other.evaluated]
    assert search.account.failed == search.account.asked > 0
    assert search.account.taken == 0


@pytest.mark.parametrize("value", ["1", "3"])
def test_a_table_without_hardware_can_be_advised(
    plain_table: TabularProblem, start_chat_server: Callable[..., Any], value: str
) -> None:
    """Its networks have no layers and no sizes; what is not listed is refused."""

    def script(request: Any, number: int) -> object:
        if "Nothing is measured yet" in request["messages"][1]["content"]:
            network = {"_hidden": value, "model_config": "1", "edge 0-1": "1"}
            return {"designs": [{"level": "all", "network": network, "rationale": "known"}]}
        changes = [{"choice": "_hidden", "value": value}]
        return {"proposals": [{"candidate": 0, "changes": changes, "rationale": "why"}]}

    server = start_chat_server(script)
    search, history = searched(plain_table, server)
    assert len(history.evaluated) == 3 * (ROUNDS + 1)
    listed = value == "1"  # 1 + 1 + 1 is in the table, 3 + 1 + 1 is not
    assert bool(search.account.advice[0].networks) == listed
    assert bool(search.account.advice[0].refusals) != listed
    data = server.requests[0].json["messages"][1]["content"]
    assert "_hidden [0, 1, 2, 3]" in data
    assert "multiple of" not in data
