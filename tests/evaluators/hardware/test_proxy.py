"""The learned proxy: what it learns from ZigZag's results, its intervals, its examples."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from archwright.design import Design, Origin
from archwright.errors import DataError, MeasurementFailed, UserError
from archwright.evaluators.hardware import AnalyticalModel, hardware_space
from archwright.evaluators.hardware.learned import (
    Observation,
    ProxyModel,
    archived_observations,
    read_observations,
    write_observations,
)
from archwright.evaluators.hardware.simulators.zigzag import ZigZag
from archwright.evaluators.supernet.space import InputShape, network_space, workload_of
from archwright.measurement import METRICS, Fidelity, Measurement, Outcome
from archwright.memory.archive import Archive
from archwright.space import point_hash
from archwright.workload import Layer, LayerKind, Workload

TABLE = Path(__file__).resolve().parents[2] / "data" / "zigzag_systolic.csv"
TARGETS = ("latency_ms", "energy_uj")
SPACE = hardware_space().restrict({"dataflow": ("os", "ws", "is")})


@cache
def zigzag() -> tuple[list[Observation], list[Observation]]:
    """Observations of three quarters of the hardware in the table, and of the others."""
    observations = read_observations(TABLE)
    hardware = sorted({point_hash(each.hardware) for each in observations})
    unseen = set(hardware[::4])
    parts: tuple[list[Observation], list[Observation]] = ([], [])
    for each in observations:
        parts[point_hash(each.hardware) in unseen].append(each)
    return parts


@cache
def proxy() -> ProxyModel:
    return ProxyModel.fit(zigzag()[0][::2])


def columns(points: list[dict[str, object]]) -> dict[str, np.ndarray]:
    return {name: np.array([point[name] for point in points]) for name in points[0]}


def designs_of(
    observations: list[Observation],
) -> tuple[list[Workload], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The observed layers put together to networks: workloads, hardware, simulated totals."""
    designs: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for each in observations:
        designs[each.network, point_hash(each.hardware)].append(each)
    workloads = [
        Workload(
            "network", tuple(x for o in d for x in o.times * o.workload.layers), d[0].workload.bits
        )
        for d in designs.values()
    ]
    simulated = {
        target: np.array([sum(o.times * getattr(o, target) for o in d) for d in designs.values()])
        for target in TARGETS
    }
    return workloads, columns([dict(d[0].hardware) for d in designs.values()]), simulated


def rms(said: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.log(said / true) ** 2)))


@pytest.mark.parametrize("target", TARGETS)
def test_unseen_hardware_is_predicted_better_than_by_the_formulas(target: str) -> None:
    from scipy.stats import spearmanr

    workloads, hardware, simulated = designs_of(zigzag()[1])
    predicted = proxy().evaluate(workloads, hardware, "zip")[target]
    formulas = AnalyticalModel().evaluate(workloads, hardware, "zip", [target])[target]
    true = simulated[target]
    assert len(true) > 30
    assert rms(predicted.value, true) < 0.5 * rms(formulas, true)
    assert spearmanr(predicted.value, true).statistic > spearmanr(formulas, true).statistic
    inside = (predicted.low <= true) & (true <= predicted.high)
    assert inside.mean() >= 0.85


def test_predictions_add_up_over_a_networks_layers() -> None:
    (workload, *_), hardware, _ = designs_of(zigzag()[1])
    point = {name: values[0] for name, values in hardware.items()}
    alone = [replace(workload, layers=(layer,)) for layer in workload.layers]
    whole, parts = proxy().evaluate([workload], point), proxy().evaluate(alone, point)
    for target in TARGETS:
        assert whole[target].value[0, 0] == pytest.approx(parts[target].value.sum())
        assert whole[target].low[0, 0] < whole[target].value[0, 0] < whole[target].high[0, 0]


def test_layers_of_the_vector_unit_count_nothing(workloads: SimpleNamespace) -> None:
    network = workloads.digits(8)
    on_array = replace(network, layers=tuple(x for x in network.layers if x.on_array))
    points = SPACE.columns(SPACE.sample(np.random.default_rng(0), 5))
    assert len(on_array.layers) < len(network.layers)
    with_them, without = (proxy().evaluate([w], points) for w in (network, on_array))
    for target in TARGETS:
        np.testing.assert_array_equal(with_them[target].value, without[target].value)
    pooling = Workload("p", (Layer("p", LayerKind.POOLING, 8, 8, 4, 4, 1, 1, 4),))
    with pytest.raises(UserError, match="workload p: no layer of it runs on the array"):
        proxy().evaluate([pooling], points)


def test_pairs_do_not_depend_on_their_company(workloads: SimpleNamespace) -> None:
    networks = [workloads.digits(8), workloads.wide_digits(8), workloads.perceptron(16)]
    points = SPACE.columns(SPACE.sample(np.random.default_rng(1), 3))
    cross, zipped = (proxy().evaluate(networks, points, pairing) for pairing in ("cross", "zip"))
    for target in TARGETS:
        assert cross[target].value.shape == (3, 3)
        np.testing.assert_allclose(np.diag(cross[target].value), zipped[target].value)
        np.testing.assert_allclose(np.diag(cross[target].high), zipped[target].high)


def test_what_cannot_run_is_infinite(workloads: SimpleNamespace) -> None:
    points = SPACE.columns(SPACE.sample(np.random.default_rng(2), 20))
    points["bits"] = np.where(np.arange(20) < 10, 8, 16)
    predicted = proxy().evaluate([workloads.digits(16)], points)["latency_ms"].value[0]
    runs = np.isfinite(AnalyticalModel().evaluate([workloads.digits(16)], points)["latency_ms"][0])
    assert runs.any()
    np.testing.assert_array_equal(np.isfinite(predicted), runs)


def test_equal_seeds_learn_the_same(workloads: SimpleNamespace) -> None:
    some = zigzag()[0][::16]
    points = SPACE.columns(SPACE.sample(np.random.default_rng(3), 4))
    first, second = (
        ProxyModel.fit(some, seed=4).evaluate([workloads.digits(8)], points)["energy_uj"].value
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def simulated_designs(count: int) -> list[Observation]:
    """Whole networks under a made-up simulator: twice the formulas' dynamic part."""
    shape = InputShape(1, 8, 10)
    space, rng = network_space(shape), np.random.default_rng(0)
    networks = [workload_of(p, shape) for p in space.decode(space.sample(rng, count))]
    points = SPACE.decode(SPACE.sample(rng, count))
    found = []
    for network, point in zip(networks, points, strict=True):
        costs = AnalyticalModel().evaluate([network], point)
        if np.isfinite(costs["latency_ms"][0, 0]):
            values = {target: 2 * float(costs[target][0, 0]) for target in TARGETS}
            found.append(Observation(network, point, **values, network=network.name))
    return found


def test_whole_networks_teach_whole_networks() -> None:
    observations = simulated_designs(200)
    taught, test = observations[:-40], observations[-40:]
    workloads = [each.workload for each in test]
    hardware = columns([dict(each.hardware) for each in test])
    predicted = ProxyModel.fit(taught).evaluate(workloads, hardware, "zip")
    formulas = AnalyticalModel().evaluate(workloads, hardware, "zip")
    for target in TARGETS:
        true = np.array([getattr(each, target) for each in test])
        assert rms(predicted[target].value, true) < 0.5 * rms(formulas[target], true)


def test_designs_come_back_from_an_archive(tmp_path: Path) -> None:
    shape = InputShape(1, 8, 10)
    space = network_space(shape)
    rng = np.random.default_rng(0)
    networks, points = space.decode(space.sample(rng, 4)), SPACE.decode(SPACE.sample(rng, 4))
    origin = Origin("rules/test", "a test")
    designs = [Design(n, h, origin) for n, h in zip(networks, points, strict=True)]

    def outcome(design: Design, names: tuple[str, ...], fidelity: Fidelity) -> Outcome:
        return Outcome(
            tuple(
                Measurement(
                    *(design.key, name, 1.5, METRICS[name].unit, "zigzag", "1"),
                    *(fidelity, "context", 1.5, 1.5, 0.1),
                )
                for name in names
            )
        )

    outcomes = [
        outcome(designs[0], TARGETS, Fidelity.SIMULATOR),
        outcome(designs[1], TARGETS, Fidelity.ANALYTICAL),  # no simulator's word
        outcome(designs[2], ("latency_ms",), Fidelity.SIMULATOR),  # half a word
        outcome(designs[3], TARGETS, Fidelity.SIMULATOR),  # its workload is not kept
    ]
    kept = {d.network_key: workload_of(d.network, shape) for d in designs[:3]}
    archive = Archive(tmp_path / "archive.db")
    archive.record("run", 0, designs, outcomes)
    archive.add_workloads(kept)
    (found,) = archived_observations(archive, "run", "zigzag")
    assert found.workload == kept[designs[0].network_key]
    assert dict(found.hardware) == dict(designs[0].hardware)
    assert (found.latency_ms, found.energy_uj, found.times) == (1.5, 1.5, 1)
    assert archived_observations(archive, "run", "scalesim") == []


def test_a_table_reads_as_it_was_written(tmp_path: Path) -> None:
    observations = zigzag()[1]
    path = tmp_path / "table.csv"
    write_observations(observations, path)
    assert read_observations(path) == observations


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("kind", "deconvolution", "'deconvolution' is not a valid LayerKind"),
        ("stride", "0", "stride = 0: must be at least 1"),
        ("energy_uj", "-1", "energy_uj = -1.0: must be a number above 0"),
        ("times", "x", "invalid literal"),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path: Path, column: str, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    write_observations(zigzag()[1][:3], path)
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    fields = rows[1].split(",")
    fields[header.split(",").index(column)] = text
    path.write_text("\n".join([header, rows[0], ",".join(fields)]), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_observations(path)
    assert "table.csv: row 3: " in str(caught.value)
    assert message in str(caught.value)


def test_too_little_to_learn_from_is_one_line(workloads: SimpleNamespace) -> None:
    some = zigzag()[0]
    one_hardware = [each for each in some if each.hardware == some[0].hardware]
    with pytest.raises(DataError, match=r"proxy: .* on 1 hardware points; at least 30 on 6"):
        ProxyModel.fit(one_hardware)
    points = {**SPACE.decode(SPACE.sample(np.random.default_rng(0), 1))[0], "dataflow": "rs"}
    with pytest.raises(UserError, match="dataflow = 'rs': the proxy has learned is, os, ws"):
        proxy().evaluate([workloads.digits(8)], points)


@pytest.mark.slow
def test_the_table_is_what_zigzag_says() -> None:
    simulator = ZigZag(loop_factors=4)
    if reason := simulator.missing():
        pytest.skip(reason)
    observations = zigzag()[1]
    for each in np.random.default_rng(0).choice(len(observations), 6, replace=False):
        seen = observations[each]
        try:
            totals = simulator.simulate(seen.workload, seen.hardware).totals
        except MeasurementFailed as error:
            pytest.fail(f"{seen.network} on {dict(seen.hardware)}: {error}")
        for target in TARGETS:
            assert totals[target] == pytest.approx(getattr(seen, target), rel=1e-6)
