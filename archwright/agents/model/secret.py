"""Taking a secret out of a text, however whoever has it wrote it down.

A server knows the key that it is sent and may echo it anywhere: in an answer, an error, a
tool call. Found are the key itself in any case, its percent-encoding, hexadecimal and base64
forms (also inside a longer base64 text), each also with JSON escapes for its characters or
with characters in between that nobody sees and that are dropped when a text is cleaned.
"""

from __future__ import annotations

import base64
import re
import string
import unicodedata
from urllib.parse import quote

MASK = "[key]"
SHORTEST_SECRET = 8
"""Shorter "keys" are placeholders such as "none": masking them harms text."""

_KEY_SHAPES = re.compile(r"\bsk-[A-Za-z0-9_\-*.]{6,}|\bBearer\s+\S+", re.IGNORECASE)
_SIGN = re.compile(r"\\+u([0-9a-fA-F]{4})|\\+([\"\\/bfnrt])|(.)", re.DOTALL)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def without_secret(text: str, secret: str) -> str:
    """``text`` with every form of ``secret``, and whatever is shaped like a key, masked."""
    if len(secret) >= SHORTEST_SECRET:
        visible, places = _visible(text)
        for start, end in reversed(_found(visible, _forms(secret))):
            first, last = places[start][0], places[end - 1][1]
            text = f"{text[:first]}{MASK}{text[last:]}"
    return _KEY_SHAPES.sub(MASK, text)


def _forms(secret: str) -> set[str]:
    """The ways to write a secret down, in lower case."""
    content = secret.encode()
    forms = {secret, quote(secret, safe=""), content.hex()}
    for offset in range(3):  # where it begins within three bytes of a longer text
        encoded = base64.b64encode(bytes(offset) + content).decode()
        own = encoded[-(-8 * offset // 6) : 8 * (offset + len(content)) // 6]
        forms |= {own, own.translate(str.maketrans("+/", "-_"))}
    return {form.translate(_LOWER) for form in forms}


def _visible(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The signs that a reader of ``text`` sees, in lower case, and where each stands in it."""
    signs, places = [], []
    for match in _SIGN.finditer(text):
        code, escaped, plain = match.groups()
        sign = chr(int(code, 16)) if code else plain or (escaped if escaped in '"\\/' else "")
        if sign and not unicodedata.category(sign).startswith("C"):
            signs.append(sign)
            places.append(match.span())
    return "".join(signs).translate(_LOWER), places


def _found(text: str, forms: set[str]) -> list[tuple[int, int]]:
    """Where forms stand in a text, those that overlap or touch as one, in order."""
    spans = sorted(m.span() for form in forms for m in re.finditer(re.escape(form), text))
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
