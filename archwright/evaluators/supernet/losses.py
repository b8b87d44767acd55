"""What networks learn from: labels, and the answers of the largest network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

ALPHA_LEAST, ALPHA_MOST, ALPHA_CLIP = -1.0, 1.0, 5.0
"""AlphaNet's settings (arXiv 2102.07954): the two alphas of which each image takes the
larger divergence, and the bound on (p / q) ** alpha."""


def from_labels(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy, with label smoothing (arXiv 1512.00567)."""
    return functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def from_answers(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean cross-entropy to the teacher's probabilities, shape (batch, classes).

    Its gradient is that of the Kullback-Leibler divergence KL(teacher, student).
    """
    return functional.cross_entropy(logits.float(), answers)


def adaptive_alpha(logits: Tensor, answers: Tensor) -> Tensor:
    """The larger of each image's two alpha-divergences from the teacher, on average.

    A positive alpha punishes most a student that is surer than its teacher, a negative
    one a student that is less sure (AlphaNet, section 3).
    """
    low, high = (alpha_divergence(logits, answers, alpha) for alpha in (ALPHA_LEAST, ALPHA_MOST))
    return torch.where(low.detach() > high.detach(), low, high).mean()


def alpha_divergence(
    logits: Tensor, answers: Tensor, alpha: float, clip: float = ALPHA_CLIP
) -> Tensor:
    """D(p, q) of the teacher's ``answers`` p and the student's q = softmax(logits), per image.

    D = sum q ((p / q) ** alpha - 1) / (alpha (alpha - 1)), and KL(p, q) at alpha = 1; not
    defined at 0. Its gradient is -sum q r d log q with r = (p / q) ** alpha / alpha. In
    both (p / q) ** alpha is at most ``clip``, so that answers to which one of the two gives
    almost no probability do not drown the rest; at alpha = 1 nothing can.
    """
    log_q = logits.float().log_softmax(1)
    q = log_q.detach().exp()
    log_ratio = answers.clamp_min(1e-12).log() - log_q.detach()
    if alpha == 1:
        power = log_ratio.exp()
        value = (q * power * log_ratio).sum(1)
    else:
        power = (alpha * log_ratio).exp().clamp(max=clip)
        value = (q * (power - 1)).sum(1) / (alpha * (alpha - 1))
    slope = -(q * power / alpha * log_q).sum(1)
    return value + slope - slope.detach()
