"""What a terminal and a log file get to see of a run."""

from __future__ import annotations

import io
from time import monotonic

import pytest
from rich.console import Console

from archwright import progress
from archwright.events import Event
from archwright.progress import LiveProgress, PlainProgress, Progress, clock, progress_for_terminal

RUN = "digits-at-the-edge-20261121-143012-abcd"
EVENTS = (
    Event("part", data={"run": RUN, "part": "training the supernet", "evaluations": 96}),
    Event("training", data={"detail": "epoch 3 of 40, loss 1.234", "seconds_left": 61.0}),
    Event(
        "decision",
        0,
        data={
            "role": "planner",
            "mind": "rules",
            "decision": "open with 32 designs",
            "reason": "nothing is known yet",
        },
    ),
    Event("reviewed", 0, data={"rejected": 12}),
    Event("evaluated", 0, data={"evaluated": 7, "failed": 1, "seconds_left": 3725.0}),
    Event(
        "round",
        0,
        data={
            "part": "opening",
            "detail": "round 1",
            "hypervolume": 0.81234,
            "evaluated": 8,
            "best": "accuracy 0.972, 14 designs on the front",
        },
    ),
    Event("baseline", data={"part": "random baseline", "detail": "40 of 96 networks"}),
)


class Screen:
    """A console of 80 columns that remembers what was printed."""

    def __init__(self, terminal: bool) -> None:
        self.file = io.StringIO()
        self.console = Console(file=self.file, width=80, force_terminal=terminal, no_color=True)

    @property
    def lines(self) -> list[str]:
        return self.file.getvalue().splitlines()


def still(events: tuple[Event, ...] = EVENTS) -> list[str]:
    """The live table's last state, as text of 80 columns; nothing is redrawn meanwhile."""
    screen = Screen(terminal=False)
    shown = LiveProgress(screen.console)
    with shown:
        for event in events:
            shown(event)
    return screen.lines


def test_the_live_table_shows_all_that_is_asked_of_it_in_80_columns() -> None:
    lines = still(EVENTS[:-1])
    text = "\n".join(lines)
    for expected in (
        RUN,
        "opening: round 1",
        "8 of 96",
        "12 / 1",
        "accuracy 0.972, 14 designs on the front",
        "0.8123",
    ):
        assert expected in text
    for name in (
        "run",
        "phase",
        "designs evaluated",
        "rejected / failed",
        "best so far",
        "time / left",
    ):
        assert name in text
    assert "planner (rules): open with 32 designs: nothing is known yet" in text
    assert max(map(len, lines)) <= 80


def test_the_time_left_is_shown_in_hours() -> None:
    assert "0:00 / 1:02:05" in "\n".join(still(EVENTS[:5]))


def test_words_that_are_too_long_are_wrapped() -> None:
    long = Event(
        "round",
        data={"part": "x" * 200, "detail": "y " * 100, "best": "z" * 150, "hypervolume": 1.0},
    )
    reason = Event("decision", data={"role": "critic", "mind": "m" * 100, "reason": "why " * 60})
    lines = still((long, reason))
    assert max(map(len, lines)) <= 80
    assert sum(line.count("z") for line in lines) == 150


def test_a_terminal_is_redrawn_in_place_and_left_in_order() -> None:
    screen = Screen(terminal=True)
    shown = LiveProgress(screen.console)

    def run() -> None:
        with shown:
            for event in EVENTS:
                shown(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    output = screen.file.getvalue()
    assert "\x1b[?25l" in output, "the cursor is hidden while the table is live"
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l"), "and shown again at the end"
    assert "random baseline: 40 of 96 networks" in output


@pytest.mark.parametrize("kind", [LiveProgress, PlainProgress])
def test_a_model_s_words_cannot_steer_the_terminal(kind: type) -> None:
    screen = Screen(terminal=True)
    hostile = "\x1b]0;owned\x07[bold]\x1b[2J\nsecond line"
    shown = kind(screen.console)
    with shown:
        shown(Event("decision", data={"role": "planner", "mind": hostile, "reason": hostile}))
        shown(Event("round", data={"part": hostile, "best": hostile}))
    output = screen.file.getvalue()
    assert "\x1b]0;" not in output
    assert "\x1b[2J\n" not in output
    assert "\\x1b[2J\\nsecond line" in output.replace("\n", "") or "second" in output
    assert "[bold]" in output


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = monotonic()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moved_by_hand = Time()
    monkeypatch.setattr(progress, "time", moved_by_hand)
    return moved_by_hand


def plain() -> tuple[PlainProgress, Screen]:
    screen = Screen(terminal=False)
    return PlainProgress(screen.console), screen


def test_plain_lines_say_all_that_is_asked_of_them(time: Time) -> None:
    shown, screen = plain()
    with shown:
        for event in EVENTS[:-1]:
            time.now += 1.0
            shown(event)
    text = " ".join(" ".join(screen.lines).split())
    for expected in (
        "[0:01] training the supernet",
        "planner (rules): open with 32 designs: nothing is known yet",
        "[0:06] opening: round 1 | 8/96 evaluated, 12 rejected, 1 failed | hypervolume 0.8123 |",
        "best: accuracy 0.972, 14 designs on the front | left: 1:02:05",
    ):
        assert expected in text
    assert max(map(len, screen.lines)) <= 80


def test_plain_lines_come_with_each_phase_and_else_now_and_then(time: Time) -> None:
    shown, screen = plain()
    for number in range(100):
        time.now += 0.125
        shown(Event("round", number, data={"part": "surrogate", "detail": f"round {number}"}))
    printed = [line.split(" |")[0] for line in screen.lines if line.startswith("[")]
    assert printed == [
        "[0:00] surrogate: round 0",
        "[0:05] surrogate: round 40",
        "[0:10] surrogate: round 80",
    ]
    shown(Event("part", data={"part": "test scores"}))
    shown(Event("part", data={"part": "random baseline"}))
    assert [line.split(" |")[0] for line in screen.lines if line.startswith("[")][3:] == [
        "[0:12] test scores",
        "[0:12] random baseline",
    ]


def test_a_new_part_forgets_the_detail_and_the_time_of_the_last_one(time: Time) -> None:
    shown, screen = plain()
    shown(Event("part", data={"part": "training"}))
    time.now += 6
    shown(Event("training", data={"detail": "epoch 40 of 40", "seconds_left": 0.0}))
    shown(Event("part", data={"part": "opening"}))
    text = " ".join(screen.lines)
    assert "training: epoch 40 of 40 |" in text
    assert "opening |" in text
    assert text.endswith("left: -")


def test_the_quiet_one_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        for event in EVENTS:
            shown(event)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_the_table_and_a_pipe_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_for_terminal(), PlainProgress)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(progress_for_terminal(), LiveProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_for_terminal(), PlainProgress)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0:00"),
        (0.4, "0:00"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3600, "1:00:00"),
        (36125, "10:02:05"),
    ],
)
def test_times_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert clock(seconds) == text
