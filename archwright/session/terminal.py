"""The loop of a session: a line from the user, what it does, the next line.

Ctrl-C stops what is being done, not the session; Ctrl-D leaves. A mistake is one line.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from archwright.errors import ArchwrightError
from archwright.session.commands import Leave, parse

if TYPE_CHECKING:
    from archwright.session.chat import Chat

PROMPT = "archwright> "


def chat(session_id: str | None) -> None:
    """Open a session (None: a new one) and work in it until the user leaves.

    Raises :class:`UserError` where the session is not there or open in another terminal.
    """
    from rich.console import Console

    from archwright.desk import open_desk
    from archwright.session import completion
    from archwright.session.chat import Chat
    from archwright.session.store import Session
    from archwright.settings import load_settings

    settings = load_settings()
    with ExitStack() as held:
        desk = held.enter_context(open_desk(settings, trusted=True))
        session = held.enter_context(Session.open(session_id))
        opened = Chat(desk, session, Console(highlight=False))
        completion.install(opened)
        _welcome(opened)
        while _turn(opened):
            pass
        opened.line(f"left; archwright chat --session {session.id} goes on")


def print_sessions(as_json: bool) -> None:
    """The sessions of this home, as a table or as one JSON object."""
    import json

    from rich.console import Console

    from archwright.session.store import list_sessions
    from archwright.session.tables import session_table

    entries = list_sessions()
    if as_json:
        print(json.dumps({"sessions": [vars(entry) for entry in entries]}))
    elif entries:
        Console(highlight=False).print(session_table(entries))
    else:
        print("no sessions yet: archwright chat begins one")


def _welcome(chat: Chat) -> None:
    from archwright.session.profile import profile_name

    state, model = chat.session.state, profile_name(chat)
    chat.line(f"session {chat.session.id}; {f'model {model}' if model else 'no model'}; /help")
    chat.adopt()
    if state.brief or state.runs:
        runs = f"runs {', '.join(state.runs)}" if state.runs else "no run yet"
        chat.line(f"brief {state.brief.get('name', 'without a name')}; {runs}")


def _turn(chat: Chat) -> bool:
    """One line of the user's; whether the session goes on."""
    try:
        line = input(PROMPT).encode("utf-8", "replace").decode().strip()
    except EOFError:
        chat.line("")
        return False
    except KeyboardInterrupt:
        chat.line("")
        return True
    if not line:
        return True
    try:
        if line.startswith("/"):
            chat.session.add("command", text=line)
            command, rest = parse(line)
            command(chat, rest)
        else:
            from archwright.session.talk import talk

            talk(chat, line)
    except Leave:
        return False
    except ArchwrightError as error:
        chat.line(str(error))
    except KeyboardInterrupt:
        chat.line("\nstopped; the session and its runs go on")
    return True
