"""ONNX files as workloads: batches, unknown operators, whole networks, what is refused."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_files import FILTERS, FLOAT, IMAGES, STEM, node, save, weights, whole

from archwright.errors import DataError, UnknownOperators, UntrustedFileError, UserError
from archwright.onnx_network import graph as onnx_graph
from archwright.onnx_network import reading as onnx_workload
from archwright.onnx_network.reading import read_onnx_network
from archwright.workload import Layer, LayerKind, Workload


def linear_network(path: Path, batch: int | str, tail: str = "Relu") -> Path:
    nodes = [node("MatMul", "x w", "a"), node(tail, "a", "y")]
    return save(path, nodes, {"x": [batch, 7, 8]}, [weights("w", 8, 5)])


def test_a_batch_of_all_layers_is_the_workloads(tmp_path: Path) -> None:
    one = Workload.from_onnx(linear_network(tmp_path / "net.onnx", 1))
    four = Workload.from_onnx(linear_network(tmp_path / "net.onnx", 4))
    assert four == replace(one, batch=4)
    assert four.macs == 4 * one.macs == 4 * 7 * 5 * 8
    named = Workload.from_onnx(linear_network(tmp_path / "net.onnx", "batch_size"))
    assert named == one


def test_a_batch_that_not_all_layers_have_is_part_of_the_sizes(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("ReduceMax", "c all", "m", keepdims=0),
        node("Add", "c m", "y"),
    ]
    constants = [FILTERS, whole("all", 0, 1, 2, 3)]
    workload = Workload.from_onnx(save(tmp_path / "n.onnx", nodes, {"x": [2, 3, 8, 8]}, constants))
    assert workload.batch == 1
    assert workload.layers[0].gemm == (2 * 36, 4, 27, 1)
    assert workload.layers[0].input_elements == 2 * 3 * 8 * 8


def test_names_are_unique(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "c"), node("MaxPool", "c", "y", kernel_shape=[2, 2])]
    for each in nodes:
        each.name = "same"
    layers = Workload.from_onnx(save(tmp_path / "n.onnx", nodes, IMAGES, [FILTERS])).layers
    assert [layer.name for layer in layers] == ["same", "same_2"]


def branch(name: str) -> onnx.GraphProto:
    output = helper.make_tensor_value_info(name, FLOAT, [1, 4, 6, 6])
    return helper.make_graph([node("Identity", "c", name)], name, [], [output])


def test_unknown_operators_are_listed_with_their_share(tmp_path: Path) -> None:
    yes = numpy_helper.from_array(np.array(True), "yes")
    nodes = [
        STEM,
        node("If", "yes", "i", then_branch=branch("t"), else_branch=branch("e")),
        node("Frobnicate", "c", "y", domain="com.example"),
        node("NonZero", "c", "z"),
        node("NonZero", "c", "z2"),
    ]
    path = save(tmp_path / "net.onnx", nodes, IMAGES, [FILTERS, yes], outputs="y z z2 i")
    network = read_onnx_network(path)
    found = {entry.operator: (entry.count, entry.flops) for entry in network.unknown}
    assert found == {"If": (1, 144), "com.example.Frobnicate": (1, 0), "NonZero": (2, 0)}
    assert network.unknown_share == 144 / (144 + 2 * network.workload.macs)
    with pytest.warns(UnknownOperators) as caught:
        assert Workload.from_onnx(path) == network.workload
    message = str(caught[0].message)
    assert message == network.warning
    assert len(caught) == 1
    assert "estimated 1.8% of the FLOPs: 1 x If (1.8%), 2 x NonZero (size not known)" in message


def test_flops_of_unknown_operators_with_weights(tmp_path: Path) -> None:
    nodes = [
        STEM,
        node("Conv", "v w3", "y"),
        node("LSTM", "s wi wh", "h", hidden_size=6),
    ]
    inputs = {**IMAGES, "v": [1, 2, 4, 4, 4], "s": [5, 1, 3]}
    constants = [FILTERS, weights("w3", 4, 2, 3, 3, 3)]
    constants += [weights("wi", 1, 24, 3), weights("wh", 1, 24, 6)]
    network = read_onnx_network(save(tmp_path / "n.onnx", nodes, inputs, constants, "c y h"))
    found = {entry.operator: entry.flops for entry in network.unknown}
    assert found == {"Conv": 2 * 4 * 8 * 2 * 27, "LSTM": 2 * 5 * 24 * (3 + 6)}


BAD = [
    ({"x": [1, 3, "h", 8]}, r"net.onnx: input x: dimension 2 is 'h', a dynamic shape: give it"),
    ({"x": ["tokens", 3, 8, 8]}, r"input x: dimension 0 is 'tokens', a dynamic shape"),
    ({"x": [1, 3, None, 8]}, r"input x: dimension 2 is '\?', a dynamic shape"),
    ({"x": [1, 3, 0, 8]}, r"net.onnx: input x: dimension 2 is 0: must be at least 1"),
    ({"x": None}, r"input x: has no shape"),
    ({"x": [1, 4, 8, 8]}, r"net.onnx: layer c: its 1 groups of 3 channels do not match the 4"),
]


@pytest.mark.parametrize(("inputs", "expected"), BAD)
def test_bad_inputs_are_one_line(tmp_path: Path, inputs, expected: str) -> None:
    nodes = [STEM, node("Relu", "c", "y")]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, FLOAT, sizes) for name, sizes in inputs.items()],
        [helper.make_tensor_value_info("y", FLOAT, [1, 4, None, None])],
        [FILTERS],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph), path)
    with pytest.raises(UserError, match=expected) as caught:
        Workload.from_onnx(path)
    assert "\n" not in str(caught.value)


def test_networks_that_cannot_be_read_are_one_line(tmp_path: Path, monkeypatch) -> None:
    def refused(path: Path, expected: str) -> None:
        with pytest.raises(DataError, match=expected) as caught:
            Workload.from_onnx(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)

    path = tmp_path / "net.onnx"
    refused(path, "no such file")
    path.write_bytes(b"")
    refused(path, "holds no ONNX graph")
    path.write_bytes(b"not a network" * 9)
    refused(path, "not a readable ONNX file")
    refused(save(path, [node("Conv", "x", "y")], IMAGES), "not a valid ONNX model")
    unknown = node("LSTM", "x w w", "y", hidden_size=2)
    refused(
        save(path, [unknown], {"x": [1, 1, 2]}, [weights("w", 1, 8, 2)]),
        "none of its layers does matrix work .*; unknown operators: LSTM",
    )
    nodes = [node("NonZero", "x", "z"), node("Cast", "z", "f", to=FLOAT)]
    nodes.append(node("MatMul", "f w", "y"))
    refused(
        save(path, nodes, {"x": [4, 4]}, [weights("w", 4, 4)]),
        "layer y: the shape of its tensor f is not known before the network runs",
    )
    linear_network(path, 1)
    monkeypatch.setattr(onnx_workload, "MOST_LAYERS", 0)
    refused(path, "layer a: too many layers; allowed 0")
    monkeypatch.setattr(onnx_graph, "MOST_NODES", 1)
    refused(path, "2 nodes; allowed 1")


def test_bits_are_checked(tmp_path: Path) -> None:
    path = linear_network(tmp_path / "net.onnx", 1)
    assert Workload.from_onnx(str(path), bits=4).bits == 4
    with pytest.raises(UserError, match="bits = 0: must be at least 1"):
        Workload.from_onnx(path, bits=0)


def external(location: str) -> TensorProto:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[4, 3, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_weights_need_not_be_there_but_not_elsewhere(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "y")]
    path = save(tmp_path / "net.onnx", nodes, IMAGES, [external("weights.bin")])
    assert Workload.from_onnx(path).macs == 36 * 4 * 27
    for location in ("../weights.bin", "/weights.bin"):
        save(path, nodes, IMAGES, [external(location)])
        with pytest.raises(UntrustedFileError, match="external data in"):
            Workload.from_onnx(path)


def packaged(name: str) -> Path:
    found = importlib.util.find_spec("zigzag")
    if found is None or found.origin is None:
        pytest.skip("zigzag is not installed (pip install zigzag-dse==3.9.1 six)")
    return Path(found.origin).parent / "inputs" / "workload" / f"{name}.onnx"


@pytest.mark.parametrize(
    ("name", "macs", "parameters", "array_layers"),
    [
        # AlexNet as that file has it: two groups, the first filter without padding
        ("alexnet", 654_560_384, 60_965_224, 8),
        # torchvision's parameters without the scales of batch norms, which are folded
        ("resnet18", 1_814_073_344, 11_689_512 - 4_800, 21),
        ("mobilenetv2", 300_774_272, 3_504_872 - 17_056, 53),
    ],
)
def test_well_known_networks(name: str, macs: int, parameters: int, array_layers: int) -> None:
    network = read_onnx_network(packaged(name))
    workload = network.workload
    assert (workload.macs, workload.parameters) == (macs, parameters)
    assert sum(layer.on_array for layer in workload.layers) == array_layers
    assert (workload.batch, network.unknown) == (1, ())


def matrix_layers(workload: Workload) -> list[Layer]:
    return [replace(layer, name="") for layer in workload.layers if layer.on_array]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 16])
def test_our_own_exports_have_the_layers_of_their_network(tmp_path: Path, bits: int) -> None:
    """Through fake quantisation, products of bytes, and a scaling of the images."""
    import torch

    from archwright.brief import Task
    from archwright.evaluators.supernet import (
        Supernet,
        export_network,
        load_data,
        network_space,
        prepare,
        workload_of,
    )

    torch.set_num_threads(1)
    data = load_data(Task(data="digits"), seed=0)
    space = network_space(data.shape)
    generator = torch.Generator().manual_seed(0)
    supernet = Supernet(space, data.shape, generator)
    for name, parameter in supernet.named_parameters():
        if name.endswith(("scale", "shift", "bias")):  # zeros would be left out
            torch.nn.init.uniform_(parameter, 0.5, 1.5, generator=generator)
    small = {choice.name: choice.values[0] for choice in space.choices}
    point = {**small, "depth_1": 2, "kernel_2": 5, "resolution": 6, "bits": bits}
    module = prepare(supernet, point, torch.rand(8, 1, 8, 8))
    exported = export_network(module, data.images[:2], data.labels[:2], tmp_path)
    network = read_onnx_network(exported.onnx, bits)
    expected = workload_of(point, data.shape)
    assert network.unknown == ()
    assert matrix_layers(network.workload) == matrix_layers(expected)
    assert network.workload.parameters == expected.parameters
    pools = [
        [replace(layer, name="") for layer in w.layers if layer.kind is LayerKind.POOLING]
        for w in (network.workload, expected)
    ]
    assert pools[0] == pools[1]


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
def test_an_attention_block_as_torch_exports_it(tmp_path: Path, capfd, dynamo: bool) -> None:
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.LayerNorm(32), nn.LayerNorm(32)
            self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
            self.widen, self.narrow = nn.Linear(32, 64), nn.Linear(64, 32)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.before(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.narrow(nn.functional.gelu(self.widen(self.after(x))))

    torch.set_num_threads(1)
    path = tmp_path / "block.onnx"
    more: dict[str, Any] = {} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.rand(1, 16, 32),)
        torch.onnx.export(
            Block().eval(), example, str(path), input_names=["x"], dynamo=dynamo, **more
        )
    network = read_onnx_network(path)
    assert network.unknown == ()
    products = [layer.gemm for layer in network.workload.layers if layer.on_array]
    assert products == [
        (16, 96, 32, 1),
        (16, 16, 8, 4),
        (16, 8, 16, 4),
        (16, 32, 32, 1),
        (16, 64, 32, 1),
        (16, 32, 64, 1),
    ]
    normalisations = [x for x in network.workload.layers if x.kind is LayerKind.NORMALISATION]
    assert len(normalisations) == 3
