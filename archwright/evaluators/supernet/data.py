"""Image data: checked, and split for a search.

Images are held as 8-bit grey levels, whatever they were stored as: that is what a
camera delivers, and it bounds memory. Networks are handed them scaled to 0..1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from archwright.brief import Task
from archwright.errors import DataError
from archwright.evaluators.supernet.loaders import Images, Labels, Source, read_source
from archwright.evaluators.supernet.plan import InputShape
from archwright.untrusted import read_npz

Split = Literal["train", "validation", "test"]

FEWEST_PER_CLASS = 10


@dataclass(frozen=True, eq=False)
class Splits:
    """Which images are for training, for choosing designs, and for the final score.

    Sorted indices into the data's images; no image is in two of them.
    """

    train: Labels
    validation: Labels
    test: Labels

    def save(self, path: Path) -> None:
        """Write the indices to an .npz file."""
        np.savez_compressed(path, train=self.train, validation=self.validation, test=self.test)

    @classmethod
    def load(cls, path: Path) -> Splits:
        """Read what :meth:`save` wrote."""
        arrays = read_npz(path)
        try:
            return cls(*(arrays[name].astype(np.int64) for name in ("train", "validation", "test")))
        except KeyError as error:
            raise DataError(f"{path}: no split named {error}") from None


@dataclass(frozen=True, eq=False)
class Data:
    """Images with their classes, and how they are split.

    ``images`` are uint8 of shape (images, channels, side, side); ``labels`` int64 of
    shape (images,), from 0 to ``classes`` - 1.
    """

    name: str
    images: Images
    labels: Labels
    classes: int
    splits: Splits

    @property
    def shape(self) -> InputShape:
        """What a network for this data takes and gives."""
        return InputShape(self.images.shape[1], self.images.shape[2], self.classes)

    @cached_property
    def digest(self) -> str:
        """Hash over images, labels and splits: 16 hex digits."""
        hashed = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        parts = (self.images, self.labels, *vars(self.splits).values())
        for part in parts:
            hashed.update(np.ascontiguousarray(part).data)
            hashed.update(str(len(part)).encode())
        return hashed.hexdigest()[:16]

    def take(self, indices: Labels) -> tuple[npt.NDArray[np.float32], Labels]:
        """Images scaled to 0..1 with shape (indices, channels, side, side), and their labels."""
        return scaled(self.images[indices]), self.labels[indices]

    def split(self, split: Split) -> Labels:
        """The indices of a split."""
        indices: Labels = getattr(self.splits, split)
        return indices

    def calibration(self, largest: int = 512) -> Labels:
        """A fixed subset of the training images, for batch norm and activation ranges.

        Fewer where images are large, so that all their activations fit in memory.
        """
        side = self.images.shape[2]
        count = min(largest, max(32, 2**20 // side**2), len(self.splits.train))
        # Evenly through the training images, which may be stored class by class.
        chosen = np.linspace(0, len(self.splits.train) - 1, count).astype(np.int64)
        return np.take(self.splits.train, chosen)


def scaled(images: Images) -> npt.NDArray[np.float32]:
    """Grey levels 0..255 to float32 in 0..1."""
    return images.astype(np.float32) / np.float32(255)


def load_data(task: Task, seed: int) -> Data:
    """The data that a brief names, checked and split. Raises :class:`DataError`, one line.

    - "digits";
    - an .npz file with ``x`` and ``y``, or ``x_train`` and ``y_train`` and optionally
      ``x_test`` and ``y_test``: square images (images, side, side), with channels last or
      first where there are any; grey levels 0 to 255, or floats from 0 to 1;
    - a folder with one folder of images per class, all of the same size;
    - a folder with IDX files by the names of MNIST's, plain or with .gz;
    - "openml:NAME", a data set of square images on openml.org.

    Splits are stratified and drawn from ``seed``. ``task.validation`` and ``task.test``
    are shares of all images; a test split that the data brings is kept as it is.
    """
    return _checked(read_source(task), task, seed)


def _checked(source: Source, task: Task, seed: int) -> Data:
    """The data, once its classes are large enough to be split."""
    labels, own_test = source.labels, source.own_test
    total, fitting = len(labels), len(labels) - own_test
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(f"{source.name}: all images are of one class; at least 2 are needed")
    counts = np.bincount(labels[:fitting], minlength=classes)
    if counts.min() < FEWEST_PER_CLASS:
        raise DataError(
            f"{source.name}: class {int(counts.argmin())} has {int(counts.min())} images; "
            f"at least {FEWEST_PER_CLASS} are needed"
        )
    validation = min(0.5, task.validation * total / fitting)
    shares = (validation, 0.0 if own_test else task.test)
    train, chosen, test = _stratified(labels[:fitting], shares, np.random.default_rng([seed, 0]))
    if own_test:
        test = np.arange(fitting, total)
    data = Data(
        source.name,
        np.ascontiguousarray(source.images),
        labels,
        classes,
        Splits(train, chosen, test),
    )
    data.shape  # noqa: B018 - checks channels, side and classes
    return data


def _stratified(
    labels: Labels, shares: Sequence[float], rng: np.random.Generator
) -> tuple[Labels, Labels, Labels]:
    """Indices for training, and of each class the given shares for validation and test."""
    parts: tuple[list[Labels], ...] = ([], [], [])
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        first, second = (max(1, round(len(members) * share)) if share else 0 for share in shares)
        parts[0].append(members[first + second :])
        parts[1].append(members[:first])
        parts[2].append(members[first : first + second])
    train, validation, test = (np.sort(np.concatenate(part)).astype(np.int64) for part in parts)
    return train, validation, test


__all__ = ["FEWEST_PER_CLASS", "Data", "Images", "Labels", "Splits", "load_data", "scaled"]
