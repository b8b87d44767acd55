"""Training a supernet by a recipe, with checkpoints, and the cache of trained supernets.

A checkpoint is written after every epoch; what an epoch draws at random depends on
(seed, epoch) alone, so a training that is resumed on a CPU ends in the same weights as an
uninterrupted one. (On CUDA some sums have no fixed order.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from archwright.errors import DataError, MeasurementFailed, UntrustedFileError
from archwright.evaluators.supernet.augmentation import augmented
from archwright.evaluators.supernet.checkpoints import (
    Checkpoint,
    load_weights,
    restore,
    verified,
    write,
)
from archwright.evaluators.supernet.data import Data, Images, Labels, scaled
from archwright.evaluators.supernet.network import Supernet
from archwright.evaluators.supernet.plan import InputShape
from archwright.evaluators.supernet.recipe import TRAINER_VERSION, Recipe, digest_of
from archwright.evaluators.supernet.sampling import Sampler, space_at
from archwright.evaluators.supernet.space import largest_network, smallest_network
from archwright.evaluators.supernet.step import Stepper
from archwright.space import Point, Space

LARGEST_GRADIENT = 5.0
"""Gradients are scaled down to this norm: a wild batch must not undo many steps."""


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands after an epoch. ``loss`` is the mean of the largest network's."""

    epoch: int
    epochs: int
    loss: float
    seconds: float
    seconds_left: float


Report = Callable[[TrainingProgress], None]


def train_supernet(
    recipe: Recipe, space: Space, data: Data, folder: Path, progress: Report
) -> Path:
    """Train, or go on where ``folder`` holds a training; the path of the finished supernet.

    Raises :class:`MeasurementFailed` when the loss or the gradient is not finite; the
    checkpoint of the last good epoch is kept.
    """
    recipe = resolved(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    partial, finished = folder / "training.pt", folder / "supernet.pt"
    images, labels = data.images[data.splits.train], data.labels[data.splits.train]
    supernet = new_supernet(space, data.shape, recipe.seed)
    levels = images.astype(np.float64).mean((0, 2, 3)), images.std((0, 2, 3), dtype=np.float64)
    supernet.normalise_by(*(torch.from_numpy(np.maximum(level, 1e-3)) for level in levels))
    if recipe.device == "cuda":
        supernet.to("cuda", memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        supernet.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    first = restore(partial, supernet, optimiser)
    started = time.monotonic()
    with (
        _threads(recipe.threads),
        Stepper(recipe, supernet, largest_network(space), recipe.device) as stepper,
    ):
        for epoch in range(first, recipe.epochs):
            loss = _train_epoch(recipe, epoch, supernet, stepper, optimiser, images, labels)
            write(partial, supernet, {"epoch": epoch + 1, "optimiser": optimiser.state_dict()})
            seconds = time.monotonic() - started
            left = seconds / (epoch + 1 - first) * (recipe.epochs - epoch - 1)
            progress(TrainingProgress(epoch + 1, recipe.epochs, loss, seconds, left))
    write(finished, supernet, {})
    partial.unlink(missing_ok=True)
    return finished


def cached_supernet(
    recipe: Recipe, space: Space, data: Data, cache: Path, progress: Report
) -> Checkpoint:
    """The supernet of this recipe, space and data: from the cache, else trained into it.

    One process trains, others that want the same one wait for it. A file that is broken
    or does not hold what it says is trained again.
    """
    from filelock import FileLock

    recipe = resolved(recipe)
    choices = [(choice.name, choice.values) for choice in space.choices]
    key = digest_of([TRAINER_VERSION, recipe.digest, space.name, choices, data.digest])
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{key}.lock"):
        path = cache / key / "supernet.pt"
        try:
            return Checkpoint(path, verified(path)["digest"])
        except (DataError, UntrustedFileError):
            train_supernet(recipe, space, data, cache / key, progress)
            return Checkpoint(path, verified(path)["digest"])


def resolved(recipe: Recipe) -> Recipe:
    """The recipe with the device that it is trained on. Raises :class:`DataError`."""
    cuda = recipe.device != "cpu" and torch.cuda.is_available()
    if recipe.device == "cuda" and not cuda:
        raise DataError("recipe: device = 'cuda': there is none here; allowed auto, cpu")
    return replace(recipe, device="cuda" if cuda else "cpu")


def new_supernet(space: Space, shape: InputShape, seed: int) -> Supernet:
    """An untrained supernet with weights drawn from ``seed``."""
    return Supernet(space, shape, torch.Generator().manual_seed(seed))


def load_supernet(path: Path, space: Space, shape: InputShape) -> Supernet:
    """The trained supernet in ``path``. Raises :class:`DataError` when it is another's.

    Its weights stay in the file and are read as they are used: processes that load the
    same one share their memory.
    """
    weights = verified(path, mapped=True)["weights"]
    with torch.device("meta"):  # nothing is drawn: that would import torch's compiler, for seconds
        supernet = Supernet(space, shape, None)
    load_weights(path, supernet, weights)
    return supernet.eval()


def _train_epoch(
    recipe: Recipe,
    epoch: int,
    supernet: Supernet,
    stepper: Stepper,
    optimiser: torch.optim.Optimizer,
    images: Images,
    labels: Labels,
) -> float:
    """One pass over the images; the mean loss of the largest network."""
    rng = np.random.default_rng([recipe.seed, epoch])
    space = space_at(recipe, supernet.space, epoch)
    sampler = Sampler(recipe, space, supernet.plan, rng)
    largest = largest_network(supernet.space)
    fixed = [] if recipe.method == "progressive" else [smallest_network(space)]
    size = min(recipe.batch_size, len(images))
    steps = len(images) // size
    order = rng.permutation(len(images))
    of_largest: list[float] = []
    for step in range(steps):
        chosen = order[step * size : (step + 1) * size]
        batch = _on(recipe.device, torch.from_numpy(scaled(augmented(recipe, images[chosen], rng))))
        answers = _on(recipe.device, torch.from_numpy(labels[chosen]))

        def loss_of(network: Point, batch: Tensor = batch, answers: Tensor = answers) -> float:
            return stepper.loss_on(batch, answers, network)

        with_ends = step % recipe.ends_every == 0
        networks = [*(fixed if with_ends else ()), *sampler.draw(rng, loss_of)]
        others = [network for network in networks if not _alike(network, largest)]
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate((epoch + step / steps) / recipe.epochs)
        optimiser.zero_grad(set_to_none=True)
        loss, losses = stepper.add_gradients(batch, answers, others, taught=with_ends or not others)
        norm = float(torch.nn.utils.clip_grad_norm_(supernet.parameters(), LARGEST_GRADIENT))
        for what, value in (("loss", losses), ("gradient", norm)):
            if not math.isfinite(value):
                raise MeasurementFailed(
                    f"supernet training: the {what} is {value} at epoch {epoch + 1}, step "
                    f"{step + 1}; the weights after epoch {epoch} are kept"
                )
        optimiser.step()
        if loss is not None:
            of_largest.append(loss)
    return sum(of_largest) / len(of_largest)


def _alike(network: Point, other: Point) -> bool:
    """Whether they train the same weights in the same way: bits do not matter here."""
    return all(network[name] == value for name, value in other.items() if name != "bits")


def _on(device: str, tensor: Tensor) -> Tensor:
    if device == "cpu":
        return tensor
    if tensor.ndim == 4:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return tensor.to(device, non_blocking=True)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Use ``count`` threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


__all__ = [
    "TRAINER_VERSION",
    "Checkpoint",
    "Recipe",
    "TrainingProgress",
    "cached_supernet",
    "load_supernet",
    "new_supernet",
    "resolved",
    "train_supernet",
]
