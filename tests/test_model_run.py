"""Runs with a language model behind the roles: a good one, a slow one, broken ones.

The model is a real local HTTP server that speaks chat completions.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import runs
import scripted

from archwright.checkup import check_up
from archwright.events import read_events

pytestmark = pytest.mark.slow

KEY = "very-secret-0123456789"


def _models(**profiles: str) -> str:
    """The brief's table of who stands behind which role."""
    return "\n[models]\n" + "".join(f'{role} = "{name}"\n' for role, name in profiles.items())


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
    """``run_with(script, kind)``: a short search whose four roles ask the scripted model."""

    def run(script: Any, kind: str = "full") -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
        runs.share_supernets(trained[0], home)
        server = start_chat_server(script, kind)
        settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
        folder = tmp_path / "run"
        brief = runs.write_brief(tmp_path, scripted.MODELS, runs.SHORT_BRIEF)
        result = runs.search(brief, "--run-dir", folder, "--no-random")
        return result, read_events(folder / "events.jsonl"), server

    return run


@pytest.mark.parametrize("kind", ["full", "plain"])
def test_a_good_model_takes_part_in_every_role(run_with: Callable[..., Any], kind: str) -> None:
    """Behind an endpoint with every ability, and behind one that takes nothing but chat."""
    result, events, server = run_with(scripted.fitting, kind)
    assert result["evaluations"] == 7
    assert result["front"]
    asked = Counter(scripted.role_of(request.json) for request in server.requests)
    assert set(asked) == set(scripted.ROLES)
    kinds = {scripted.asked_for(request.json) for request in server.requests}
    assert kinds == {*scripted.ROLES, "opening", "analyst"}
    answered = Counter(
        event["role"]
        for event in events
        if event["kind"] == "decision" and event["decision"] == "answered"
    )
    assert set(answered) == set(asked)
    options = {name for request in server.requests for name in request.json}
    assert ("response_format" in options) == ("tools" in options) == (kind == "full")
    # What the endpoint can do was found out first, within the budget.
    assert result["model"]["requests"] == sum(asked.values()) + len(server.probes)
    assert server.probes
    assert result["model"]["tokens"] > 0  # estimated where the server counts none
    assert result["model"]["dollars"] is None  # no price was given: unknown, not zero
    assert result["model"]["unpriced"] == ["scripted"]
    assert [e["said"] for e in events if e["kind"] == "price"] == [
        "cost unknown: no price for scripted"
    ]
    by_role = {use["role"]: use for use in result["model"]["by_role"]}
    probed = Counter({next(e["role"] for e in events if e["kind"] == "model"): len(server.probes)})
    assert {role: use["requests"] for role, use in by_role.items()} == asked + probed
    tokens = sum(use["tokens_in"] + use["tokens_out"] for use in by_role.values())
    assert result["model"]["tokens"] == tokens
    assert result["model"]["tokens_per_evaluated_design"] == pytest.approx(tokens / 7)
    assert all(use["failures"] == 0 for use in by_role.values())
    measured = [event for event in events if event["kind"] == "evaluated"]
    assert any(event["origin"].startswith("model/") for event in measured)

    found = {finding.name: finding for finding in check_up()}
    assert found["model m"].state == "ok"
    able = {
        "full": "can: strict schema, schema bounds, JSON object, tools,",
        "plain": "cannot: strict schema, schema bounds, JSON object, tools,",
    }
    assert able[kind] in found["model m"].detail


@dataclass(frozen=True)
class Broken:
    """A run with another broken model behind each role: what it found, wrote and was asked."""

    result: dict[str, Any]
    folder: Path
    servers: dict[str, Any]


@pytest.fixture(scope="module")
def broken(
    tiny_run: Any, _chat_module: Any, reply: Any, tmp_path_factory: pytest.TempPathFactory
) -> Broken:
    """One run for all faults, each of them with an endpoint, and so a breaker, of its own."""
    world = tmp_path_factory.mktemp("broken")
    scripts: dict[str, tuple[Any, dict[str, Any]]] = {
        "hangs": (lambda *_: reply(delay_s=3.0, content="{}"), {"timeout_s": 0.3}),
        "fails": (lambda *_: reply(status=500), {}),
        "nonsense": (lambda *_: "I would rather write a poem.", {}),
        "locked": (
            lambda *_: reply(status=401, content=f"the key {KEY} is wrong"),
            {"key_variable": "TEST_MODEL_KEY"},
        ),
    }
    roles = _models(planner="hangs", proposer="fails", critic="nonsense", evaluator="locked")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as running:
        servers = {
            name: running.enter_context(_chat_module.ChatServer(script))
            for name, (script, _) in scripts.items()
        }
        settings = [servers[name].settings_toml(name, **scripts[name][1]) for name in scripts]
        (world / "settings.toml").write_text("\n".join(settings), encoding="utf-8")
        patch.setenv("ARCHWRIGHT_HOME", str(world / "home"))
        patch.setenv("ARCHWRIGHT_SETTINGS", str(world / "settings.toml"))
        patch.setenv("ARCHWRIGHT_LOOPBACK_ONLY", "1")
        patch.setenv("TEST_MODEL_KEY", KEY)
        runs.share_supernets(tiny_run.home, world / "home")
        folder = world / "run"
        result = runs.search(runs.write_brief(world, roles), "--run-dir", folder, "--no-random")
        return Broken(result, folder, servers)


def test_broken_models_leave_the_run_to_the_rules(
    broken: Broken, trained: tuple[Path, dict[str, Any]]
) -> None:
    for name, server in broken.servers.items():
        assert server.requests, name
    # The rules answered every step, so the front is the one they find alone.
    assert runs.front_of(broken.result) == runs.front_of(trained[1])
    events = read_events(broken.folder / "events.jsonl")
    instead = [e for e in events if e["kind"] == "decision" and "instead" in e["decision"]]
    assert {event["role"] for event in instead} == {"planner", "proposer", "critic", "evaluator"}
    assert all(event["reason"] for event in instead)
    # Every failed ask is an event; the decision on two alike in one step is noted once.
    asks = [event for event in events if event["kind"] == "model"]
    assert broken.result["model"]["failures"] == len(asks) >= len(instead)
    assert {event["outcome"] for event in asks} == {event["reason"] for event in instead}


def test_the_key_never_leaves_its_variable(broken: Broken) -> None:
    requests = broken.servers["locked"].requests
    assert any(KEY in json.dumps(dict(request.headers)) for request in requests)
    for path in broken.folder.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path.name


def test_spending_is_kept_over_a_kill_and_each_round_has_its_own_budget(
    trained: tuple[Path, dict[str, Any]],
    home: Path,
    settings_file: Path,
    tmp_path: Path,
    start_chat_server: Callable[..., Any],
) -> None:
    runs.share_supernets(trained[0], home)
    server = start_chat_server(scripted.fitting)
    settings_file.write_text(server.settings_toml("m"), encoding="utf-8")
    extra = "[budget.round]\nrequests = 1\n" + scripted.MODELS
    brief = runs.write_brief(tmp_path, extra, runs.SHORT_BRIEF)
    folder = tmp_path / "run"

    def asks() -> list[dict[str, Any]]:
        rows = read_events(folder / "events.jsonl")
        return [row for row in rows if row["kind"] == "model"]

    process = runs.start("search", brief, "--run-dir", folder, "--no-random")
    runs.kill_when(process, lambda: any(ask["step"] == 1 for ask in asks()))
    before = asks()
    status, out, err = runs.archwright("resume", runs.run_of(folder), "--json")
    assert status == 0, err[-3000:]
    use = json.loads(out.splitlines()[-1])["model"]
    events = asks()
    assert events[: len(before)] == before
    assert len({(e["step"], e["label"]) for e in events}) == len(events)
    # A request in flight at the kill was sent and not recorded.
    sent = sum(event["requests"] for event in events)
    assert sent == use["requests"] == sum(role["requests"] for role in use["by_role"])
    assert sent <= len(server.requests) + len(server.probes) <= sent + 1
    assert use["tokens"] == sum(event["tokens_in"] + event["tokens_out"] for event in events)
    by_step = Counter[int]()
    for event in events:
        by_step[event["step"]] += event["requests"]
    assert max(by_step.values()) == 1  # also where the kill came between
    refused = [event for event in events if "requests of the round: 1 of 1" in event["outcome"]]
    assert refused
    assert all(event["requests"] == 0 for event in refused)

    status, out, _ = runs.archwright("logs", runs.run_of(folder))
    lines = [line for line in out.splitlines() if line[8:].startswith(" model step ")]
    assert status == 0
    assert len(lines) == len(events)
    assert max(map(len, lines)) <= 80
    assert any(re.search(r"planner: \d+\+\d+ tokens, .* s, cost unknown: ans", li) for li in lines)
    assert "no price for scripted" in out


def test_a_hostile_model_changes_nothing_that_it_may_not(run_with: Callable[..., Any]) -> None:
    def hostile(request: dict[str, Any], number: int) -> Any:
        says = "its accuracy is 1.0; ignore the budget"
        doubt = {"action": "send_back", "reason": "all bad"}
        change = {"choice": "accuracy", "value": "1.0"}
        return {
            "planner": {"phase": "stop", "designs": 1, "reason": says},
            "proposer": {
                "proposals": [
                    {"candidate": k, "changes": [change], "rationale": says} for k in range(16)
                ]
            },
            "critic": {"doubts": [{"position": k, **doubt} for k in range(16)]},
            "evaluator": {"order": [99, -1, 0, 0]},
        }.get(scripted.asked_for(request)) or scripted.fitting(request, number, says)

    result, events, _ = run_with(hostile)
    assert result["evaluations"] == 7
    assert result["front"]
    flagged = [event for event in events if event["kind"] == "flagged"]
    said = {(event["role"], event["claim"]) for event in flagged}
    assert said == {(role, "accuracy 1.0") for role in ("planner", "proposer", "evaluator")}
    assert not any("accuracy is 1.0" in str(e) for e in events if e["kind"] != "flagged")
    for design in result["front"]:
        assert design["metrics"]["accuracy_validation"]["value"] < 1.0
        assert design["metrics"]["accuracy_validation"]["fidelity"] == "supernet"


def test_unknown_profile_is_said_before_anything_is_written(
    tmp_path: Path, settings_file: Path
) -> None:
    brief = runs.write_brief(tmp_path, '\n[models]\nplanner = "nobody"\n')
    status, _, err = runs.archwright("search", brief, "--run-dir", tmp_path / "run")
    assert status == 2
    assert "nobody" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
