"""What failed: counted by reason, with what the failing designs share beyond chance."""

from __future__ import annotations

import numpy as np
import pytest

from archwright.agents.critic import ALREADY_TRIED
from archwright.agents.failings import all_circumstances, circumstances, failings
from archwright.agents.teaching import teach
from archwright.memory.archive import Archive
from archwright.memory.lessons import read_lessons
from archwright.memory.records import FailedSubject, Proposal, Review, Verdict

BOUND = "no hardware brings latency_ms within the brief's bound"


@pytest.fixture
def designs(problem, small):
    """40 proposed designs, drawn uniformly."""
    rows = problem.network_space.sample(np.random.default_rng(4), 40)
    return small.designs_of(problem, list(rows))


def judged(designs, reason_of):
    """Proposals, rejected where ``reason_of`` gives a reason."""
    reviews = [
        Review(k, Verdict.REJECT if (reason := reason_of(d)) else Verdict.ACCEPT, reason or "good")
        for k, d in enumerate(designs)
    ]
    return [Proposal(0, 0, k, d, r) for k, (d, r) in enumerate(zip(designs, reviews, strict=True))]


def deep(design):
    return BOUND if design.network["depth_3"] == 3 else None


def test_a_reason_says_how_often_and_what_is_shared(problem, designs):
    [found] = failings(problem, judged(designs, deep), [], 0)
    bad = [d.key for d in designs if deep(d)]
    assert found.text.startswith(f"{BOUND}: {len(bad)} of 40 proposals, of 10^")
    assert found.text.endswith("multiply-accumulates, all with depth_3 = 3")
    assert (found.subject, found.times, found.of_brief) == (BOUND, len(bad), True)
    assert found.evidence == tuple(bad)


def test_what_chance_explains_is_not_said(problem, designs):
    """Three networks often agree in a choice or two of fourteen."""
    for first in range(0, 36, 3):
        three = {d.key for d in designs[first : first + 3]}
        [found] = failings(
            problem,
            judged(designs, lambda d, three=three: BOUND if d.key in three else None),
            [],
            0,
        )
        assert "all with" not in found.text


def test_seldom_reasons_and_repetitions_teach_nothing(problem, designs):
    rare = {d.key for d in designs[:2]}
    assert (
        failings(problem, judged(designs, lambda d: BOUND if d.key in rare else None), [], 0) == []
    )
    assert failings(problem, judged(designs, lambda d: ALREADY_TRIED), [], 0) == []
    assert failings(problem, [], [], 0) == []


def test_failures_of_an_evaluator_are_counted_by_network(problem, designs):
    crash = "stopped after the time limit of 60 s"
    failures = [FailedSubject(0, d.network_key, "supernet", crash) for d in designs[:4]]
    again = [FailedSubject(1, designs[0].network_key, "supernet", crash)]
    unknown = [FailedSubject(1, "not-proposed", "supernet", crash)]
    [found] = failings(problem, judged(designs, lambda d: None), failures + again + unknown, 15)
    assert found.text.startswith(f"supernet could not measure: {crash}: 4 of 20 evaluations")
    assert not found.of_brief
    assert found.evidence == tuple(d.key for d in designs[:4])


def test_a_network_of_no_space_is_counted_all_the_same(problem, designs, small):
    strange = [replace_choice(d, "depth_1", 99) for d in designs[:3]]
    reason = "network outside the space"
    [found] = failings(problem, judged([*strange, *designs[3:]], outside), [], 0)
    assert found.text == f"{reason}: 3 of 40 proposals"


def replace_choice(design, name, value):
    return type(design)({**design.network, name: value}, design.hardware, design.origin)


def outside(design):
    return "network outside the space" if design.network["depth_1"] == 99 else None


def test_a_failing_is_told_again_when_it_has_doubled(problem, designs, tmp_path):
    conditions = {"data": "digits"}
    bad = [d for d in designs if deep(d)]
    with Archive(tmp_path / "archive.db") as archive:
        for step, upto in enumerate((2, 3, 4, 5, 6)):
            new = bad[upto - 1 : upto] if step else bad[:2]
            archive.add_proposals("run", step, 0, new)
            archive.review(
                "run", step, 0, [Review(k, Verdict.REJECT, BOUND) for k in range(len(new))]
            )
            for _ in range(2):
                teach(archive, "run", step, problem, conditions, (), 0)
        told = [read_lessons(archive, "run", before_step=step) for step in range(1, 6)]
        assert [[lesson.step for lesson in lessons] for lessons in told] == [[], [1], [1], [1], [4]]
        [lesson] = told[-1]
        assert lesson.text.startswith(f"{BOUND}: 6 of 6 proposals")
        assert lesson.conditions == {
            "data": "digits", "subject": BOUND, "times": 6, **circumstances(problem)
        }  # fmt: skip
        assert lesson.evidence == tuple(d.key for d in bad[:6])


def test_the_circumstances_are_the_bounds_and_the_hardware(small, problem):
    bounded = small.make_problem(constraints={"latency_ms": {"at_most": 5.0}})
    assert circumstances(bounded)["latency_ms at most"] == 5.0
    assert "latency_ms at least" not in circumstances(bounded)
    assert all_circumstances(bounded)["latency_ms at least"] == "none"
    assert all_circumstances(problem)["latency_ms at most"] == "none"
    smaller = small.make_problem(hardware={**small.hardware, "rows": [8]})
    assert circumstances(smaller)["hardware"] != circumstances(problem)["hardware"]
