"""The hardware space and hardware files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archwright.errors import SpaceError
from archwright.evaluators.hardware import (
    AnalyticalModel,
    dump_hardware,
    hardware_space,
    load_hardware,
)
from archwright.front import non_dominated
from archwright.space import point_hash


def test_size_and_names() -> None:
    space = hardware_space()
    assert space.name == "systolic"
    assert 20_000 <= space.size <= 80_000
    assert {"rows", "columns", "dataflow", "bits"} <= set(space.names)


def test_every_point_can_run_what_its_bits_allow(workloads) -> None:
    space = hardware_space()
    columns = space.columns(space.enumerate())
    for bits in (8, 16):
        result = AnalyticalModel().evaluate([workloads.digits(bits)], columns)
        np.testing.assert_array_equal(np.isfinite(result["energy_uj"][0]), columns["bits"] >= bits)


def test_file_round_trip_keeps_the_key(tmp_path: Path) -> None:
    space = hardware_space()
    for point in space.decode(space.sample(np.random.default_rng(0), 20)):
        dump_hardware(point, tmp_path / "hw.toml")
        assert load_hardware(tmp_path / "hw.toml") == point
        assert point_hash(load_hardware(tmp_path / "hw.toml")) == point_hash(point)


def test_a_float_for_a_whole_number_is_the_same_point(tmp_path: Path) -> None:
    point = hardware_space().decode(np.zeros((1, 9), dtype=np.int64))[0]
    dump_hardware(point, tmp_path / "hw.toml")
    text = (tmp_path / "hw.toml").read_text().replace("rows = 4 ", "rows = 4.0 ")
    (tmp_path / "hw.toml").write_text(text)
    assert point_hash(load_hardware(tmp_path / "hw.toml")) == point_hash(point)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rows = 4 ", "rows = 5 "), "rows = 5: allowed [4, 8, 16, 32, 64]"),
        (("rows = 4 ", "rows = true "), "rows = True"),
        (("rows = 4 ", "lines = 4 "), "lines: not a choice"),
        (("rows = 4 ", "# "), "rows: missing"),
        (("rows = 4 ", "rows = = "), "not TOML"),
        (('"os"', '"rs"'), "dataflow = 'rs'"),
    ],
)
def test_wrong_points_are_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "hw.toml"
    dump_hardware(hardware_space().decode(np.zeros((1, 9), dtype=np.int64))[0], path)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(SpaceError) as caught:
        load_hardware(path, hardware_space())
    assert message in str(caught.value)
    assert "hw.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rows = 4 ", "rows = 0 "), "rows = 0: must be a whole number from 1"),
        (("rows = 4 ", "rows = true "), "rows = True: a number is needed"),
        (("rows = 4 ", "rows = [4] "), "rows = [4]: one value is needed"),
        (("rows = 4 ", "row = 4 "), "row: not a choice of the systolic space; did you mean rows?"),
        (("rows = 4 ", "cache = 4 "), "cache: not a choice of the systolic space; its choices"),
        (("rows = 4 ", "# "), "rows: missing"),
        (('"os"', '"so"'), "dataflow = 'so': allowed os, ws, is"),
        (("bits = 8 ", "bits = 6 "), "bits = 6: allowed 4, 8, 16 (those with an energy entry)"),
    ],
)
def test_wrong_files_are_one_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "hw.toml"
    dump_hardware(hardware_space().decode(np.zeros((1, 9), dtype=np.int64))[0], path)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(SpaceError) as caught:
        load_hardware(path)
    assert f"hw.toml: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_may_hold_what_no_space_offers(tmp_path: Path) -> None:
    path = tmp_path / "hw.toml"
    dump_hardware(hardware_space().decode(np.zeros((1, 9), dtype=np.int64))[0], path)
    path.write_text(path.read_text().replace("rows = 4 ", "rows = 12 ") + "node_nm = 65\n")
    point = load_hardware(path)
    assert (point["rows"], point["node_nm"]) == (12, 65)


def test_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="no such hardware file"):
        load_hardware(tmp_path / "none.toml")


def test_each_value_is_on_the_front_of_some_workload(workloads) -> None:
    """Every choice has its price: no value is dominated for all workloads."""
    space = hardware_space()
    indices = space.enumerate()
    columns = space.columns(indices)
    seen = [np.zeros(size, dtype=bool) for size in space.shape]
    for workload in workloads.varied:
        metrics = ("latency_ms", "energy_uj", "area_mm2")
        result = AnalyticalModel().evaluate([workload], columns, metrics=metrics)
        costs = np.stack([result[name][0] for name in metrics], axis=-1)
        runs = np.isfinite(costs).all(axis=1)
        for choice, used in zip(indices[runs][non_dominated(costs[runs])].T, seen, strict=True):
            used[choice] = True
    for choice, used in zip(space.choices, seen, strict=True):
        never = [value for value, on in zip(choice.values, used, strict=True) if not on]
        assert not never, f"{choice.name} {never}: on no front"
