"""The analyst asks once, with tools, over real HTTP; its words are kept, whatever came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tool_calls import calling, results

from archwright.agents.analyst import Analyst, Explanation
from archwright.agents.frontier import Pairings
from archwright.agents.problem import Problem
from archwright.agents.recollection import Recollection
from archwright.agents.toolbox import Toolbox
from archwright.memory.archive import Archive

ANSWER = {
    "why_best": ["Its wide last stage is accurate.", "Eight bits keep it small."],
    "bottleneck": ["The depthwise layers of stage 3 fill and drain the array."],
    "next": ["Try fewer rows."],
}
WORDS = (*ANSWER["why_best"], *ANSWER["bottleneck"], *ANSWER["next"])


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive.db") as archive:
        yield archive


@pytest.fixture
def analyst(problem: Problem, pairings: Pairings, small: Any, port_to: Any) -> Any:
    """``analyst(script)``: the analyst, its server, and what was noted."""
    rows = problem.network_space.sample(np.random.default_rng(5), 8)
    history = small.history_of(small.evaluate(problem, rows))
    toolbox = Toolbox(problem, pairings, 3, Recollection(), lambda step: history)

    def make(script: Any) -> Any:
        port, server = port_to(script)
        notes: list[tuple[Any, ...]] = []
        mind = Analyst(port, lambda *words: notes.append(words), tools=toolbox.for_role)
        return mind, server, notes

    return make


def test_it_explains_with_what_tools_say(analyst: Any, archive: Archive, reply: Any) -> None:
    def script(request: Any, number: int) -> Any:
        asked_for = [("front", {"designs": 1}), ("start_search", {})]
        return reply(raw=calling(*asked_for)) if number == 0 else ANSWER

    mind, server, notes = analyst(script)
    explanation = mind.explain(archive, "run", 4, "the chosen design: ...")
    assert explanation == Explanation("model/scripted", WORDS)
    front, refused = results(server.requests[1].json)
    assert '"size"' in front
    assert refused.startswith("error: no tool 'start_search'; allowed ")
    assert [(step, role, decision) for step, role, _, decision, _ in notes] == [
        (4, "evaluator", "answered")
    ]


def test_it_is_asked_once_in_a_run(analyst: Any, archive: Archive) -> None:
    mind, server, _ = analyst(lambda *_: ANSWER)
    first = mind.explain(archive, "run", 4, "what the search came to")
    again, other, _ = analyst(lambda *_: {**ANSWER, "next": ["Other words."]})
    assert again.explain(archive, "run", 4, "what the search came to") == first
    assert len(server.requests) == 1
    assert other.requests == []


@pytest.mark.parametrize(
    "said", ["a poem", {}, {**ANSWER, "next": []}, {**ANSWER, "next": ["x" * 301]}]
)
def test_without_an_answer_there_are_no_words_and_it_is_not_asked_again(
    analyst: Any, archive: Archive, said: Any
) -> None:
    mind, server, notes = analyst(lambda *_: said)
    assert mind.explain(archive, "run", 4, "") == Explanation("model/scripted", ())
    assert "instead of the model" in notes[0][3]
    asked = len(server.requests)
    assert mind.explain(archive, "run", 4, "") == Explanation("model/scripted", ())
    assert len(server.requests) == asked


def test_a_sentence_with_a_figure_that_nothing_gave_is_left_out(
    analyst: Any, archive: Archive
) -> None:
    mind, _, _ = analyst(lambda *_: {**ANSWER, "next": ["Its accuracy of 0.987 will last."]})
    explanation = mind.explain(archive, "run", 4, "")
    assert explanation.sentences[:-1] == WORDS[:-1]
    assert explanation.sentences[-1].startswith("(left out: it states accuracy")
    assert "will last" not in str(archive.meta("run", "explanation"))
