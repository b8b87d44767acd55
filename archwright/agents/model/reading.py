"""Reading a model's text: the JSON in it, and what is wrong with an answer, in words."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

MOST_BRACES = 200
"""Braces at which an object may begin: enough for any thinking before the answer."""
_THOUGHT = "</think>"


def read_json(text: str) -> dict[str, Any]:
    """The JSON object in a model's text: where there are several, the last.

    Words and fences around it, and thinking or drafts before it, are passed over. Raises
    ValueError where there is none, or where the text's end cuts it: a part of an answer is
    not an answer.
    """
    text = without_thinking(text)
    decoder = json.JSONDecoder(strict=False)  # small models write line ends into strings
    found: dict[str, Any] | None = None
    place = text.find("{")
    for _ in range(MOST_BRACES):
        if place < 0:
            break
        end = place + 1
        try:
            value, end = decoder.raw_decode(text, place)
            json.dumps(value, allow_nan=False)
            found = value
        except json.JSONDecodeError as error:
            if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
                raise ValueError("its JSON object is cut off") from None
        except (ValueError, RecursionError):  # NaN, 1e999, a number or a nest too long
            found = None
        place = text.find("{", end)
    if found is None:
        raise ValueError("it holds no JSON object")
    return found


def without_thinking(text: str) -> str:
    """What stands behind a model's thinking, where it marks that by ``</think>``."""
    return text[text.rfind(_THOUGHT) + len(_THOUGHT) :] if _THOUGHT in text else text


def complaints(error: ValidationError, most: int = 5) -> str:
    """What is wrong with an answer, in words that a model can act on."""
    lines = []
    for complaint in error.errors(include_url=False)[:most]:
        place = ".".join(str(part) for part in complaint["loc"])[:80] or "the answer"
        given = repr(complaint["input"])
        given = given if len(given) <= 60 else given[:57] + "..."
        lines.append(f"{place}: {complaint['msg'][:150]}, not {given}")
    return "; ".join(lines)
