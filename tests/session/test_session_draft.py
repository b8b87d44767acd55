"""The brief while it grows: it may be incomplete, and is never wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.brief import parse_brief
from archwright.errors import BriefError
from archwright.session.draft import (
    as_toml,
    known_keys,
    loaded,
    missing,
    overridden,
    with_value,
    without,
)


def grown(*pairs: tuple[str, str]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        table = with_value(table, key, value)
    return table


def test_it_grows_to_a_brief() -> None:
    table = grown(
        ("objectives.latency_ms", "minimise"),
        ("budget.evaluations", "6"),
        ("hardware.choices.rows", "[4, 8]"),
        ("constraints.power_mw.at_most", "800"),
        ("search.patience", "3"),
    )
    assert missing(table) == ["name", "task.data"]
    table = with_value(with_value(table, "name", "small"), "task.data", '"digits"')
    assert missing(table) == []
    brief = parse_brief(table)
    assert (brief.name, brief.budget.evaluations) == ("small", 6)
    assert brief.hardware.choices == {"rows": [4, 8]}
    assert brief.search.patience == 3
    assert tomllib.loads(as_toml(table)) == table


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("objectives.accuracy", "minimise", "allowed 'maximise'"),
        ("objectives.speed", "maximise", "unknown metric"),
        ("budget.evaluations", "many", "budget.evaluations = 'many'"),
        ("budget.evaluations", "0", "budget.evaluations = 0"),
        ("budget", "6", "budget = 6: allowed a table"),
        ("speed", "6", "unknown key; allowed name"),
        ("name.first", "x", "name"),
        ("seed", "nan", "seed"),
        ("seed", "2020-01-01", "seed"),
        ("name", "x" * 99, "1 to 40 letters"),
        ("a..b", "1", "unknown key"),
        ("supernet.epochs", "1\nseed = 2", "valid integer"),
        ("search.patience", "long", "search.patience = 'long'"),
    ],
)
def test_a_wrong_value_is_refused_and_changes_nothing(key: str, value: str, message: str) -> None:
    table = grown(("name", "small"), ("objectives.accuracy", "maximise"))
    before = as_toml(table)
    with pytest.raises(BriefError, match=message) as caught:
        with_value(table, key, value)
    assert len(str(caught.value).splitlines()) == 1
    assert as_toml(table) == before


def test_a_value_is_taken_out_with_what_it_leaves_empty() -> None:
    table = grown(("name", "small"), ("constraints.power_mw.at_most", "800"))
    assert without(table, "constraints.power_mw.at_most") == {"name": "small"}
    with pytest.raises(BriefError, match=r"seed\.x: is not set"):
        without(table, "seed.x")


def test_a_file_is_loaded_as_it_is_written(tmp_path: Path) -> None:
    table = loaded(runs.write_brief(tmp_path))
    assert table == tomllib.loads(runs.TINY_BRIEF)


def test_known_keys_are_keys_of_a_brief() -> None:
    values = {"name": "x", "seed": "1"}
    for key in known_keys():
        if key.count(".") == 1 and key.startswith(("budget", "supernet", "promotion.designs")):
            with_value({}, key, "1")
        elif key in values:
            with_value({}, key, values[key])
        elif key.endswith("at_most"):
            with_value({}, key, "0.5")


def test_what_a_model_would_change_of_the_user_s_own_is_named() -> None:
    agreed = {"name": "mine", "budget": {"evaluations": 14}, "objectives": {"accuracy": "maximise"}}
    same = {**agreed, "seed": 3, "constraints": {"power_mw": {"at_most": 800}}}
    assert overridden(agreed, same) == []
    assert overridden({}, same) == []
    other = {"name": "mine", "budget": {"evaluations": 900, "tokens": 10**9}}
    assert overridden(agreed, other) == [
        "budget.evaluations = 900",
        "no objectives.accuracy",
        "budget.tokens = 1000000000",
    ]
    assert overridden({}, {"budget": {"dollars": 9.0}}) == ["budget.dollars = 9.0"]
