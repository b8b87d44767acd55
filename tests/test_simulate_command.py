"""`archwright simulate` as a user meets it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commands import Run, one_line


def test_a_network_is_costed_on_a_hardware(archwright_: Run, files: tuple[Path, Path]) -> None:
    network, hardware = files
    status, out, err = archwright_("simulate", network, "--hardware", hardware)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    _, text, _ = archwright_("simulate", network, "--hardware", hardware, "--json")
    simulation = json.loads(text.splitlines()[-1])
    assert simulation["fidelity"] == "analytical"
    for layer in simulation["layers"]:
        assert re.search(
            rf"^ *{re.escape(layer['name'])} +{layer['cycles']:.0f} ", out, re.MULTILINE
        )
    for metric, value in simulation["totals"].items():
        assert re.search(rf"^{metric} +{re.escape(f'{value:.4g}')}$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("network.toml", "bits = 8", "bits = 9", "network.toml: network.bits = 9: allowed [8, 16]"),
        ("network.toml", "bits = 8", "", "network.toml: network.bits: missing; allowed [8, 16]"),
        ("network.toml", "bits = 8", "bits = 16", "hardware: bits = 8: "),
        ("network.toml", "side = 8", "side = 9999", "network.toml: input.side = 9999: should be "),
        ("network.toml", "[network]", "[net]", "network.toml: net: unknown key; allowed input, "),
        ("network.toml", "[network]", "[network", "network.toml: not TOML: "),
        ("hardware.toml", "rows = 8", "rows = 0", "hardware.toml: rows = 0: must be a whole "),
        (
            "hardware.toml",
            "rows = 8",
            "row = 8",
            "hardware.toml: row: not a choice of the systolic ",
        ),
        (
            "hardware.toml",
            "rows = 8",
            "rows = true",
            "hardware.toml: rows = True: a number is needed",
        ),
        ("hardware.toml", "rows = 8", "", "hardware.toml: rows: missing from the hardware"),
        ("hardware.toml", "rows = 8", "[rows]", "hardware.toml: "),
        ("hardware.toml", "rows = 8", "rows = " + "[" * 5000, "nested too deeply"),
        ("hardware.toml", "rows = 8", "rows = " + "9" * 5000, "hardware.toml: not TOML: "),
        ("hardware.toml", "rows = 8", "rows = 0x" + "f" * 5000, "hardware.toml: rows = (int): "),
    ],
)
def test_a_file_that_cannot_be_simulated_is_one_line(
    archwright_: Run, files: tuple[Path, Path], file: str, old: str, new: str, message: str
) -> None:
    network, hardware = files
    path = network.parent / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    status, out, err = archwright_("simulate", network, "--hardware", hardware)
    assert (status, out) == (2, "")
    assert message in one_line(err)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_file_that_is_not_there_is_one_line(
    archwright_: Run, files: tuple[Path, Path], missing: int
) -> None:
    files[missing].unlink()
    status, _, err = archwright_("simulate", files[0], "--hardware", files[1])
    assert status == 2
    assert one_line(err) == f"{files[missing]}: no such {files[missing].stem} file"


def test_a_network_is_costed_on_a_platform(archwright_: Run, files: tuple[Path, Path]) -> None:
    status, out, err = archwright_("simulate", files[0], "--platform", "microcontroller")
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "roofline" in out
    _, text, _ = archwright_("simulate", files[0], "--platform", "microcontroller", "--json")
    simulation = json.loads(text.splitlines()[-1])
    taken = sum(layer["latency_us"] for layer in simulation["layers"])
    assert simulation["totals"]["latency_ms"] == pytest.approx(taken / 1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--hardware or --platform: exactly one of them is needed"),
        (["--platform", "a1000"], "platform = 'a1000': allowed a100, "),
        (["--platform", "a100", "--fidelity", "guess"], "--fidelity guess: allowed analytical, "),
    ],
)
def test_a_wrong_choice_of_hardware_is_one_line(
    archwright_: Run, files: tuple[Path, Path], options: list[str], message: str
) -> None:
    status, out, err = archwright_("simulate", files[0], *options)
    assert (status, out) == (2, "")
    assert message in one_line(err)


def test_a_pair_is_judged_by_a_simulator(archwright_: Run, files: tuple[Path, Path]) -> None:
    """Without stalls SCALE-Sim counts the cycles that the formulas give."""
    pytest.importorskip("scalesim", reason="scalesim is not installed")
    network, hardware = files
    asked = ("simulate", network, "--hardware", hardware, "--json")
    ours = {x["name"]: x["cycles"] for x in json.loads(archwright_(*asked)[1])["layers"]}
    status, out, err = archwright_(*asked, "--fidelity", "scalesim")
    assert (status, err) == (0, "")
    theirs = {x["name"]: x["cycles"] for x in json.loads(out)["layers"] if x["cycles"] is not None}
    assert len(theirs) > 4
    assert theirs == {name: ours[name] for name in theirs}
