"""Before a search starts: the planner's model may ask the user one question, once for each brief.

It sees the brief as it was understood and how large the spaces are, and says in a sentence
what it plans. Without a model, or where it fails, the user is asked for a yes or no alone.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from pydantic import BaseModel, Field

from archwright.agents.minds import Sentence
from archwright.agents.model.abilities import kept_abilities
from archwright.agents.model.ledger import Asked
from archwright.agents.model.port import ModelPort
from archwright.agents.model.question import Question
from archwright.errors import ArchwrightError
from archwright.session.chat import Chat
from archwright.session.draft import as_toml
from archwright.session.measured import unmeasured
from archwright.session.profile import limits_of, profile_name
from archwright.tools.check_brief import CheckedBrief

START = "start this search?"
LONGEST_WAIT_S = 20.0
"""For an answer: who wants to start a search is not kept waiting for a question."""
INSTRUCTIONS = (
    "You plan a search for a neural network and the accelerator it runs on, which is about to "
    "start. Read its brief as it was understood, defaults included. Where one thing in it is "
    "unclear, contradicts another or is hardly what the user wants, and the answer would "
    "change the brief, ask the user one short question about it; else leave the question "
    "empty. Say in one sentence what you plan. State no metric that is not in the data."
)


class Clarification(BaseModel):
    """At most one question to the user, and the plan in one sentence."""

    question: Sentence = Field(description="empty: nothing has to be asked")
    plan: Sentence


@dataclass(frozen=True)
class Wanted:
    """Whether the user wants a search to start, or else what they answered in words."""

    start: bool
    words: str = ""


def wanted(chat: Chat, checked: CheckedBrief, typed: str = "") -> Wanted:
    """Ask the user whether a search starts, below the planner's question where it has one.

    An answer in words is kept as the user's message, after ``typed``, the command that led
    here (empty: the model is talking).
    """
    asked = _planner(chat, checked)
    if asked is not None:
        _show(chat, asked)
    if asked is None or not asked.question:
        return Wanted(chat.confirmed(START))
    said = chat.word(f"{START} [y/n, or your answer]")
    if said in ("y", "n"):
        return Wanted(said == "y")
    turns = [("user", typed)] if typed else []
    for role, words in (*turns, ("assistant", asked.question), ("user", said)):
        chat.session.add("message", message={"role": role, "content": words})
    return Wanted(False, said)


def _show(chat: Chat, asked: Clarification) -> None:
    """The plan and the question, and which of their figures nothing measured."""
    if asked.plan:
        chat.line(f"the planner's plan: {asked.plan}")
    if asked.question:
        chat.line(f"the planner asks:\n{asked.question}")
    if claims := unmeasured(chat, f"{asked.plan}\n{asked.question}"):
        chat.line(f"not from a measurement: {', '.join(claims)}")


def _planner(chat: Chat, checked: CheckedBrief) -> Clarification | None:
    """What the model says of a brief; None where there is no model, it fails or was asked before.

    It is kept that it was asked before it is: who stops the waiting does not wait again.
    """
    name, digest = profile_name(chat), _digest(checked)
    if not name or digest in chat.session.state.planned:
        return None
    chat.session.add("planned", brief=digest)
    try:
        profile = chat.desk.settings.profile(name)
        patience = min(profile.timeout_s, LONGEST_WAIT_S)
        port = ModelPort(
            profile.model_copy(update={"timeout_s": patience, "max_retries": 0}),
            limits_of(chat.session.state),
            ledger=lambda asked: _keep(chat, asked),
            abilities=kept_abilities(profile),
        )
        question = Question(0, "planner", INSTRUCTIONS, _in_words(checked), Clarification)
        return port.ask(question).value
    except ArchwrightError:  # the search does not need its word
        return None


def _in_words(checked: CheckedBrief) -> str:
    images = ", ".join(f"{n} {split}" for split, n in checked.images.items())
    return (
        f"{as_toml(checked.brief)}\n\n"
        f"images: {images}; {checked.classes} classes\n"
        f"spaces: {checked.networks} networks, {checked.hardware} hardware points"
    )


def _keep(chat: Chat, asked: Asked) -> None:
    """What the asking took, of the session's budget."""
    if asked.requests:
        chat.session.add(
            "spent",
            requests=asked.requests,
            tokens=asked.tokens_in + asked.tokens_out,
            dollars=asked.dollars,
            seconds=round(asked.seconds, 3),
        )


def _digest(checked: CheckedBrief) -> str:
    """Tells briefs apart, as they were understood."""
    text = json.dumps(checked.brief, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
