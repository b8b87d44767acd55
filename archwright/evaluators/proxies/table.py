"""Many networks scored by all proxies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from archwright.evaluators.proxies.activity import JacobianCovariance, Naswot
from archwright.evaluators.proxies.gradients import GradientNorm, GradSign, SynFlow
from archwright.evaluators.proxies.proxy import Proxy, layers
from archwright.evaluators.proxies.zen import Zen
from archwright.evaluators.supernet.extraction import Network, new_network
from archwright.evaluators.supernet.network import Supernet
from archwright.space import Point


def all_proxies(seed: int = 0) -> tuple[Proxy, ...]:
    """One of each kind; ``seed`` is for what a proxy draws by itself."""
    return (SynFlow(), JacobianCovariance(), Naswot(), GradientNorm(), GradSign(), Zen(seed))


def score_networks(
    supernet: Supernet,
    networks: Sequence[Point],
    images: Tensor,
    labels: Tensor,
    proxies: Sequence[Proxy] | None = None,
    seed: int = 0,
) -> dict[str, npt.NDArray[np.float64]]:
    """Scores by proxy's name, each of shape (networks,).

    Each network gets initial weights drawn by ``seed``: none of the supernet's training
    is in the scores. ``images`` (batch, channels, side, side) in 0..1 and ``labels``
    (batch,) are of the training split. Errors as of :meth:`Proxy.score`.
    """
    chosen = all_proxies(seed) if proxies is None else proxies
    scores: dict[str, list[float]] = {proxy.name: [] for proxy in chosen}
    for network in networks:
        module = initial_network(supernet, network, seed)
        for proxy in chosen:
            scores[proxy.name].append(proxy.score(module, images, labels))
    return {name: np.array(values, dtype=np.float64) for name, values in scores.items()}


def initial_network(supernet: Supernet, network: Point, seed: int) -> Network:
    """A network as it starts its training: weights drawn by ``seed``, biases 0.

    He's initialisation (arXiv 1502.01852) for convolutions; for the classifier, which no
    activation follows, half its variance.
    """
    module = new_network(supernet, network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in layers(module):
            gain = 2.0 if isinstance(layer, nn.Conv2d) else 1.0
            deviation = math.sqrt(gain / layer.weight[0].numel())
            layer.weight.normal_(std=deviation, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module
