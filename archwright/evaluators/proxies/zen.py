"""Zen-score: how much a random network makes of a small change to its input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from archwright.evaluators.proxies.proxy import Proxy, norms
from archwright.evaluators.supernet.modules import Block, Body, SqueezeExcite, Unit

PERTURBATION = 1e-2
"""alpha of the paper's algorithm 1."""


@dataclass(frozen=True)
class Zen(Proxy):
    """Zen-NAS (Lin et al., arXiv 2102.01063, algorithm 1). Sees neither images nor labels.

    Weights, inputs x and changes e are drawn from N(0, 1) by ``seed``. With f the maps
    before global pooling: log E |f(x) - f(x + alpha e)| (Frobenius norm) + sum over batch
    norms of log sqrt(mean of the channels' variances), which undoes batch norm's scaling.
    Shortcuts are taken out, as the paper says; squeeze-excite too, which it does not
    treat: with such weights it would switch channels on and off.
    """

    seed: int = 0
    repeats: int = 4
    name = "zen"

    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        generator = torch.Generator().manual_seed(self.seed)
        scores = [self._once(body, inputs.shape, generator) for _ in range(self.repeats)]
        return sum(scores) / len(scores)

    @torch.no_grad()
    def _once(self, body: Body, shape: torch.Size, generator: torch.Generator) -> float:
        _as_vanilla(body, generator)
        x = torch.randn(shape, generator=generator)
        change = torch.randn(shape, generator=generator)
        variances: list[float] = []
        hooks = [
            norm.register_forward_pre_hook(
                lambda _, inputs: variances.append(
                    inputs[0].var((0, 2, 3), unbiased=False).mean().item()
                )
            )
            for norm in norms(body)
        ]
        before = _maps(body, x)
        for hook in hooks:
            hook.remove()
        after = _maps(body, x + PERTURBATION * change)
        difference = (before - after).flatten(1).norm(dim=1).mean().item()
        smallest = 1e-300
        undone = sum(0.5 * math.log(max(variance, smallest)) for variance in variances)
        return math.log(max(difference, smallest)) + undone


def _as_vanilla(body: Body, generator: torch.Generator) -> None:
    """Draw all weights anew; no biases, shortcuts or squeeze-excite."""
    for part in body.modules():
        if isinstance(part, Block):
            part.shortcut = None
        elif isinstance(part, Unit) and isinstance(part.squeeze, SqueezeExcite):
            part.squeeze = nn.Identity()
        elif isinstance(part, nn.Conv2d):
            part.weight.normal_(generator=generator)


def _maps(body: Body, x: Tensor) -> Tensor:
    """What global pooling gets: (batch, channels, side, side)."""
    for part in (body.stem, *body.blocks, *body.head):
        x = part(x)
    return x
