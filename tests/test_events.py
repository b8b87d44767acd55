"""The event log: recorded once, in order, whatever a kill or another hand left in the file."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from archwright.events import Event, EventLog, read_events


def ignore(event: Event) -> None:
    """A listener that nobody asks."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def names(path: Path) -> list[tuple[Any, ...]]:
    return [(row["kind"], row["step"], row["label"]) for row in read_events(path)]


def test_events_are_rows_in_order_with_their_data_and_the_time(path: Path) -> None:
    log = EventLog(path, ignore)
    log.record(Event("round", 0, data={"hypervolume": 0.5, "part": "opening"}))
    log.record(Event("decision", 1, "planner", {"reason": "two\nlines \u2028 µ", "left": None}))
    assert log.rows() == read_events(path)
    first, second = log.rows()
    assert (first["kind"], first["step"], first["hypervolume"]) == ("round", 0, 0.5)
    assert (second["reason"], second["left"]) == ("two\nlines \u2028 µ", None)
    assert 1.7e9 < first["time"] <= second["time"]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 2


def test_an_event_is_recorded_once_and_always_told(path: Path) -> None:
    told: list[Event] = []
    log = EventLog(path, told.append)
    for value in (1, 2):
        log.record(Event("round", 0, "a", {"value": value}))
    log.record(Event("round", 1, "a"))
    log.record(Event("round", 0, "b"))
    again = EventLog(path, told.append)
    again.record(Event("round", 0, "a", {"value": 3}))
    again.record(Event("round", 2))
    assert names(path) == [
        ("round", 0, "a"),
        ("round", 1, "a"),
        ("round", 0, "b"),
        ("round", 2, ""),
    ]
    assert read_events(path)[0]["value"] == 1
    assert [event.data.get("value") for event in told] == [1, 2, None, None, 3, None]


def test_what_is_only_shown_is_not_written(path: Path) -> None:
    told: list[Event] = []
    log = EventLog(path, told.append)
    log.show(Event("training", data={"detail": "epoch 1"}))
    assert [event.kind for event in told] == ["training"]
    assert log.rows() == []


def test_data_cannot_rename_an_event(path: Path) -> None:
    EventLog(path, ignore).record(
        Event("round", 3, "x", {"kind": "other", "label": "y", "step": 9})
    )
    assert names(path) == [("round", 3, "x")]
    EventLog(path, ignore).record(Event("round", 3, "x"))
    assert len(read_events(path)) == 1


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_cut_short_by_a_kill_is_recorded_again(path: Path, cut: int) -> None:
    log = EventLog(path, ignore)
    log.record(Event("round", 0))
    log.record(Event("round", 1, data={"detail": "µ" * 10}))
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    resumed = EventLog(path, ignore)
    resumed.record(Event("round", 0))
    resumed.record(Event("round", 1))
    resumed.record(Event("round", 2))
    assert names(path) == [("round", 0, ""), ("round", 1, ""), ("round", 2, "")]
    for line in path.read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_a_reader_leaves_out_what_is_no_event(path: Path) -> None:
    good = json.dumps({"kind": "round", "step": 0, "label": ""}).encode()
    foreign = [
        b"",
        b"not json",
        b"[1, 2]",
        b'"text"',
        b'{"kind": "round"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"kind": ' + b"9" * 5000 + b"}",
        good[:-3],
    ]
    path.write_bytes(b"\n".join([good, *foreign, good.replace(b"0", b"1"), b'{"kind": "half']))
    assert names(path) == [("round", 0, ""), ("round", 1, "")]
    log = EventLog(path, ignore)
    log.record(Event("round", 1))
    log.record(Event("round", 2))
    assert names(path) == [("round", 0, ""), ("round", 1, ""), ("round", 2, "")]


def test_no_file_has_no_events(path: Path) -> None:
    assert read_events(path) == []
    assert EventLog(path, ignore).rows() == []
    assert not path.exists()


def test_threads_write_whole_lines_and_each_event_once(path: Path) -> None:
    told: list[str] = []
    log = EventLog(path, lambda event: told.append(event.name))
    start = threading.Barrier(8)

    def work(worker: int) -> None:
        start.wait()
        for step in range(30):
            log.record(Event("shared", step, data={"worker": worker, "filler": "x" * 500}))
            log.record(Event("own", step, str(worker)))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded = names(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(recorded) == 30 + 8 * 30
    assert len(set(recorded)) == len(recorded)
    assert len(told) == 8 * 60
    for worker in range(8):
        own = [step for kind, step, label in recorded if (kind, label) == ("own", str(worker))]
        assert own == list(range(30))
