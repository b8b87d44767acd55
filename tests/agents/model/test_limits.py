"""Budgets and the breaker, alone and around a port with a real local HTTP server."""

import threading

import pytest
from asking import GOOD, Pick, ask, failure, say

from archwright.agents.model.limits import Breaker, Limits, Spent
from archwright.errors import BudgetSpent, ModelFailure

# Budgets


def test_a_budget_of_tokens_ends_before_it_is_exceeded(port_to, reply):
    limits = Limits(2500, 1.0)
    port, server = port_to(
        say(reply(GOOD, usage=(900, 100))), limits, max_output_tokens=500, max_retries=0
    )
    ask(port)
    ask(port)
    assert failure(port).startswith("budget spent: tokens: 2000 of 2500")
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
    assert limits.spent == Spent(2, 700, 0.0, 2)


def test_a_resumed_run_goes_on_with_what_it_had_spent():
    limits = Limits(1000, 1.0, Spent(5, 900, 0.5, 0))
    with pytest.raises(BudgetSpent), limits.request(200, 0.0):
        pass
    with limits.request(100, 0.5):
        pass
    assert limits.spent == Spent(6, 1000, 1.0, 0)


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
