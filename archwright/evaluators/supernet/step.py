"""One step's gradients: the largest network on the labels, the others on its answers.

The others need the largest network's answers, not its gradients. So its backward pass
and the whole of each other network are independent, and can be computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from archwright.evaluators.supernet.losses import adaptive_alpha, from_answers, from_labels
from archwright.evaluators.supernet.recipe import Recipe
from archwright.space import Point

Gradients = Sequence[Tensor | None]


class Stepper:
    """Computes the gradients of steps, ``recipe.workers`` networks at a time.

    ``supernet(images, network)`` gives logits. Gradients are summed in a fixed order, the
    largest network's first and then the others' as given, so that the sums are the same
    for any number of workers. Torch frees the interpreter lock inside its operations:
    threads suffice.
    """

    def __init__(self, recipe: Recipe, supernet: nn.Module, largest: Point, device: str) -> None:
        self._recipe = recipe
        self._supernet = supernet
        self._largest = largest
        self._device = device
        self._parameters = list(supernet.parameters())
        self._pool: ThreadPoolExecutor | None = None
        if recipe.workers > 1 and device == "cpu":
            self._pool = ThreadPoolExecutor(
                recipe.workers, initializer=torch.set_num_threads, initargs=(recipe.threads,)
            )

    def __enter__(self) -> Stepper:
        return self

    def __exit__(self, *unwinding: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def add_gradients(
        self, images: Tensor, labels: Tensor, others: Sequence[Point], *, taught: bool = True
    ) -> tuple[float | None, float]:
        """Add the step's gradients to the parameters' ``grad``.

        Images in 0..1 and labels of a batch. ``taught``: the largest network learns, too,
        and the others learn from its answers; else from the labels. Returns the largest
        network's loss, if it took part, and the sum of all networks' losses.
        """
        first, answers = None, labels
        compare: Callable[[Tensor, Tensor], Tensor] = self._from_labels
        tasks: list[Callable[[], Tensor]] = []
        if taught:
            with self._precision():
                logits = self._supernet(images, self._largest)
            loss = self._from_labels(logits, labels)
            answers = logits.detach().float().softmax(1)
            compare = adaptive_alpha if self._recipe.method == "alpha" else from_answers
            first = float(loss.detach())
            tasks.append(lambda: loss)
            del logits

        def loss_of(network: Point) -> Tensor:
            with self._precision():
                return compare(self._supernet(images, network), answers)

        tasks += [lambda network=network: loss_of(network) for network in others]  # type: ignore[misc]
        rest = []
        if self._pool is None:
            for task in tasks:
                value = task()
                torch.autograd.backward(value)
                rest.append(value.detach())
        else:
            done = [self._pool.submit(self._gradients, task) for task in tasks]
            for future in done:
                value, gradients = future.result()
                self._add(gradients)
                rest.append(value)
        return first, float(torch.stack(rest).sum())

    @torch.no_grad()
    def loss_on(self, images: Tensor, labels: Tensor, network: Point) -> float:
        """A network's loss on a batch, for samplers that compare networks."""
        with self._precision():
            return float(from_labels(self._supernet(images, network), labels))

    def _from_labels(self, logits: Tensor, labels: Tensor) -> Tensor:
        return from_labels(logits, labels, self._recipe.label_smoothing)

    def _gradients(self, task: Callable[[], Tensor]) -> tuple[Tensor, Gradients]:
        loss = task()
        return loss.detach(), torch.autograd.grad(loss, self._parameters, allow_unused=True)

    def _add(self, gradients: Gradients) -> None:
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            if gradient is not None and parameter.grad is None:
                parameter.grad = gradient
            elif gradient is not None and parameter.grad is not None:
                parameter.grad += gradient

    def _precision(self) -> AbstractContextManager[Any]:
        """Where mixed precision is asked for: bfloat16 wherever torch deems it safe."""
        if not self._recipe.mixed_precision:
            return nullcontext()
        return torch.autocast(self._device, dtype=torch.bfloat16)
