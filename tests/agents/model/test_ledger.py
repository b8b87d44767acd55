"""Every ask of a model becomes one event, whatever came of it, with a name that lasts."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import GOOD, Pick, ask, failure, say

from archwright.agents.model.ledger import (
    Asked,
    Ledger,
    recorded,
    spent_before,
    spent_by_step,
)
from archwright.agents.model.limits import Limits, Spent
from archwright.agents.model.port import ModelPort
from archwright.agents.model.question import Question
from archwright.events import EventLog

ASK = Asked(3, "critic", "0badcafe", "small", 2, 800, 60, 1.5, 0.25, "answered")


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(tmp_path / "events.jsonl", lambda event: None)


def labels(log: EventLog) -> list[str]:
    return [row["label"] for row in log.rows()]


def test_an_ask_is_one_event_that_can_be_read_again(log: EventLog) -> None:
    failed = replace(ASK, role="planner", dollars=None, outcome="time-out after 60 s")
    for asked in (ASK, failed):
        Ledger(log)(asked)
    assert recorded(log.rows()) == [ASK, failed]
    row = log.rows()[0]
    assert (row["kind"], row["step"], row["role"], row["dollars"]) == ("model", 3, "critic", 0.25)


def test_asks_alike_are_told_apart_also_after_a_resume(log: EventLog) -> None:
    ledger = Ledger(log)
    other = replace(ASK, question="12345678")
    for asked in (ASK, other, ASK, replace(ASK, step=4), replace(ASK, role="planner")):
        ledger(asked)
    Ledger(log)(ASK)
    assert labels(log) == [
        "critic/0badcafe/0",
        "critic/12345678/0",
        "critic/0badcafe/1",
        "critic/0badcafe/0",
        "planner/0badcafe/0",
        "critic/0badcafe/2",
    ]


def test_threads_lose_none(log: EventLog) -> None:
    ledger = Ledger(log)
    threads = [threading.Thread(target=ledger, args=(ASK,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(labels(log)) == sorted(f"critic/0badcafe/{n}" for n in range(12))


def test_an_outcome_is_one_short_line(log: EventLog) -> None:
    Ledger(log)(replace(ASK, outcome="no\n\x1b[31m" + "x" * 1000))
    (asked,) = recorded(log.rows())
    assert asked.outcome.startswith("no [31mxxx")
    assert len(asked.outcome) == 200


def test_rows_that_are_no_asks_are_left_out(log: EventLog) -> None:
    Ledger(log)(ASK)
    (row,) = log.rows()
    assert recorded([{**row, "kind": "round"}, {"kind": "model", "step": 0, "label": ""}]) == []


def test_what_was_spent_is_what_the_asks_say_where_they_know_more() -> None:
    unknown = replace(ASK, step=4, dollars=None)
    assert spent_by_step([ASK, unknown, ASK]) == {
        3: Spent(4, 1720, 0.5, 0, 3.0),
        4: Spent(2, 860, 0.0, 2, 1.5),
    }
    assert spent_before(Spent(), [ASK, unknown]) == Spent(4, 1720, 0.25, 2, 0.0)
    assert spent_before(Spent(9, 9000, 1.0, 5, 7.0), [ASK]) == Spent(9, 9000, 1.0, 5, 7.0)


@pytest.fixture
def port_with_ledger(port_to: Any, log: EventLog) -> Any:
    def build(script: Any, limits: Limits | None = None, **fields: Any) -> ModelPort:
        port, _ = port_to(script, limits, **fields)
        return ModelPort(port.profile, port.limits, ledger=Ledger(log))

    return build


def test_answers_and_failures_of_a_port_are_written_down(
    port_with_ledger: Any, reply: Any, log: EventLog
) -> None:
    script = say(reply(GOOD, usage=(100, 20)), reply("no", status=404), "poem")
    prices = {"dollars_per_million_tokens_in": 1.0, "dollars_per_million_tokens_out": 10.0}
    port = port_with_ledger(script, **prices)
    ask(port)
    assert failure(port) == "HTTP 404: no"
    reason = failure(port)
    answered, refused, poem = recorded(log.rows())
    assert (answered.outcome, answered.requests, answered.model) == ("answered", 1, "scripted")
    assert (answered.tokens_in, answered.tokens_out) == (100, 20)
    assert answered.dollars == pytest.approx(0.0003)
    assert answered.seconds > 0
    assert (refused.outcome, refused.requests, refused.tokens_in) == ("HTTP 404: no", 1, 0)
    assert refused.dollars == 0.0
    assert (poem.outcome, poem.requests) == (reason, 2)
    total = sum((asked.spent for asked in (answered, refused, poem)), Spent())
    assert total.requests == port.limits.spent.requests
    assert total.tokens == port.limits.spent.tokens
    assert total.dollars == pytest.approx(port.limits.spent.dollars)


def test_an_unknown_price_is_null_and_a_time_out_counts_what_it_may_have_used(
    port_with_ledger: Any, reply: Any, log: EventLog
) -> None:
    port = port_with_ledger(say(reply(GOOD, delay_s=2.0)), timeout_s=0.1, max_output_tokens=700)
    failure(port)
    (asked,) = recorded(log.rows())
    assert asked.outcome == "time-out after 0.1 s"
    assert asked.dollars is None
    assert asked.tokens_out == 700
    assert asked.spent.tokens == port.limits.spent.tokens


def test_what_was_not_sent_is_no_request(port_with_ledger: Any, log: EventLog) -> None:
    failure(port_with_ledger(say(GOOD), Limits(10, 1.0)))
    (asked,) = recorded(log.rows())
    assert (asked.requests, asked.tokens_in, asked.dollars) == (0, 0, 0.0)
    assert asked.outcome.startswith("budget spent: tokens of the run: 0 of 10")


def test_questions_are_told_apart_by_what_was_asked(port_with_ledger: Any, log: EventLog) -> None:
    port = port_with_ledger(say(GOOD))
    for context, temperature in (("a", None), ("b", None), ("a", None), ("a", 0.9)):
        port.ask(Question(0, "critic", "Choose.", context, Pick, temperature=temperature))
    first, second, third, fourth = labels(log)
    assert first.removesuffix("/0") == third.removesuffix("/1")
    assert len({first, second, fourth}) == 3
