"""The losses' laws: what they reduce to, and that gradients are those of the values."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archwright.evaluators.supernet.losses import (
    ALPHA_LEAST,
    ALPHA_MOST,
    adaptive_alpha,
    alpha_divergence,
    from_answers,
    from_labels,
)

UNCLIPPED = 1e30
alphas = st.sampled_from([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
seeds = st.integers(0, 10**6)


def drawn(seed: int) -> tuple[Tensor, Tensor]:
    """A student's logits and a teacher's probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 5, dtype=torch.float32, generator=generator)
    answers = torch.randn(6, 5, generator=generator).softmax(1)
    return logits.requires_grad_(), answers


def by_definition(logits: Tensor, answers: Tensor, alpha: float) -> Tensor:
    q = logits.softmax(1)
    if alpha == 1:
        return (answers * (answers / q).log()).sum(1)
    return ((answers / q) ** alpha * q - q).sum(1) / (alpha * (alpha - 1))


@settings(max_examples=30, deadline=None)
@given(seeds, alphas)
def test_alpha_divergence_and_its_gradient_are_the_definitions(seed: int, alpha: float) -> None:
    logits, answers = drawn(seed)
    ours = alpha_divergence(logits, answers, alpha, UNCLIPPED)
    plain = by_definition(logits, answers, alpha)
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-5)
    gradients = [torch.autograd.grad(value.sum(), logits)[0] for value in (ours, plain)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_at_one_it_teaches_as_the_cross_entropy_does(seed: int) -> None:
    logits, answers = drawn(seed)
    divergence = alpha_divergence(logits, answers, 1.0, UNCLIPPED).mean()
    ours, plain = (
        torch.autograd.grad(loss, logits)[0] for loss in (divergence, from_answers(logits, answers))
    )
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds, alphas)
def test_equal_answers_have_no_divergence_and_others_some(seed: int, alpha: float) -> None:
    logits, answers = drawn(seed)
    same = alpha_divergence(answers.log(), answers, alpha)
    torch.testing.assert_close(same, torch.zeros(6), rtol=0, atol=1e-5)
    assert (alpha_divergence(logits, answers, alpha, UNCLIPPED) > 0).all()


def test_each_image_is_judged_by_its_larger_divergence() -> None:
    """The first student is surer than its teacher, the second less sure."""
    logits = torch.tensor([[6.0, 0, 0], [0.0, 0, 0]], requires_grad=True)
    answers = torch.tensor([[0.4, 0.3, 0.3], [0.98, 0.01, 0.01]])
    low, high = (alpha_divergence(logits, answers, a) for a in (ALPHA_LEAST, ALPHA_MOST))
    assert high[0] > low[0]
    assert low[1] > high[1]
    adaptive = adaptive_alpha(logits, answers)
    assert math.isclose(adaptive.item(), (high[0] + low[1]).item() / 2, rel_tol=1e-6)
    chosen = torch.autograd.grad((high[0] + low[1]) / 2, logits)[0]
    assert torch.equal(torch.autograd.grad(adaptive, logits)[0], chosen)


def test_ratios_are_clipped() -> None:
    """An answer that the student thinks all but impossible does not drown the others."""
    logits = torch.tensor([[30.0, 0, -30]], requires_grad=True)
    answers = torch.tensor([[0.3, 0.3, 0.4]])
    for alpha in (ALPHA_LEAST, ALPHA_MOST):
        loss = alpha_divergence(logits, answers, alpha).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert gradient.abs().max() <= 5 / abs(alpha)


def test_label_smoothing() -> None:
    logits, _ = drawn(0)
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    smooth = torch.nn.functional.one_hot(labels, 5) * 0.8 + 0.2 / 5
    torch.testing.assert_close(from_labels(logits, labels, 0.2), from_answers(logits, smooth))


@pytest.mark.parametrize("loss", [adaptive_alpha, from_answers])
def test_half_precision_logits_are_judged_in_full(loss) -> None:
    logits, answers = drawn(3)
    half = logits.detach().to(torch.bfloat16)
    assert loss(half, answers).dtype == torch.float32
    torch.testing.assert_close(loss(half, answers), loss(half.float(), answers))
