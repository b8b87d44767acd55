"""Training a supernet: sandwich rule and in-place distillation (BigNAS, arXiv 2003.11142).

Each step trains the largest network on the labels, and the smallest and a few random
ones on the largest one's answers. A checkpoint is written after every epoch; what an
epoch draws at random depends on (seed, epoch) alone, so a resumed training ends in the
same weights as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archwright.errors import DataError, MeasurementFailed, UntrustedFileError
from archwright.evaluators.supernet.data import Data, scaled
from archwright.evaluators.supernet.network import Supernet, largest_network, smallest_network
from archwright.evaluators.supernet.plan import InputShape
from archwright.space import Space
from archwright.untrusted import read_checkpoint

TRAINER_VERSION = "2"
"""Part of every cache key: raise it when the same recipe would give other weights."""


@dataclass(frozen=True)
class Recipe:
    """How a supernet is trained.

    ``threads`` is part of it, because sums depend on their order; layers of this size
    are slower on two than on one, and far slower when the machine is busy.
    """

    epochs: int = 30
    seed: int = 0
    batch_size: int = 32
    learning_rate: float = 2e-2
    weight_decay: float = 1e-2
    random_networks: int = 2
    warm_up: float = 0.05
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0 or (name in ("epochs", "batch_size", "threads") and value < 1):
                raise DataError(f"recipe: {name} = {value}: too small")

    @property
    def digest(self) -> str:
        """Hash over all settings: 16 hex digits."""
        return _digest(asdict(self))


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands after an epoch. ``loss`` is the mean of the largest network's."""

    epoch: int
    epochs: int
    loss: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Checkpoint:
    """A trained supernet: its file, and a hash over its weights."""

    path: Path
    digest: str


Report = Callable[[TrainingProgress], None]


def train_supernet(
    recipe: Recipe, space: Space, data: Data, folder: Path, progress: Report
) -> Path:
    """Train, or go on where ``folder`` holds a training; the path of the finished supernet.

    Raises :class:`MeasurementFailed` when the loss is not finite; the checkpoint of the
    last good epoch is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial, finished = folder / "training.pt", folder / "supernet.pt"
    images, labels = data.images[data.splits.train], data.labels[data.splits.train]
    supernet = new_supernet(space, data.shape, recipe.seed)
    levels = images.astype(np.float64).mean((0, 2, 3)), images.std((0, 2, 3), dtype=np.float64)
    supernet.normalise_by(*(torch.from_numpy(np.maximum(level, 1e-3)) for level in levels))
    optimiser = torch.optim.AdamW(
        supernet.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    first = _restore(partial, supernet, optimiser)
    started = time.monotonic()
    with _threads(recipe.threads):
        for epoch in range(first, recipe.epochs):
            loss = _train_epoch(recipe, epoch, supernet, optimiser, images, labels)
            state = {"epoch": epoch + 1, "optimiser": optimiser.state_dict()}
            _write(partial, supernet, state)
            seconds = time.monotonic() - started
            left = seconds / (epoch + 1 - first) * (recipe.epochs - epoch - 1)
            progress(TrainingProgress(epoch + 1, recipe.epochs, loss, seconds, left))
    _write(finished, supernet, {})
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

    choices = [(choice.name, choice.values) for choice in space.choices]
    key = _digest([TRAINER_VERSION, recipe.digest, space.name, choices, data.digest])
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{key}.lock"):
        path = cache / key / "supernet.pt"
        try:
            return Checkpoint(path, _verified(path)["digest"])
        except (DataError, UntrustedFileError):
            train_supernet(recipe, space, data, cache / key, progress)
            return Checkpoint(path, _verified(path)["digest"])


def new_supernet(space: Space, shape: InputShape, seed: int) -> Supernet:
    """An untrained supernet with weights drawn from ``seed``."""
    return Supernet(space, shape, torch.Generator().manual_seed(seed))


def load_supernet(path: Path, space: Space, shape: InputShape) -> Supernet:
    """The trained supernet in ``path``. Raises :class:`DataError` when it is another's."""
    weights = _verified(path)["weights"]
    supernet = new_supernet(space, shape, 0)
    _load_weights(path, supernet, weights)
    return supernet.eval()


def _train_epoch(
    recipe: Recipe,
    epoch: int,
    supernet: Supernet,
    optimiser: torch.optim.Optimizer,
    images: np.ndarray[Any, np.dtype[np.uint8]],
    labels: np.ndarray[Any, np.dtype[np.int64]],
) -> float:
    """One pass over the images; the mean loss of the largest network."""
    rng = np.random.default_rng([recipe.seed, epoch])
    space = supernet.space
    largest, smallest = largest_network(space), smallest_network(space)
    steps = max(1, len(images) // recipe.batch_size)
    order = rng.permutation(len(images))
    total = 0.0
    for step in range(steps):
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        batch = torch.from_numpy(scaled(_shifted(images[chosen], rng)))
        answers = torch.from_numpy(labels[chosen])
        _set_rate(optimiser, recipe, epoch + step / steps)
        optimiser.zero_grad(set_to_none=True)
        logits = supernet(batch, largest)
        loss = functional.cross_entropy(logits, answers)
        if not math.isfinite(loss.item()):
            raise MeasurementFailed(
                f"supernet training: the loss is {loss.item()} at epoch {epoch + 1}, step "
                f"{step + 1}; the weights after epoch {epoch} are kept"
            )
        torch.autograd.backward(loss)
        teacher = logits.detach().softmax(1)
        for network in (smallest, *space.decode(space.sample(rng, recipe.random_networks))):
            torch.autograd.backward(functional.cross_entropy(supernet(batch, network), teacher))
        torch.nn.utils.clip_grad_norm_(supernet.parameters(), 5.0)
        optimiser.step()
        total += loss.item()
    return total / steps


def _shifted(
    images: np.ndarray[Any, np.dtype[np.uint8]], rng: np.random.Generator
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Each image moved by up to an eighth of its side, its edge repeated behind it."""
    count, _, side, _ = images.shape
    reach = side // 8
    moves = rng.integers(-reach, reach + 1, size=(2, count, 1))
    rows, columns = np.clip(np.arange(side) + moves, 0, side - 1)
    return images[
        np.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]
    ].transpose(0, 3, 1, 2)


def _set_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, epoch: float) -> None:
    """Linear warm-up, then half a cosine down to zero (arXiv 1608.03983)."""
    share = epoch / recipe.epochs
    cosine = 0.5 * (1 + math.cos(math.pi * share))
    rise = min(1.0, (share + 1e-3) / recipe.warm_up) if recipe.warm_up else 1.0
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate * cosine * rise


def _write(path: Path, supernet: Supernet, state: dict[str, Any]) -> None:
    """Write weights and ``state``, whole or not at all."""
    weights = supernet.state_dict()
    content = {"version": TRAINER_VERSION, "weights": weights, "digest": _hash(weights), **state}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _verified(path: Path) -> dict[str, Any]:
    """A checkpoint whose weights are those that were written."""
    content = read_checkpoint(path)
    weights = content.get("weights")
    if content.get("version") != TRAINER_VERSION or not isinstance(weights, dict):
        raise DataError(f"{path}: not a supernet of trainer version {TRAINER_VERSION}")
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise DataError(f"{path}: weights that are not tensors")
    if content.get("digest") != _hash(weights):
        raise DataError(f"{path}: the weights are not those that were written")
    return content


def _restore(path: Path, supernet: Supernet, optimiser: torch.optim.Optimizer) -> int:
    """Go back to the checkpoint in ``path``; how many epochs are done (0 without a good one)."""
    try:
        content = _verified(path)
        _load_weights(path, supernet, content["weights"])
        optimiser.load_state_dict(content["optimiser"])
        return int(content["epoch"])
    except (DataError, UntrustedFileError, KeyError, ValueError):
        return 0


def _load_weights(path: Path, supernet: Supernet, weights: dict[str, Tensor]) -> None:
    """Load all weights, or none and a line that says what does not fit."""
    own = supernet.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or extra:
        raise DataError(f"{path}: another supernet's: lacks {missing[:3]}, has besides {extra[:3]}")
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise DataError(
                f"{path}: another supernet's: {name} has shape {tuple(weights[name].shape)}; "
                f"here {tuple(tensor.shape)}"
            )
    supernet.load_state_dict(weights)


def _hash(weights: dict[str, Tensor]) -> str:
    """Hash over names, shapes and values: 16 hex digits."""
    hashed = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        hashed.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        hashed.update(tensor.detach().contiguous().numpy().tobytes())
    return hashed.hexdigest()[:16]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Use ``count`` threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
