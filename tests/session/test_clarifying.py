"""Before a search starts: what the planner's model may ask, and what the user may answer."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.session.chat import Chat
from archwright.session.store import Session

BRIEF = tomllib.loads(runs.TINY_BRIEF)
ASKS = {"question": "Is energy of no interest?", "plan": "small networks first\x1b[2J"}
SILENT = {"question": "", "plan": "the whole space, then its front"}
ANSWER = "it runs on a battery"


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the searches that would have started: none does."""
    names: list[str] = []

    def begin(chat: Chat, brief: dict[str, Any], hours: Any, desk: Any) -> str:
        names.append(brief["name"])
        return "a-run"

    monkeypatch.setattr(Chat, "begin", begin)
    monkeypatch.setattr("archwright.session.searching.watch", lambda chat, run: None)
    return names


@pytest.fixture
def open_with(
    open_chat: Callable[[], Any], start_chat_server: Callable[..., Any], settings_file: Path
) -> Callable[..., tuple[Any, Any]]:
    """``open_with(script, kind)`` to (a session with the brief and a model, its server)."""

    def build(script: Any, kind: str = "full", **profile: Any) -> tuple[Any, Any]:
        server = start_chat_server(script, kind)
        settings_file.write_text(server.settings_toml("m", **profile), encoding="utf-8")
        opened = open_chat()
        opened.chat.session.add("brief", brief=BRIEF)
        return opened, server

    return build


def texts(session: Session) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in session.state.messages]


def test_the_planner_asks_below_the_brief_and_the_user_may_start_anyway(
    open_with: Callable[..., Any], begun: list[str]
) -> None:
    opened, server = open_with(lambda request, number: ASKS)
    opened.answer = "y"
    shown = opened.says("/search")
    assert begun == [BRIEF["name"]]
    assert "evaluations = 14" in shown.partition("the planner's plan: small networks first")[0]
    assert "\x1b" not in shown
    assert "the planner asks:\nIs energy of no interest?\n" in shown
    assert opened.asked == ["start this search? [y/n, or your answer] "]
    assert texts(opened.chat.session) == []
    [request] = server.requests
    system, data = (message["content"] for message in request.json["messages"])
    assert system.startswith("Role: planner.")
    assert data.startswith("<data>\n")
    for told in ("evaluations = 14", "epochs = 3", "1079 train", "networks, "):
        assert told in data
    assert opened.chat.session.state.spent.requests == 1
    assert opened.chat.session.state.spent.tokens > 0


def test_without_a_question_there_is_a_yes_or_no(
    open_with: Callable[..., Any], begun: list[str]
) -> None:
    opened, _ = open_with(lambda request, number: SILENT)
    shown = opened.says("/search")
    assert "the planner's plan: the whole space, then its front" in shown
    assert "the planner asks" not in shown
    assert opened.asked == ["start this search? [y/n] "]
    assert begun == []


def test_an_answer_in_words_is_kept_and_told_to_the_model(
    open_with: Callable[..., Any], begun: list[str]
) -> None:
    opened, server = open_with(lambda request, number: "I see." if number else ASKS)
    opened.answer = ["", ANSWER, "what?", "n"]
    assert "your model reads it when you next talk to it" in opened.says("/search")
    assert opened.asked[-1] == "start this search? [y/n] "
    assert begun == []
    kept = [("user", "/search"), ("assistant", ASKS["question"]), ("user", ANSWER)]
    assert texts(opened.chat.session) == kept
    opened.says("so what now?")
    sent = [(m["role"], m["content"]) for m in server.requests[-1].json["messages"]]
    assert sent[1:4] == kept


def test_the_same_brief_is_asked_about_once_in_a_session(
    open_with: Callable[..., Any], begun: list[str]
) -> None:
    opened, server = open_with(lambda request, number: ASKS)
    opened.says("/search")
    assert "the planner" not in opened.says("/search 2")
    assert len(server.requests) == 1
    session = opened.chat.session.id
    opened.close()
    with Session.open(session) as again:
        assert len(again.state.planned) == 1
        assert again.state.spent.requests == 1
    opened.chat.session = Session.open(session)
    opened.says("/brief set budget.evaluations 15")
    assert "the planner asks" in opened.says("/search")
    assert len(server.requests) == 2
    opened.chat.session.close()


@pytest.mark.parametrize(
    "fault",
    ["a poem", {"question": 3}, {"status": 500}, {"drop": True}, {"delay_s": 5.0}],
    ids=["no JSON", "no question", "HTTP 500", "dropped", "slow"],
)
def test_a_failing_model_is_not_seen(
    open_with: Callable[..., Any],
    begun: list[str],
    reply: Any,
    monkeypatch: pytest.MonkeyPatch,
    fault: Any,
) -> None:
    monkeypatch.setattr("archwright.session.clarifying.LONGEST_WAIT_S", 0.5)
    said = reply(**fault) if isinstance(fault, dict) and "question" not in fault else fault
    opened, server = open_with(lambda request, number: said)
    opened.answer = "y"
    shown = opened.says("/search")
    assert "planner" not in shown
    assert begun == [BRIEF["name"]]
    asked = len(server.requests)
    assert asked >= 1
    opened.says("/search")
    assert len(server.requests) == asked, "who failed is not waited for again"


def test_without_a_model_or_a_budget_for_it_nobody_is_asked(
    open_with: Callable[..., Any], begun: list[str]
) -> None:
    opened, server = open_with(lambda request, number: ASKS)
    opened.says("/brief set budget.requests 0")
    assert "planner" not in opened.says("/search")
    opened.says("/brief set budget.requests 9")
    opened.says("/model off")
    opened.asked.clear()
    assert "planner" not in opened.says("/search")
    assert opened.asked == ["start this search? [y/n] "]
    assert server.requests == []
    opened.says("/model m")
    assert "the planner asks" in opened.says("/search"), "a brief nobody was asked about"


def test_figures_that_nothing_measured_are_named(
    open_with: Callable[..., Any], begun: list[str]
) -> None:
    wrong = {"question": "Is an accuracy of 0.97 enough?", "plan": "below 0.4 ms first"}
    opened, _ = open_with(lambda request, number: wrong)
    shown = opened.says("/search")
    assert "not from a measurement: latency 0.4 ms, accuracy 0.97" in shown


def test_an_endpoint_of_plain_chat_can_ask(open_with: Callable[..., Any], begun: list[str]) -> None:
    opened, _ = open_with(lambda request, number: json.dumps(ASKS), "plain")
    assert "the planner asks" in opened.says("/search")


def test_a_model_that_talks_is_given_the_answer(
    open_with: Callable[..., Any], begun: list[str], reply: Any
) -> None:
    start = ("start_search", {"brief": BRIEF})
    answers = [
        reply("I start.", calls=(start, ("front", {"run": "x"}))),
        ASKS,
        "Then energy counts, too.",
    ]
    opened, server = open_with(lambda request, number: answers[number])
    opened.answer = [ANSWER]
    shown = opened.says("search now")
    assert "Then energy counts, too." in shown
    assert begun == []
    sent = server.requests[-1].json["messages"]
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert [message["role"] for message in sent] == roles
    assert "nothing was started: the planner asked" in sent[3]["content"]
    assert "error: run 'x'" in sent[4]["content"]
    assert [m["content"] for m in sent[5:]] == [ASKS["question"], ANSWER]
    assert all(message["content"].startswith("<data>\n") for message in sent[3:5])
    assert opened.chat.session.state.spent.requests == 3


@pytest.mark.parametrize(("said", "started"), [("y", True), ("n", False)])
def test_a_model_that_talks_starts_on_a_yes(
    open_with: Callable[..., Any], begun: list[str], reply: Any, said: str, started: bool
) -> None:
    start = ("start_search", {"brief": BRIEF})
    answers = [reply(calls=(start,)), ASKS, "Well."]
    opened, server = open_with(lambda request, number: answers[number])
    opened.answer = [said]
    opened.says("search now")
    assert bool(begun) is started
    result = server.requests[-1].json["messages"][-1]["content"]
    assert ('"run": "a-run"' in result) is started
    assert ("the user said no" in result) is not started
