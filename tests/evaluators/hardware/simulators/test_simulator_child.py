"""What a simulator's process may do, and that nothing of it stays: no process, no file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.simulators import child
from archwright.evaluators.hardware.simulators.child import run_child

ANSWER = "import json, pathlib; pathlib.Path('result.json').write_text(json.dumps({}))"
PATIENCE_S = 60.0


pytestmark = pytest.mark.usefixtures("temporary")


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    return path


def gone(pid: int) -> bool:
    """Whether a process ends within a while; one that nobody reaps counts as ended."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def written(path: Path, lines: int = 1) -> list[int]:
    """The numbers in a file, as soon as there are as many lines."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if path.exists() and path.read_text().count("\n") >= lines:
            return [int(line) for line in path.read_text().split()]
        time.sleep(0.05)
    raise AssertionError(f"{path} was not written")


HANG = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({pids!r}, "w") as file:
    file.write(f"{{os.getpid()}}\\n{{helper.pid}}\\n")
time.sleep(600)
"""


def test_it_answers_from_a_folder_of_its_own(tmp_path: Path, temporary: Path) -> None:
    here = set(Path.cwd().iterdir())
    found = run_child(
        script(
            tmp_path,
            "import json, os, pathlib, tempfile\n"
            "task = json.loads(pathlib.Path('task.json').read_text())\n"
            "pathlib.Path('mess').write_text('x')\n"
            "answer = {'n': task['n'] + 1, 'file': open('given.txt').read(), 'cwd': os.getcwd(),"
            " 'temporary': tempfile.gettempdir(), 'home': os.path.expanduser('~'),"
            " 'stdin': os.read(0, 1).decode(), 'names': sorted(os.environ)}\n"
            "pathlib.Path('result.json').write_text(json.dumps(answer))",
        ),
        {"n": 1},
        PATIENCE_S,
        {"given.txt": "given"},
    )
    assert (found["n"], found["file"], found["stdin"]) == (2, "given", "")
    assert found["cwd"] == found["temporary"] == found["home"]
    assert Path(found["cwd"]).parent == temporary
    assert list(temporary.iterdir()) == []
    assert set(Path.cwd().iterdir()) == here


def test_secrets_of_the_environment_stay_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    text = (
        "import json, os, pathlib\n"
        "pathlib.Path('result.json').write_text(json.dumps({'names': sorted(os.environ)}))"
    )
    names = run_child(script(tmp_path, text), {}, PATIENCE_S)["names"]
    assert not {"SOME_API_KEY", "PYTHONPATH"} & set(names)


def test_a_hanging_one_is_ended_with_all_it_started(tmp_path: Path, temporary: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(MeasurementFailed, match="time limit of 6 s"):
        run_child(script(tmp_path, HANG.format(pids=str(pids))), {}, 6.0)
    assert all(gone(pid) for pid in written(pids, 2))
    assert list(temporary.iterdir()) == []


def test_a_helper_left_behind_is_ended_with_a_good_answer(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = (
        "import subprocess, sys\n"
        "helper = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{helper.pid}}\\n')\n" + ANSWER
    )
    assert run_child(script(tmp_path, text), {}, PATIENCE_S) == {}
    assert gone(written(pids)[0])


def test_an_interrupt_ends_it(tmp_path: Path, temporary: Path) -> None:
    pids = tmp_path / "pids"
    source = (
        "import tempfile; from pathlib import Path\n"
        f"tempfile.tempdir = {str(temporary)!r}\n"
        "from archwright.evaluators.hardware.simulators.child import run_child\n"
        f"run_child(Path({str(script(tmp_path, HANG.format(pids=str(pids))))!r}), {{}}, 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", source], stderr=subprocess.DEVNULL)
    found = written(pids, 2)
    parent.send_signal(signal.SIGINT)
    assert parent.wait(PATIENCE_S) != 0
    assert all(gone(pid) for pid in found)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("text", [HANG, "while True: pass  # {pids}"], ids=["asleep", "busy"])
def test_none_outlives_a_parent_that_is_killed(tmp_path: Path, temporary: Path, text: str) -> None:
    pids = tmp_path / "pids"
    begun = "import os\nopen({pids!r}, 'w').write(f'{{os.getpid()}}\\n{{os.getppid()}}\\n')\n"
    text = (text if "helper" in text else begun + text).format(pids=str(pids))
    source = (
        "import tempfile; from pathlib import Path\n"
        f"tempfile.tempdir = {str(temporary)!r}\n"
        "from archwright.evaluators.hardware.simulators.child import run_child\n"
        f"run_child(Path({str(script(tmp_path, text))!r}), {{}}, 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", source])
    found = [pid for pid in written(pids, 2) if pid != parent.pid]
    parent.kill()
    parent.wait(PATIENCE_S)
    assert all(gone(pid) for pid in found)
    deadline = time.monotonic() + PATIENCE_S
    while list(temporary.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("exit()", "ended with status 0 and no result"),
        ("print('ERROR: no input'); exit(3)", "status 3 and no result: ERROR: no input"),
        ("raise ValueError('two\\nlines \\x1b[2J')", r"ValueError: two lines \\x1b\[2J$"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("open('result.json', 'w').write('{garbage')", "not JSON"),
        ("open('result.json', 'wb').write(bytes(range(256)))", "not JSON"),
        ("open('result.json', 'w').write('[' * 100000)", "not JSON"),
        ("open('result.json', 'w').write('[1]')", "no JSON object"),
        ("import os; os.symlink('/etc/hostname', 'result.json')", "no file"),
        ("open('result.json', 'w').truncate(17 * 2**20)", "no file of at most"),
        ("x = bytearray(2**40)", "more than .* GiB of memory"),
        ("import json; print(json.dumps(1), flush=True); import os; os._exit(0)", "no result: 1"),
    ],
)
def test_a_failure_is_one_line_with_the_reason(
    tmp_path: Path, temporary: Path, text: str, reason: str
) -> None:
    with pytest.raises(MeasurementFailed, match=reason) as failure:
        run_child(script(tmp_path, text), {}, PATIENCE_S)
    assert "\n" not in str(failure.value)
    assert str(failure.value).isprintable()
    assert len(str(failure.value)) < 500
    assert list(temporary.iterdir()) == []


def test_a_flood_of_output_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    real = os.read

    def watched(descriptor: int, size: int) -> bytes:
        nonlocal longest
        longest = max(longest, size)
        return real(descriptor, size)

    monkeypatch.setattr(child.os, "read", watched)
    flood = "import sys\nfor _ in range(2000): sys.stdout.write('x' * 100_000)\n"
    assert run_child(script(tmp_path, flood + ANSWER), {}, PATIENCE_S) == {}
    assert 0 < longest <= 65536
    with pytest.raises(MeasurementFailed) as failure:
        run_child(script(tmp_path, flood), {}, PATIENCE_S)
    assert len(str(failure.value)) < 500


def test_one_that_floods_for_ever_is_ended(tmp_path: Path) -> None:
    with pytest.raises(MeasurementFailed, match="time limit"):
        run_child(script(tmp_path, "while True: print('x' * 1000)"), {}, 1.0)


def test_one_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    text = "import os, time\nos.close(1); os.close(2)\ntime.sleep(0.5)\n" + ANSWER
    assert run_child(script(tmp_path, text), {}, PATIENCE_S) == {}


def test_it_finds_no_module_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "scalesim.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    text = (
        "import json, pathlib, importlib.util as u\n"
        "spec = u.find_spec('scalesim')\n"
        "pathlib.Path('result.json').write_text(json.dumps({'at': spec and spec.origin}))"
    )
    found = run_child(script(tmp_path, text), {}, PATIENCE_S)
    assert found["at"] is None or not found["at"].startswith(str(tmp_path))


def test_the_task_comes_through_as_it_is(tmp_path: Path) -> None:
    task = {"text": "ä\n\"'", "numbers": [1, 2.5, None, True], "nested": {"a": {}}}
    text = "import shutil; shutil.copy('task.json', 'result.json')"
    assert run_child(script(tmp_path, text), task, PATIENCE_S) == json.loads(json.dumps(task))
