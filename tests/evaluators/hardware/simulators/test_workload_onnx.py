"""A workload as ONNX asks for the very work that the workload lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.simulators import workload_onnx
from archwright.workload import Layer, LayerKind, Workload


def written(workload: Workload, path: Path) -> onnx.ModelProto:
    workload_onnx(workload, path)
    model = onnx.load_model(str(path))
    onnx.checker.check_model(model, full_check=True)
    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def outputs(model: onnx.ModelProto) -> dict[str, int]:
    """Elements of each layer's output, by the name of its node."""
    values = {v.name: v for v in (*model.graph.value_info, *model.graph.output)}
    sizes = {}
    for node in model.graph.node:
        size = 1
        for dimension in values[node.output[0]].type.tensor_type.shape.dim:
            size *= dimension.dim_value
        sizes[node.name] = size
    return sizes


def test_every_layer_is_a_node_with_its_output(varied: Workload, tmp_path: Path) -> None:
    sizes = outputs(written(varied, tmp_path / "w.onnx"))
    for layer in varied.layers:
        assert sizes[layer.name] == 2 * layer.output_elements, layer.name


def test_it_reads_back_as_the_same_work(varied: Workload, tmp_path: Path) -> None:
    written(varied, tmp_path / "w.onnx")
    back = Workload.from_onnx(tmp_path / "w.onnx")
    assert back.macs == varied.macs
    work = [layer.macs * varied.batch for layer in varied.layers if layer.on_array]
    assert [layer.macs * back.batch for layer in back.layers if layer.on_array] == work


def test_networks_of_every_kind_are_written(workloads: SimpleNamespace, tmp_path: Path) -> None:
    for build in (workloads.digits, workloads.residual, workloads.perceptron):
        workload = build()
        model = written(workload, tmp_path / "w.onnx")
        assert len(model.graph.input) == 1, "the layers follow one another"
        sizes = outputs(model)
        assert all(sizes[x.name] == x.output_elements for x in workload.layers)


def test_nothing_can_be_computed_ahead_or_left_out(varied: Workload, tmp_path: Path) -> None:
    graph = written(varied, tmp_path / "w.onnx").graph
    read = {name for node in graph.node for name in node.input}
    made = [name for node in graph.node for name in node.output]
    assert len(made) == len(set(made))
    assert set(made) - read == {value.name for value in graph.output}
    weights = {weight.name for weight in graph.initializer}
    assert all(set(node.input) - weights for node in graph.node)


def test_the_same_seed_writes_the_same_file(varied: Workload, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        workload_onnx(varied, tmp_path / name, seed)
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again != other


def test_layers_that_no_operator_has_are_named(varied: Workload, tmp_path: Path) -> None:
    odd = Layer("odd", LayerKind.CONVOLUTION, 3, 4, 8, 8, 2, 8, 3)
    with pytest.raises(MeasurementFailed, match="layer odd: no padding makes out_height = 2 of"):
        workload_onnx(replace(varied, layers=(odd,)), tmp_path / "w.onnx")
    huge = Layer("huge", LayerKind.LINEAR, 2**15, 2**14, 1, 1, 1, 1)
    with pytest.raises(MeasurementFailed, match="536870912 parameters; at most 268435456"):
        workload_onnx(replace(varied, layers=(huge,)), tmp_path / "w.onnx")
    assert not (tmp_path / "w.onnx").exists()


def test_equal_names_are_two_nodes(tmp_path: Path) -> None:
    twice = Layer("same", LayerKind.LINEAR, 4, 4, 1, 1, 1, 1)
    assert len(written(Workload("w", (twice, twice)), tmp_path / "w.onnx").graph.node) == 2
