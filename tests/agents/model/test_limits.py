"""Budgets and the breaker, alone and around a port with a real local HTTP server."""

import threading
import time
from dataclasses import replace

import pytest
from asking import GOOD, Pick, ask, failure, say

from archwright.agents.model.limits import (
    Allowance,
    Bounds,
    Breaker,
    Limits,
    Spent,
    run_limits,
)
from archwright.agents.model.question import Question
from archwright.brief import Budget, RoundBudget
from archwright.errors import BudgetSpent, ModelFailure

# Budgets


def spent(allowance: Allowance) -> Spent:
    """What is spent, but for the time that it took."""
    return replace(allowance.spent, seconds=0.0)


def test_a_budget_of_tokens_ends_before_it_is_exceeded(port_to, reply):
    limits = Limits(2500, 1.0)
    port, server = port_to(
        say(reply(GOOD, usage=(900, 100))), limits, max_output_tokens=500, max_retries=0
    )
    ask(port)
    ask(port)
    assert failure(port).startswith("budget spent: tokens of the run: 2000 of 2500")
    assert len(server.requests) == 2
    assert limits.spent.tokens == 2000


def test_a_budget_of_dollars(port_to, reply):
    prices = {"dollars_per_million_tokens_in": 0.0, "dollars_per_million_tokens_out": 100.0}
    port, server = port_to(say(GOOD), Limits(10**6, 0.1), max_output_tokens=2000, **prices)
    assert failure(port).startswith("budget spent: dollars")
    assert not server.requests


def test_the_correction_of_an_answer_is_budgeted_too(port_to, reply):
    port, server = port_to(
        say(reply({"bits": 99}, usage=(1000, 500))), Limits(2200, 1.0), max_output_tokens=500
    )
    assert failure(port).startswith("budget spent: tokens")
    assert len(server.requests) == 1


def test_a_time_out_is_charged_as_reserved(port_to, reply):
    port, _ = port_to(say(reply(GOOD, delay_s=2.0)), timeout_s=0.1, max_output_tokens=700)
    failure(port)
    assert port.limits.spent.tokens > 700


def test_requests_in_flight_count():
    limits = Limits(1000, 1.0)
    with limits.request(600, None) as charge:
        with pytest.raises(BudgetSpent, match="600 of 1000"), limits.request(600, None):
            pass
        charge.used(100, None)
    with limits.request(600, None):
        pass
    assert spent(limits) == Spent(2, 700, 0.0, 2)


def test_a_resumed_run_goes_on_with_what_it_had_spent():
    limits = Limits(1000, 1.0, Spent(5, 900, 0.5, 0))
    with pytest.raises(BudgetSpent), limits.request(200, 0.0):
        pass
    with limits.request(100, 0.5):
        pass
    assert spent(limits) == Spent(6, 1000, 1.0, 0)


def test_threads_cannot_overspend_together(port_to, reply):
    limits = Limits(5000, 1.0)
    port, _ = port_to(
        say(reply(GOOD, usage=(200, 500), delay_s=0.02)), limits, max_output_tokens=500
    )
    outcomes: list[str] = []

    def work() -> None:
        try:
            ask(port)
            outcomes.append("answered")
        except ModelFailure as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= outcomes.count("answered") <= 7
    assert all(o == "answered" or o.startswith("budget spent") for o in outcomes)
    assert limits.spent.tokens <= 5000


@pytest.mark.parametrize(
    ("bounds", "named"),
    [
        ({"requests": 0}, ("requests", 0, 0, 1)),
        ({"tokens": 99}, ("tokens", 99, 0, 100)),
        ({"dollars": 0.4}, ("dollars", 0.4, 0, 0.5)),
    ],
)
@pytest.mark.parametrize("scope", ["run", "round"])
def test_a_spent_budget_names_the_limit_and_its_scope(bounds, named, scope: str):
    limits = Limits(**bounds) if scope == "run" else Limits(each_round=Bounds(**bounds))
    with pytest.raises(BudgetSpent) as caught, limits.of_round(3).request(100, 0.5):
        pass
    error = caught.value
    assert (error.limit, error.allowed, error.committed, error.asked) == named
    assert error.scope == scope
    assert str(error).startswith(f"{named[0]} of the {scope}: ")
    assert spent(limits) == Spent()


def test_a_round_lies_within_its_run():
    limits = Limits(1000, each_round=Bounds(tokens=500))
    with limits.of_round(0).request(500, 0.0):
        with pytest.raises(BudgetSpent, match="of the round: 500 of 500"):
            limits.of_round(0).request(1, 0.0).__enter__()
        with limits.of_round(1).request(400, 0.0):
            with pytest.raises(BudgetSpent, match="of the run: 900 of 1000"):
                limits.of_round(2).request(101, 0.0).__enter__()
            with limits.of_round(2).request(100, 0.0) as charge:
                charge.used(50, 0.0)
    assert spent(limits) == Spent(3, 950)
    assert [spent(limits.of_round(step)).tokens for step in (0, 1, 2)] == [500, 400, 50]


def test_a_refused_request_leaves_no_reservation():
    limits = Limits(1000, each_round=Bounds(tokens=500))
    for step in range(3):
        with pytest.raises(BudgetSpent):
            limits.of_round(step).request(501, 0.0).__enter__()
    with limits.request(1000, 0.0):
        pass


def test_seconds_end_with_those_in_flight_counted():
    limits = Limits(each_round=Bounds(seconds=0.05))
    with limits.of_round(0).waiting():
        time.sleep(0.06)
        with pytest.raises(BudgetSpent, match="seconds of the round"):
            limits.of_round(0).request(1, 0.0).__enter__()
    with limits.of_round(1).request(1, 0.0):
        pass
    with pytest.raises(BudgetSpent, match="seconds of the run"):
        Limits(seconds=2.0, spent=Spent(seconds=2.5)).request(1, 0.0).__enter__()


def test_requests_that_wait_together_count_their_seconds_once():
    limits, together = Limits(), threading.Barrier(4)

    def work() -> None:
        with limits.of_round(0).waiting(), limits.of_round(0).request(1, 0.0):
            together.wait()
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - began
    assert 0.05 <= limits.of_round(0).spent.seconds <= elapsed
    assert limits.spent.seconds <= elapsed


def test_a_resumed_round_goes_on_with_what_it_had_spent():
    limits = Limits(each_round=Bounds(requests=2), spent_in_round={4: Spent(1, 10)})
    with limits.of_round(4).request(5, 0.0):
        pass
    with pytest.raises(BudgetSpent, match="requests of the round: 2 of 2"):
        limits.of_round(4).request(5, 0.0).__enter__()
    assert spent(limits.of_round(4)) == Spent(2, 15)


def test_a_model_without_a_price_is_bounded_by_all_but_dollars(port_to, reply):
    said = reply(GOOD, usage=(900, 100))
    port, _ = port_to(say(said), Limits(2500, 0.0), max_output_tokens=500)
    assert ask(port).dollars is None
    ask(port)
    assert failure(port).startswith("budget spent: tokens of the run")
    assert port.limits.spent.unpriced == 2


def test_a_port_spends_the_budget_of_the_round_it_is_asked_in(port_to):
    port, server = port_to(say(GOOD), Limits(each_round=Bounds(requests=1)))
    for step in (0, 1):
        port.ask(Question(step, "critic", "Choose well.", "the data", Pick))
        with pytest.raises(ModelFailure, match="budget spent: requests of the round: 1 of 1"):
            port.ask(Question(step, "critic", "Choose well.", "the data", Pick))
    assert len(server.requests) == 2


def test_the_brief_sets_the_limits():
    budget = Budget(
        evaluations=8,
        tokens=100,
        dollars=0.5,
        requests=3,
        model_hours=0.5,
        round=RoundBudget(requests=2, tokens=50, dollars=0.25, seconds=10),
    )
    refused = {
        ("run", "tokens"): (run_limits(budget, Spent(tokens=100)), 1, 0.0),
        ("run", "dollars"): (run_limits(budget, Spent(dollars=0.5)), 1, 0.1),
        ("run", "requests"): (run_limits(budget, Spent(requests=3)), 1, 0.0),
        ("run", "seconds"): (run_limits(budget, Spent(seconds=1800)), 1, 0.0),
        ("round", "tokens"): (run_limits(budget), 51, 0.0),
        ("round", "dollars"): (run_limits(budget), 1, 0.26),
        ("round", "requests"): (run_limits(budget, None, {7: Spent(requests=2)}), 1, 0.0),
        ("round", "seconds"): (run_limits(budget, None, {7: Spent(seconds=10)}), 1, 0.0),
    }
    for (scope, limit), (limits, tokens, dollars) in refused.items():
        with pytest.raises(BudgetSpent) as caught:
            limits.of_round(7).request(tokens, dollars).__enter__()
        assert (caught.value.scope, caught.value.limit) == (scope, limit)
    with run_limits(budget).of_round(7).request(50, 0.25):
        pass


# The breaker


def test_a_dead_endpoint_rests_and_is_probed(port_to, reply):
    dead = reply("dead", status=404)
    port, server = port_to(say(*[dead] * 4, GOOD))
    for _ in range(3):
        assert failure(port) == "HTTP 404: dead"
    for left in (4, 3, 2, 1, 0):
        assert failure(port).endswith(f"rests for {left} more asks")
    assert len(server.requests) == 3
    assert failure(port) == "HTTP 404: dead"  # the probe
    for _ in range(5):
        assert "not asked" in failure(port)
    assert len(server.requests) == 4
    assert ask(port).value == Pick(**GOOD)
    assert ask(port).attempts == 1
    assert len(server.requests) == 6


def test_one_failure_now_and_then_is_no_reason_to_rest(port_to, reply):
    port, server = port_to(lambda _, number: reply("no", status=404) if number % 3 else GOOD)
    for round_number in range(9):
        if round_number % 3:
            failure(port)
        else:
            ask(port)
    assert len(server.requests) == 9


def test_a_spent_budget_says_nothing_about_the_endpoint(port_to):
    port, _ = port_to(say(GOOD), Limits(10, 1.0))
    for _ in range(10):
        assert failure(port).startswith("budget spent")


def test_an_interrupted_probe_may_be_repeated():
    breaker = Breaker(failures=1, rest=0)
    with pytest.raises(ModelFailure), breaker.ask():
        raise ModelFailure("dead")
    with pytest.raises(KeyboardInterrupt), breaker.ask():
        raise KeyboardInterrupt
    with breaker.ask(), pytest.raises(ModelFailure, match="not asked"), breaker.ask():
        pass
    with breaker.ask():
        pass
