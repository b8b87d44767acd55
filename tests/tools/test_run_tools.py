"""The tools that need a run, on one small real run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import runs

from archwright.desk import open_desk
from archwright.errors import UserError
from archwright.settings import load_settings
from archwright.tools import all_tools
from archwright.tools.desk import Desk

pytestmark = pytest.mark.slow
TOOLS = {tool.name: tool for tool in all_tools()}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A finished run of six evaluations in a home of its own, and what it printed."""
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARCHWRIGHT_HOME", str(folder / "home"))
        text = runs.TINY_BRIEF.replace("epochs = 3", "epochs = 1").replace("= 14", "= 6")
        result = runs.search(runs.write_brief(folder, text=text), "--no-random")
    return SimpleNamespace(home=folder / "home", result=result, run=result["run"])


@pytest.fixture
def desk(real: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk over the run's home, for what comes from outside."""
    monkeypatch.setenv("ARCHWRIGHT_HOME", str(real.home))
    with open_desk(load_settings(), trusted=False) as desk:
        yield desk


@pytest.fixture
def call(real: SimpleNamespace, desk: Desk) -> Any:
    """``call(tool, **arguments)`` on the run."""
    return lambda tool, **arguments: TOOLS[tool].call({"run": real.run, **arguments}, desk)


def plain(metrics: Any) -> dict[str, tuple[float, float, float]]:
    return {name: (m["value"], m["low"], m["high"]) for name, m in metrics.items()}


def test_the_front_is_the_run_s_front(real: SimpleNamespace, call: Any) -> None:
    shown = call("front", designs=200)
    assert shown.size == len(real.result["front"])
    tool = {d.key: plain(d.model_dump()["metrics"]) for d in shown.designs}
    assert tool == {d["key"]: plain(d["metrics"]) for d in real.result["front"]}
    accuracies = [d.metrics["accuracy_validation"].value for d in shown.designs]
    assert accuracies == sorted(accuracies, reverse=True)


@pytest.mark.parametrize("by", ["latency_ms", "area_mm2", "parameters"])
def test_a_front_is_thinned_evenly_from_the_best(real: SimpleNamespace, call: Any, by: str) -> None:
    whole, some = call("front", designs=200, by=by), call("front", designs=3, by=by)
    values = [d.metrics[by].value for d in whole.designs]
    assert values == sorted(values)
    assert some.size == whole.size
    keys = [d.key for d in whole.designs]
    places = [keys.index(d.key) for d in some.designs]
    assert (places[0], places[-1], len(places)) == (0, len(keys) - 1, 3)
    assert call("front", designs=1, by=by).designs == whole.designs[:1]


def test_an_explained_design_s_layers_sum_to_its_totals(call: Any) -> None:
    for design in call("front", designs=5).designs:
        explained = call("explain_design", design=design.key)
        assert explained.design == design
        metrics, layers = design.metrics, explained.layers
        latency = sum(layer.latency_us for layer in layers)
        assert latency == pytest.approx(1000 * metrics["latency_ms"].value)
        energy = sum(layer.energy_uj for layer in layers)
        assert energy == pytest.approx(metrics["energy_uj"].value)
        assert sum(explained.area_mm2.values()) == pytest.approx(metrics["area_mm2"].value)
        slowest = max(layers, key=lambda layer: layer.latency_us)
        assert explained.bottleneck.startswith(f"{slowest.name} takes ")
        assert "supernet 2 (supernet, " in explained.evidence
        assert "(analytical, " in explained.evidence


def test_compared_designs_differ_as_said(call: Any) -> None:
    designs = call("front", designs=3).designs
    compared = call("compare_designs", designs=[d.key for d in designs])
    assert compared.designs == designs
    for place in ("network", "hardware"):
        for name in getattr(designs[0], place):
            values = [str(getattr(d, place)[name]) for d in designs]
            expected = values if len(set(values)) > 1 else None
            assert compared.differences.get(f"{place}.{name}") == expected
    for metric, key in compared.best.items():
        values = [d.metrics[metric].value for d in designs]
        best = max(values) if metric.startswith("accuracy") else min(values)
        assert next(d.metrics[metric].value for d in designs if d.key == key) == best


def test_an_evaluated_network_has_its_archived_accuracy(call: Any) -> None:
    design = call("front", designs=1).designs[0]
    measured = call("evaluate_network", network=design.network).accuracy_validation
    archived = design.metrics["accuracy_validation"]
    assert (measured.value, measured.low, measured.high) == (
        archived.value,
        archived.low,
        archived.high,
    )
    with pytest.raises(UserError, match=r"^network\.depth_1 = 99: allowed \[1, 2, 3\]"):
        call("evaluate_network", network={**design.network, "depth_1": 99})


def test_estimates_rest_on_the_run_s_measurements(real: SimpleNamespace, call: Any) -> None:
    design = call("front", designs=1).designs[0]
    suggested = call("suggest_designs", designs=2).designs
    networks = [design.network, *(d.network for d in suggested)]
    found = call("estimate_accuracy", networks=networks)
    assert found.learned_from == real.result["evaluations"]
    assert [e.measured is None for e in found.estimates] == [False, True, True]
    measured = design.metrics["accuracy_validation"].value
    assert found.estimates[0].measured == measured
    for estimate in found.estimates:
        assert 0 <= estimate.low <= estimate.accuracy <= estimate.high <= 1
    assert call("search_status").evaluations == real.result["evaluations"], "it cost nothing"
    with pytest.raises(UserError, match=r"networks\.0\.depth_1 = 99: allowed \[1, 2, 3\]"):
        call("estimate_accuracy", networks=[{**design.network, "depth_1": 99}])


def test_a_bottleneck_is_explained_in_the_run_s_spaces(call: Any) -> None:
    design = call("front", designs=1).designs[0]
    found = call("explain_bottleneck", network=design.network, hardware=design.hardware)
    latency = design.metrics["latency_ms"].value
    assert found.costs["latency_ms"] == pytest.approx(latency, rel=1e-3)
    allowed = {"rows": {4, 8, 16}, "columns": {4, 8, 16}, "clock_mhz": {200, 800}}
    for relief in found.relief:
        assert relief.instead in allowed.get(relief.choice, {relief.instead})
    wide = {**design.hardware, "rows": 64}
    with pytest.raises(UserError, match=r"hardware\.rows = 64: allowed \[4, 8, 16\]"):
        call("explain_bottleneck", network=design.network, hardware=wide)


def test_suggestions_are_new_and_those_left_out_stay_out(real: SimpleNamespace, call: Any) -> None:
    suggested = call("suggest_designs", designs=4).designs
    assert call("suggest_designs", designs=4).designs == suggested, "until more is measured"
    with runs.open_archive(Path(real.result["folder"])) as archive:
        known = [dict(e.network) for e in archive.evaluated_networks(real.run)]
    assert len(suggested) == 4
    assert all(design.network not in known for design in suggested)
    out = [design.key for design in suggested[:2]]
    others = call("suggest_designs", designs=4, without=out).designs
    assert len(others) == 4
    left_out = [design.network for design in suggested[:2]]
    assert all(design.network not in left_out for design in others)


def test_past_designs_are_recalled(real: SimpleNamespace, desk: Desk, call: Any) -> None:
    design = call("front", designs=1).designs[0]
    arguments = {"network": design.network, "hardware": design.hardware, "designs": 3}
    recalled = TOOLS["recall_designs"].call(arguments, desk)
    assert recalled.skipped == []
    assert [d.run for d in recalled.designs] == [real.run] * 3
    assert recalled.designs[0].key == design.key
    similarities = [d.similarity for d in recalled.designs]
    assert similarities == sorted(similarities, reverse=True)


def test_an_export_holds_the_network_and_says_its_accuracy(
    real: SimpleNamespace, call: Any
) -> None:
    import numpy as np
    import onnxruntime  # type: ignore[import-untyped]

    design = call("front", designs=200, by="latency_ms").designs[0]
    exported = call("export_design", design=design.key[:12])
    folder = Path(exported.folder)
    assert folder == Path(real.result["folder"]) / "designs" / design.key
    assert {"network.onnx", "hardware.toml", "network.toml"} <= set(exported.files)
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"))
    logits = session.run(None, {"images": np.zeros((2, 1, 8, 8), np.float32)})[0]
    assert logits.shape == (2, 10)
    test = design.metrics["accuracy_test"].value
    assert f"{test:.4f}" in (folder / "README.md").read_text()
    assert call("export_design", design=design.key) == exported


@pytest.mark.parametrize("tool", ["explain_design", "export_design"])
def test_an_unknown_design_is_named_with_examples(call: Any, tool: str) -> None:
    with pytest.raises(UserError, match="design = 'ffffffffffffffff': not a design of this run; "):
        call(tool, design="f" * 16)


def test_an_unknown_design_among_several_is_named(call: Any) -> None:
    known = call("front", designs=1).designs[0].key
    with pytest.raises(UserError, match="designs = 'ffffffffffffffff': not a design of this run"):
        call("compare_designs", designs=[known, "f" * 16])


def test_a_finished_run_stands_as_it_ended_also_when_stopped(real: Any, call: Any) -> None:
    status = call("search_status")
    assert (status.status, status.evaluations, status.budget) == ("finished", 6, 6)
    assert status.hypervolume == real.result["hypervolume"]
    assert status.stopped == "the budget of 6 evaluations is spent"
    assert call("stop_search") == status
