"""The command line as a user meets it: mistakes in one line, exit statuses, JSON, 80 columns."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import Run, one_line

import archwright
from archwright.cli import main

BRIEF = """
name = "toy"
task.data = "digits"
objectives.accuracy = "maximise"
objectives.latency_ms = "minimise"
budget.evaluations = 4
"""
HEAVY = ("chromadb", "langgraph", "onnx", "openai", "optuna", "plotly", "pymoo", "sklearn", "torch")


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "archwright", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
        **{"capture_output": True, **options},
    )


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_the_version_is_that_of_the_package(archwright_: Run) -> None:
    assert archwright_("--version") == (0, f"archwright {archwright.__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_lists_every_command_in_80_columns(
    archwright_: Run, arguments: tuple[str, ...]
) -> None:
    status, out, err = archwright_(*arguments)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "..." not in out.split("Commands:")[1], "a command's line is cut short"
    for command in ("search", "resume", "report", "runs", "simulate", "doctor"):
        assert re.search(rf"^  {command} +[A-Z]", out, re.MULTILINE)
        status, text, err = archwright_(command, "--help")
        assert (status, err) == (0, "")
        assert max(map(len, text.splitlines())) <= 80
        assert "--json" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "No such command 'fly'"),
        (["--fast"], "No such option: --fast"),
        (["search"], "Missing argument 'brief'"),
        (["search", "b.toml", "--jsn"], "No such option: --jsn"),
        (["search", "b.toml", "--workers", "0"], "Invalid value for '--workers': "),
        (["search", "b.toml", "--workers", "65"], "Invalid value for '--workers': "),
        (["resume", "x", "--workers", "many"], "Invalid value for '--workers': "),
        (["search", "a", "b"], "Got unexpected extra argument"),
        (["\x1b[2J"], "No such command"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    archwright_: Run, arguments: list[str], message: str
) -> None:
    status, out, err = archwright_(*arguments)
    assert (status, out) == (2, "")
    line = one_line(err)
    assert line.startswith(message)
    assert line.endswith("; see archwright --help")
    assert line.isprintable()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["fly"], ["search", "no.toml"], ["search", "bad.toml"]],
)
def test_what_answers_at_once_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "bad.toml").write_text(BRIEF + "speed = 9\n", encoding="utf-8")
    code = (
        "import sys\nfrom archwright.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', *sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.splitlines()[-1].split() == ["heavy:"]


BAD_BRIEFS = {
    "unknown key": (BRIEF + "speed = 9\n", "brief.toml: speed: unknown key; allowed name, "),
    "unknown key of a table": (
        BRIEF + "[supernet]\nrate = 1\n",
        "brief.toml: supernet.rate: unknown key; allowed epochs",
    ),
    "endpoint": (
        BRIEF + '[models]\nbase_url = "http://evil.example"\n',
        "brief.toml: models.base_url: unknown key; allowed 'planner', ",
    ),
    "missing key": ("seed = 1\n", "brief.toml: name: missing"),
    "wrong type": (
        BRIEF.replace("= 4", '= "4"'),
        "brief.toml: budget.evaluations = '4': should be a valid integer",
    ),
    "impossible range": (
        BRIEF + "constraints.area_mm2 = {at_least = 3, at_most = 2}\n",
        "brief.toml: constraints.area_mm2: at_least 3 is above at_most 2",
    ),
    "unknown metric": (
        BRIEF + "constraints.speed.at_least = 1\n",
        "brief.toml: constraints.speed: unknown metric; allowed accuracy, ",
    ),
    "wrong direction": (
        BRIEF.replace('latency_ms = "minimise"', 'latency_ms = "maximise"'),
        "brief.toml: objectives.latency_ms = 'maximise': allowed 'minimise'",
    ),
    "missing data": (
        BRIEF.replace('"digits"', '"images.npz"'),
        "brief.toml: task.data = 'images.npz': no such file or folder; allowed digits, ",
    ),
    "not TOML": ("name = ", "brief.toml: not TOML: Invalid value (at end of document)"),
    "deep": ("a = " + "[" * 5000, "brief.toml: not TOML that can be read: nested too deeply"),
    "not a number": (
        BRIEF + "budget.hours = nan\n",
        "brief.toml: budget.hours = nan: should be a finite number",
    ),
    "value outside the network space": (
        BRIEF + "network.choices.bits = [8, 9]\n",
        "network.choices.bits = 9: allowed [8, 16]",
    ),
    "choice outside the hardware space": (
        BRIEF + "hardware.choices.cores = [8]\n",
        "hardware.choices.cores: not a choice of the systolic space; its choices are rows, ",
    ),
    "half a fixed hardware": (
        BRIEF + "hardware.fixed = {rows = 8}\n",
        "hardware.fixed.columns: missing; allowed [4, 8, 16, 32, 64]",
    ),
    "a bound that nothing meets": (
        BRIEF + "constraints.area_mm2.at_most = 1e-6\n",
        "constraints.area_mm2.at_most = 1e-06: the least found over ",
    ),
    "a strategy that there is not": (
        BRIEF + "search.strategy = 'spread'\n",
        "search.strategy = 'spread': allowed random, surrogate",
    ),
    "unknown profile": (
        BRIEF + 'models.planner = "local"\n',
        "models = 'local': no such model profile; known: none, add [models.local] to the settings",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_BRIEFS.values(), ids=BAD_BRIEFS.keys())
def test_a_bad_brief_is_one_line_status_2_and_nothing_is_written(
    archwright_: Run, tmp_path: Path, text: str, message: str
) -> None:
    world = Path(os.environ["ARCHWRIGHT_HOME"]).parent
    (tmp_path / "brief.toml").write_text(text, encoding="utf-8")
    before = everything_in(tmp_path), everything_in(world)
    status, out, err = archwright_("search", "../brief.toml", "--run-dir", "../run")
    assert (status, out) == (2, "")
    assert message in one_line(err)
    assert (everything_in(tmp_path), everything_in(world)) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        BAD_BRIEFS["unknown key"],
        BAD_BRIEFS["value outside the network space"],
    ],
)
def test_a_bad_brief_in_a_process_of_its_own(tmp_path: Path, text: str, message: str) -> None:
    world = Path(os.environ["ARCHWRIGHT_HOME"]).parent
    (tmp_path / "brief.toml").write_text(text, encoding="utf-8")
    before = everything_in(tmp_path), everything_in(world)
    ended = process("search", "brief.toml", "--json", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in one_line(ended.stderr)
    assert (everything_in(tmp_path), everything_in(world)) == before


@pytest.mark.parametrize("command", ["resume", "report"])
def test_an_unknown_run_is_one_line(archwright_: Run, command: str) -> None:
    status, out, err = archwright_(command, "nothing")
    assert (status, out) == (2, "")
    assert "nothing" in one_line(err)


def test_wrong_settings_are_one_line(archwright_: Run, settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_text("speed = 9", encoding="utf-8")
    (tmp_path / "brief.toml").write_text(BRIEF, encoding="utf-8")
    status, _, err = archwright_("search", tmp_path / "brief.toml")
    assert status == 2
    assert "speed: unknown key" in one_line(err)


def test_no_runs_yet(archwright_: Run) -> None:
    status, out, err = archwright_("runs")
    assert (status, err) == (0, "")
    assert "no runs yet: archwright search" in out
    assert archwright_("runs", "--json") == (0, '{"runs": []}\n', "")


def test_runs_are_listed_with_how_they_stand(archwright_: Run, home: Path, tmp_path: Path) -> None:
    from archwright.home import registry_file
    from archwright.memory.registry import Registry, RunStatus

    names = ["digits-1", "a-name-as-long-as-a-brief-allows-1234567-20261121-143012-abcd", "gone"]
    with Registry(registry_file()) as registry:
        for name in names:
            (tmp_path / name).mkdir()
            registry.register(name, tmp_path / name, "digits")
        registry.set_status("digits-1", RunStatus.FINISHED)
    (tmp_path / "gone").rmdir()
    status, out, err = archwright_("runs")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    cells = re.sub(r"\s", "", out)
    for name, state in zip(names, ("finished", "running", "missing"), strict=True):
        assert name[:40] in cells
        assert state in cells
    status, out, _ = archwright_("runs", "--json")
    rows = json.loads(out.splitlines()[-1])["runs"]
    assert [(row["run"], row["status"]) for row in rows] == [
        (names[0], "finished"),
        (names[1], "running"),
        (names[2], "missing"),
    ]
    assert rows[0]["folder"] == str(tmp_path / "digits-1")


def test_doctor_without_settings_is_content(archwright_: Run) -> None:
    status, out, err = archwright_("doctor")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"^ok +torch +\d", out, re.MULTILINE)
    assert re.search(r"^absent +settings ", out, re.MULTILINE)


def test_doctor_tells_an_endpoint_that_answers_from_one_that_does_not(
    archwright_: Run, settings_file: Path, chat_server: Any
) -> None:
    alive = f'[models.alive]\nbase_url = "{chat_server.base_url}"\nmodel = "scripted"\n'
    settings_file.write_text(alive, encoding="utf-8")
    status, out, _ = archwright_("doctor")
    assert status == 0
    assert re.search(r"^ok +model alive +scripted answered in ", out, re.MULTILINE)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        dead = f'[models.dead]\nbase_url = "{url}"\nmodel = "scripted"\nmax_retries = 0\n'
        settings_file.write_text(alive + dead, encoding="utf-8")
        status, out, _ = archwright_("doctor", "--json")
    assert status == 1
    findings = json.loads(out.splitlines()[-1])["findings"]
    states = {finding["name"]: finding["state"] for finding in findings}
    assert (states["model alive"], states["model dead"]) == ("ok", "missing")


def test_ctrl_c_is_one_line(
    settings_file: Path, start_chat_server: Callable[..., Any], reply: Any
) -> None:
    asked, done = threading.Event(), threading.Event()

    def wait(request: dict[str, Any], number: int) -> Any:
        asked.set()
        done.wait(30)
        return reply("OK")

    server = start_chat_server(wait, kind="scripted")
    settings_file.write_text(
        f'[models.slow]\nbase_url = "{server.base_url}"\nmodel = "scripted"\n', encoding="utf-8"
    )
    command = [sys.executable, "-m", "archwright", "doctor"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert asked.wait(30)
            running.send_signal(signal.SIGINT)
            _, err = running.communicate(timeout=30)
        finally:
            done.set()
            running.kill()
    assert running.returncode == 130
    assert one_line(err).startswith("stopped; ")
    assert "archwright resume RUN" in err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["runs"], ["runs", "--json"], ["doctor"]]
)
def test_a_reader_that_has_gone_is_no_traceback(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = process(*arguments, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_terminal_without_unicode_is_written_to(files: tuple[Path, Path]) -> None:
    ended = process(
        "simulate",
        files[0],
        "--hardware",
        files[1],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "COLUMNS": "80"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.isascii()
    assert "classifier" in ended.stdout


def test_a_fault_of_our_own_is_not_hidden(
    archwright_: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("archwright.checkup.check_up", broken)
    monkeypatch.setattr(sys, "argv", ["archwright", "doctor"])
    with pytest.raises(ZeroDivisionError):
        main()
