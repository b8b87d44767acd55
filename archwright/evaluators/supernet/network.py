"""The supernet of one of our families: one set of weights for every network of a space.

The supernet has no batch-norm statistics: means and variances belong to one network,
not to the shared weights. It normalises by those of the batch it sees; a network that
is taken out of it (:mod:`.extraction`) gets its own from training images.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from archwright.evaluators.supernet.elastic import ElasticBody
from archwright.evaluators.supernet.plan import InputShape, NetworkPlan
from archwright.evaluators.supernet.space import plan_of, storage_plan
from archwright.space import Point, Space


class Preparation(nn.Module):
    """Images in 0..1 to what a network computes on: grey levels, resolution, normalised.

    Levels are whole numbers and area weights multiples of 1/256, so that every sum is
    exact in float32 (below 2**24 steps) and any runtime gives the same result.
    """

    mean: Tensor
    deviation: Tensor
    area: Tensor

    def __init__(self, shape: InputShape, resolution: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, shape.channels, 1, 1))
        self.register_buffer("deviation", torch.ones(1, shape.channels, 1, 1))
        self.register_buffer("area", area_weights(shape.side, resolution))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, side, side) in 0..1 to (batch, channels, resolution, resolution)."""
        levels = torch.round(images * 255)
        if self.area.shape[0] != self.area.shape[1]:
            levels = self.area @ levels @ self.area.T
        return (levels - self.mean) / self.deviation


def area_weights(side: int, resolution: int) -> Tensor:
    """The share of each input pixel in each output pixel, shape (resolution, side).

    An output pixel is the mean of the input that it covers. Shares are rounded to
    multiples of 1/256 and still sum to 1.
    """
    step = side / resolution
    # On the CPU by name: on the meta device (load_supernet) torch would import its compiler.
    rows = torch.arange(resolution, device="cpu")
    edges = rows.double()[:, None] * step
    pixels = torch.arange(side, dtype=torch.float64, device="cpu")[None, :]
    covered = (torch.minimum(edges + step, pixels + 1) - torch.maximum(edges, pixels)).clamp(min=0)
    shares = torch.round(covered / step * 256)
    shares[rows, shares.argmax(1)] += 256 - shares.sum(1)
    return (shares / 256).float()


class Supernet(nn.Module):
    """All networks of ``space``, one of our families', for images of ``shape``.

    ``generator`` draws the initial weights; without one they are to be loaded.
    """

    def __init__(self, space: Space, shape: InputShape, generator: torch.Generator | None) -> None:
        super().__init__()
        self.space = space
        self.shape = shape
        self.preparations = nn.ModuleDict(
            {
                str(resolution): Preparation(shape, int(resolution))
                for choice in space.choices
                if choice.name == "resolution"
                for resolution in choice.values
            }
        )
        self.body = ElasticBody(storage_plan(space, shape, space.name), generator)

    def plan(self, network: Point) -> NetworkPlan:
        """The network with its choices resolved."""
        return plan_of(network, self.shape, self.space.name)

    def forward(self, images: Tensor, network: Point) -> Tensor:
        """Logits (batch, classes) of ``network`` for ``images`` in 0..1; batch at least 2."""
        plan = self.plan(network)
        return cast(Tensor, self.body(self.preparations[str(plan.resolution)](images), plan))

    def normalise_by(self, mean: Tensor, deviation: Tensor) -> None:
        """Set the grey levels' mean and deviation, each of shape (channels,), in 0..255."""
        for preparation in self.preparations.values():
            cast(Preparation, preparation).mean.copy_(mean.view(1, -1, 1, 1))
            cast(Preparation, preparation).deviation.copy_(deviation.view(1, -1, 1, 1))
