"""kill -9 at many points, then resume: the front is the one of an uninterrupted run."""

from __future__ import annotations

import json
import shutil
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
import runs

pytestmark = pytest.mark.slow


@pytest.fixture
def uninterrupted(tiny_run: Any) -> tuple[Path, dict[str, Any]]:
    """The home and the result of a run that nothing disturbed."""
    return tiny_run.home, tiny_run.result


def _training(home: Path, folder: Path) -> bool:
    return any((home / "supernets").glob("*/training.pt"))


def _proposed(home: Path, folder: Path) -> bool:
    return runs.count(folder, "select count(*) from proposals where step = 1") > 0


def _measuring(home: Path, folder: Path) -> bool:
    return runs.count(folder, "select count(*) from uses where step = 2") > 0


def _later(home: Path, folder: Path) -> bool:
    return runs.count(folder, "select count(*) from uses where role = 'search'") >= 12


def _testing(home: Path, folder: Path) -> bool:
    return runs.count(folder, "select count(*) from uses where role = 'test'") > 0


def _baseline(home: Path, folder: Path) -> bool:
    return runs.count(folder, "select count(*) from uses where role = 'baseline'") > 2


POINTS = (_training, _proposed, _measuring, _later, _testing, _baseline)


def test_a_run_killed_at_every_point_ends_in_the_same_front(
    uninterrupted: tuple[Path, dict[str, Any]], home: Path, tmp_path: Path
) -> None:
    folder, whole = tmp_path / "run", uninterrupted[1]
    process = runs.start("search", runs.write_brief(tmp_path), "--run-dir", folder)
    recorded = 0
    for reached in POINTS:
        if reached is not _training:
            process = runs.start("resume", runs.run_of(folder))
        runs.kill_when(process, lambda reached=reached: reached(home, folder))  # type: ignore[misc]
        before, recorded = recorded, runs.count(folder, "select count(*) from measurements")
        assert recorded >= before

    status, out, err = runs.archwright("resume", runs.run_of(folder), "--json")
    assert status == 0, err[-3000:]
    resumed = json.loads(out.splitlines()[-1])
    assert runs.front_of(resumed) == runs.front_of(whole)
    for value in ("evaluations", "hypervolume", "random_hypervolume"):
        assert resumed[value] == whole[value]
    assert runs.count(folder, "select count(*) from measurements") >= recorded
    names = [
        (event["kind"], event["step"], event["label"])
        for event in map(json.loads, (folder / "events.jsonl").read_text().splitlines())
    ]
    assert len(names) == len(set(names))


def test_one_process_works_on_a_run_and_its_workers_end_with_it(
    uninterrupted: tuple[Path, dict[str, Any]], home: Path, tmp_path: Path
) -> None:
    import psutil

    runs.share_supernets(uninterrupted[0], home)
    folder = tmp_path / "run"
    text = runs.TINY_BRIEF.replace("evaluations = 14", "evaluations = 4000")
    brief = runs.write_brief(tmp_path, text=text)
    process = runs.start("search", brief, "--run-dir", folder, "--no-random")
    workers: list[psutil.Process] = []

    def measuring() -> bool:
        if _measuring(home, folder):
            status, _, err = runs.archwright("resume", runs.run_of(folder))
            assert status == 2
            assert "another process works on it" in err
            workers.extend(psutil.Process(process.pid).children(recursive=True))
            return True
        return False

    runs.kill_when(process, measuring)
    assert workers
    deadline = time.monotonic() + 30
    while any(
        worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers
    ):
        assert time.monotonic() < deadline, "workers outlive their run"
        time.sleep(0.1)


def test_damaged_checkpoints_are_put_aside_and_the_archive_is_walked_again(
    uninterrupted: tuple[Path, dict[str, Any]], home: Path, tmp_path: Path
) -> None:
    trained, whole = uninterrupted
    runs.share_supernets(trained, home)
    folder = tmp_path / "run"
    process = runs.start("search", runs.write_brief(tmp_path), "--run-dir", folder, "--no-random")
    runs.kill_when(process, lambda: _later(home, folder))
    for leftover in folder.glob("checkpoint.db-*"):
        leftover.unlink()
    (folder / "checkpoint.db").write_bytes(b"not a database" * 100)
    status, out, err = runs.archwright("resume", runs.run_of(folder), "--json")
    assert status == 0, err[-3000:]
    resumed = json.loads(out.splitlines()[-1])
    assert runs.front_of(resumed) == runs.front_of(whole)
    assert (folder / "checkpoint.damaged").is_file()


def test_resume_refuses_what_it_cannot_continue(home: Path, tmp_path: Path) -> None:
    status, _, err = runs.archwright("resume", "../nowhere")
    assert status == 2
    assert err.strip() == "archwright: run '../nowhere': not known; known runs: none"


def test_resume_refuses_other_images(
    uninterrupted: tuple[Path, dict[str, Any]], home: Path, tmp_path: Path
) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (200, 8, 8)).astype("uint8"), np.arange(200) % 4
    np.savez(tmp_path / "data.npz", x=images, y=labels)
    text = runs.TINY_BRIEF.replace('data = "digits"', 'data = "data.npz"')
    brief = runs.write_brief(tmp_path, text=text.replace("epochs = 3", "epochs = 1"))
    process = runs.start("search", brief, "--run-dir", tmp_path / "run")
    runs.kill_when(process, lambda: _proposed(home, tmp_path / "run"))
    np.savez(tmp_path / "data.npz", x=images[::-1], y=labels)
    status, _, err = runs.archwright("resume", runs.run_of(tmp_path / "run"))
    assert status == 2
    assert "is not what it was when the run began" in err


def test_lost_index_is_rebuilt_from_the_archives(
    uninterrupted: tuple[Path, dict[str, Any]], home: Path
) -> None:
    from archwright.brief import parse_brief
    from archwright.home import memory_folder, registry_file
    from archwright.memory.recall import DesignMemory, Query
    from archwright.memory.registry import Registry

    trained, whole = uninterrupted
    shutil.copytree(trained, home, dirs_exist_ok=True)
    brief = parse_brief(tomllib.loads(runs.TINY_BRIEF))

    def recalled() -> list[tuple[str, float]]:
        with Registry(registry_file()) as registry:
            found = DesignMemory(memory_folder(), registry).recall(Query(brief=brief), 10)
            return [(design.design.key, design.similarity) for design in found.designs]

    before = recalled()
    assert {key for key, _ in before} <= {design["key"] for design in whole["front"]}
    shutil.rmtree(memory_folder())
    assert recalled() == before
