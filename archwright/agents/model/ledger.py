"""The record of what models were asked: one event for every ask, answered or failed.

The events are written as the asks end, so they know more than the graph's last checkpoint
when a run is resumed after a kill: what had been spent is read from them.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from archwright.agents.model.limits import Spent
from archwright.events import Event, EventLog
from archwright.memory.lessons import plain_text

ASKED = "model"
"""The kind of these events."""
ANSWERED = "answered"
LONGEST_OUTCOME = 200


@dataclass(frozen=True)
class Asked:
    """One ask of a model, with all its requests.

    Tokens are as the server counted them, else estimated; ``dollars`` is None where the
    price is not known. ``outcome`` is "answered", or in short why there is no answer.
    ``question`` tells it from other asks of the role in its step, alike in every replay.
    """

    step: int
    role: str
    question: str
    model: str
    requests: int
    tokens_in: int
    tokens_out: int
    seconds: float
    dollars: float | None
    outcome: str

    @property
    def spent(self) -> Spent:
        """What it took from a budget."""
        unpriced = self.requests if self.dollars is None else 0
        tokens = self.tokens_in + self.tokens_out
        return Spent(self.requests, tokens, self.dollars or 0.0, unpriced, self.seconds)


class Ledger:
    """Writes asks into a run's events, from any thread.

    Their labels are the role, the question and how often the step has asked it by now,
    those before a resume included: none is lost, and a replay gives the same ones.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._lock = threading.Lock()
        rows = (row for row in events.rows() if row["kind"] == ASKED)
        self._before = Counter((row["step"], row["label"].rpartition("/")[0]) for row in rows)

    def __call__(self, asked: Asked) -> None:
        """Write one down."""
        name = f"{asked.role}/{asked.question}"
        with self._lock:
            number = self._before[asked.step, name]
            self._before[asked.step, name] += 1
        data = asdict(replace(asked, outcome=plain_text(asked.outcome, LONGEST_OUTCOME)))
        data["seconds"] = round(asked.seconds, 3)
        del data["step"]
        self._events.record(Event(ASKED, asked.step, f"{name}/{number}", data))


def recorded(rows: Iterable[Mapping[str, Any]]) -> list[Asked]:
    """The asks among the rows of an event log, in order."""
    names = [field.name for field in fields(Asked)]
    return [
        Asked(**{name: row[name] for name in names})
        for row in rows
        if row["kind"] == ASKED and row.keys() >= set(names)
    ]


def spent_by_step(asks: Iterable[Asked]) -> dict[int, Spent]:
    """What each step had spent on its asks."""
    spent: defaultdict[int, Spent] = defaultdict(Spent)
    for asked in asks:
        spent[asked.step] += asked.spent
    return dict(spent)


def spent_before(saved: Spent, asks: Iterable[Asked]) -> Spent:
    """What a run had spent: by its last checkpoint, or by the asks where these say more.

    Seconds are the checkpoint's: those of asks that waited together would count twice.
    """
    asked = sum((each.spent for each in asks), Spent())
    return Spent(
        max(saved.requests, asked.requests),
        max(saved.tokens, asked.tokens),
        max(saved.dollars, asked.dollars),
        max(saved.unpriced, asked.unpriced),
        saved.seconds,
    )
