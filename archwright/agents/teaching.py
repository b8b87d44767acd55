"""Writing lessons down: each finding once, each failing again when it is twice as frequent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archwright.agents.failings import circumstances, failings
from archwright.agents.lessons import Finding
from archwright.agents.problem import Problem
from archwright.memory.archive import Archive
from archwright.memory.lessons import SUBJECT, Lesson, add_lessons, read_lessons
from archwright.space import Value

CHOICE = "choice"
TIMES = "times"


def teach(
    archive: Archive,
    run: str,
    step: int,
    problem: Problem,
    conditions: Mapping[str, Value],
    found: Sequence[Finding],
    measured: int,
) -> None:
    """Keep what is new by the end of a step. Writing it again changes nothing.

    ``found`` is what helps, by ``measured`` networks; what failed is read from the archive.
    ``conditions`` hold for the whole run; a failing that depends on the brief's bounds and
    hardware names those too.
    """
    proposals = archive.proposals(run, before_step=step + 1)
    failures = archive.failures(run, before_step=step + 1)
    known = read_lessons(archive, run, before_step=step)
    claims = {lesson.conditions.get(CHOICE) for lesson in known}
    told = {lesson.conditions.get(SUBJECT): lesson.conditions.get(TIMES) for lesson in known}
    lessons = [Lesson(f.text, {**conditions, CHOICE: f.claim}, f.evidence) for f in found]
    new = [lesson for lesson in lessons if lesson.conditions[CHOICE] not in claims]
    for failing in failings(problem, proposals, failures, measured):
        about = {SUBJECT: failing.subject, TIMES: failing.times, **conditions}
        where = circumstances(problem) if failing.of_brief else {}
        lesson = Lesson(failing.text, {**about, **where}, failing.evidence)
        before = told.get(lesson.conditions[SUBJECT])
        if not isinstance(before, int | float) or failing.times >= 2 * before:
            new.append(lesson)
    add_lessons(archive, run, step, new)
