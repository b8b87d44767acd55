"""Our families of networks: every kind of block, from micro to mobile."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archwright.errors import SpaceError
from archwright.evaluators.supernet import (
    InputShape,
    Supernet,
    extract,
    largest_network,
    network_space,
    plan_of,
    prepare,
    smallest_network,
    workload_of,
)
from archwright.evaluators.supernet.export import export_network
from archwright.evaluators.supernet.extraction import recalibrate
from archwright.evaluators.supernet.plan import count
from archwright.evaluators.supernet.space import FAMILIES

SHAPES = (InputShape(1, 8, 10), InputShape(1, 28, 10), InputShape(3, 32, 10), InputShape(3, 96, 20))


@pytest.fixture(scope="module")
def universal() -> Supernet:
    shape = InputShape(1, 16, 10)
    generator = torch.Generator().manual_seed(3)
    supernet = Supernet(network_space(shape, "universal"), shape, generator)
    supernet.normalise_by(torch.tensor([120.0]), torch.tensor([70.0]))
    return supernet


def images(count: int = 32) -> torch.Tensor:
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_counts_agree_with_the_workload_and_the_module(family: str, shape: InputShape) -> None:
    """Batch norm is folded into biases in a workload: it counts half of it."""
    space = network_space(shape, family)
    rng = np.random.default_rng(2)
    points = [smallest_network(space), *space.decode(space.sample(rng, 20))]
    for point in points:
        plan = plan_of(point, shape, family)
        workload = workload_of(point, shape, family)
        parameters, macs = count(plan)
        units = [plan.stem, *(unit for block in plan.blocks for unit in block.units), *plan.head]
        norms = sum(unit.out_channels for unit in units if unit.normalised)
        assert workload.macs == macs
        assert workload.parameters == parameters - norms


def test_the_families_reach_from_hundreds_of_parameters_to_millions() -> None:
    def parameters(family: str, shape: InputShape) -> tuple[int, int]:
        space = network_space(shape, family)
        ends = (smallest_network(space), largest_network(space))
        small, large = (count(plan_of(point, shape, family))[0] for point in ends)
        return small, large

    assert parameters("mbconv", SHAPES[0])[0] < 600
    small = parameters("small", SHAPES[1])
    assert small[0] <= 5_000
    assert small[1] >= 100_000
    assert parameters("mobile", InputShape(3, 224, 1000))[1] > 4_000_000


def test_every_kind_of_block_is_taken_out_as_the_supernet_runs_it(universal: Supernet) -> None:
    space = universal.space
    rng = np.random.default_rng(4)
    points = [largest_network(space), *space.decode(space.sample(rng, 30))]
    kinds = {point[f"block_{stage}"] for point in points for stage in (1, 2, 3)}
    assert len(kinds) == 5
    with torch.no_grad():
        for parameter in universal.parameters():  # no branch may start at zero here
            torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(5))
        for point in points:
            shared_view = universal(images(), point)
            alone = extract(universal, point).train()(images())
            scale = float(alone.abs().max())
            assert torch.allclose(shared_view, alone, rtol=1e-4, atol=1e-4 * scale), point


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8, 16])
def test_every_kind_of_block_is_quantised_and_exported(
    universal: Supernet, bits: int, tmp_path
) -> None:
    space = universal.space
    rng = np.random.default_rng(6)
    grey = (images(64) * 255).round().to(torch.uint8).numpy()
    labels = np.zeros(64, dtype=np.int64)
    mixes = (("ffn", "convnext", "mbconv"), ("extra", "fused", "ffn"))
    for mix, point in zip(mixes, space.decode(space.sample(rng, 2)), strict=True):
        chosen = {
            **point,
            **{f"block_{stage}": kind for stage, kind in enumerate(mix, 1)},
            **{f"squeeze_{stage}": "on" for stage in (1, 2, 3)},
            **{f"activation_{stage}": "hswish" for stage in (1, 2, 3)},
            "bits": bits,
        }
        real = extract(universal, chosen)
        recalibrate(real, images())
        with torch.no_grad():
            expected = real(images())
            module = prepare(universal, chosen, images())
            error = (module(images()) - expected).abs().max() / expected.abs().max()
        assert error < {4: 1.0, 8: 0.5, 16: 0.01}[bits], mix
        parity = export_network(module, grey, labels, tmp_path / mix[0]).parity
        assert parity.largest_difference <= 1e-4 * parity.largest_logit, mix


def test_an_unknown_family_is_one_line() -> None:
    with pytest.raises(SpaceError, match="network space = 'resnet': allowed mbconv"):
        network_space(SHAPES[0], "resnet")


def test_every_network_answers_to_its_images_before_it_is_trained() -> None:
    """A stage that halves the image and keeps the width has no shortcut around it."""
    shape = InputShape(1, 16, 10)
    space = network_space(shape, "small").restrict({"width_1": [16], "width_2": [16]})
    supernet = Supernet(space, shape, torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = supernet(images(), largest_network(space))
    assert logits.std(0).min() > 0
