"""Proxies from how apart a network keeps images: jacob_cov and NASWOT.

Both are of Mellor et al., "Neural architecture search without training" (arXiv
2006.04647): the preprint's first version scores by the Jacobian's correlations
(jacob_cov), later ones, and the ICML 2021 paper, by which units an image makes active
(NASWOT). Batch norm normalises by the batch in both, as the authors' code does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from archwright.evaluators.proxies.proxy import Proxy
from archwright.evaluators.supernet.modules import Body

SMALLEST_EIGENVALUE = 1e-5
"""k of the preprint's formula: what is added to each eigenvalue."""

ACTIVATIONS = {functional.relu, functional.hardswish, functional.silu}


class JacobianCovariance(Proxy):
    """jacob_cov: version 1 of arXiv 2006.04647.

    With s_i the eigenvalues of the correlation matrix of the images' Jacobians (the
    gradient of the sum of logits by the image): -sum_i [log(s_i + k) + 1 / (s_i + k)],
    highest where no two images' Jacobians are alike.
    """

    name = "jacob_cov"

    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        inputs.requires_grad_(True)
        (jacobian,) = torch.autograd.grad(body(inputs).sum(), inputs)
        rows = jacobian.flatten(1).double()
        rows = rows - rows.mean(1, keepdim=True)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-300)
        eigenvalues = torch.linalg.eigvalsh(rows @ rows.T).clamp(min=0) + SMALLEST_EIGENVALUE
        return -float((eigenvalues.log() + 1 / eigenvalues).sum())


class Naswot(Proxy):
    """NASWOT: arXiv 2006.04647 from version 2, equation 2.

    log |det K|, with K_ij the number of units that are both on or both off for images i
    and j: the number of units less the Hamming distance of the images' codes. A unit is
    on where its activation's input is above 0, for ReLU as in the paper and likewise for
    h-swish and swish.
    """

    name = "naswot"

    def _score(self, body: Body, inputs: Tensor, labels: Tensor) -> float:
        agreements = _Agreements(len(inputs))
        with torch.no_grad(), agreements:
            body(inputs)
        # Equal images make K singular; what is added is far below the other eigenvalues.
        kernel = agreements.kernel + SMALLEST_EIGENVALUE * torch.eye(len(inputs))
        return float(torch.linalg.slogdet(kernel).logabsdet)


class _Agreements(TorchFunctionMode):
    """Counts, wherever an activation is called, how many units agree on two images."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.kernel = torch.zeros(images, images, dtype=torch.float64)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in ACTIVATIONS:
            on = (args[0].flatten(1) > 0).float()  # float32 counts exactly to 2**24
            self.kernel += (on @ on.T + (1 - on) @ (1 - on).T).double()
        return func(*args, **(kwargs or {}))
