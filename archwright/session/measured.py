"""Whether the figures in a model's answer came from a measurement, for the user to know."""

from __future__ import annotations

from collections.abc import Iterator

from archwright.agents.claims import bounds_of, false_claims, known_values, values_in_result
from archwright.agents.figures import figures
from archwright.brief import Constraint
from archwright.errors import ArchwrightError
from archwright.memory.past import archive_file
from archwright.memory.reader import ArchiveReader
from archwright.session.chat import Chat
from archwright.session.store import State


def unmeasured(chat: Chat, text: str) -> list[str]:
    """The figures of an answer that no tool of this session and no archive gave: "accuracy 0.99".

    What the user said, and the bounds of the brief, may be repeated.
    """
    if not figures(text):
        return []
    state = chat.session.state
    known = known_values([*_by_tools(state), *_archived(chat)], _given(state))
    return list(dict.fromkeys(claim.words for claim in false_claims(text, known)))


def _by_tools(state: State) -> Iterator[tuple[str, float]]:
    for message in state.messages:
        if message["role"] == "tool":
            yield from values_in_result(message["content"])


def _archived(chat: Chat) -> Iterator[tuple[str, float]]:
    """What the session's runs have measured, as far as they can be read."""
    for run in chat.session.state.runs:
        try:
            entry = chat.desk.registry.find(run)
            if archive_file(entry).is_file():
                with ArchiveReader(archive_file(entry)) as archive:
                    yield from archive.values(entry.run)
        except ArchwrightError:  # gone or damaged: its figures cannot be checked
            continue


def _given(state: State) -> Iterator[tuple[str, float]]:
    for message in state.messages:
        if message["role"] == "user":
            yield from ((f.metric, f.value) for f in figures(message["content"]))
    bounds = state.brief.get("constraints", {})  # checked when it was set
    yield from bounds_of({metric: Constraint(**bound) for metric, bound in bounds.items()})
