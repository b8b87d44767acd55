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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from archwright.agents.model.prompt import quoted
from archwright.agents.model.wire import Completion, Message, ToolCall
from archwright.memory.lessons import plain_text

MOST_ROUNDS = 4
MOST_CALLS = 8
"""Of one round; further calls are passed over."""
MOST_CHARACTERS = 16_000
"""Of all results of one ask, about five thousand tokens: a small model's prompt is short."""
LONGEST_ARGUMENTS = 10_000
LONGEST_SAID = 4_000
NO_MORE = "error: no more tools: answer now"
NOW = "Now answer, without tools: one JSON object of the schema, and nothing else."


class OfferedTool(Protocol):
    """What the loop needs of a tool (:class:`archwright.agents.model.port.OfferedTool`)."""

    name: str
    schema: Mapping[str, object]

    def call(self, arguments: str) -> str:
        """The result, or ``error: ...``; never raises."""
        ...


class Send(Protocol):
    """Sends the conversation: with tools, or, where there are none, for the final answer."""

    def __call__(
        self, messages: list[Message], tools: Sequence[Mapping[str, object]]
    ) -> Completion:
        """The completion. What it raises ends the ask."""
        ...


@dataclass(frozen=True)
class ToolUse:
    """One call, for the record: its ``number`` in its ask, and what came of it."""

    number: int
    tool: str
    arguments: str
    result: str

    @property
    def outcome(self) -> str:
        """ "answered", or the error in a line."""
        failed = self.result.startswith("error:")
        return plain_text(self.result, 200) if failed else "answered"


def answer_with_tools(
    messages: list[Message],
    tools: Sequence[OfferedTool],
    send: Send,
    scrub: Callable[[str], str],
    record: Callable[[ToolUse], None],
) -> tuple[list[Message], str]:
    """Let the model call ``tools``; the conversation up to its answer, and the answer's text.

    ``scrub`` takes secrets out of what the model wrote before anything is done with it.
    """
    known = {tool.name: tool for tool in tools}
    schemas = [tool.schema for tool in tools]
    number = characters = 0
    for turn in range(MOST_ROUNDS):
        said = send(messages, schemas)
        calls = [_clean(call, turn, k, scrub) for k, call in enumerate(said.calls[:MOST_CALLS])]
        if not calls:
            return messages, said.content
        messages = [*messages, _said(scrub(said.content), calls)]
        for call in calls:
            result = NO_MORE if characters > MOST_CHARACTERS else _called(known, call)
            characters += len(result)
            record(ToolUse(number, call.name, plain_text(call.arguments, 300), result))
            number += 1
            content = quoted(scrub(result))
            messages = [*messages, {"role": "tool", "tool_call_id": call.id, "content": content}]
        if characters > MOST_CHARACTERS:
            break
    messages = [*messages, {"role": "user", "content": NOW}]
    return messages, send(messages, ()).content


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
        "content": text[:LONGEST_SAID],
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _sendable(call.arguments)},
            }
            for call in calls
        ],
    }


def _sendable(arguments: str) -> str:
    try:
        if len(arguments) > LONGEST_ARGUMENTS or not isinstance(json.loads(arguments), dict):
            return "{}"
    except (ValueError, RecursionError):
        return "{}"
    return arguments.encode("utf-8", "replace").decode("utf-8")
