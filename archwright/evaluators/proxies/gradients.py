"""Proxies from gradients of an untrained network: synflow, grad_norm, GradSign."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.proxies.proxy import Proxy, layers
from archwright.evaluators.supernet.modules import Body, recalibrate


class SynFlow(Proxy):
    """Synaptic flow (Tanaka et al., arXiv 2006.05467), summed as in arXiv 2101.08134.

    With every weight replaced by its absolute value, an input of ones and R the sum of
    the outputs: sum over weights of dR/dw times w. Batch norm is left out, so that a flow
    is the product of the weights on its way; biases are zero for the same reason. The
    logarithm is taken, as products of many layers span hundreds of orders of magnitude.
    Sees neither images nor labels.
    """

    name = "synflow"

    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        _without_norms(body.double())
        with torch.no_grad():
            for name, parameter in body.named_parameters():
                parameter.copy_(torch.zeros(()) if name.endswith("bias") else parameter.abs())
        flow = body(torch.ones_like(inputs[:1], dtype=torch.float64)).sum()
        weights, gradients = _by_weights(flow, body)
        total = sum(float((w.detach() * g).sum()) for w, g in zip(weights, gradients, strict=True))
        return math.log(max(total, 1e-300))


class GradientNorm(Proxy):
    """grad_norm (Abdelfattah et al., arXiv 2101.08134).

    The Euclidean norms of the loss's gradient by each layer's weights, summed over
    layers, for one batch. Batch norm normalises by the batch, as in training.
    """

    name = "grad_norm"

    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        _, gradients = _by_weights(functional.cross_entropy(body(inputs), labels), body)
        return sum(float(gradient.norm()) for gradient in gradients)


class GradSign(Proxy):
    """GradSign (Zhang and Jia, arXiv 2110.08616, algorithm 1).

    With g_i the gradient of image i's own loss: sum over weights of |sum_i sign(g_i)|,
    how far the images agree on which way to go. Batch norm has the batch's statistics,
    held fixed, so that an image's gradient is its own; the paper does not say, and the
    authors' code normalises each image by itself, which the last, smallest maps of a
    small network do not allow.
    """

    name = "gradsign"

    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        recalibrate(body, inputs)
        votes = [torch.zeros_like(layer.weight) for layer in layers(body)]
        for image, label in zip(inputs, labels, strict=True):
            loss = functional.cross_entropy(body(image[None]), label[None])
            for vote, gradient in zip(votes, _by_weights(loss, body)[1], strict=True):
                vote += gradient.sign()
        return sum(float(vote.abs().sum()) for vote in votes)


def _by_weights(value: Tensor, body: nn.Module) -> tuple[list[Tensor], Sequence[Tensor]]:
    """The layers' weights and the value's gradients by them."""
    weights = [layer.weight for layer in layers(body)]
    return weights, torch.autograd.grad(value, weights, materialize_grads=True)


def _without_norms(body: nn.Module) -> None:
    """Replace every batch norm by nothing."""
    for part in list(body.modules()):
        for name, child in part.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.Identity())
