"""What the scripted server says when its model calls tools, and what was sent back to it."""

from __future__ import annotations

import json
from typing import Any


def calling(*calls: tuple[str, object], text: str | None = None) -> bytes:
    """The body of an answer with these tool calls, (name, arguments) each.

    Arguments that are a text are sent as they are, valid or not.
    """
    said = [
        {
            "id": f"id-{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else json.dumps(given),
            },
        }
        for number, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text, "tool_calls": said}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


def results(request: dict[str, Any]) -> list[str]:
    """What the tools said, in order, as a request sends it to the model: without quotation."""
    found = [m["content"] for m in request["messages"] if m["role"] == "tool"]
    for text in found:
        assert text.startswith("<data>\n"), "tool results are quoted as data"
        assert text.endswith("\n</data>")
        assert text.lower().count("</data>") == 1, "data cannot close its own quotation"
    return [text[len("<data>\n") : -len("\n</data>")] for text in found]
