"""Reading a model's text: the JSON in it, and what is wrong with an answer, in words."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError


def read_json(text: str) -> dict[str, Any]:
    """The JSON object that a model's text ends with.

    Fences around it, and thinking before it, are passed over: it is the outermost object
    that closes at the last brace. Raises ValueError where there is none.
    """
    text = text[text.rfind("</think>") + len("</think>") :] if "</think>" in text else text
    end = text.rfind("}") + 1
    for number, brace in enumerate(re.finditer(r"\{", text[:end])):
        if number == 200:  # enough for any thinking; more would be a way to waste our time
            break
        try:
            found = json.loads(text[brace.start() : end], parse_constant=_no_constant)
            json.dumps(found, allow_nan=False)  # 1e999 reads as infinity
        except (ValueError, RecursionError):
            continue
        assert isinstance(found, dict)
        return found
    raise ValueError("it holds no JSON object")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def complaints(error: ValidationError, most: int = 5) -> str:
    """What is wrong with an answer, in words that a model can act on."""
    lines = []
    for complaint in error.errors(include_url=False)[:most]:
        place = ".".join(str(part) for part in complaint["loc"])[:80] or "the answer"
        given = repr(complaint["input"])
        given = given if len(given) <= 60 else given[:57] + "..."
        lines.append(f"{place}: {complaint['msg'][:150]}, not {given}")
    return "; ".join(lines)
