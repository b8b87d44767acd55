"""The loop in which a model calls tools before it answers.

    asked with the tools -> calls -> results -> asked again -> ... -> its answer

It may call for :data:`MOST_ROUNDS` rounds; then the answer is asked for without tools. While
tools are offered no form is enforced (some servers take one or the other); what it says
without a call is its answer. Every request goes through the port, which pays, retries and
fails; nothing that a tool says ends the loop. Results are quoted as data.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from archwright.agents.model.prompt import as_data, sendable
from archwright.agents.model.wire import Completion, Message, ToolCall
from archwright.memory.lessons import plain_text

if TYPE_CHECKING:
    from archwright.agents.model.question import OfferedTool

MOST_ROUNDS = 4
MOST_CALLS = 8
"""Of one round; further calls are passed over."""
MOST_CHARACTERS = 16_000
"""Of all results of one ask, about five thousand tokens: a small model's prompt is short."""
LONGEST_SAID = 4_000
LONGEST_RECORDED = 300
NO_MORE = "error: no more tools: answer now"
NOW = "Now answer, without tools: one JSON object of the schema, and nothing else."


Send = Callable[[list[Message], Sequence[Mapping[str, object]]], Completion | None]
"""Sends a conversation with the schemas of tools; None where the endpoint takes none. What it
raises ends the ask."""


@dataclass(frozen=True)
class ToolUse:
    """One call, for the record: which ask, its ``number`` there, and what came of it.

    ``ask`` is a hash of what was asked: the same when a run is replayed or resumed.
    """

    ask: str
    number: int
    tool: str
    arguments: str
    result: str

    @property
    def outcome(self) -> str:
        """ "answered", or the error in a line."""
        failed = self.result.startswith("error:")
        return plain_text(self.result, 200) if failed else "answered"

    def to_plain(self) -> dict[str, str | int]:
        """For an event: what was asked of which tool, what came of it, how much to read."""
        return {
            "tool": self.tool,
            "arguments": plain_text(self.arguments, LONGEST_RECORDED),
            "outcome": self.outcome,
            "characters": len(self.result),
        }


def answer_with_tools(
    messages: list[Message],
    tools: Sequence[OfferedTool],
    send: Send,
    scrub: Callable[[str], str],
    record: Callable[[ToolUse], None],
) -> tuple[list[Message], str | None]:
    """Let the model call ``tools``; the conversation so far, and the answer's text.

    Without a text the answer has still to be asked for, without tools. ``scrub`` takes
    secrets out of what the model wrote before anything is done with it.
    """
    if not tools:
        return messages, None
    known = {tool.name: tool for tool in tools}
    schemas = [tool.schema for tool in tools]
    ask = f"{zlib.crc32(json.dumps(messages).encode()):08x}"
    number = characters = 0
    for turn in range(MOST_ROUNDS):
        said = send(messages, schemas)
        if said is None:
            return messages, None
        calls = [_clean(call, turn, k, scrub) for k, call in enumerate(said.calls[:MOST_CALLS])]
        if not calls:
            return messages, said.content
        messages = [*messages, _said(scrub(said.content), calls)]
        for call in calls:
            result = NO_MORE if characters > MOST_CHARACTERS else _called(known, call)
            characters += len(result)
            record(ToolUse(ask, number, call.name, call.arguments, result))
            number += 1
            content = as_data(scrub(result))
            messages = [*messages, {"role": "tool", "tool_call_id": call.id, "content": content}]
        if characters > MOST_CHARACTERS:
            break
    return [*messages, {"role": "user", "content": NOW}], None


def _clean(call: ToolCall, turn: int, position: int, scrub: Callable[[str], str]) -> ToolCall:
    """A call as it is kept: an id of our own, a name that every server takes back."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", scrub(call.name))[:64]
    return ToolCall(f"call_{turn}_{position}", name or "nameless", scrub(call.arguments))


def _called(known: Mapping[str, OfferedTool], call: ToolCall) -> str:
    if call.name not in known:
        return f"error: no tool {call.name!r}; allowed {', '.join(known)}"
    return known[call.name].call(call.arguments)


def _said(text: str, calls: Sequence[ToolCall]) -> Message:
    """The model's own message. Arguments that are no JSON are left out: servers parse them."""
    return {
        "role": "assistant",
        "content": sendable(text[:LONGEST_SAID]),
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _parsable(call.arguments)},
            }
            for call in calls
        ],
    }


def _parsable(arguments: str) -> str:
    try:
        is_object = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return sendable(arguments) if is_object else "{}"
