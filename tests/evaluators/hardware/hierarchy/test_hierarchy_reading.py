"""Accelerator and mapping files: what is read, and the one line that each mistake gives."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware import hierarchy
from archwright.evaluators.hardware.hierarchy import (
    PRESETS,
    HierarchyModel,
    preset,
    read_accelerator,
    read_mapping,
)
from archwright.workload import Layer, LayerKind, Workload

FILES = Path(hierarchy.__file__).parent / "presets"
LAYER = Layer("conv", LayerKind.CONVOLUTION, 16, 32, 16, 16, 14, 14, 3)


def changed(tmp_path: Path, kind: str, change: Callable[[Any], object]) -> Path:
    """A copy of the tpu_like file of a kind, changed."""
    content = yaml.safe_load((FILES / kind / "tpu_like.yaml").read_text())
    change(content)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def without(*keys: str) -> Callable[[Any], object]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


def with_(value: object, *keys: Any) -> Callable[[Any], object]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_read_and_used(name: str) -> None:
    result = preset(name).layer(LAYER)
    assert result.energy_pj > 0
    assert result.cycles >= result.ideal_cycles


def test_an_accelerator_is_what_its_file_says() -> None:
    accelerator = read_accelerator(FILES / "accelerators" / "tpu_like.yaml")
    assert accelerator.dimensions == (("D1", 32), ("D2", 32))
    assert accelerator.systolic == ("D1", "D2")
    assert [memory.name for memory in accelerator.memories] == [
        "rf_128B",
        "rf_2B",
        "sram_2MB",
        "dram",
    ]
    sram = accelerator.memories[2]
    assert (sram.size, sram.read_cost, sram.write_cost) == (16777216, 416.16, 378.4)
    assert accelerator.memories_of("I2") == (0, 3)
    assert [memory.name for memory in accelerator.innermost] == ["rf_128B", "rf_2B"]


MEMORY = ("memories", "sram_2MB")
PORT = (*MEMORY, "ports", 0)
ARRAY = "operational_array"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_(1, "color"), "color: unknown key; allowed name, memories"),
        (with_(1, *MEMORY, "colour"), "memories.sram_2MB.colour: unknown key; allowed size"),
        (with_(0, *MEMORY, "size"), "memories.sram_2MB.size = 0: should be greater than or"),
        (with_("big", *MEMORY, "size"), "memories.sram_2MB.size = 'big': should be a valid int"),
        (with_(-1.0, *MEMORY, "r_cost"), "memories.sram_2MB.r_cost = -1.0: should be greater"),
        (without(*MEMORY, "r_cost"), "memories.sram_2MB: r_cost and w_cost are needed"),
        (with_(["I3"], *MEMORY, "operands"), "memories.sram_2MB.operands.0 = 'I3': should be"),
        (with_(["D7"], *MEMORY, "served_dimensions"), "served_dimensions = D7: allowed D1, D2"),
        (with_(9999, *PORT, "bandwidth_min"), "bandwidth_min = 9999: allowed at most"),
        (with_(["I1, up"], *PORT, "allocation"), "allocation.0 = 'I1, up': should match"),
        (with_(["I2, tl"], *PORT, "allocation"), "allowed moves of I1, O that a read port makes"),
        (with_(["I1, fh"], *PORT, "allocation"), "allowed moves of I1, O that a read port makes"),
        (with_(["I1, tl"], *PORT, "allocation"), "none is allocated to 'O, tl'"),
        (with_([32], ARRAY, "sizes"), "operational_array.sizes = [32]: allowed one for each of 2"),
        (with_([32, 0], ARRAY, "sizes"), "operational_array.sizes.1 = 0: should be greater"),
        (with_(["D4"], ARRAY, "systolic_dimensions"), "systolic_dimensions: D4: allowed D1, D2"),
        (with_(True, ARRAY, "is_imc"), "in-memory computing is not modelled"),
        (without("memories", "rf_2B"), None),
        (without(ARRAY), "operational_array: missing"),
    ],
)
def test_a_bad_accelerator_gives_one_line(
    tmp_path: Path, change: Callable[[Any], object], says: str | None
) -> None:
    path = changed(tmp_path, "accelerators", change)
    if says is None:  # fewer memories are no mistake
        assert len(read_accelerator(path).memories) == 3
        return
    with pytest.raises(UserError) as caught:
        read_accelerator(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_operand_that_no_memory_holds_is_named(tmp_path: Path) -> None:
    def drop_weights(content: Any) -> None:
        del content["memories"]["rf_128B"]
        dram = content["memories"]["dram"]
        dram["operands"] = ["I1", "O"]
        port = dram["ports"][0]
        port["allocation"] = [move for move in port["allocation"] if not move.startswith("I2")]

    with pytest.raises(UserError, match="memories: none holds I2"):
        read_accelerator(changed(tmp_path, "accelerators", drop_weights))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [", "not YAML"),
        ("a: &x [1]\nb: [*x, *x]", "aliases"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
        ("x" * 70_000, "larger than"),
        ("- 1", "allowed a table"),
    ],
)
def test_a_file_that_is_no_plain_yaml_gives_one_line(
    tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=says) as caught:
        read_accelerator(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_accelerator(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (with_("other", 0, "name"), "no entry is named default"),
        (with_(["K; 3"], 0, "spatial_mapping", "D1"), "spatial_mapping.D1.0 = 'K; 3'"),
        (with_({}, 0, "spatial"), "spatial: unknown key; allowed name, spatial_mapping"),
        (with_({"O": "O", "W": "I1", "I": "I1"}, 0, "memory_operand_links"), "once"),
        (lambda entries: entries.append(deepcopy(entries[0])), "more than one entry"),
    ],
)
def test_a_bad_mapping_gives_one_line(
    tmp_path: Path, change: Callable[[Any], object], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_mapping(changed(tmp_path, "mappings", change))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def model_with(tmp_path: Path, change: Callable[[Any], object]) -> HierarchyModel:
    mapping = read_mapping(changed(tmp_path, "mappings", change))
    return HierarchyModel(read_accelerator(FILES / "accelerators" / "tpu_like.yaml"), mapping)


def test_a_mapping_for_another_array_names_the_dimension(tmp_path: Path) -> None:
    model = model_with(tmp_path, with_(["OX, 2"], 0, "spatial_mapping", "D3"))
    with pytest.raises(UserError, match="mapping for conv: D3: allowed D1, D2"):
        model.layer(LAYER)


def test_a_fixed_order_is_refused_rather_than_passed_over(tmp_path: Path) -> None:
    model = model_with(tmp_path, with_([["OX", 14]], 0, "temporal_ordering"))
    with pytest.raises(UserError, match="temporal_ordering"):
        model.layer(LAYER)


def test_an_entry_for_a_layer_comes_before_its_operator_and_the_default(tmp_path: Path) -> None:
    def more(entries: Any) -> None:
        for name, factor in (("Conv", 4), ("conv", 2)):
            entries.append({"name": name, "spatial_mapping": {"D1": [f"K, {factor}"], "D2": []}})

    model = model_with(tmp_path, more)
    assert model.layer(LAYER).unrolled == (("D1", "K", 2.0),)
    other = Layer("other", LayerKind.CONVOLUTION, 16, 32, 16, 16, 14, 14, 3)
    assert model.layer(other).unrolled == (("D1", "K", 4.0),)
    linear = Layer("fc", LayerKind.LINEAR, 64, 64, 1, 1, 1, 1)
    assert model.layer(linear).unrolled == (("D1", "K", 32.0), ("D2", "C", 32.0))


def test_a_memory_without_room_names_the_layer(tmp_path: Path) -> None:
    path = changed(tmp_path, "accelerators", with_(8, "memories", "dram", "size"))
    model = HierarchyModel(read_accelerator(path), preset("tpu_like").mapping)
    with pytest.raises(MeasurementFailed, match="layer conv: no loop order fits"):
        model.layer(LAYER)


def test_layers_of_the_vector_unit_are_passed_over_and_named() -> None:
    pool = Layer("pool", LayerKind.POOLING, 32, 32, 14, 14, 7, 7, 2, 2)
    workload = Workload("two", (LAYER, pool))
    model = preset("tpu_like")
    assert [result.name for result in model.per_layer(workload)] == ["conv"]
    assert model.passed_over(workload) == ["pool"]


@pytest.mark.parametrize("wrong", [{"objective": "area"}, {"factors": 0}])
def test_a_wrong_setting_is_named(wrong: Any) -> None:
    model = preset("tpu_like")
    with pytest.raises(UserError, match=next(iter(wrong))):
        HierarchyModel(model.accelerator, model.mapping, **wrong)


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(UserError, match="allowed edge_tpu_like, eyeriss_like"):
        preset("abacus")
