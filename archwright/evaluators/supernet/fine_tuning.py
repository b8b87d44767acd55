"""Training one network on labels: further training of an extracted one, or from the start.

A checkpoint is written after every epoch; what an epoch draws at random depends on
(seed, epoch) alone, so a resumed training ends in the same weights as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archwright.errors import DataError, MeasurementFailed, UntrustedFileError
from archwright.evaluators.supernet.augmentation import augmented
from archwright.evaluators.supernet.data import Data, Images, Labels, scaled
from archwright.evaluators.supernet.extraction import Network
from archwright.evaluators.supernet.modules import recalibrate
from archwright.evaluators.supernet.recipe import Recipe
from archwright.evaluators.supernet.train import LARGEST_GRADIENT, TrainingProgress
from archwright.untrusted import read_checkpoint

FITTING_VERSION = "1"
Report = Callable[[TrainingProgress], None]


@dataclass(frozen=True, eq=False)
class Fit:
    """A finished training: of each epoch the mean loss and the validation accuracy.

    ``best`` is the epoch (from 1) whose weights the network has now; 0: those it came with.
    """

    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    best: int


def fine_tune(
    network: Network,
    data: Data,
    recipe: Recipe,
    checkpoint: Path | None = None,
    progress: Report = lambda _: None,
) -> Fit:
    """Train ``network`` further, in place, and leave it at its best epoch on validation.

    ``recipe`` as for a supernet, of which a single network needs the part without methods,
    samplers and devices; an extracted one wants about a tenth of the learning rate.
    With ``checkpoint``, a file, it goes on where a training of the same network, data and
    recipe was stopped. Batch norms end with the statistics of data.calibration(). Raises
    :class:`MeasurementFailed` where the loss is not finite: the network then is at its best
    epoch so far, and the checkpoint holds the last good one.
    """
    return _Fitting(network, data, recipe, checkpoint, keep_best=True).run(progress)


def fit(
    network: Network,
    data: Data,
    recipe: Recipe,
    checkpoint: Path | None = None,
    progress: Report = lambda _: None,
) -> Fit:
    """As :func:`fine_tune`, but the last epoch's weights stay and validation is not looked at."""
    return _Fitting(network, data, recipe, checkpoint, keep_best=False).run(progress)


class _Fitting:
    """One training's state."""

    def __init__(
        self,
        network: Network,
        data: Data,
        recipe: Recipe,
        checkpoint: Path | None,
        *,
        keep_best: bool,
    ) -> None:
        self._network, self._data, self._recipe = network, data, recipe
        self._checkpoint, self._keep_best = checkpoint, keep_best
        self._calibration = torch.from_numpy(data.take(data.calibration())[0])
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self._key = f"{recipe.digest} {data.digest} {keep_best} {_hash(network)}"
        self._losses: list[float] = []
        self._accuracies: list[float] = []
        self._best = (0, -1.0, _copied(network))

    def run(self, progress: Report) -> Fit:
        """Train all epochs that are left."""
        if self._keep_best and not self._restore():
            recalibrate(self._network, self._calibration)
            self._best = (0, self._accuracy(), _copied(self._network))
        elif not self._keep_best:
            self._restore()
        first, started = len(self._losses), time.monotonic()
        epochs = self._recipe.epochs
        try:
            for epoch in range(first, epochs):
                self._losses.append(self._train_epoch(epoch))
                if self._keep_best:
                    recalibrate(self._network, self._calibration)
                    self._accuracies.append(self._accuracy())
                    if self._accuracies[-1] > self._best[1]:
                        self._best = (epoch + 1, self._accuracies[-1], _copied(self._network))
                self._write()
                seconds = time.monotonic() - started
                left = seconds / (epoch + 1 - first) * (epochs - epoch - 1)
                progress(TrainingProgress(epoch + 1, epochs, self._losses[-1], seconds, left))
        finally:
            if self._keep_best:
                self._network.load_state_dict(self._best[2])
            recalibrate(self._network, self._calibration)
        best = self._best[0] if self._keep_best else epochs
        return Fit(tuple(self._losses), tuple(self._accuracies), best)

    def _train_epoch(self, epoch: int) -> float:
        recipe, train = self._recipe, self._data.splits.train
        rng = np.random.default_rng([recipe.seed, epoch])
        order = train[rng.permutation(len(train))]
        steps = max(1, len(order) // recipe.batch_size)
        total = 0.0
        self._network.train()
        for step in range(steps):
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            batch = torch.from_numpy(scaled(augmented(recipe, self._data.images[chosen], rng)))
            answers = torch.from_numpy(self._data.labels[chosen])
            for group in self._optimiser.param_groups:
                group["lr"] = recipe.rate((epoch + step / steps) / recipe.epochs)
            self._optimiser.zero_grad(set_to_none=True)
            logits = self._network(batch)
            smoothing = recipe.label_smoothing
            loss = functional.cross_entropy(logits, answers, label_smoothing=smoothing)
            torch.autograd.backward(loss)
            norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
            for what, value in (("loss", loss.item()), ("gradient", float(norm))):
                if not math.isfinite(value):
                    raise MeasurementFailed(
                        f"training a network: the {what} is {value} at epoch {epoch + 1}, step "
                        f"{step + 1}; the weights after epoch {epoch} are kept"
                    )
            self._optimiser.step()
            total += loss.item()
        return total / steps

    def _accuracy(self) -> float:
        validation = self._data.splits.validation
        return accuracy(self._network, self._data.images[validation], self._data.labels[validation])

    def _write(self) -> None:
        """Write the state after an epoch, whole or not at all."""
        if self._checkpoint is None:
            return
        epoch, best, best_weights = self._best
        content = {
            "version": FITTING_VERSION,
            "key": self._key,
            "weights": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "losses": self._losses,
            "accuracies": self._accuracies,
            "best": [epoch, best],
            "best_weights": best_weights,
        }
        temporary = self._checkpoint.with_name(f"{self._checkpoint.name}.{os.getpid()}.part")
        torch.save(content, temporary)
        temporary.replace(self._checkpoint)

    def _restore(self) -> bool:
        """Go back to the checkpoint, if there is one of this very training."""
        if self._checkpoint is None or not self._checkpoint.is_file():
            return False
        try:
            content = read_checkpoint(self._checkpoint)
            if (content["version"], content["key"]) != (FITTING_VERSION, self._key):
                return False
            self._network.load_state_dict(content["weights"])
            self._optimiser.load_state_dict(content["optimiser"])
            self._losses, self._accuracies = list(content["losses"]), list(content["accuracies"])
            self._best = (*content["best"], content["best_weights"])
        except (DataError, UntrustedFileError, KeyError, ValueError, RuntimeError):
            return False
        return True


@torch.no_grad()
def accuracy(module: torch.nn.Module, images: Images, labels: Labels) -> float:
    """Share of images (uint8 grey levels) that the module classifies as labelled."""
    module.eval()
    correct = 0
    for start in range(0, len(images), 256):
        logits = module(torch.from_numpy(scaled(images[start : start + 256])))
        correct += int((logits.argmax(1) == torch.from_numpy(labels[start : start + 256])).sum())
    return correct / len(images)


def _copied(network: Network) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _hash(network: Network) -> str:
    """Hash over the weights that the network comes with."""
    hashed = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        array: np.ndarray[Any, Any] = tensor.detach().contiguous().numpy()
        hashed.update(f"{name} {array.shape}".encode() + array.tobytes())
    return hashed.hexdigest()[:16]
