"""Lessons: what the critic learned, kept in a run's archive and read across runs.

A lesson that comes back from another run is untrusted text: it is short, without control
characters, and nothing but words for a reader. Nobody may act on it as an instruction.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import select

from archwright.memory import rows, tables
from archwright.memory.archive import Archive
from archwright.memory.past import archive_file, read_past
from archwright.memory.reader import ArchiveReader
from archwright.memory.registry import Registry
from archwright.space import Value

LONGEST_READ = 20_000
"""Characters of a text that are looked at, whatever its length."""
LONGEST_TEXT = 400
LONGEST_NAME = 64
MOST_CONDITIONS = 16
MOST_EVIDENCE = 32
MOST_LESSONS = 5000
"""Rows read of one run; a run of a hundred rounds writes some dozens."""

SUBJECT = "subject"
"""The condition that names what a lesson is about: a run's later lesson on it replaces it."""

_KEY = re.compile(r"[A-Za-z0-9:_-]{1,64}")


@dataclass(frozen=True)
class Lesson:
    """One sentence that held under ``conditions``, shown by the designs in ``evidence``.

    Conditions name facts of a run ("network space": "mbconv"). Everything is cleaned and
    bounded when the lesson is made, wherever it comes from.
    """

    text: str
    conditions: Mapping[str, Value] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    run: str = ""
    step: int = 0

    def __post_init__(self) -> None:
        conditions = {
            plain_text(name, LONGEST_NAME): _plain_value(value)
            for name, value in list(self.conditions.items())[:MOST_CONDITIONS]
        }
        evidence = tuple(key for key in self.evidence if _KEY.fullmatch(key))[:MOST_EVIDENCE]
        object.__setattr__(self, "text", plain_text(self.text, LONGEST_TEXT))
        object.__setattr__(self, "conditions", conditions)
        object.__setattr__(self, "evidence", evidence)


@dataclass(frozen=True)
class RecalledLessons:
    """Lessons of other runs, best first, and why some runs could not be read."""

    lessons: tuple[Lesson, ...]
    skipped: tuple[str, ...]


def plain_text(text: str, longest: int) -> str:
    """Text on one line: no control, format or private characters, at most ``longest``."""
    text = text[:LONGEST_READ]
    spaced = (" " if unicodedata.category(c) in ("Zl", "Zp") or c in "\t\r\n" else c for c in text)
    visible = "".join(c for c in spaced if not unicodedata.category(c).startswith("C"))
    return " ".join(visible.split())[:longest].rstrip()


def _plain_value(value: Value) -> Value:
    return plain_text(value, LONGEST_NAME) if isinstance(value, str) else value


def add_lessons(archive: Archive, run: str, step: int, lessons: Sequence[Lesson]) -> None:
    """Keep the lessons of a step; writing them again changes nothing."""
    new = [
        {
            "run": run,
            "step": step,
            "position": position,
            "text": lesson.text,
            "conditions": rows.dump(dict(lesson.conditions)),
            "evidence": rows.dump(lesson.evidence),
        }
        for position, lesson in enumerate(lessons)
    ]
    with archive.database.write() as connection:
        archive.database.insert_new(connection, tables.lessons, new)


def read_lessons(
    archive: ArchiveReader, run: str, *, before_step: int | None = None
) -> list[Lesson]:
    """The lessons of a run, in the order in which they were learned.

    Of several with one :data:`SUBJECT` only the last.
    """
    table = tables.lessons
    query = select(table).where(table.c.run == run).order_by(table.c.step, table.c.position)
    if before_step is not None:
        query = query.where(table.c.step < before_step)
    last: dict[object, Lesson] = {}
    with archive.database.read() as connection:
        for row in connection.execute(query.limit(MOST_LESSONS)):
            evidence = tuple(str(key) for key in json.loads(row.evidence))
            conditions = rows.load_point(row.conditions)
            lesson = Lesson(row.text, conditions, evidence, row.run, row.step)
            subject = lesson.conditions.get(SUBJECT, (row.step, row.position))
            last.pop(subject, None)
            last[subject] = lesson
    return list(last.values())


def recall_lessons(
    registry: Registry, facts: Mapping[str, Value], k: int, *, exclude_run: str | None = None
) -> RecalledLessons:
    """At most ``k`` lessons of other runs that may hold under ``facts``.

    A lesson that a fact contradicts is left out; the more conditions agree, the earlier a
    lesson stands, then the newer run. Of equal texts the first is kept. Runs that cannot
    be read are skipped, with a reason.
    """
    skipped: list[str] = []
    found: list[tuple[int, Lesson]] = []
    for entry in reversed(registry.list()):
        if entry.run == exclude_run or not archive_file(entry).is_file():
            continue
        read = partial(read_lessons, run=entry.run)
        for lesson in read_past(entry, read, skipped) or ():
            agreement = _agreement(lesson, facts)
            if lesson.text and agreement is not None:
                found.append((agreement, lesson))
    found.sort(key=lambda scored: -scored[0])
    distinct: dict[str, Lesson] = {}
    for _, lesson in found:
        distinct.setdefault(lesson.text, lesson)
    return RecalledLessons(tuple(distinct.values())[:k], tuple(skipped))


def _agreement(lesson: Lesson, facts: Mapping[str, Value]) -> int | None:
    """How many conditions the facts meet; None when one of them contradicts."""
    known = [facts[name] == value for name, value in lesson.conditions.items() if name in facts]
    return len(known) if all(known) else None
