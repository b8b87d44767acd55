"""No test reaches a model that is not on this machine, by whatever way it asks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import runs

from archwright.agents.model.endpoint import LOOPBACK_ONLY, Endpoint
from archwright.agents.model.transports import Transports
from archwright.agents.model.wire import EndpointFault
from archwright.settings import Profile, Settings

ELSEWHERE = Profile(base_url="http://192.0.2.1/v1", model="real", timeout_s=1.0)
"""An address that is nobody's (RFC 5737), so that even a failing test asks no one."""
MESSAGE = {"role": "user", "content": "hello"}
REFUSED = f"refused: {LOOPBACK_ONLY}=1"


@pytest.fixture(scope="session")
def in_a_session() -> str | None:
    """What fixtures of the whole session find, before and beside those of any test."""
    return os.environ.get(LOOPBACK_ONLY)


def _send() -> object:
    return Endpoint(ELSEWHERE).send([MESSAGE], {})


def _stream() -> object:
    return list(Endpoint(ELSEWHERE).stream([MESSAGE], {}))


def _record() -> object:
    settings = Settings(models={"m": ELSEWHERE})
    return Transports(settings, ["m"], record=Path("new")).of("m").send([MESSAGE], {})


@pytest.mark.parametrize("ask", [_send, _stream, _record])
def test_another_machine_is_refused(
    ask: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EndpointFault, match=REFUSED):
        ask()


def test_sessions_and_processes_are_held_to_it_too(
    in_a_session: str | None, settings_file: Path
) -> None:
    assert in_a_session == "1"
    settings_file.write_text(f'[models.m]\nbase_url = "{ELSEWHERE.base_url}"\nmodel = "real"\n')
    _, out, _ = runs.archwright("doctor", "--json")
    findings = json.loads(out.splitlines()[-1])["findings"]
    assert any(REFUSED in json.dumps(finding) for finding in findings)


def test_no_key_of_this_machine_is_there() -> None:
    assert not [name for name in os.environ if name.startswith("OPENAI_")]
