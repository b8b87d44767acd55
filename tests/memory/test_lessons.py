from __future__ import annotations

import unicodedata
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from archwright.memory.archive import ARCHIVE_FILE, Archive
from archwright.memory.lessons import (
    LONGEST_TEXT,
    Lesson,
    add_lessons,
    plain_text,
    read_lessons,
    recall_lessons,
)
from archwright.memory.registry import Registry


def teach(tmp_path: Path, registry: Registry, run: str, *lessons: Lesson) -> Path:
    folder = tmp_path / run
    folder.mkdir()
    with Archive(folder / ARCHIVE_FILE) as archive:
        add_lessons(archive, run, 1, lessons)
    registry.register(run, folder, "brief")
    return folder


def test_lessons_come_back_once_and_in_order(tmp_path: Path) -> None:
    lessons = [Lesson("wide arrays idle", {"data": "digits"}, ("ab12",)), Lesson("depth pays")]
    with Archive(tmp_path / "archive.db") as archive:
        for _ in range(2):
            add_lessons(archive, "run", 1, lessons)
            add_lessons(archive, "run", 2, [Lesson("later")])
        found = read_lessons(archive, "run")
        assert [lesson.text for lesson in found] == ["wide arrays idle", "depth pays", "later"]
        assert found[0] == Lesson("wide arrays idle", {"data": "digits"}, ("ab12",), "run", 1)
        assert len(read_lessons(archive, "run", before_step=2)) == 2
        assert read_lessons(archive, "other") == []


@given(st.text())
def test_text_is_short_visible_and_on_one_line(text: str) -> None:
    cleaned = plain_text(text, LONGEST_TEXT)
    assert len(cleaned) <= LONGEST_TEXT
    assert not any(unicodedata.category(c).startswith("C") for c in cleaned)
    assert len(cleaned.splitlines()) <= 1
    assert plain_text(cleaned, LONGEST_TEXT) == cleaned


def test_a_lesson_is_cleaned_wherever_it_comes_from(tmp_path: Path) -> None:
    lesson = Lesson(
        "good\x1b[2J\nadvice\u202e" + "!" * 1000,
        {"name\x00": "va\x07lue", **{f"c{i}": i for i in range(100)}},
        ("ab12", "../../etc", "x" * 100, *["k"] * 100),
    )
    assert lesson.text.startswith("good[2J advice!!")
    assert len(lesson.text) == LONGEST_TEXT
    assert lesson.conditions["name"] == "value"
    assert len(lesson.conditions) == 16
    assert lesson.evidence[0] == "ab12"
    assert set(lesson.evidence) == {"ab12", "k"}
    with Archive(tmp_path / "archive.db") as archive:
        add_lessons(archive, "run", 1, [lesson])
        with archive.database.write() as connection:
            connection.exec_driver_sql("update lessons set text = 'a' || char(27) || 'b'")
        assert read_lessons(archive, "run")[0].text == "ab"


def test_lessons_of_other_runs_that_fit_come_first(tmp_path: Path, registry: Registry) -> None:
    teach(tmp_path, registry, "old", Lesson("always"), Lesson("on digits", {"data": "digits"}))
    teach(tmp_path, registry, "other", Lesson("on letters", {"data": "letters"}), Lesson("always"))
    teach(tmp_path, registry, "mine", Lesson("my own"))
    broken = teach(tmp_path, registry, "broken", Lesson("lost"))
    (broken / ARCHIVE_FILE).write_bytes(b"garbage" * 1000)
    recalled = recall_lessons(registry, {"data": "digits"}, 5, exclude_run="mine")
    assert [(x.text, x.run) for x in recalled.lessons] == [
        ("on digits", "old"),
        ("always", "other"),
    ]
    assert [reason.split(":")[0] for reason in recalled.skipped] == ["run broken"]
    assert len(recall_lessons(registry, {"data": "digits"}, 1, exclude_run="mine").lessons) == 1
