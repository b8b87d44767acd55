"""Promotion after a real search: rungs, kills between and within them, simulators, time."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import runs

from archwright.agents.model.limits import Spent
from archwright.agents.team import Clock
from archwright.brief import parse_brief
from archwright.conclusion import choose, choose_promoted, frozen_front
from archwright.evaluators.hardware.simulators import SimulatorEvaluator, ZigZag
from archwright.evaluators.supernet import further, workload_of
from archwright.events import EventLog
from archwright.home import memory_folder, registry_file, supernet_cache
from archwright.measurement import Fidelity
from archwright.memory.archive import Archive
from archwright.memory.recall import DesignMemory
from archwright.memory.registry import Registry
from archwright.promotion import OUT_OF_TIME, WEIGHTS_FOLDER, archived_epochs, promote
from archwright.result import Promotion
from archwright.settings import Settings
from archwright.team import assemble
from archwright.workbench import Bench, bounds_from_plain, prepare, train_or_load

pytestmark = pytest.mark.slow

EPOCHS = 2
HOURS = 1.0


@dataclass
class Frozen:
    """A search that has ended, in a folder of its own: promote it, as often as is wanted."""

    folder: Path
    run: str
    last: Any = None

    def __call__(self, stopping: Any = lambda: False, seconds: float = 0.0, **section: Any) -> Any:
        """The promotion by a process of its own."""
        with self.team(stopping, seconds, **section) as (team, bench, training, step):
            self.last = promote(team, bench, training, step, workers=0)
            return self.last

    @contextmanager
    def team(
        self, stopping: Any = lambda: False, seconds: float = 0.0, **section: Any
    ) -> Iterator[Any]:
        with (
            Archive(self.folder / "archive.db") as archive,
            Registry(registry_file()) as registry,
        ):
            table = dict(archive.meta(self.run, "brief"))
            table["promotion"] = {"designs": 3, "epochs": EPOCHS, **section}
            table["budget"] = {**table["budget"], "hours": HOURS}
            brief = parse_brief(table)
            bench = prepare(brief, bounds_from_plain(archive.meta(self.run, "bounds")))
            checkpoint = train_or_load(brief, bench.data, supernet_cache(), lambda _: None)
            events = EventLog(self.folder / "events.jsonl", lambda _: None)
            memory = DesignMemory(memory_folder(), registry)
            with bench.accuracy(checkpoint, "validation", 0) as accuracy:
                team = assemble(
                    self.run, brief, bench, Settings(), registry, memory, archive, events,
                    accuracy, Clock(seconds), Spent(), stopping,
                )  # fmt: skip
                training = partial(bench.further_training, checkpoint, self.folder / WEIGHTS_FOLDER)
                steps = [e.step for e in team.history(10**6).evaluated]
                yield team, bench, training, max(steps) + 1

    def count(self, query: str) -> int:
        return runs.count(self.folder, query)

    @property
    def decisions(self) -> list[str]:
        lines = (self.folder / "events.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return [f"{r['decision']}: {r['reason']}" for r in rows if r["kind"] == "decision"]


@pytest.fixture
def frozen(tiny_run: Any, home: Path, tmp_path: Path) -> Callable[[str], Frozen]:
    runs.share_supernets(tiny_run.home, home)

    def copied(name: str = "frozen") -> Frozen:
        shutil.copytree(tiny_run.folder, tmp_path / name)
        return Frozen(tmp_path / name, tiny_run.result["run"])

    return copied


@pytest.fixture(scope="module")
def _known() -> dict[str, Any]:
    return {}


@pytest.fixture
def straight(frozen: Any, _known: dict[str, Any]) -> list[Any]:
    """What an undisturbed promotion comes to."""
    if not _known:
        _known["values"] = values(frozen("straight")())
    return _known["values"]


def values(promotion: Promotion) -> list[Any]:
    """All that must be equal: everything but the time it took."""
    return [
        (
            p.design.key,
            p.epochs,
            p.reached,
            p.trained and (p.trained.value, p.trained.context),
            p.accuracy_test and (p.accuracy_test.value, p.accuracy_test.context),
            {name: m.value for name, m in p.simulated.items()},
        )
        for p in promotion.designs
    ]


def test_the_best_of_the_front_climb_the_rungs(frozen: Any) -> None:
    search = frozen()
    paid = search.count("select count(*) from measurements where role = 'search'")
    promotion = search()
    assert len(promotion.designs) == 3
    assert len({p.design.network_key for p in promotion.designs}) == 3
    assert sorted(p.epochs for p in promotion.designs) == [(1,), (1, 2), (1, 2)]
    assert [p.reached for p in promotion.designs] == [len(p.epochs) == 2 for p in promotion.designs]
    for p in promotion.designs:
        assert p.trained.fidelity is p.accuracy_test.fidelity is Fidelity.TRAINED
        assert p.trained.context != p.accuracy_test.context
    with search.team() as (team, _, _, step):
        front = frozen_front(team, step)
        first, _ = choose(front, team.problem.score)
        assert promotion.designs[0].design == first.design
        assert {p.design.key for p in promotion.designs} <= {j.design.key for j in front}
        best, why = choose_promoted(front, promotion, team.problem)
        spent = team.spent()
        epochs = archived_epochs(team.archive, team.run, team.brief, best.design.network_key)
    chosen = next(p for p in promotion.designs if p.design == best.design)
    assert chosen.reached
    assert "2 designs that were trained further" in why
    assert best.accuracy_validation.value == chosen.trained.value
    assert best.accuracy_test.value == chosen.accuracy_test.value
    assert epochs == chosen.epochs
    # The search's own numbers, and its budget, are what they were.
    assert search.count("select count(*) from measurements where role = 'search'") == paid
    assert spent == 14
    assert any("rung 1: go on with" in decision for decision in search.decisions)
    again = search()
    assert values(again) == values(promotion)
    assert again.seconds_by_part == promotion.seconds_by_part


@pytest.mark.parametrize("at", [2, 4])
def test_killed_it_goes_on_and_ends_the_same(
    frozen: Any, straight: list[Any], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the first rung, and between the rungs."""
    fine_tune, begun, ended = further.fine_tune, [], []

    def dying(network: Any, data: Any, recipe: Any, file: Path) -> Any:
        begun.append(file.name)
        if len(begun) == at:
            raise KeyboardInterrupt
        result = fine_tune(network, data, recipe, file)
        ended.append(file.name)
        return result

    monkeypatch.setattr(further, "fine_tune", dying)
    search = frozen("killed")
    with pytest.raises(KeyboardInterrupt):
        search()
    assert values(search()) == straight
    assert len(ended) == len(set(ended)) == 5  # nothing is trained twice
    names = (search.folder / "events.jsonl").read_text().splitlines()
    kinds = [(e["kind"], e["step"], e["label"]) for e in map(json.loads, names)]
    assert len(kinds) == len(set(kinds))


def test_nothing_is_promoted_where_the_brief_says_so(frozen: Any) -> None:
    search = frozen()
    assert search(designs=0) is None
    assert not (search.folder / WEIGHTS_FOLDER).exists()


def test_it_ends_between_measurements_when_time_is_up(frozen: Any) -> None:
    search, limit = frozen(), HOURS * 3600
    none = search(seconds=limit)
    assert none.stopped == OUT_OF_TIME
    assert not any(p.reached for p in none.designs)
    with search.team() as (team, _, _, step):
        front = frozen_front(team, step)
        assert choose_promoted(front, none, team.problem) == choose(front, team.problem.score)
    # What has ended stays so, although a report made later has time.
    assert values(search()) == values(none)
    assert any(decision.endswith(OUT_OF_TIME) for decision in search.decisions)


def test_stopped_by_the_user_it_goes_on_later(frozen: Any, straight: list[Any]) -> None:
    search = frozen("stopped")
    trained = "select count(*) from measurements where role = 'promotion' and metric = 'accuracy'"
    stopped = search(stopping=lambda: search.count(trained) >= 4)
    assert sorted(p.epochs for p in stopped.designs) == [(1,)] * 3  # the second rung is not whole
    assert sum(p.reached for p in stopped.designs) == 3
    assert values(search()) == straight


def test_a_simulator_that_is_missing_is_a_line_and_no_end(
    frozen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = "archwright.evaluators.hardware.simulators.{}.missing_package"
    reason = "ZigZag is not installed: install it"
    monkeypatch.setattr(installed.format("zigzag"), lambda *_: reason)
    search = frozen()
    promotion = search(simulator="zigzag", designs=2, epochs=1)
    assert sum(p.reached for p in promotion.designs) == 2
    assert all(p.simulated == {} for p in promotion.designs)
    assert f"zigzag: 0 of 2 designs simulated: {reason}" in search.decisions
    with Archive(search.folder / "archive.db") as archive:
        failed = [f for f in archive.failures(search.run) if f.evaluator == "zigzag"]
    assert [f.reason for f in failed] == [reason] * 2


def test_what_is_left_is_simulated(frozen: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    zigzag = ZigZag(loop_factors=2)
    if reason := zigzag.missing():
        pytest.skip(reason)

    def first_layer(self: Bench, name: str, workers: int) -> SimulatorEvaluator:
        def workload(point: Any) -> Any:
            whole = workload_of(point, self.data.shape, self.brief.network.space)
            return replace(whole, layers=whole.layers[:1])

        return SimulatorEvaluator(zigzag, workload, self.problem.hardware_space, workers)

    monkeypatch.setattr(Bench, "simulator", first_layer)
    search = frozen()
    promotion = search(simulator="zigzag", epochs=1)
    finalists = [p for p in promotion.designs if p.reached]
    assert 1 <= len(finalists) <= 2
    for p in promotion.designs:
        assert bool(p.simulated) == p.reached
        for name in p.simulated:
            assert p.simulated[name].fidelity is Fidelity.SIMULATOR
    assert {"latency_ms", "energy_uj"} <= set(finalists[0].simulated)
    # What a simulator says of a design does not move the front that it was taken from.
    assert values(search(simulator="zigzag", epochs=1)) == values(promotion)


def test_a_whole_run_is_killed_between_rungs_and_exports_what_it_trained(
    straight: list[Any], home: Path, tmp_path: Path
) -> None:
    import numpy as np
    import onnxruntime

    from archwright.desk import LocalRuns
    from archwright.evaluators.supernet import load_data

    text = runs.TINY_BRIEF.replace("designs = 0", f"designs = 3\nepochs = {EPOCHS}")
    folder = tmp_path / "run"
    brief = runs.write_brief(tmp_path, text=text)
    process = runs.start("search", brief, "--run-dir", folder, "--no-random")
    ended = "select count(*) from considered where role = 'promotion'"
    runs.kill_when(process, lambda: runs.count(folder, ended) >= 3)
    run = runs.run_of(folder)
    status, out, err = runs.archwright("resume", run, "--json")
    assert status == 0, err[-3000:]
    result = json.loads(out.splitlines()[-1])
    assert result["evaluations"] == 14
    promoted = {p["key"]: p for p in result["promoted"]}
    assert [
        (p["key"], tuple(p["epochs"]), p["reached"], p["metrics"]["accuracy_test"]["value"])
        for p in result["promoted"]
    ] == [(key, epochs, reached, test[0]) for key, epochs, reached, _, test, _ in straight]
    best = result["best"]
    assert promoted[best["key"]]["reached"]
    assert best["metrics"]["accuracy_validation"]["fidelity"] == "trained"
    assert {d["metrics"]["accuracy_validation"]["fidelity"] for d in result["front"]} == {
        "supernet"
    }
    assert "Promoted designs" in (folder / "report.html").read_text()
    assert "## Promoted designs" in (folder / "report.md").read_text()

    task = parse_brief(tomllib.loads((folder / "brief.toml").read_text(encoding="utf-8")))
    data = load_data(task.task, task.seed)
    images, labels = data.take(data.split("test"))

    def scored(where: Path) -> float:
        session = onnxruntime.InferenceSession(where / "network.onnx")
        logits = np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])
        return float((logits.argmax(axis=1) == labels).mean())

    test = best["metrics"]["accuracy_test"]["value"]
    assert scored(folder / "best") == pytest.approx(test, abs=2.5 / len(labels))
    # A design that fell out is exported with the weights that it came to.
    lost = next(p for p in result["promoted"] if not p["reached"])
    with Registry(registry_file()) as registry:
        where = LocalRuns(registry).export(run, lost["key"])
    test = lost["metrics"]["accuracy_test"]["value"]
    assert scored(where) == pytest.approx(test, abs=2.5 / len(labels))
