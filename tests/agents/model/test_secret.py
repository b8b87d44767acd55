"""Whatever a server does to hide the key in a text, the text is kept without it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.model.secret import MASK, without_secret
from archwright.memory.lessons import plain_text

KEY = 'Very"secret+/0123-456'
FORMS = {
    "plain": KEY,
    "shouted": KEY.upper(),
    "JSON": json.dumps(KEY)[1:-1],
    "JSON, twice": json.dumps(json.dumps(KEY))[3:-3],
    "JSON escapes": "".join(f"\\u{ord(sign):04x}" for sign in KEY),
    "percent": quote(KEY, safe=""),
    "hexadecimal": KEY.encode().hex().upper(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "invisible signs": "\u200b".join(KEY),
    "control characters": "\0".join(KEY),
    "escaped control characters": "\\u0000".join(KEY),
    "two lines": f"{KEY[:8]}\n{KEY[8:]}",
    "private signs": "\ue000\U000e0041".join(KEY),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_the_key_is_left(form: str) -> None:
    text = f"before {FORMS[form]} and after {FORMS[form]}"
    cleaned = without_secret(text, KEY)
    assert cleaned.startswith("before [key]")
    assert " and after [key]" in cleaned
    assert KEY not in plain_text(cleaned, 1000)


@pytest.mark.parametrize("offset", range(6))
def test_nor_within_a_longer_base64_text(offset: int) -> None:
    text = base64.b64encode(b"x" * offset + KEY.encode() + b"yz").decode()
    left = without_secret(text, KEY).replace(MASK, "")
    assert len(left) <= len(text) - len(KEY)


def test_what_is_shaped_like_a_key_goes_and_placeholders_stay() -> None:
    assert without_secret("sk-abc123456 or Bearer abc", "") == "[key] or [key]"
    assert without_secret("none of it", "none") == "none of it"


@given(st.text(), st.text(alphabet="abcé\u200b\\u0 \n", min_size=1), st.text())
def test_any_other_text_stays_as_it_is(before: str, middle: str, after: str) -> None:
    text = before + middle + after
    if "sk-" not in text.lower() and "bearer" not in text.lower():
        assert without_secret(text, "a-key-of-its-own") == text
    assert "a-key-of-its-own" not in without_secret(
        f"{before}a-key-of-its-own{after}", "a-key-of-its-own"
    )
