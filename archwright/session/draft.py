"""The brief while it grows: a plain table that may be incomplete, but is never wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archwright.border import Table
from archwright.brief import load_brief, parse_brief
from archwright.errors import BriefError, shown

_PLACEHOLDERS: dict[str, Any] = {
    "name": "draft",
    "task": {"data": "digits"},
    "objectives": {},
    "budget": {"evaluations": 1},
}
"""Fill in what is missing, only so that the rest can be checked."""


_LIST = re.compile(r"\[\n((?: +[^\s,]+,\n)+)\]")
"""A list of values without spaces in them, one a line."""


def missing(table: Mapping[str, Any]) -> list[str]:
    """The keys that a brief needs and the table does not have, in a brief's order."""
    needed = ["name", "task.data", "objectives", "budget.evaluations"]
    return [key for key in needed if not _has(table, key.split("."))]


def with_value(table: Mapping[str, Any], key: str, text: str) -> dict[str, Any]:
    """The table with ``key`` (dotted) set to ``text``, read as a TOML value or else as a word.

    Raises :class:`BriefError` for a key or value that no brief can have.
    """
    changed = _copy(table)
    *path, last = key.split(".")
    inner = changed
    for part in path:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            raise BriefError(f"{key}: {part} is a value, not a table")
    inner[last] = _value(text)
    check_partial(changed)
    return changed


def without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The table without ``key``; tables left empty go too. Raises :class:`BriefError`."""
    path = key.split(".")
    if not _has(table, path):
        raise BriefError(f"{key}: is not set")
    return _removed(table, path)


def overridden(agreed: Mapping[str, Any], table: Mapping[str, Any]) -> list[str]:
    """What the user set and ``table`` has otherwise: "budget.evaluations = 900".

    What a model may spend counts as set, whether or not the user did: nobody else raises it.
    """
    before, after = _flat(agreed), _flat(table)
    own = [key for key in before if before[key] != after.get(key)]
    spending = [key for key in ("budget.tokens", "budget.dollars") if key in after]
    changed = dict.fromkeys([*own, *(k for k in spending if before.get(k) != after[k])])
    return [f"{key} = {shown(after[key])}" if key in after else f"no {key}" for key in changed]


def loaded(path: Path) -> dict[str, Any]:
    """The brief in a TOML file as a table of what it sets. Raises :class:`BriefError`."""
    brief = load_brief(path)
    table: dict[str, Any] = brief.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    return table


def check_partial(table: Mapping[str, Any]) -> None:
    """Raise :class:`BriefError` for what is wrong; what is only missing is not."""
    filled = {**_PLACEHOLDERS, **table}
    for section in ("task", "budget"):
        if isinstance(filled[section], dict):
            filled[section] = {**_PLACEHOLDERS[section], **filled[section]}
    if not filled["objectives"]:
        filled["objectives"] = {"accuracy": "maximise"}
    parse_brief(filled)


def as_toml(table: Mapping[str, Any]) -> str:
    """The table as TOML, each list on one line, empty tables left out."""
    import tomli_w

    text = tomli_w.dumps(_without_empty(table)).rstrip()
    return _LIST.sub(lambda found: f"[{', '.join(found[1].replace(',', '').split())}]", text)


def _without_empty(table: Mapping[str, Any]) -> dict[str, Any]:
    inner = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in table.items()}
    return {k: v for k, v in inner.items() if v != {}}


def known_keys() -> list[str]:
    """Dotted keys for completion."""
    from archwright.brief import Brief, Budget, Promotion, RoundBudget, Search, Supernet, Task
    from archwright.measurement import METRICS

    sections: dict[str, type[Table]] = {
        "task": Task,
        "supernet": Supernet,
        "search": Search,
        "promotion": Promotion,
        "budget": Budget,
        "budget.round": RoundBudget,
    }
    keys = [key for key in Brief.model_fields if key not in sections]
    inner = [f"{name}.{key}" for name, table in sections.items() for key in table.model_fields]
    keys += [key for key in inner if key not in sections]
    keys += [f"objectives.{metric}" for metric in METRICS]
    keys += [f"constraints.{metric}.{side}" for metric in METRICS for side in ("at_most",)]
    return sorted([*keys, "constraints.accuracy.at_least", "network.choices", "hardware.choices"])


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML: a word, such as maximise
        return text
    return table["value"] if set(table) == {"value"} else text


def _has(table: Mapping[str, Any], path: list[str]) -> bool:
    if path[0] not in table:
        return False
    inner = table[path[0]]
    if len(path) == 1:
        return bool(inner != {})
    return isinstance(inner, dict) and _has(inner, path[1:])


def _removed(table: Mapping[str, Any], path: list[str]) -> dict[str, Any]:
    kept = dict(table)
    if len(path) == 1:
        del kept[path[0]]
        return kept
    kept[path[0]] = _removed(table[path[0]], path[1:])
    if not kept[path[0]]:
        del kept[path[0]]
    return kept


def _flat(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of a table and those within it, by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= (
            _flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
        )
    return flat


def _copy(table: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in table.items()}
