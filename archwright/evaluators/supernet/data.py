"""Image data: read from what a user has, checked, and split for a search.

Images are held as 8-bit grey levels, whatever they were stored as: that is what a
camera delivers, and it bounds memory. Networks are handed them scaled to 0..1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from archwright.brief import Task
from archwright.errors import DataError
from archwright.evaluators.supernet.plan import LARGEST_CLASSES, InputShape
from archwright.untrusted import read_image, read_npz

Array = npt.NDArray[Any]
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Split = Literal["train", "validation", "test"]

LARGEST_DATA_PIXELS = 256 * 1024**2
FEWEST_PER_CLASS = 10
_CHUNK = 4096


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

    An .npz file holds ``x`` and ``y``, or ``x_train`` and ``y_train`` and optionally
    ``x_test`` and ``y_test``: square images (images, side, side), with channels last or
    first where there are any; grey levels 0 to 255, or floats from 0 to 1. A folder
    holds one folder of images per class, all of the same size.

    Splits are stratified and drawn from ``seed``. ``task.validation`` and ``task.test``
    are shares of all images; a test split that the data brings is kept as it is.
    """
    path = Path(task.data)
    if task.data == "digits":
        images, labels = _digits()
        return _checked("digits", images, labels, task, seed)
    if path.is_dir():
        images, labels = _folder(path)
        return _checked(path.name, images, labels, task, seed)
    if path.suffix != ".npz":
        raise DataError(f"task.data = {task.data!r}: allowed digits, an .npz file, a folder")
    return _npz(path, task, seed)


def _digits() -> tuple[Images, Labels]:
    """scikit-learn's 1,797 handwritten digits, 8x8 pixels with 17 grey levels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return _grey_levels(digits.images[:, None] / 16, "digits"), digits.target.astype(np.int64)


def _npz(path: Path, task: Task, seed: int) -> Data:
    arrays = read_npz(path)
    given = [
        names
        for names in (("x_train", "y_train"), ("x_test", "y_test"), ("x", "y"))
        if all(name in arrays for name in names)
    ]
    if given not in (
        [("x", "y")],
        [("x_train", "y_train")],
        [("x_train", "y_train"), ("x_test", "y_test")],
    ):
        raise DataError(
            f"{path}: arrays {', '.join(sorted(arrays)) or 'none'}; allowed x and y, or x_train "
            "and y_train with or without x_test and y_test"
        )
    images = [
        _grey_levels(_channels_first(arrays[x], f"{path}: {x}"), f"{path}: {x}") for x, _ in given
    ]
    labels = [_labels(arrays[y], arrays[x], f"{path}: {y}") for x, y in given]
    if len({part.shape[1:] for part in images}) > 1:
        raise DataError(
            f"{path}: x_test has images of shape {images[1].shape[1:]}, x_train of "
            f"{images[0].shape[1:]}; they must be the same"
        )
    own_test = len(images[1]) if len(images) == 2 else 0
    return _checked(path.name, np.concatenate(images), np.concatenate(labels), task, seed, own_test)


def _folder(path: Path) -> tuple[Images, Labels]:
    """One folder of images per class, in alphabetical order; RGB if any image is."""
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir())
    if len(classes) < 2:
        raise DataError(f"{path}: {len(classes)} folders; at least 2 (one per class) are needed")
    images: list[Images] = []
    labels: list[int] = []
    pixels = 0
    for label, folder in enumerate(classes):
        for file in sorted(entry for entry in folder.iterdir() if entry.is_file()):
            image = read_image(file)
            if images and image.shape[:2] != images[0].shape[:2]:
                raise DataError(
                    f"{file}: {image.shape[1]} x {image.shape[0]} pixels, the others "
                    f"{images[0].shape[1]} x {images[0].shape[0]}; all must have the same size"
                )
            pixels += image.shape[0] * image.shape[1] * 3
            _check_pixels(pixels, str(path))
            images.append(image)
            labels.append(label)
    if not images:
        raise DataError(f"{path}: no images in its folders")
    if any(image.ndim == 3 for image in images):
        images = [
            image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images
        ]
    return _channels_first(np.stack(images), str(path)), np.array(labels, dtype=np.int64)


def _channels_first(images: Array, source: str) -> Array:
    """Shape (images, side, side), channels last, first or none, to channels second."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(
            f"{source}: shape {images.shape}; allowed (images, side, side) and the same with "
            "1 or 3 channels last or second"
        )
    if images.shape[2] != images.shape[3]:
        raise DataError(
            f"{source}: images of {images.shape[3]} x {images.shape[2]} pixels; they must be square"
        )
    return images


def _grey_levels(images: Array, source: str) -> Images:
    """Numbers to 8-bit grey levels: floats up to 1 are scaled, all else is taken as 0..255."""
    if not (np.issubdtype(images.dtype, np.integer) or np.issubdtype(images.dtype, np.floating)):
        raise DataError(f"{source}: {images.dtype} values; allowed integers and floats")
    _check_pixels(images.size, source)
    if images.size == 0:
        raise DataError(f"{source}: shape {images.shape}: no images")
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{source}: NaN or infinite values")
    if low < 0 or high > 255:
        raise DataError(f"{source}: values from {low} to {high}; allowed 0 to 1 or 0 to 255")
    factor = 255 if np.issubdtype(images.dtype, np.floating) and high <= 1 else 1
    levels = np.empty(images.shape, dtype=np.uint8)
    for start in range(0, len(images), _CHUNK):  # in pieces, to bound memory
        levels[start : start + _CHUNK] = np.rint(images[start : start + _CHUNK] * factor)
    return levels


def _labels(labels: Array, images: Array, source: str) -> Labels:
    if labels.shape not in ((len(images),), (len(images), 1)):
        raise DataError(f"{source}: shape {labels.shape}; allowed ({len(images)},), one per image")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{source}: {labels.dtype} values; labels must be integers")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= LARGEST_CLASSES:
        raise DataError(
            f"{source}: labels from {low} to {high}; allowed 0 to {LARGEST_CLASSES - 1}"
        )
    return labels.reshape(-1).astype(np.int64)


def _check_pixels(pixels: int, source: str) -> None:
    if pixels > LARGEST_DATA_PIXELS:
        raise DataError(
            f"{source}: {pixels} values (images x channels x pixels) or more; "
            f"allowed {LARGEST_DATA_PIXELS}"
        )


def _checked(
    name: str, images: Images, labels: Labels, task: Task, seed: int, own_test: int = 0
) -> Data:
    """The data, once its classes are large enough to be split."""
    total, fitting = len(images), len(images) - own_test
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(f"{name}: all images are of one class; at least 2 are needed")
    counts = np.bincount(labels[:fitting], minlength=classes)
    if counts.min() < FEWEST_PER_CLASS:
        raise DataError(
            f"{name}: class {int(counts.argmin())} has {int(counts.min())} images; "
            f"at least {FEWEST_PER_CLASS} are needed"
        )
    validation = min(0.5, task.validation * total / fitting)
    shares = (validation, 0.0 if own_test else task.test)
    train, chosen, test = _stratified(labels[:fitting], shares, np.random.default_rng([seed, 0]))
    if own_test:
        test = np.arange(fitting, total)
    data = Data(name, np.ascontiguousarray(images), labels, classes, Splits(train, chosen, test))
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
