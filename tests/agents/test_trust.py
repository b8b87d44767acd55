"""Trust: who is overruled again and again rests, in memory and over a resumed run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.trust import PATIENCE, REST, ArchiveTrust, PlainTrust
from archwright.memory.archive import Archive


@pytest.fixture(params=["plain", "archive"])
def trust(request, tmp_path):
    if request.param == "plain":
        yield PlainTrust()
        return
    with Archive(tmp_path / "archive.db") as archive:
        yield ArchiveTrust(archive, "run")


def hear(trust, *words, role="planner", start=0):
    """Words of consecutive steps: x overruled, o not, a blank where nothing was said."""
    for step, word in enumerate("".join(words), start):
        if word != " ":
            trust.heard(role, step, word == "x")


def test_a_new_role_is_asked(trust):
    assert not trust.rests("planner", 0)
    assert not trust.rests("planner", 50)
    assert trust.overruled("planner", 50, back=3) == []


@pytest.mark.parametrize("words", ["x", "xx", "xxo", "oxx", "xoxx", "xxoxx"])
def test_fewer_than_three_in_a_row_change_nothing(trust, words):
    hear(trust, words)
    assert not trust.rests("planner", len(words))


@pytest.mark.parametrize("words", ["xxx", "oxxx", "x x  x", "xxxx"])
def test_three_in_a_row_rest_for_ten_rounds(trust, words):
    hear(trust, words)
    last = len(words) - 1
    assert [trust.rests("planner", last + k) for k in range(1, REST)] == [True] * (REST - 1)
    assert not trust.rests("planner", last + REST)


def test_one_bad_probe_rests_again_and_a_good_one_is_heard_again(trust):
    hear(trust, "x" * PATIENCE)
    probe = PATIENCE - 1 + REST
    trust.heard("planner", probe, True)
    assert trust.rests("planner", probe + 1)
    assert not trust.rests("planner", probe + REST)
    trust.heard("planner", probe + REST, False)
    assert not trust.rests("planner", probe + REST + 1)


def test_roles_are_apart(trust):
    hear(trust, "xxx", role="critic")
    assert trust.rests("critic", 3)
    assert not trust.rests("planner", 3)


def test_the_first_word_of_a_step_stays(trust):
    hear(trust, "xxx")
    trust.heard("planner", 2, False)
    assert trust.rests("planner", 3)


def test_a_step_knows_only_those_before_it(trust):
    hear(trust, "xxx")
    assert not trust.rests("planner", 2)
    assert trust.overruled("planner", 2, back=5) == [True, True]


def test_the_last_words_come_first(trust):
    hear(trust, "ox x o")
    assert trust.overruled("planner", 6, back=2) == [False, True]
    assert trust.overruled("planner", 6, back=9) == [False, True, True, False]


def test_a_word_after_silence_was_seen_counts(trust):
    """Asking about a step before its word is there does not hide the word."""
    hear(trust, "xx")
    assert not trust.rests("planner", 4)
    trust.heard("planner", 3, True)
    assert trust.rests("planner", 4)


@given(st.lists(st.sampled_from("xo "), max_size=40))
def test_it_rests_only_after_bad_words_alone(words):
    trust = PlainTrust()
    hear(trust, *words)
    if trust.rests("planner", len(words)):
        said = [word for word in words if word != " "]
        assert said[-PATIENCE:] == ["x"] * PATIENCE
        assert "x" in words[-REST + 1 :]


def test_a_resumed_run_goes_on_with_it(tmp_path):
    with Archive(tmp_path / "archive.db") as archive:
        hear(ArchiveTrust(archive, "run"), "xx")
    with Archive(tmp_path / "archive.db") as archive:
        again = ArchiveTrust(archive, "run")
        again.heard("planner", 1, False)  # the step that was cut off runs again
        again.heard("planner", 2, True)
        assert again.rests("planner", 3)
        assert not ArchiveTrust(archive, "another").rests("planner", 3)
