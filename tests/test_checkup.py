"""What doctor finds: packages, the home, the settings, and endpoints that do or do not answer."""

from __future__ import annotations

import importlib.metadata
import io
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archwright import __version__
from archwright.checkup import Finding, check_up, print_checkup


def named(name: str) -> Finding:
    found = [finding for finding in check_up() if finding.name == name]
    assert len(found) == 1, found
    return found[0]


def profile(name: str, base_url: str, **fields: float) -> str:
    more = "".join(f"{key} = {value}\n" for key, value in fields.items())
    return f'[models.{name}]\nbase_url = "{base_url}"\nmodel = "scripted"\nmax_retries = 0\n{more}'


def test_every_package_of_the_install_is_found_with_its_version() -> None:
    findings = {finding.name: finding for finding in check_up()}
    assert findings["archwright"].detail.startswith(f"{__version__} on Python 3.")
    for name in ("torch", "langgraph-checkpoint-sqlite", "pydantic"):
        assert findings[name] == Finding(name, "ok", importlib.metadata.version(name))


def test_a_package_that_is_missing_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.metadata.requires
    more = ["no-such-package>=2", 'no-such-tool>=1; extra == "web"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [*(real(name) or []), *more])
    assert named("no-such-package") == Finding(
        "no-such-package", "missing", "pip install 'no-such-package>=2'"
    )
    assert named("no-such-tool") == Finding(
        "no-such-tool", "absent", "extra [web]: pip install 'archwright[web]'"
    )


def test_each_simulator_is_found_with_its_version() -> None:
    findings = {finding.name: finding for finding in check_up()}
    for name, package in (("scalesim", "scalesim"), ("zigzag", "zigzag-dse")):
        finding = findings[f"simulator {name}"]
        try:
            assert finding == Finding(finding.name, "ok", importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            assert finding.state == "absent"
    assert findings["simulator measured"].detail == importlib.metadata.version("onnxruntime")
    assert "simulator analytical" not in findings


def test_a_simulator_that_is_absent_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.metadata.version

    def version(package: str) -> str:
        if package in ("scalesim", "six"):
            raise importlib.metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(importlib.metadata, "version", version)
    command = "pip install 'archwright[simulators]'"
    detail = f"SCALE-Sim is not installed: {command}"
    assert named("simulator scalesim") == Finding("simulator scalesim", "absent", detail)
    zigzag = named("simulator zigzag")
    assert zigzag.state == "absent"
    assert zigzag.detail.endswith(command)


def test_an_extra_that_names_another_is_not_looked_at_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = importlib.metadata.requires
    more = ['archwright[simulators]; extra == "dev"', 'scalesim>=3; extra == "simulators"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: [*(real(name) or []), *more])
    assert named("archwright").detail.startswith(__version__)
    assert not [finding for finding in check_up() if finding.name == "scalesim"]


def test_a_folder_that_was_never_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", unknown)
    assert named("archwright").state == "missing"


def test_no_settings_are_no_fault(settings_file: Path) -> None:
    finding = named("settings")
    assert finding.state == "absent"
    assert finding.detail == f"{settings_file} (not there: defaults, no models)"
    assert not any(f.name.startswith("model ") for f in check_up())


def test_wrong_settings_are_one_finding(settings_file: Path) -> None:
    settings_file.write_text("speed = 9", encoding="utf-8")
    finding = named("settings")
    assert finding.state == "missing"
    assert "speed: unknown key" in finding.detail


def test_a_home_that_cannot_be_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHWRIGHT_HOME", str(tmp_path / "file" / "home"))
    assert named("home").state == "missing"


def test_endpoints_that_answer_and_that_do_not(
    settings_file: Path, start_chat_server: Callable[..., Any], reply: Any
) -> None:
    alive = start_chat_server(lambda request, number: "OK")
    oom = reply("out of memory", status=500)
    broken = start_chat_server(lambda request, number: oom, kind="scripted")
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, not listening: refuses connections
        dead = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        settings_file.write_text(
            profile("alive", alive.base_url)
            + profile("dead", dead)
            + profile("broken", broken.base_url),
            encoding="utf-8",
        )
        findings = {finding.name: finding for finding in check_up()}
    assert findings["settings"] == Finding("settings", "ok", str(settings_file))
    assert findings["model alive"].state == "ok"
    assert findings["model alive"].detail.startswith("scripted answered in ")
    assert "; cost unknown: no price for scripted; " in findings["model alive"].detail
    assert findings["model dead"].state == "missing"
    assert findings["model broken"].state == "missing"
    assert "500" in findings["model broken"].detail


def test_what_an_endpoint_can_do_is_asked_anew_each_time(
    settings_file: Path, start_chat_server: Callable[..., Any]
) -> None:
    server = start_chat_server(lambda request, number: "OK")
    settings_file.write_text(profile("m", server.base_url), encoding="utf-8")
    assert "can: strict schema, schema bounds, JSON object, tools" in named("model m").detail
    server.kind = type(server.kind)(json_schema="ignored", tools="refused")
    detail = named("model m").detail
    assert "can: JSON object, streaming, usage counts" in detail
    assert "cannot: strict schema, schema bounds, tools, forced tools, parallel tools" in detail
    assert server.requests == []


@pytest.mark.parametrize("seed", range(4))
def test_an_endpoint_that_often_fails_is_one_line(
    settings_file: Path, start_chat_server: Callable[..., Any], with_faults: Any, seed: int
) -> None:
    faulty = with_faults(lambda request, number: "Paris", 0.3, seed)
    server = start_chat_server(faulty, kind="scripted")
    settings_file.write_text(profile("m", server.base_url), encoding="utf-8")
    finding = named("model m")
    assert finding.state in ("ok", "missing")
    assert (finding.state == "ok") == finding.detail.startswith("scripted answered in ")
    assert len(finding.detail.splitlines()) == 1


def test_what_a_model_costs_stands_below_it(
    settings_file: Path, start_chat_server: Callable[..., Any]
) -> None:
    server = start_chat_server(lambda request, number: "OK")
    prices = {"dollars_per_million_tokens_in": 0.25, "dollars_per_million_tokens_out": 2.0}
    settings_file.write_text(
        profile("local", server.base_url) + profile("priced", server.base_url, **prices),
        encoding="utf-8",
    )
    findings = [f for f in check_up() if f.name.startswith(("model ", "price "))]
    names = ["model local", "price local", "model priced", "price priced"]
    assert [finding.name for finding in findings] == names
    local, priced = findings[1], findings[3]
    assert local.state == "absent"
    assert local.detail.startswith("cost unknown: no price for scripted; ")
    assert priced.state == "ok"
    said = "dollars per million tokens: 0.25 in, 0.25 cached, 2 out (your settings)"
    assert priced.detail == said
    shown = io.StringIO()
    print_checkup(findings, Console(file=shown, width=80))
    assert max(map(len, shown.getvalue().splitlines())) <= 80


def test_findings_fit_80_columns_and_cannot_steer_the_terminal() -> None:
    file = io.StringIO()
    findings = [
        Finding("a-package", "ok", "1.0"),
        Finding("model " + "m" * 64, "missing", "answered \x1b[2J[bold]\n" + "many words " * 20),
        Finding("home", "ok", "/a" * 60),
        Finding("tool", "absent", "extra [web]: pip install 'archwright[web]'"),
    ]
    print_checkup(findings, Console(file=file, width=80, force_terminal=True, no_color=True))
    lines = file.getvalue().splitlines()
    text = "".join(lines)
    assert "\x1b[2J" not in text
    assert "[bold]" in text
    assert "[web]" in text
    assert text.count("m" * 30) == 2, "a long name is folded, not cut"
    assert text.count("/") == 60
    plain = io.StringIO()
    print_checkup(findings, Console(file=plain, width=80))
    assert max(map(len, plain.getvalue().splitlines())) <= 80
