"""Ports over transports: one way for runs and benchmarks to reach a model profile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from archwright.agents.model.abilities import Abilities, keep_abilities
from archwright.agents.model.ledger import Asked
from archwright.agents.model.limits import Limits
from archwright.agents.model.port import ModelPort
from archwright.agents.model.tool_loop import ToolUse
from archwright.agents.model.transports import Transports
from archwright.errors import UserError


def open_port(
    transports: Transports,
    name: str,
    limits: Limits,
    ledger: Callable[[Asked], None] | None = None,
    record_tool: Callable[[int, str, ToolUse], None] = lambda step, role, use: None,
) -> ModelPort:
    """The port to a profile. What its endpoint can do is found out once for all runs.

    A replay finds out what the recorded run found out, and keeps nothing. Raises
    :class:`UserError` where a transcript says what no endpoint can do.
    """
    transport, plain = transports.of(name), transports.abilities(name)
    try:
        known = None if plain is None else Abilities.from_plain(plain)
    except ValueError as error:
        raise UserError(f"{transports.replay}: model {name}: {error}") from None
    learn = _forget if transports.replay else partial(keep_abilities, transport.profile)
    return ModelPort(
        transport.profile,
        limits,
        transport=transport,
        ledger=ledger,
        abilities=known,
        learn=learn,
        record_tool=record_tool,
    )


def _forget(abilities: Abilities) -> None:
    """What a replay finds out says nothing of an endpoint now."""
