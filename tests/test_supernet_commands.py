"""archwright supernet train, evaluate, rank, export, info: on digits, in a folder."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from typer.testing import CliRunner

from archwright.cli import app
from archwright.errors import DataError, SpaceError, UserError
from archwright.evaluators.supernet import network_space, smallest_network
from archwright.supernet_commands import Line
from archwright.supernet_folder import open_folder, train_folder


def run(*arguments: object):
    """The result of a command; what a user would see as an error is raised."""
    result = CliRunner().invoke(app, ["supernet", *map(str, arguments)])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def last_json(result) -> dict:
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("supernets") / "digits"
    result = run("train", "--epochs", 1, "--batch-size", 64, "--out", out, "--json")
    assert last_json(result)["finished"] is True
    assert "epoch 1 of 1" in result.stderr
    return out


@pytest.fixture
def network(folder: Path, tmp_path: Path) -> Path:
    file = tmp_path / "network.toml"
    point = smallest_network(open_folder(folder).space)
    file.write_text(tomli_w.dumps({"network": point}), encoding="utf-8")
    return file


def test_info_says_what_a_folder_holds(folder) -> None:
    numbers = last_json(run("info", folder, "--json"))
    assert numbers["networks"] == network_space(open_folder(folder).shape).size
    assert 0 < numbers["smallest parameters"] < numbers["largest parameters"]
    assert numbers["epochs"] == 1
    assert numbers["recipe"].startswith("sandwich, sampler uniform (digest ")
    assert numbers["weights"] == open_folder(folder).checkpoint.digest
    lines = run("info", folder).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.startswith("networks") for line in lines)


def test_info_of_a_space_needs_no_training() -> None:
    numbers = last_json(run("info", "--space", "small", "--json"))
    assert numbers["smallest parameters"] <= 5000
    assert numbers["largest parameters"] >= 100_000
    with pytest.raises(SpaceError, match="network space = 'tiny': allowed mbconv"):
        run("info", "--space", "tiny")
    with pytest.raises(DataError, match="one of them"):
        run("info")


def test_training_again_goes_on_or_says_no(folder) -> None:
    before = (folder / "supernet.pt").stat().st_mtime_ns
    run("train", "--epochs", 1, "--batch-size", 64, "--out", folder)
    assert (folder / "supernet.pt").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="holds another supernet"):
        run("train", "--epochs", 2, "--batch-size", 64, "--out", folder)
    with pytest.raises(DataError, match="recipe: method = 'magic': allowed sandwich"):
        run("train", "--recipe", "magic", "--out", folder)


def test_evaluate_files_and_a_sample(folder, network) -> None:
    numbers = last_json(
        run("evaluate", folder, "--network", network, "--random", 3, "--workers", 0, "--json")
    )
    rows = numbers["networks"]
    assert len(rows) == 4
    assert rows[0]["choices"] == smallest_network(open_folder(folder).space)
    for row in rows:
        assert row["low"] < row["accuracy"] < row["high"]
        assert row["images"] == len(open_folder(folder).data.splits.validation)
    result = run("evaluate", folder, "--random", 2, "--workers", 0, "--at-least", 0.999)
    lines = result.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "2 of 2 networks" in result.stderr
    assert any(line.split()[-1:] == ["45"] for line in lines)  # an eighth of 359 images
    with pytest.raises(DataError, match="no network to evaluate"):
        run("evaluate", folder)
    with pytest.raises(DataError, match="--split = 'train': allowed validation, test"):
        run("evaluate", folder, "--random", 1, "--split", "train")


def test_wrong_files_are_one_line(folder, tmp_path, network) -> None:
    with pytest.raises(DataError, match=r"no supernet.toml there"):
        run("evaluate", tmp_path, "--random", 1)
    point = {**smallest_network(open_folder(folder).space), "kernel_1": 9}
    network.write_text(tomli_w.dumps({"network": point}), encoding="utf-8")
    with pytest.raises(SpaceError, match=r"kernel_1 = 9: allowed \[3, 5\]"):
        run("evaluate", folder, "--network", network)
    description = tmp_path / "supernet.toml"
    text = (folder / "supernet.toml").read_text(encoding="utf-8")
    description.write_text(text.replace("sandwich", "magic"), encoding="utf-8")
    with pytest.raises(DataError, match="recipe: method = 'magic'"):
        open_folder(tmp_path)
    description.write_text(text.replace("batch_size", "lot_size"), encoding="utf-8")
    with pytest.raises(DataError, match=r"recipe: .*lot_size"):
        open_folder(tmp_path)
    description.write_text(text.replace('data = "digits"', "data = 3"), encoding="utf-8")
    with pytest.raises(DataError, match=r"supernet.toml: data"):
        open_folder(tmp_path)


def test_other_data_than_it_was_trained_on_are_refused(tmp_path) -> None:
    from archwright.evaluators.supernet import Recipe

    file = tmp_path / "images.npz"
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    np.savez(file, x=images, y=np.arange(80) % 2)
    recipe = Recipe(epochs=1, batch_size=16)
    folder = train_folder(tmp_path / "own", str(file), "mbconv", recipe, lambda _: None)
    assert folder.data.classes == 2
    np.savez(file, x=255 - images, y=np.arange(80) % 2)
    with pytest.raises(DataError, match=r"not the data that .* was trained on"):
        _ = open_folder(tmp_path / "own").data


def test_export_of_one_network(folder, network, tmp_path) -> None:
    out = tmp_path / "exported"
    numbers = last_json(run("export", folder, "--network", network, "--out", out, "--json"))
    assert numbers["agreement"] == 1
    assert numbers["largest_difference"] <= 1e-4 * numbers["largest_logit"]
    assert (out / "network.onnx").is_file()
    assert (out / "weights.safetensors").is_file()
    with pytest.raises(DataError, match="one of them"):
        run("export", "--network", network)
    with pytest.raises(DataError, match="allowed ofa:FILE, attentive:FILE"):
        run("export", "--network", network, "--released", "resnet:file")


@pytest.mark.slow
def test_rank_goes_on_where_it_was_killed(folder) -> None:
    command = ("rank", folder, "--networks", 4, "--epochs", 1, "--workers", 0)
    result = run(*command)
    assert "4 networks trained alone from 2 seeds" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    file = folder / "truths.csv"
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(rows[:-1]))
    numbers = last_json(run(*command, "--json"))
    assert len(file.read_text().splitlines()) == 1 + 8
    assert {"MACs", "inherited weights", "predictor"} < {
        one["fidelity"] for one in numbers["ranked"]
    }


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    import sys

    moments = iter([0.0, 10.0, 10.0, 11.0, 11.0, 20.0, 20.0])
    line = Line(lambda: next(moments))
    for done in (1, 2, 4):
        line.share(done, 4, "networks")
    assert sys.stderr.getvalue() == "1 of 4 networks, 0:30 left\n4 of 4 networks\n"
