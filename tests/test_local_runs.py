"""Runs in processes of their own: what is refused, and a run that waits for the user's word."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import runs

from archwright.brief import load_brief
from archwright.control import note_process, working_process
from archwright.desk import LocalRuns
from archwright.errors import RunError, UserError
from archwright.home import registry_file
from archwright.memory.registry import Registry, RunStatus


@pytest.fixture
def registry() -> Iterator[Registry]:
    """The registry of this test's home."""
    with Registry(registry_file()) as registry:
        yield registry


@pytest.fixture
def local(registry: Registry) -> LocalRuns:
    """Runs of this test's home."""
    return LocalRuns(registry)


def test_a_run_that_waits_for_nothing_takes_no_word(
    registry: Registry, local: LocalRuns, tmp_path: Path
) -> None:
    registry.register("run-1", tmp_path, "run")
    assert local.pending("run-1") == []
    with pytest.raises(UserError, match="run run-1: no design waits for your word"):
        local.decide("run-1", {}, {})
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_a_run_whose_folder_is_gone_is_not_resumed(
    registry: Registry, local: LocalRuns, tmp_path: Path
) -> None:
    registry.register("run-1", tmp_path / "run", "run")
    with pytest.raises(RunError, match=r"its folder .* is gone"):
        local.resume("run-1")
    assert local.status("run-1").status == "missing"
    assert local.stop("run-1").status == "missing"


def test_a_run_that_nobody_works_on_is_interrupted(
    registry: Registry, local: LocalRuns, tmp_path: Path
) -> None:
    registry.register("run-1", tmp_path, "run")
    assert local.status("run-1").status == "interrupted"
    assert local.stop("run-1").status == "interrupted", "nobody was there to stop"


def test_a_waiting_run_that_is_stopped_waits_no_more(
    registry: Registry, local: LocalRuns, tmp_path: Path
) -> None:
    registry.register("run-1", tmp_path, "run")
    registry.set_status("run-1", RunStatus.WAITING)
    stopped = local.stop("run-1")
    assert (stopped.status, stopped.stopped) == ("stopped", "stopped by the user")


def test_a_process_that_dies_of_the_signal_was_stopped(
    registry: Registry, local: LocalRuns, tmp_path: Path
) -> None:
    registry.register("run-1", tmp_path, "run")
    import subprocess
    import sys

    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    note_process(tmp_path, process.pid)
    assert local.status("run-1").status == "running"
    with pytest.raises(RunError, match="another process works on it"):
        local.resume("run-1")
    assert local.stop("run-1").status == "stopped"
    assert working_process(tmp_path) is None


@pytest.mark.slow
def test_a_run_waits_takes_the_word_and_goes_on(
    local: LocalRuns, registry: Registry, tmp_path: Path
) -> None:
    text = "approval = true\n" + runs.TINY_BRIEF.replace("epochs = 3", "epochs = 1")
    path = runs.write_brief(tmp_path, text=text.replace("= 14", "= 4"))
    run = local.start(load_brief(path))
    deadline = time.monotonic() + runs.PATIENCE_S
    pending = []
    while not pending and time.monotonic() < deadline:
        time.sleep(0.05)
        pending = local.pending(run)
    assert len(pending) == 4
    assert local.status(run).evaluations == 0
    with pytest.raises(UserError, match="design = 'ffff': does not wait"):
        local.decide(run, {"ffff": "no"}, {})
    twice = pending[0]
    with pytest.raises(UserError, match="allowed rejected or edited, not both"):
        local.decide(run, {twice.key: "no"}, {twice.key: twice})
    local.decide(run, {twice.key: "too slow"}, {})  # at once: its process may not have ended yet
    ended = {"finished", "failed", "stopped", "interrupted"}
    while local.status(run).status not in ended and time.monotonic() < deadline:
        if replacements := local.pending(run):
            assert twice.network_key not in {design.network_key for design in replacements}
            assert "too slow" in replacements[0].origin.reason
            local.decide(run, {}, {})
        time.sleep(0.1)
    state = local.status(run)
    assert (state.status, state.evaluations) == ("finished", 4)
