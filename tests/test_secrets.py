"""A server that echoes the key wherever it can: no file, no screen and no error text holds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import runs
import scripted

KEY = 'kEy"of/a+run-0123456789'
VARIABLE = "TEST_MODEL_KEY"
ESCAPED = "".join(f"\\u{ord(sign):04x}" for sign in KEY)
HIDDEN = "\u200b".join(KEY)
FORMS = [
    form.lower()
    for form in (
        *(KEY, KEY[:-2], json.dumps(KEY)[1:-1], json.dumps(json.dumps(KEY))[3:-3]),
        *(ESCAPED, ESCAPED.replace("\\", "\\\\"), HIDDEN, json.dumps(HIDDEN)[1:-1]),
        *(quote(KEY, safe=""), KEY.encode().hex(), base64.b64encode(KEY.encode()).decode()),
        *(base64.b64encode(b"x" * k + KEY.encode()).decode()[4:] for k in (1, 2)),
    )
]


def echoes() -> list[str]:
    """What a server may put into a text."""
    encoded = base64.b64encode(b"the key: " + KEY.encode()).decode()
    return [KEY, HIDDEN, encoded, quote(KEY, safe=""), KEY.encode().hex(), json.dumps(KEY)]


def leaks(content: bytes) -> Iterator[str]:
    """The forms of the key in some bytes, whatever they are."""
    for text in (content.decode("utf-8", "replace"), content.decode("utf-16-le", "replace")):
        lower = text.lower()
        yield from (form for form in FORMS if form in lower)


def check_files(*folders: Path) -> int:
    """Fail for any file that holds the key, by name or content; how many were read."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    for path in paths:
        assert not list(leaks(str(path).encode())), path
        if path.is_file():
            assert not list(leaks(path.read_bytes())), path
    return len(paths)


def answers(request: dict[str, Any], number: int, echo: str) -> dict[str, Any]:
    """A valid answer with the key in all of its words; to a probe, some words."""
    if scripted.role_of(request) not in scripted.ROLES:
        return {"word": echo}
    answer = scripted.fitting(request, number, f"because {echo}")
    if scripted.role_of(request) == "critic":
        answer = {"doubts": [{"position": 0, "action": "defer", "reason": echo}]}
    return {**answer, "comment": echo, echo[:30]: echo}


@pytest.mark.slow
def test_a_run_holds_the_key_nowhere(
    tiny_run: Any,
    home: Path,
    settings_file: Path,
    tmp_path: Path,
    start_chat_server: Callable[..., Any],
    reply: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs.share_supernets(tiny_run.home, home)
    every = echoes()

    def script(request: dict[str, Any], number: int) -> Any:
        echo = every[number // 3 % len(every)]
        body = json.dumps(answers(request, number, echo))
        faults = [
            reply(body.replace(json.dumps(KEY)[1:-1], ESCAPED)),
            reply(body, headers={"x-request-id": "r", "x-key": quote(KEY), "retry-after": "0"}),
            reply(f"the key {echo} is wrong", status=(401, 429, 500)[number % 3]),
            reply(body),
            reply("", refusal=f"never with {echo}"),
            reply(f"I think that {echo} is the key. {{no JSON: {echo}"),
            reply(json.dumps({echo: echo, "order": [echo]})),
            reply(raw=f"<html>{echo}".encode()),
            reply(raw=json.dumps({"choices": [{"message": {"content": [echo]}}]}).encode()),
            reply(body, finish_reason=echo, usage=None),
        ]
        return faults[number % len(faults)]

    server = start_chat_server(script)
    monkeypatch.setenv(VARIABLE, KEY)
    profile = server.settings_toml("m", key_variable=VARIABLE, max_retries=0)
    settings_file.write_text(profile, encoding="utf-8")
    brief = runs.write_brief(tmp_path, scripted.MODELS)
    folder = tmp_path / "run"
    status, out, err = runs.archwright("search", brief, "--run-dir", folder, "--no-random")
    assert status == 0, err[-2000:]
    logs = runs.archwright("logs", runs.run_of(folder))
    doctor = runs.archwright("doctor")
    said = "".join([out, err, *logs[1:], *doctor[1:]])
    assert not list(leaks(said.encode()))
    assert check_files(folder, home) > 10
    assert len(server.requests) > 10
    assert any("[key]" in line for line in (folder / "events.jsonl").read_text().splitlines())
    for request in server.requests:
        headers = {name: value for name, value in request.headers.items() if KEY in value}
        assert headers == {"authorization": f"Bearer {KEY}"}
        assert not list(leaks(json.dumps(request.json).encode()))


def test_a_chat_holds_the_key_nowhere(
    open_chat: Callable[..., Any],
    home: Path,
    start_chat_server: Callable[..., Any],
    reply: Any,
    settings_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = echoes()

    def script(request: dict[str, Any], number: int) -> Any:
        echo = every[number // 2 % len(every)]
        if number % 5 == 4:
            return reply(f"HTTP says {echo}", status=400)
        calls = (
            (echo, {"run": echo}),
            ("front", {"run": echo}),
            ("check_brief", {"brief": {"name": echo, echo: echo}}),
        )
        return reply(f"The key is {echo} or so", calls=() if number % 2 else calls)

    server = start_chat_server(script)
    monkeypatch.setenv(VARIABLE, KEY)
    profile = server.settings_toml("m", key_variable=VARIABLE, max_retries=0)
    settings_file.write_text(profile, encoding="utf-8")
    chat = open_chat()
    said = "".join(chat.says(f"turn {k}") for k in range(10))
    assert "[key]" in said
    assert not list(leaks(said.encode()))
    chat.close()
    assert check_files(home) > 1
    assert "[key]" in "".join(p.read_text() for p in home.rglob("session.jsonl"))
    for request in server.requests:
        assert not list(leaks(json.dumps(request.json).encode()))
