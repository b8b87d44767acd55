from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archwright.errors import RunError
from archwright.memory.registry import Registry, RunStatus


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def test_a_run_is_found_by_its_id_or_by_how_it_begins(registry: Registry, tmp_path: Path) -> None:
    for run in ("digits-1", "digits-12", "other-1"):
        registry.register(run, folder(tmp_path, run), "brief")
    assert registry.find("digits-1").run == "digits-1"
    assert registry.find("o").folder == tmp_path / "other-1"
    with pytest.raises(RunError, match="begins several ids: digits-1, digits-12"):
        registry.find("digits")


@pytest.mark.parametrize("run", ["nothing", "../digits-1", "", "%", "digits_1"])
def test_an_unknown_run_is_named_with_those_that_are_known(
    registry: Registry, tmp_path: Path, run: str
) -> None:
    registry.register("digits-1", folder(tmp_path, "digits-1"), "brief")
    with pytest.raises(RunError, match="not known; known runs: digits-1"):
        registry.find(run)


@pytest.mark.parametrize("run", ["", "../x", "a/b", "a" * 65, ".hidden", "a\n"])
def test_an_id_is_a_plain_name(registry: Registry, tmp_path: Path, run: str) -> None:
    with pytest.raises(RunError, match="allowed 1 to 64"):
        registry.register(run, tmp_path, "brief")


def test_status_and_order(registry: Registry, tmp_path: Path) -> None:
    for run in ("b", "a"):
        registry.register(run, folder(tmp_path, run), "brief")
    registry.set_status("b", RunStatus.FINISHED)
    assert [(e.run, e.status) for e in registry.list()] == [
        ("b", RunStatus.FINISHED),
        ("a", RunStatus.RUNNING),
    ]
    with pytest.raises(RunError, match="not known"):
        registry.set_status("c", RunStatus.FAILED)


def test_registering_twice_is_registering_once(registry: Registry, tmp_path: Path) -> None:
    place = folder(tmp_path, "a")
    first = registry.register("a", place, "brief")
    registry.set_status("a", RunStatus.FINISHED)
    again = registry.register("a", place, "brief")
    assert (again.created, again.status) == (first.created, RunStatus.FINISHED)
    with pytest.raises(RunError, match="already there"):
        registry.register("a", folder(tmp_path, "elsewhere"), "brief")


def test_a_deleted_folder_is_missing_and_may_have_moved(registry: Registry, tmp_path: Path) -> None:
    place = folder(tmp_path, "a")
    registry.register("a", place, "brief")
    moved = tmp_path / "moved"
    shutil.move(place, moved)
    assert registry.find("a").status is RunStatus.MISSING
    assert registry.register("a", moved, "brief").folder == moved
    assert registry.find("a").status is RunStatus.RUNNING


def test_a_damaged_registry_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(RunError, match=r"registry\.db: damaged"):
        Registry(tmp_path / "registry.db")


def test_three_processes_register_at_once(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from archwright.memory.registry import Registry, RunStatus
home, name = Path(sys.argv[1]), sys.argv[2]
for i in range(20):
    with Registry(home / "registry.db") as registry:
        registry.register(f"{name}-{i}", home, "brief")
        registry.set_status(f"{name}-{i}", RunStatus.FINISHED)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name]) for name in "abc"
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    with Registry(tmp_path / "registry.db") as registry:
        entries = registry.list()
    assert len(entries) == 60
    assert {entry.status for entry in entries} == {RunStatus.FINISHED}
