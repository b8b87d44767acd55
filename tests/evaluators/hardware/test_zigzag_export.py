"""The exported workload counts, in ZigZag's own reading, what ours counts."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.errors import UserError
from archwright.evaluators.hardware.zigzag_export import export_zigzag, zigzag_workload
from archwright.workload import Layer, LayerKind, Workload

LAYERS = (
    Layer("wide", LayerKind.CONVOLUTION, 8, 16, 9, 12, 5, 6, 3, 2, kernel_width=5, groups=2),
    Layer("dilated", LayerKind.CONVOLUTION, 16, 16, 5, 6, 5, 6, 3, dilation=2, bias=True),
    Layer("depthwise", LayerKind.DEPTHWISE, 16, 16, 5, 6, 5, 6, 3),
    Layer("multiplier", LayerKind.CONVOLUTION, 16, 32, 5, 6, 5, 6, 3, groups=16),
    Layer("add", LayerKind.ELEMENTWISE, 32, 32, 5, 6, 5, 6),
    Layer("pool", LayerKind.POOLING, 32, 32, 5, 6, 1, 1, 5, 5, kernel_width=6),
    Layer("linear", LayerKind.LINEAR, 32, 8, 4, 1, 4, 1),
    Layer("per_head", LayerKind.LINEAR, 16, 8, 4, 1, 4, 1, groups=4),
    Layer("attention", LayerKind.MATMUL, 16, 32, 4, 1, 4, 1, groups=4),
    Layer("softmax", LayerKind.NORMALISATION, 32, 32, 4, 1, 4, 1),
    Layer("gate", LayerKind.ELEMENTWISE, 32, 32, 4, 1, 4, 1, operands=1),
)
WORKLOAD = Workload("all", LAYERS, bits=8, batch=3)


@given(st.sampled_from([layer for layer in LAYERS if layer.on_array]), st.integers(1, 5))
def test_loops_multiply_up_to_the_multiplications(layer: Layer, batch: int) -> None:
    workload = Workload("one", (layer,), 16, batch)
    (described,) = zigzag_workload(workload)
    assert math.prod(described["loop_sizes"]) == workload.macs
    assert described["operand_precision"] == {"W": 16, "I": 16, "O": 32, "O_final": 16}


def test_the_vector_unit_is_left_out_unless_asked_for() -> None:
    named = [layer["name"] for layer in zigzag_workload(WORKLOAD)]
    assert named == [layer.name for layer in LAYERS if layer.on_array]
    everything = [layer["name"] for layer in zigzag_workload(WORKLOAD, vector_unit=True)]
    assert everything == [layer.name for layer in LAYERS if layer.name not in ("softmax", "gate")]
    with pytest.raises(UserError, match="workload w: it has no layer that ZigZag knows"):
        zigzag_workload(Workload("w", LAYERS[-2:]))


def test_windows_strides_and_padding() -> None:
    wide, dilated = zigzag_workload(WORKLOAD)[:2]
    assert wide["dimension_relations"] == ["iy=2*oy+1*fy", "ix=2*ox+1*fx"]
    assert dict(zip(wide["loop_dims"], wide["loop_sizes"], strict=True)) == {
        **{"B": 3, "G": 2, "K": 8, "OY": 5, "OX": 6, "C": 4, "FY": 3, "FX": 5}
    }
    assert wide["padding"] == [[1, 1], [1, 2]]
    assert dilated["dimension_relations"] == ["iy=1*oy+2*fy", "ix=1*ox+2*fx"]
    assert dilated["padding"] == [[2, 2], [2, 2]]


def test_the_file_is_yaml_by_name_and_json_by_content(tmp_path: Path) -> None:
    export_zigzag(WORKLOAD, tmp_path / "w.yaml")
    assert json.loads((tmp_path / "w.yaml").read_text()) == zigzag_workload(WORKLOAD)
    with pytest.raises(UserError, match=r"w\.json: ZigZag takes only"):
        export_zigzag(WORKLOAD, tmp_path / "w.json")


def zigzag_folder() -> Path:
    found = importlib.util.find_spec("zigzag")
    if found is None or found.origin is None:
        pytest.skip("zigzag is not installed (pip install zigzag-dse==3.9.1 six)")
    return Path(found.origin).parent


def parsed(workload: Workload, folder: Path, vector_unit: bool) -> list[Any]:
    """The layers as ZigZag's parser reads the exported file."""
    from zigzag.stages.parser.workload_parser import WorkloadParserStage

    export_zigzag(workload, folder / "w.yaml", vector_unit)
    mapping = str(zigzag_folder() / "inputs" / "mapping" / "default.yaml")
    stage = WorkloadParserStage([lambda *_: None], workload=str(folder / "w.yaml"), mapping=mapping)
    return list(stage.parse_workload().layer_node_list)


@pytest.mark.parametrize("batch", [1, 3])
def test_zigzag_counts_the_same(tmp_path: Path, batch: int) -> None:
    zigzag_folder()
    workload = Workload("all", LAYERS, 8, batch)
    read = parsed(workload, tmp_path, vector_unit=True)
    ours = {layer.name: layer for layer in LAYERS}
    on_array = [node for node in read if ours[node.name].on_array]
    assert sum(node.total_mac_count for node in on_array) == workload.macs
    for node in read:
        layer = ours[node.name]
        elements = {str(key): size for key, size in node.operand_size_elem.items()}
        assert elements["O"] == batch * layer.output_elements
        if layer.kind is LayerKind.MATMUL:
            assert elements["I"] + elements["W"] == batch * layer.input_elements
        elif layer.on_array:
            assert elements["W"] == layer.weight_elements
            assert elements["I"] == batch * layer.input_elements


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mobilenetv2"])
def test_zigzag_counts_the_same_for_networks_from_onnx(tmp_path: Path, name: str) -> None:
    file = zigzag_folder() / "inputs" / "workload" / f"{name}.onnx"
    workload = Workload.from_onnx(file)
    read = parsed(workload, tmp_path, vector_unit=False)
    macs = [layer.macs for layer in workload.layers if layer.on_array]
    assert [node.total_mac_count for node in read] == macs
