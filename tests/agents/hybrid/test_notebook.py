"""Notebooks: one contract, in memory and in a run's archive."""

from __future__ import annotations

import pytest

from archwright.agents.hybrid.notebook import Advice, ArchiveNotebook, PlainNotebook
from archwright.memory.archive import Archive

FIRST = Advice(0, 0, 0.3, ("a", "b"), {"tried": 2, "twice": 1})
AGAIN = Advice(0, 1, 0.3)
LATER = Advice(4, 0, 0.25, ("c",))


@pytest.fixture(params=["plain", "archive"])
def notebook(request, tmp_path):
    if request.param == "plain":
        yield PlainNotebook()
        return
    with Archive(tmp_path / "archive.db") as archive:
        yield ArchiveNotebook(archive, "run")


def test_it_gives_all_of_the_last_step_that_was_asked(notebook):
    assert notebook.last(9) == ()
    for advice in (FIRST, AGAIN, LATER):
        notebook.keep(advice)
    assert notebook.last(0) == ()
    for step in (1, 4):
        assert notebook.last(step) == (FIRST, AGAIN)
    for step in (5, 99):
        assert notebook.last(step) == (LATER,)


def test_what_was_kept_first_stays(notebook):
    notebook.keep(FIRST)
    notebook.keep(Advice(0, 0, 0.6, ("z",)))
    assert notebook.last(1) == (FIRST,)


def test_refusals_are_counted(notebook):
    notebook.keep(FIRST)
    [kept] = notebook.last(1)
    assert kept.refused == 3
    assert kept.refusals["tried"] == 2


def test_a_second_process_reads_what_the_first_kept(tmp_path):
    with Archive(tmp_path / "archive.db") as archive:
        ArchiveNotebook(archive, "run").keep(FIRST)
    with Archive(tmp_path / "archive.db") as archive:
        assert ArchiveNotebook(archive, "run").last(3) == (FIRST,)
        assert ArchiveNotebook(archive, "another").last(3) == ()
