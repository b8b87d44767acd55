"""What a zero-cost proxy is."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from archwright.errors import DataError, MeasurementFailed
from archwright.evaluators.supernet.extraction import Network
from archwright.evaluators.supernet.modules import Body


class Proxy(ABC):
    """Scores an untrained network; a higher score is to mean a higher accuracy once trained.

    A score is finite and depends on the network's weights, the images, the labels and
    the proxy's own settings alone, never on global random state. The network is left as
    it was: proxies work on a copy, on the CPU.
    """

    name: str

    def score(self, module: Network, images: Tensor, labels: Tensor) -> float:
        """The network's score on training images.

        ``images``: (batch, channels, side, side) in 0..1, at least 2; ``labels``: (batch,).
        Raises :class:`DataError` for images and labels that do not fit, and
        :class:`MeasurementFailed` where the score is not finite.
        """
        _check(module, images, labels)
        copied = copy.deepcopy(module).cpu().train().requires_grad_(True)
        copied.zero_grad(set_to_none=True)
        with torch.enable_grad():
            inputs = copied.preparation(images.float().cpu()).detach()
            score = self._score(copied.body, inputs, labels.long().cpu())
        if not math.isfinite(score):
            raise MeasurementFailed(f"{self.name}: the score is {score}")
        return score

    @abstractmethod
    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        """Score a network, in training mode, that may be changed at will.

        ``inputs`` are images as the network computes on them.
        """


def layers(body: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Convolutions and linear layers: those whose weights the proxies of gradients sum over."""
    return [part for part in body.modules() if isinstance(part, nn.Conv2d | nn.Linear)]


def norms(body: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch norms, in the order of the network."""
    return [part for part in body.modules() if isinstance(part, nn.BatchNorm2d)]


def _check(module: Network, images: Tensor, labels: Tensor) -> None:
    shape = module.plan.shape
    size = (shape.channels, shape.side, shape.side)
    if images.ndim != 4 or len(images) < 2 or tuple(images.shape[1:]) != size:
        allowed = f"(at least 2, {', '.join(map(str, size))})"
        raise DataError(f"images of shape {tuple(images.shape)}; allowed {allowed}")
    if not bool(torch.isfinite(images).all()):
        raise DataError("images with values that are not finite; allowed 0 to 1")
    if labels.shape != (len(images),):
        raise DataError(f"labels of shape {tuple(labels.shape)}; allowed ({len(images)},)")
    low, high = cast(int, labels.min().item()), cast(int, labels.max().item())
    if low < 0 or high >= shape.classes:
        raise DataError(f"labels from {low} to {high}; allowed 0 to {shape.classes - 1}")
