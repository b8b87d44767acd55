"""A whole search through the command line, in a temporary home, on real input."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import runs

from archwright.events import read_events

pytestmark = pytest.mark.slow


@pytest.fixture
def done(tiny_run: Any) -> Any:
    return tiny_run


@pytest.fixture(autouse=True)
def _in_a_copy_of_its_home(done: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests add to the home is theirs alone; the run's folder is the one."""
    shutil.copytree(done.home, home, dirs_exist_ok=True)


def test_result_has_what_the_brief_asked_for(done: Any) -> None:
    result = done.result
    assert result["evaluations"] == 14
    assert 0 < result["hypervolume"] <= 1
    assert result["front"]
    for design in result["front"]:
        assert design["metrics"]["power_mw"]["value"] <= 800
        assert design["metrics"]["latency_ms"]["unit"] == "ms"
        test = design["metrics"]["accuracy_test"]
        assert test["low"] <= test["value"] <= test["high"]
    assert result["best"]["key"] in {design["key"] for design in result["front"]}


def test_no_design_of_the_front_dominates_another(done: Any) -> None:
    rows = np.array(
        [
            [
                -d["metrics"]["accuracy_validation"]["value"],
                d["metrics"]["latency_ms"]["value"],
                d["metrics"]["area_mm2"]["value"],
            ]
            for d in done.result["front"]
        ]
    )
    for row in rows:
        assert not np.any(np.all(rows <= row, axis=1) & np.any(rows < row, axis=1))


def test_every_number_of_the_front_stands_in_the_archive(done: Any) -> None:
    with runs.open_archive(done.folder) as archive:
        for design in done.result["front"]:
            archived = archive.design(done.result["run"], design["key"])
            assert archived is not None
            measured = [
                *archive.measurements_of(design["key"]),
                *archive.measurements_of(archived.network_key),
            ]
            for metric, shown in design["metrics"].items():
                values = [
                    m.value
                    for m in measured
                    if m.metric == metric.split("_vali")[0].split("_test")[0]
                ]
                assert shown["value"] in values, metric


def test_files_of_the_run_are_there(done: Any) -> None:
    for name in (
        "brief.toml",
        "archive.db",
        "checkpoint.db",
        "events.jsonl",
        "report.html",
        "report.md",
        "front.csv",
        "best/network.onnx",
        "best/weights.safetensors",
        "best/network.toml",
        "best/hardware.toml",
        "best/scalesim/topology.csv",
    ):
        assert (done.folder / name).stat().st_size > 0, name
    with (done.folder / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(done.result["front"])
    kinds = {event["kind"] for event in read_events(done.folder / "events.jsonl")}
    assert {"decision", "reviewed", "evaluated", "round"} <= kinds


def test_exported_onnx_scores_what_the_report_says(done: Any) -> None:
    import onnxruntime

    from archwright.brief import load_brief
    from archwright.evaluators.supernet import load_data

    brief = load_brief(done.folder / "brief.toml")
    data = load_data(brief.task, brief.seed)
    images, labels = data.take(data.split("test"))
    session = onnxruntime.InferenceSession(done.folder / "best" / "network.onnx")
    logits = np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])
    accuracy = float((logits.argmax(axis=1) == labels).mean())
    reported = done.result["best"]["metrics"]["accuracy_test"]["value"]
    # A value on a rounding boundary may fall to the other side: at most an image or two.
    assert accuracy == pytest.approx(reported, abs=2.5 / len(labels))


def test_simulating_the_best_design_gives_its_costs(done: Any) -> None:
    best = done.folder / "best"
    status, out, err = runs.archwright(
        "simulate", best / "network.toml", "--hardware", best / "hardware.toml", "--json"
    )
    assert status == 0, err
    totals = json.loads(out.splitlines()[-1])["totals"]
    for metric in ("latency_ms", "energy_uj", "area_mm2", "power_mw"):
        assert totals[metric] == done.result["best"]["metrics"][metric]["value"]


def test_runs_lists_it_and_report_writes_it_again(done: Any) -> None:
    status, out, _ = runs.archwright("runs")
    assert status == 0
    assert done.result["run"] in out
    before = runs.count(done.folder, "select count(*) from measurements")
    (done.folder / "report.html").unlink()
    status, out, err = runs.archwright("report", done.result["run"][:10], "--json")
    assert status == 0, err
    again = json.loads(out.splitlines()[-1])
    assert runs.front_of(again) == runs.front_of(done.result)
    assert (done.folder / "report.html").is_file()
    assert runs.count(done.folder, "select count(*) from measurements") == before


def test_same_brief_gives_the_same_front_and_recalls_the_past(
    done: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another home with the same supernets but no past: everything is equal.
    runs.share_supernets(done.home, tmp_path / "home")
    with monkeypatch.context() as other:
        other.setenv("ARCHWRIGHT_HOME", str(tmp_path / "home"))
        again = runs.search(
            runs.write_brief(tmp_path), "--run-dir", tmp_path / "again", "--no-random"
        )
    assert runs.front_of(again) == runs.front_of(done.result)
    assert again["hypervolume"] == done.result["hypervolume"]
    # The same home: now the opening holds designs of the first run, and says so.
    runs.search(runs.write_brief(tmp_path), "--run-dir", tmp_path / "second", "--no-random")
    with runs.open_archive(tmp_path / "second") as archive:
        proposed = archive.proposals(runs.run_of(tmp_path / "second"))
    recalled = [p.design for p in proposed if p.design.origin.proposer == "memory"]
    assert recalled
    past = {design["key"] for design in done.result["front"]}
    assert all(
        set(design.origin.recalled) <= past and design.origin.recalled for design in recalled
    )


def test_fixed_hardware_and_a_single_objective(done: Any, tmp_path: Path) -> None:
    hardware = tomllib.loads((done.folder / "best" / "hardware.toml").read_text())
    fixed = "\n".join(f"{k} = {v!r}" for k, v in hardware.get("hardware", hardware).items())
    head, _, tail = runs.TINY_BRIEF.partition("[hardware.choices]")
    text = head + "[hardware.fixed]\n" + fixed + "\n\n[supernet]" + tail.partition("[supernet]")[2]
    text = text.replace('latency_ms = "minimise"\narea_mm2 = "minimise"\n', "")
    text = text.replace("evaluations = 14", "evaluations = 5")
    brief = runs.write_brief(tmp_path, text=text)
    result = runs.search(brief, "--run-dir", tmp_path / "r", "--no-random")
    assert len(result["front"]) == 1
    assert result["front"][0]["hardware"] == hardware.get("hardware", hardware)


def test_a_brief_that_nothing_meets_ends_with_a_report(done: Any, tmp_path: Path) -> None:
    brief = runs.write_brief(
        tmp_path,
        "\n",
        runs.TINY_BRIEF.replace("[constraints]", "[constraints]\naccuracy.at_least = 1.0").replace(
            "evaluations = 14", "evaluations = 4"
        ),
    )
    result = runs.search(brief, "--run-dir", tmp_path / "r", "--no-random")
    if not result["front"]:
        assert result["best"] is None
    assert (tmp_path / "r" / "report.html").is_file()


def test_a_bound_out_of_reach_is_said_before_anything_is_written(
    tmp_path: Path, home: Path
) -> None:
    brief = runs.write_brief(
        tmp_path, text=runs.TINY_BRIEF.replace("power_mw.at_most = 800", "area_mm2.at_most = 0.01")
    )
    before = sorted(home.rglob("*"))
    status, _, err = runs.archwright("search", brief, "--run-dir", tmp_path / "r")
    assert status == 2
    assert "constraints.area_mm2.at_most = 0.01: the least found" in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "r").exists()
    assert sorted(home.rglob("*")) == before
