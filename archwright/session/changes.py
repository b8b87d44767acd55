"""`choice=value` as a user types it: which choice of the network or of the hardware is meant."""

from __future__ import annotations

from collections.abc import Mapping

from archwright.errors import UserError, shown
from archwright.space import Point, Value

Changes = Mapping[str, Value]


def parse_changes(text: str) -> tuple[dict[str, Value], list[str]]:
    """The changes in a command's words, and the words that are none (keys of designs)."""
    changes: dict[str, Value] = {}
    others = []
    for word in text.split():
        name, sign, value = word.partition("=")
        if not sign:
            others.append(word)
        elif name and value:
            changes[name] = _value(value)
        else:
            raise UserError(f"{shown(word)}: allowed choice=value")
    return changes, others


def applied(
    network: Point, hardware: Point, changes: Changes
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Network and hardware with the changes made; their spaces check the values.

    A choice that both have is named with its side, as in ``network.bits``.
    Raises :class:`UserError` for a name that is no choice.
    """
    points = {"network": dict(network), "hardware": dict(hardware)}
    for name, value in changes.items():
        side, dot, choice = name.partition(".")
        sides = [s for s in points if name in points[s]]
        if dot and side in points and choice in points[side]:
            points[side][choice] = value
        elif len(sides) == 1:
            points[sides[0]][name] = value
        elif sides:
            raise UserError(f"{name}: a choice of both; allowed network.{name} or hardware.{name}")
        else:
            allowed = ", ".join(choice_names(network, hardware))
            raise UserError(f"{shown(name)}: no choice; allowed {allowed}")
    return points["network"], points["hardware"]


def choice_names(network: Point, hardware: Point) -> list[str]:
    """The names that :func:`applied` takes."""
    both = set(network) & set(hardware)
    return [
        *(f"network.{n}" if n in both else n for n in network),
        *(f"hardware.{n}" if n in both else n for n in hardware),
    ]


def said(changes: Changes) -> str:
    """The changes as they were typed."""
    return " ".join(f"{name}={value}" for name, value in changes.items())


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
