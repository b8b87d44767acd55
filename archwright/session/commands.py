"""The slash commands: their names, their words, and which function does each.

A new command is one line in :data:`COMMANDS` and a function ``(chat, rest of the line)``.
Functions are named by module, so that a session imports a command's tools when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from archwright.errors import UserError, shown

if TYPE_CHECKING:
    from archwright.session.chat import Chat


class Leave(Exception):
    """The user wants to leave the session."""


@dataclass(frozen=True)
class Command:
    """One slash command. ``does`` is MODULE:FUNCTION under archwright.session."""

    name: str
    words: str
    meaning: str
    does: str

    def __call__(self, chat: Chat, rest: str) -> None:
        """Do it. Raises :class:`UserError`, one line."""
        module, function = self.does.split(":")
        do: Callable[[Chat, str], None] = getattr(
            import_module(f"archwright.session.{module}"), function
        )
        do(chat, rest)


_ALL = (
    Command(
        "brief", "[set KEY VALUE | unset KEY | load FILE | check]", "the brief", "commands:brief"
    ),
    Command("search", "[HOURS]", "start a search, after a yes", "searching:search"),
    Command("watch", "[RUN]", "watch a run; Ctrl-C ends watching only", "searching:watch_again"),
    Command("status", "[RUN]", "how a run stands", "searching:status"),
    Command("stop", "[RUN]", "end a run with a report", "searching:stop"),
    Command("front", "[METRIC]", "the front, best first by a metric", "exploring:front"),
    Command("why", "[DESIGN]", "layers, bottleneck, origin, evidence", "exploring:why"),
    Command("what-if", "CHOICE=VALUE ... [DESIGN]", "a design varied", "exploring:what_if"),
    Command("compare", "DESIGN DESIGN ...", "designs side by side", "exploring:compare"),
    Command(
        "approve", "[DESIGN ... | all]", "let waiting designs be evaluated", "deciding:approve"
    ),
    Command("reject", "DESIGN REASON", "reject one; the proposer learns why", "deciding:reject"),
    Command("edit", "DESIGN CHOICE=VALUE ...", "evaluate it changed", "deciding:edit"),
    Command("steer", "TEXT", "a note for the proposer", "deciding:steer"),
    Command("export", "[DESIGN]", "weights, ONNX, hardware", "exploring:export"),
    Command("recall", "", "similar designs of past runs", "exploring:recall"),
    Command("sessions", "", "the sessions of this home", "commands:sessions"),
    Command("model", "[NAME | off]", "talk to a model of your settings", "commands:model"),
    Command("help", "", "this list", "commands:help_"),
    Command("quit", "", "leave; runs go on", "commands:leave"),
)
COMMANDS = {command.name: command for command in _ALL}


def parse(line: str) -> tuple[Command, str]:
    """The command of a line that begins with / and the rest of it. Raises :class:`UserError`."""
    name, _, rest = line[1:].partition(" ")
    if name in COMMANDS:
        return COMMANDS[name], rest.strip()
    alike = [known for known in COMMANDS if name and known.startswith(name)]
    if len(alike) == 1:
        return COMMANDS[alike[0]], rest.strip()
    allowed = ", ".join(f"/{known}" for known in alike or COMMANDS)
    raise UserError(f"{shown('/' + name)}: no such command; allowed {allowed}")


def brief(chat: Chat, rest: str) -> None:
    """Show, change, load or check the brief."""
    from archwright.session import draft
    from archwright.session.searching import understood

    table = chat.session.state.brief
    action, _, words = rest.partition(" ")
    key, _, value = words.strip().partition(" ")
    match action:
        case "":
            chat.line(draft.as_toml(table) or "the brief is empty")
        case "set" if key and value.strip():
            chat.session.add("brief", brief=draft.with_value(table, key, value.strip()))
            chat.line(f"{key} = {value.strip()}")
        case "unset" if key:
            chat.session.add("brief", brief=draft.without(table, key))
            chat.line(f"{key} is not set any more")
        case "load" if words.strip():
            path = Path(words.strip()).expanduser()
            chat.session.add("brief", brief=draft.loaded(path))
            chat.line(draft.as_toml(chat.session.state.brief))
        case "check":
            understood(chat, table, None, chat.desk)
            return
        case _:
            raise UserError(f"allowed: /brief {COMMANDS['brief'].words}")
    if lacking := draft.missing(chat.session.state.brief):
        chat.line(f"still needed: {', '.join(lacking)}")


def sessions(chat: Chat, rest: str) -> None:
    """List the sessions."""
    from archwright.session.store import list_sessions
    from archwright.session.tables import session_table

    chat.show(session_table(list_sessions()))


def model(chat: Chat, rest: str) -> None:
    """Choose the model profile of the session, or none."""
    if rest and rest != "off":
        chat.desk.settings.profile(rest)
    if rest:
        chat.session.add("model", profile=rest)
    from archwright.session.profile import profile_name

    chat.line(f"model: {profile_name(chat) or 'none; /model NAME chooses one of your settings'}")


def help_(chat: Chat, rest: str) -> None:
    """List the commands."""
    for command in _ALL:
        chat.line(f"/{command.name} {command.words}".rstrip())
        chat.line(f"    {command.meaning}")
    chat.line("DESIGN: the beginning of a key. The run is the session's last one.")


def leave(chat: Chat, rest: str) -> None:
    """End the session."""
    raise Leave
