"""What released supernets share: loading, extraction and counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from archwright.errors import SpaceError, shown
from archwright.evaluators.supernet import plan as plans
from archwright.evaluators.supernet.elastic import ElasticBody
from archwright.evaluators.supernet.modules import Body
from archwright.evaluators.supernet.plan import NetworkPlan
from archwright.evaluators.supernet.released.checkpoint import load_released

Architecture = Mapping[str, Sequence[int]]

RESOLUTION = 224
"""Of ImageNet's images, where none is asked for."""


class ReleasedSupernet(nn.Module, ABC):
    """Shared weights in the original's layout, batch-norm statistics included.

    ``width`` multiplies all channels; ``classes`` are 1000 in the released files.
    """

    def __init__(self, storage: NetworkPlan, *, transformed: bool) -> None:
        super().__init__()
        self.classes = storage.shape.classes
        self.body = ElasticBody(
            storage, torch.Generator().manual_seed(0), transformed=transformed, statistics=True
        )

    @abstractmethod
    def plan(self, architecture: Architecture, resolution: int = RESOLUTION) -> NetworkPlan:
        """The network that an architecture stands for.

        Raises :class:`SpaceError` naming the choice and what is allowed.
        """

    def load_released(self, state_dict: Mapping[str, object]) -> None:
        """Take over the weights of a released file, or nothing and :class:`DataError`."""
        names = {i: f"{b.stage}_{b.index}" for i, b in enumerate(self.body.plan.blocks)}
        load_released(self.body, state_dict, names)

    def extract(self, architecture: Architecture) -> Body:
        """The network as a stand-alone module in eval mode, with the kept statistics.

        It takes normalised images of any resolution. Before its accuracy means anything,
        its batch norms need recalibration on training images.
        """
        return self.body.extract(self.plan(architecture)).eval()

    def count(self, architecture: Architecture, resolution: int) -> tuple[int, int]:
        """(parameters, multiply-accumulates for one image) of the extracted network."""
        return plans.count(self.plan(architecture, resolution))

    def forward(self, images: Tensor, architecture: Architecture) -> Tensor:
        """Logits with batch statistics, for training; batch at least 2."""
        logits: Tensor = self.body(images, self.plan(architecture, images.shape[-1]))
        return logits


def checked(
    architecture: Architecture, allowed: Mapping[str, Sequence[Sequence[int]]]
) -> dict[str, tuple[int, ...]]:
    """The architecture with as many values of each choice as ``allowed`` has, each in it.

    An empty list of allowed values lets any whole number through. Raises
    :class:`SpaceError`.
    """
    for name in architecture:
        if name not in allowed:
            raise SpaceError(f"{name}: not a choice; allowed {', '.join(allowed)}")
    result = {}
    for name, positions in allowed.items():
        if name not in architecture:
            raise SpaceError(f"{name}: missing from the architecture")
        values = architecture[name]
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise SpaceError(f"{name} = {shown(values)}: a list is needed")
        if len(values) != len(positions):
            raise SpaceError(f"{name}: {len(values)} values; {len(positions)} are needed")
        for i, (value, choices) in enumerate(zip(values, positions, strict=True)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or (choices and value not in choices):
                listed = ", ".join(map(str, choices)) or "whole numbers"
                raise SpaceError(f"{name}[{i}] = {shown(value)}: allowed {listed}")
        result[name] = tuple(values)
    return result
