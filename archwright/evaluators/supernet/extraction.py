"""Taking one network out of the supernet: a stand-alone module with the same outputs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from archwright.evaluators.supernet.modules import Body, fold, recalibrate
from archwright.evaluators.supernet.network import Preparation, Supernet
from archwright.evaluators.supernet.plan import NetworkPlan
from archwright.space import Point


class Network(nn.Module):
    """A stand-alone network. Takes images in 0..1, gives logits."""

    def __init__(self, preparation: Preparation, body: Body) -> None:
        super().__init__()
        self.preparation = preparation
        self.body = body

    @property
    def plan(self) -> NetworkPlan:
        """What it was built from."""
        return self.body.plan

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """What maps images to images, in order; :meth:`finish` takes the last one's output."""
        return (self.preparation, *self.body.parts)

    def finish(self, x: Tensor) -> Tensor:
        """From the last part's output to logits."""
        return self.body.finish(x)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, classes)."""
        return cast(Tensor, self.body(self.preparation(images)))


def new_network(supernet: Supernet, network: Point) -> Network:
    """A network of the supernet's space with the modules' own initial weights."""
    supernet.space.check(network)
    return Network(_preparation(supernet, network), Body(supernet.plan(network)))


def extract(supernet: Supernet, network: Point) -> Network:
    """The network as a stand-alone module, with a copy of its share of the weights.

    In training mode (batch statistics) its outputs equal the supernet's; before any
    other use its batch norms need :func:`recalibrate`. Raises SpaceError for a point
    outside the supernet's space.
    """
    supernet.space.check(network)
    return Network(_preparation(supernet, network), supernet.body.extract(supernet.plan(network)))


@torch.no_grad()
def _preparation(supernet: Supernet, network: Point) -> Preparation:
    plan = supernet.plan(network)
    shared = cast(Preparation, supernet.preparations[str(plan.resolution)])
    preparation = Preparation(supernet.shape, plan.resolution)
    preparation.mean.copy_(shared.mean)
    preparation.deviation.copy_(shared.deviation)
    return preparation


__all__ = ["Network", "extract", "fold", "new_network", "recalibrate"]
