"""Network files, and a simulation on the terminal."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from archwright.desk import open_desk
from archwright.errors import UserError
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, network_space
from archwright.settings import Settings
from archwright.simulation import load_network, print_simulation
from archwright.tools.simulate_hardware import simulate_hardware

GOOD = """
[input]
channels = 3
side = 32
classes = 100
[network]
depth_1 = 2
bits = 8.0
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "network.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_network_file_gives_the_tool_s_arguments(tmp_path: Path) -> None:
    assert load_network(written(tmp_path, GOOD)) == {
        "channels": 3,
        "side": 32,
        "classes": 100,
        "family": "mbconv",
        "network": {"depth_1": 2, "bits": 8.0},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "network.toml: input: missing"),
        ("[input]", "network.toml: network: missing"),
        ("network = 3\n[input]", "network.toml: network = 3: allowed a table"),
        ("[weights]\n" + GOOD, "network.toml: weights: unknown key; allowed input, network"),
        (
            GOOD.replace("side", "width"),
            "network.toml: input.width: unknown key; allowed channels, side, classes, family",
        ),
        (GOOD.replace("[input]", "[input]\nhardware = 1"), None),
        (
            GOOD.replace("channels = 3", "channels = 2"),
            "network.toml: input.channels = 2: should be 1 or 3",
        ),
        (
            GOOD.replace("side = 32", "side = 100000"),
            "network.toml: input.side = 100000: should be less than or equal to 256",
        ),
        (
            GOOD.replace("depth_1 = 2", "depth_1 = true"),
            "network.toml: network.depth_1 = True: allowed a number or a word",
        ),
        (
            GOOD.replace("depth_1 = 2", "depth_1 = [2]"),
            "network.toml: network.depth_1 = [2]: allowed a number or a word",
        ),
    ],
)
def test_a_foreign_network_file_is_one_line(tmp_path: Path, text: str, message: str | None) -> None:
    with pytest.raises(UserError) as caught:
        load_network(written(tmp_path, text))
    expected = (
        message
        or "network.toml: input.hardware: unknown key; allowed channels, side, classes, family"
    )
    assert str(caught.value) == expected


@pytest.mark.parametrize("text", ["x = ", "x = " + "[" * 5000, "x = " + "9" * 5000, "#" * 70_000])
def test_a_damaged_network_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UserError, match=r"not TOML|larger than") as caught:
        load_network(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_no_network_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_network(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path / 'none.toml'}: no such network file"


@pytest.mark.parametrize("side", [8, 256])
def test_layers_and_totals_fit_80_columns(side: int) -> None:
    """The largest network on the smallest array has the longest numbers."""
    shape = InputShape(3, side, 1000)
    networks = network_space(shape)
    largest = networks.decode(np.array([networks.shape]) - 1)[0]
    hardware = hardware_space().decode(np.zeros((1, 9), dtype=np.int64))[0] | {"bits": 16}
    arguments = {**vars(shape), "network": largest, "hardware": {**hardware, "clock_mhz": 200}}
    with open_desk(Settings(), trusted=True) as desk:
        simulation = simulate_hardware.call(arguments, desk)
    file = io.StringIO()
    print_simulation(simulation, Console(file=file, width=80))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for layer in simulation.layers:
        assert any(layer.name in line and f"{layer.cycles:.0f}" in line for line in lines), (
            layer.name
        )
    for metric, value in simulation.totals.items():
        assert f"{metric:12} {value:.4g}" in text
    assert "…" not in text
