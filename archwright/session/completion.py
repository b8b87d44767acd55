"""What the Tab key offers: commands, keys of the brief, runs, designs, choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archwright.measurement import METRICS
from archwright.session.commands import COMMANDS
from archwright.session.draft import known_keys

if TYPE_CHECKING:
    from archwright.session.chat import Chat

_OF_RUNS = ("status", "watch", "stop")
_OF_DESIGNS = ("why", "compare", "approve", "reject", "export")
_OF_CHOICES = ("what-if", "edit")
_DELIMITERS = " \t\n"


def candidates(line: str, chat: Chat) -> list[str]:
    """What may stand in the place of the last word of ``line``."""
    *before, word = line.split(" ")
    offers = _offers(before, chat) if before else [f"/{name}" for name in COMMANDS]
    return sorted(offer for offer in dict.fromkeys(offers) if offer.startswith(word))


def _offers(before: list[str], chat: Chat) -> list[str]:
    command, first = before[0].removeprefix("/"), len(before) == 1
    keys = [key[:8] for key in chat.keys]
    if command == "brief":
        if first:
            return ["set", "unset", "load", "check"]
        return known_keys() if len(before) == 2 and before[1] in ("set", "unset") else []
    if command == "front":
        return list(METRICS) if first else []
    if command == "model":
        return ["off", *chat.desk.settings.models] if first else []
    if command in _OF_RUNS:
        return list(chat.session.state.runs) if first else []
    if command in _OF_DESIGNS:
        return [*keys, *(["all"] if command == "approve" else [])]
    if command in _OF_CHOICES:
        return [*keys, *(f"{name}=" for name in _choices())]
    return []


def _choices() -> list[str]:
    from archwright.evaluators.hardware.space import SPACES, hardware_space
    from archwright.evaluators.supernet import InputShape
    from archwright.evaluators.supernet.space import FAMILIES, network_space
    from archwright.session.changes import choice_names

    shape = InputShape(channels=1, side=8, classes=10)
    network = [name for family in FAMILIES for name in network_space(shape, family).names]
    hardware = [name for space in SPACES for name in hardware_space(space).names]
    return choice_names(dict.fromkeys(network, 0), dict.fromkeys(hardware, 0))


def install(chat: Chat) -> None:
    """Let readline, where there is one, offer them."""
    try:
        import readline
    except ImportError:  # not on every platform; the session works without
        return

    def complete(_: str, number: int) -> str | None:
        found = candidates(readline.get_line_buffer()[: readline.get_endidx()], chat)
        return found[number] if number < len(found) else None

    readline.set_completer_delims(_DELIMITERS)
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
