"""Commands that start, watch and stop runs. Watching ends with Ctrl-C; the run goes on."""

from __future__ import annotations

import math
import time

from archwright.errors import UserError, shown
from archwright.session import tables
from archwright.session.chat import Chat
from archwright.session.clarifying import START, wanted
from archwright.session.draft import as_toml, missing
from archwright.tools.check_brief import CheckedBrief, check_brief
from archwright.tools.desk import Desk, RunState
from archwright.tools.searches import search_status, stop_search

WATCH_EVERY_S = 0.5
GOES_ON = ("starting", "running")


def search(chat: Chat, rest: str) -> None:
    """Show the brief as it was understood; on a yes start it and watch."""
    hours = _hours(rest)
    brief = chat.session.state.brief
    checked = understood(chat, brief, hours, chat.desk)
    if checked is None:
        return
    said = wanted(chat, checked, "/search")
    if said.words:
        chat.line("kept; your model reads it when you next talk to it")
    if said.start or (said.words and chat.confirmed(START)):
        run = chat.begin(brief, hours, chat.desk)
        chat.line(f"run {run} has started\nit goes on when you leave; Ctrl-C ends watching only")
        watch(chat, run)


def understood(
    chat: Chat, brief: dict[str, object], hours: float | None, desk: Desk
) -> CheckedBrief | None:
    """Show how a brief was understood, before anything is spent; None: it cannot be worked on."""
    lacking = missing(brief)
    if lacking:
        chat.line(f"the brief still needs {', '.join(lacking)}: /brief set KEY VALUE")
        return None
    checked = check_brief.call({"brief": brief}, desk)
    if not checked.ok:
        chat.line(f"the brief is wrong: {checked.problem}")
        return None
    show_understood(chat, checked, hours)
    return checked


def show_understood(chat: Chat, checked: CheckedBrief, hours: float | None) -> None:
    """A brief as it will be worked on, defaults included, and how large its space is."""
    chat.line(as_toml(checked.brief))
    images = ", ".join(f"{n} {split}" for split, n in checked.images.items())
    chat.line(
        f"images: {images}; {checked.classes} classes\n"
        f"space: {checked.networks:,} networks x {checked.hardware:,} hardware points"
    )
    if hours is not None:
        chat.line(f"for at most {hours:g} hours")


def watch(chat: Chat, run: str) -> None:
    """Print how a run stands whenever that changes, until it ends or waits for approval."""
    last = ""
    while True:
        state = search_status.call({"run": run}, chat.desk)
        line = tables.progress_line(state)
        if line != last:
            chat.line(line)
            last = line
        if state.status not in GOES_ON:
            return _ended(chat, state)
        time.sleep(WATCH_EVERY_S)


def _ended(chat: Chat, state: RunState) -> None:
    if state.status == "waiting":
        from archwright.session.deciding import show_pending

        show_pending(chat, state.run)
        return
    chat.line(f"{state.run} {state.status}{': ' if state.stopped else ''}{state.stopped}")
    if state.status == "finished":
        chat.path(f"report: {state.folder}/report.html")


def status(chat: Chat, rest: str) -> None:
    """How a run stands; the session's last one where none is named."""
    state = search_status.call({"run": rest or chat.run}, chat.desk)
    chat.show(tables.state_table(state))
    if state.status == "waiting":
        _ended(chat, state)


def watch_again(chat: Chat, rest: str) -> None:
    """Watch a run that was started before."""
    watch(chat, rest or chat.run)


def stop(chat: Chat, rest: str) -> None:
    """Stop a run; it ends with a report of what it found."""
    state = stop_search.call({"run": rest or chat.run}, chat.desk)
    chat.line(tables.progress_line(state))


def _hours(text: str) -> float | None:
    if not text:
        return None
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= 1000:
        raise UserError(f"hours = {shown(text)}: allowed a number above 0, up to 1000")
    return hours
