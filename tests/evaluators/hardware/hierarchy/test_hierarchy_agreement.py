"""The model against ZigZag's own results, which are in tests/data/zigzag_layers.csv."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from archwright.evaluators.hardware.hierarchy import LayerResult, preset
from archwright.workload import Layer, LayerKind

DATA = Path(__file__).resolve().parents[3] / "data" / "zigzag_layers.csv"
SIZES = (
    *("in_channels", "out_channels", "in_height", "in_width", "out_height", "out_width"),
    *("kernel", "stride", "dilation"),
)
with DATA.open(newline="") as file:
    ROWS = list(csv.DictReader(file))


def result_of(row: dict[str, str]) -> LayerResult:
    kind = LayerKind(row["kind"])
    groups = 1 if kind is LayerKind.DEPTHWISE else int(row["groups"])
    sizes = {name: int(row[name]) for name in SIZES}
    layer = Layer(row["layer"], kind, groups=groups, **sizes)
    assert layer.macs * int(row["batch"]) == int(row["macs"])
    return preset(row["accelerator"]).layer(layer, batch=int(row["batch"]))


def check(row: dict[str, str]) -> None:
    """Of orders that cost the same energy the two may choose different ones: their cycles
    differ by up to 2%."""
    result = result_of(row)
    assert result.energy_pj == pytest.approx(float(row["energy_pj"]), rel=1e-3)
    assert result.mac_energy_pj == pytest.approx(float(row["mac_energy_pj"]), rel=1e-9)
    for operand, column in (("I", "inputs"), ("W", "weights"), ("O", "outputs")):
        ours = sum(e for (_, op), e in result.memory_energy_pj.items() if op == operand)
        assert ours == pytest.approx(float(row[f"energy_{column}_pj"]), rel=1e-2)
    assert result.ideal_cycles == float(row["ideal_cycles"])
    assert result.cycles == pytest.approx(float(row["latency2_cycles"]), rel=3e-2)


@pytest.mark.parametrize("row", ROWS[::9], ids=lambda row: f"{row['accelerator']}-{row['layer']}")
def test_a_sample_agrees(row: dict[str, str]) -> None:
    check(row)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['accelerator']}-{row['layer']}")
def test_all_agree(row: dict[str, str]) -> None:
    check(row)


def test_the_rows_cover_what_is_compared() -> None:
    for accelerator in ("tpu_like", "eyeriss_like"):
        own = [row for row in ROWS if row["accelerator"] == accelerator]
        assert {row["network"] for row in own} == {"alexnet", "resnet18", "mobilenetv2"}
        assert {row["kind"] for row in own} == {"convolution", "depthwise", "linear"}
        assert sum(int(row["occurrences"]) for row in own) == 8 + 21 + 53
