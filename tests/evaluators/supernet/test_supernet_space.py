import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from archwright.errors import DataError
from archwright.evaluators.supernet import (
    InputShape,
    extract,
    largest_network,
    network_space,
    plan_of,
    smallest_network,
    workload_of,
)
from archwright.evaluators.supernet.extraction import fold
from archwright.evaluators.supernet.train import new_supernet
from archwright.workload import LayerKind

SHAPES = [InputShape(1, 8, 10), InputShape(3, 28, 4), InputShape(3, 64, 2)]


def macs_of(module: nn.Module, image: torch.Tensor) -> int:
    """Multiply-accumulates that torch really does, counted as it does them."""
    total = 0

    def count(layer, inputs, output) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += layer.weight[0].numel() * output[0].numel()
        elif isinstance(layer, nn.Linear):
            total += layer.weight.numel()

    hooks = [layer.register_forward_hook(count) for layer in module.modules()]
    with torch.no_grad():
        module(image)
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize("shape", SHAPES)
def test_workload_equals_the_module(shape: InputShape, rng: np.random.Generator) -> None:
    space = network_space(shape)
    supernet = new_supernet(space, shape, 0)
    points = [smallest_network(space), largest_network(space)]
    for point in points + space.decode(space.sample(rng, 12)):
        module = extract(supernet, point)
        fold(module)
        workload = workload_of(point, shape)
        image = torch.rand(1, shape.channels, shape.side, shape.side)
        assert workload.parameters == sum(part.numel() for part in module.parameters())
        assert workload.macs == macs_of(module, image)
        assert workload.bits == point["bits"]


def test_layers_follow_one_another(rng: np.random.Generator) -> None:
    for shape in SHAPES:
        space = network_space(shape)
        for point in space.decode(space.sample(rng, 50)):
            layers = workload_of(point, shape).layers
            for before, layer in itertools.pairwise(layers):
                assert (layer.in_channels, layer.in_height) == (
                    before.out_channels,
                    before.out_height,
                )
            additions = [layer for layer in layers if layer.kind is LayerKind.ELEMENTWISE]
            residual = [block for block in plan_of(point, shape).blocks if block.shortcut]
            assert [layer.name for layer in additions] == [f"{b.name}.add" for b in residual]


def test_every_choice_changes_the_workload() -> None:
    for shape in SHAPES:
        space = network_space(shape)
        for base in (smallest_network(space), largest_network(space)):
            for choice in space.choices:
                workloads = {
                    (w.layers, w.bits)
                    for value in choice.values
                    for w in [workload_of({**base, choice.name: value}, shape)]
                }
                assert len(workloads) == len(choice.values), choice.name


def test_the_space_is_wide_at_both_ends() -> None:
    shape = SHAPES[0]
    space = network_space(shape)
    assert workload_of(smallest_network(space), shape).parameters < 500
    assert workload_of(largest_network(space), shape).parameters > 40_000
    assert dict(zip(space.names, space.choices, strict=True))["resolution"].values == (4, 6, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, 8, 10), "2 channels"),
        ((1, 7, 10), "side 7"),
        ((1, 600, 10), "side 600"),
        ((1, 8, 1), "1 classes"),
    ],
)
def test_shapes_outside_the_range(arguments, message: str) -> None:
    with pytest.raises(DataError, match=message):
        InputShape(*arguments)


def test_costing_needs_no_torch() -> None:
    code = (
        "import sys; from archwright.evaluators.supernet import *; "
        "from archwright.evaluators.supernet import network_space, workload_of, InputShape; "
        "assert 'torch' not in sys.modules"
    )
    code = code.replace("from archwright.evaluators.supernet import *; ", "")
    subprocess.run([sys.executable, "-c", code], check=True)
