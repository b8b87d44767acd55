"""Runs with a language model behind the roles: a good one, a slow one, broken ones.

The model is a real local HTTP server that speaks chat completions.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.events import read_events

pytestmark = pytest.mark.slow

ROLES = '\n[models]\nplanner = "m"\nproposer = "m"\ncritic = "m"\nevaluator = "m"\n'


@pytest.fixture
def trained(tiny_run: Any) -> tuple[Path, dict[str, Any]]:
    """A home with the supernet, and what the rules alone find."""
    return tiny_run.home, tiny_run.result


@pytest.fixture
def run_with(
    trained: tuple[Path, dict[str, Any]],
    home: Path,
    settings_file: Path,
    tmp_path: Path,
    start_chat_server: Callable[..., Any],
) -> Callable[..., tuple[dict[str, Any], list[dict[str, Any]], Any]]:
    """``run_with(script, **profile)``: a search whose four roles ask the scripted model."""

    def run(script: Any, **profile: Any) -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
        runs.share_supernets(trained[0], home)
        server = start_chat_server(script)
        settings_file.write_text(server.settings_toml("m", **profile), encoding="utf-8")
        folder = tmp_path / "run"
        result = runs.search(runs.write_brief(tmp_path, ROLES), "--run-dir", folder, "--no-random")
        return result, read_events(folder / "events.jsonl"), server

    return run


def _role(request: dict[str, Any]) -> str:
    """The role that a request asks for."""
    text: str = request["messages"][0]["content"]
    return text.split("Role: ", 1)[1].split(".", 1)[0]


def _good(request: dict[str, Any], number: int) -> dict[str, Any]:
    """A model that knows its schema: every role gets a fitting answer."""
    return {
        "planner": {"phase": "refine", "designs": 2, "reason": "small rounds learn more often"},
        "proposer": {
            "overrides": [
                {
                    "design": 0,
                    "changes": [{"choice": "kernel_1", "position": 1}],
                    "rationale": "a wider first kernel sees whole strokes",
                }
            ]
        },
        "critic": {"defer": []},
        "evaluator": {"order": [1, 0]},
    }[_role(request)]


def test_a_good_model_takes_part_in_every_role(run_with: Callable[..., Any]) -> None:
    result, events, server = run_with(_good)
    assert result["evaluations"] == 14
    assert result["front"]
    asked = Counter(_role(request.json) for request in server.requests)
    assert set(asked) == {"planner", "proposer", "critic", "evaluator"}
    answered = Counter(
        event["role"]
        for event in events
        if event["kind"] == "decision" and event["decision"] == "answered"
    )
    assert set(answered) == set(asked)
    assert result["model"]["requests"] == sum(asked.values())
    assert result["model"]["tokens"] > 0
    assert result["model"]["dollars"] is None  # no price was given: unknown, not zero
    measured = [event for event in events if event["kind"] == "evaluated"]
    assert any(event["origin"].startswith("model/") for event in measured)


@pytest.mark.parametrize("fault", ["hangs", "answers 500", "answers nonsense"])
def test_a_broken_model_leaves_the_run_to_the_rules(
    fault: str, run_with: Callable[..., Any], reply: Any, trained: tuple[Path, dict[str, Any]]
) -> None:
    scripts = {
        "hangs": lambda request, number: reply(delay_s=3.0, content="{}"),
        "answers 500": lambda request, number: reply(status=500),
        "answers nonsense": lambda request, number: "I would rather write a poem.",
    }
    result, events, server = run_with(scripts[fault], timeout_s=0.3)
    assert server.requests
    # The rules answered every step, so the front is the one they find alone.
    assert runs.front_of(result) == runs.front_of(trained[1])
    instead = [e for e in events if e["kind"] == "decision" and "instead" in e["decision"]]
    assert instead
    assert all(event["reason"] for event in instead)
    assert result["model"]["failures"] == len(instead)


def test_a_hostile_model_changes_nothing_that_it_may_not(
    run_with: Callable[..., Any], reply: Any
) -> None:
    def hostile(request: dict[str, Any], number: int) -> Any:
        return {
            "planner": {"phase": "refine", "designs": 10**15, "reason": "stop now"},
            "proposer": {
                "overrides": [
                    {
                        "design": k,
                        "changes": [{"choice": "accuracy", "position": 0}],
                        "rationale": "its accuracy is 1.0; ignore the budget",
                    }
                    for k in range(16)
                ]
            },
            "critic": {"defer": [{"position": k, "reason": "all bad"} for k in range(16)]},
            "evaluator": {"order": [99, -1, 0, 0]},
        }[_role(request)]

    result, _, _ = run_with(hostile)
    assert result["evaluations"] == 14
    assert result["front"]
    for design in result["front"]:
        assert design["metrics"]["accuracy_validation"]["value"] < 1.0
        assert design["metrics"]["accuracy_validation"]["fidelity"] == "supernet"


def test_the_key_never_leaves_its_variable(
    run_with: Callable[..., Any], reply: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "very-secret-0123456789"
    monkeypatch.setenv("TEST_MODEL_KEY", key)

    def echo(request: dict[str, Any], number: int) -> Any:
        return reply(status=401, content=f"the key {key} is wrong")

    _, _, server = run_with(echo, key_variable="TEST_MODEL_KEY")
    assert any(key in json.dumps(dict(request.headers)) for request in server.requests)
    for path in (tmp_path / "run").rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path.name


def test_unknown_profile_is_said_before_anything_is_written(
    tmp_path: Path, settings_file: Path
) -> None:
    brief = runs.write_brief(tmp_path, '\n[models]\nplanner = "nobody"\n')
    status, _, err = runs.archwright("search", brief, "--run-dir", tmp_path / "run")
    assert status == 2
    assert "nobody" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
