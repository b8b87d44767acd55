"""Which model a session asks, and what it may spend on it."""

from __future__ import annotations

from archwright.agents.model.limits import Limits, run_limits
from archwright.brief import Budget
from archwright.session.chat import Chat
from archwright.session.store import State


def profile_name(chat: Chat) -> str:
    """The session's model profile, else the only one of the settings, else nothing."""
    chosen, known = chat.session.state.model, chat.desk.settings.models
    if chosen:
        return "" if chosen == "off" else chosen
    return next(iter(known)) if len(known) == 1 else ""


def limits_of(state: State) -> Limits:
    """What the session may spend on its model: as the user set it, or the default."""
    budget = Budget(**{"evaluations": 1, **state.agreed.get("budget", {})})
    return run_limits(budget, state.spent, scope="session")
