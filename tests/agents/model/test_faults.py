"""The injector of faults, and a port whose endpoint spoils a share of its answers."""

import json
from collections import Counter
from typing import Any

import pytest
from asking import GOOD, Pick, ask, say

from archwright.agents.model.limits import Breaker
from archwright.agents.model.question import Answer, Question
from archwright.errors import ModelFailure


def requests(count: int) -> list[dict[str, Any]]:
    return [{"messages": [{"content": f"request {k}"}]} for k in range(count)]


def test_a_share_of_the_answers_is_spoilt_evenly(with_faults):
    faulty = with_faults(say(GOOD), 0.3, seed=1)
    for request in requests(2000):
        faulty(request, 0)
    dealt: Counter[str] = faulty.dealt
    assert 500 <= dealt.total() <= 700
    assert len(dealt) == 11
    assert max(dealt.values()) < 2 * min(dealt.values())


def test_the_faults_hang_on_seed_and_request_not_on_the_order(with_faults):
    def played(seed: int, order: int) -> dict[str, str]:
        faulty = with_faults(say(GOOD), 0.5, seed=seed)
        return {json.dumps(r): str(faulty(r, 0)) for r in requests(60)[::order]}

    assert played(1, 1) == played(1, -1)
    assert played(1, 1) != played(2, 1)
    faulty = with_faults(say(GOOD), 0.5, seed=1)
    assert len({str(faulty(requests(1)[0], 0)) for _ in range(60)}) > 3, "not always the same"


@pytest.mark.parametrize("kind", ["full", "plain"])
def test_a_port_lives_through_every_fault(port_to, with_faults, kind: str):
    faulty = with_faults(say(GOOD), 0.6, seed=4, delay_s=0.6)
    port, _ = port_to(faulty, kind=kind, timeout_s=0.3)
    port._breaker = Breaker(failures=10**6)  # all are asked
    outcomes = port.ask_all(
        [Question(step, "critic", "Choose.", f"step {step}", Pick) for step in range(100)]
    )
    answers = [outcome.value for outcome in outcomes if isinstance(outcome, Answer)]
    reasons = [str(outcome) for outcome in outcomes if isinstance(outcome, ModelFailure)]
    assert len(faulty.dealt) == 11, "each fault came"
    assert answers == [Pick(**GOOD)] * len(answers)
    assert len(answers) > 30
    assert not any("\n" in reason for reason in reasons)
    kinds = {reason.partition(" ")[0] for reason in reasons}
    assert {"time-out", "truncated", "refused", "enormous", "invalid"} <= kinds


def test_no_faults_are_no_faults(port_to, with_faults):
    port, _ = port_to(with_faults(say(GOOD), 0.0, seed=1))
    assert ask(port).attempts == 1
