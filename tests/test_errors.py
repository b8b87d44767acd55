"""A user's mistake stays one printable line, whatever is in it."""

from __future__ import annotations

import pickle

import pytest

from archwright import errors
from archwright.errors import ArchwrightError, BriefError, UserError, printable, shown


def test_every_error_has_one_root() -> None:
    kinds = [e for e in vars(errors).values() if isinstance(e, type)]
    found = [e for e in kinds if not issubclass(e, Warning)]
    assert len(found) > 5
    assert all(issubclass(error, ArchwrightError) for error in found)


def test_a_user_s_mistake_cannot_break_the_line_or_steer_the_terminal() -> None:
    message = str(UserError("a\nb\r\x1b[2J\u2028\u202e é 猫"))
    assert message == "a\\nb\\r\\x1b[2J\\u2028\\u202e é 猫"
    assert printable(message) == message


def test_a_mistake_survives_the_way_from_a_worker() -> None:
    error = BriefError("budget = 3: allowed\na table")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is BriefError
    assert str(again) == str(error) == "budget = 3: allowed\\na table"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8, "8"),
        ("a\nb", "'a\\nb'"),
        ("x" * 78, f"'{'x' * 78}'"),
        ("x" * 79, f"'{'x' * 76}..."),
        (16**5000, "(int)"),
    ],
    ids=["number", "line break", "80 characters", "too long", "huge number"],
)
def test_values_are_quoted_and_never_long(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_is_nested_too_deeply_is_not_written_out() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "(list)"
    while deep:  # taken apart by hand: freeing it at once would recurse
        deep = deep.pop()  # type: ignore[assignment]
