"""Where images come from: embedded data, files and folders of a user, OpenML.

Each source gives 8-bit grey levels with channels second, whatever it was stored as, and
labels from 0. What is wrong with it is a :class:`DataError` of one line.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archwright.brief import OPENML, Task
from archwright.errors import DataError
from archwright.evaluators.supernet.idx import idx_files, read_idx
from archwright.evaluators.supernet.plan import LARGEST_CLASSES
from archwright.untrusted import read_image, read_npz

Array = npt.NDArray[Any]
Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

LARGEST_DATA_PIXELS = 256 * 1024**2
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Source:
    """Images (images, channels, side, side) and labels; the last ``own_test`` are for testing."""

    name: str
    images: Images
    labels: Labels
    own_test: int = 0


def read_source(task: Task) -> Source:
    """The images that ``task.data`` names; see :func:`.data.load_data`."""
    if task.data == "digits":
        return _digits()
    if task.data.startswith(OPENML):
        return _openml(task.data)
    path = Path(task.data)
    if path.is_dir():
        return _idx(path) if idx_files(path) else _folder(path)
    if path.suffix != ".npz":
        raise DataError(
            f"task.data = {task.data!r}: allowed digits, an .npz file, a folder of images or of "
            f"IDX files, {OPENML}NAME"
        )
    return _npz(path)


def _digits() -> Source:
    """scikit-learn's 1,797 handwritten digits, 8x8 pixels with 17 grey levels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = grey_levels(digits.images[:, None] / 16, "digits")
    return Source("digits", images, digits.target.astype(np.int64))


def _npz(path: Path) -> Source:
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
    return _parts(path, [(x, arrays[x], y, arrays[y]) for x, y in given])


def _idx(folder: Path) -> Source:
    """The files of MNIST and its relatives: a training part, and perhaps one for testing."""
    files = idx_files(folder)
    if "train" not in files:
        raise DataError(f"{folder}: IDX files to test with but none to train with")
    parts = [
        (images.name, read_idx(images, 3), labels.name, read_idx(labels, 1))
        for images, labels in files.values()
    ]
    return _parts(folder, parts)


def _parts(path: Path, parts: list[tuple[str, Array, str, Array]]) -> Source:
    """A training part and perhaps one for testing: names and values of images and labels."""
    images = [
        grey_levels(channels_second(values, f"{path}: {name}"), f"{path}: {name}")
        for name, values, _, _ in parts
    ]
    labels = [_labels(given, values, f"{path}: {name}") for _, values, name, given in parts]
    if len({part.shape[1:] for part in images}) > 1:
        raise DataError(
            f"{path}: {parts[1][0]} has images of shape {images[1].shape[1:]}, {parts[0][0]} of "
            f"{images[0].shape[1:]}; they must be the same"
        )
    own_test = len(images[1]) if len(images) == 2 else 0
    return Source(path.name, np.concatenate(images), np.concatenate(labels), own_test)


def _folder(path: Path) -> Source:
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
            check_pixels(pixels, str(path))
            images.append(image)
            labels.append(label)
    if not images:
        raise DataError(f"{path}: no images in its folders")
    if any(image.ndim == 3 for image in images):
        images = [
            image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images
        ]
    stacked = channels_second(np.stack(images), str(path))
    return Source(path.name, stacked, np.array(labels, dtype=np.int64))


def _openml(data: str) -> Source:
    """A data set of openml.org by its name, kept in scikit-learn's folder once fetched.

    Its features are the pixels of square images, row by row; red, green and blue one after
    another, as in CIFAR_10. Its classes are numbered in the order of their names.
    """
    from sklearn.datasets import fetch_openml

    name = data.removeprefix(OPENML)
    if not re.fullmatch(r"[\w.()-]+", name):
        raise DataError(f"task.data = {data!r}: allowed letters, digits and . _ - ( ) in the name")
    try:
        with warnings.catch_warnings(action="ignore"):  # of retries: the error says it all
            fetched = fetch_openml(name, as_frame=False, parser="liac-arff", n_retries=1)
    except OSError as error:
        raise DataError(f"{data}: cannot be fetched from openml.org: {error}") from None
    except ValueError as error:  # sklearn's, of a name that is not there, among others
        raise DataError(f"{data}: {' '.join(str(error).split())[:200]}") from None
    pixels = np.asarray(fetched.data)
    features = pixels.shape[1] if pixels.ndim == 2 else 0
    shapes = [(channels, math.isqrt(features // channels)) for channels in (1, 3)]
    fitting = [(channels, side) for channels, side in shapes if channels * side**2 == features > 0]
    if not fitting:
        raise DataError(
            f"{data}: {features} features; allowed the pixels of square images, grey or RGB"
        )
    channels, side = fitting[0]
    images = grey_levels(pixels.reshape(len(pixels), channels, side, side), data)
    classes, labels = np.unique(fetched.target, return_inverse=True)
    if len(classes) > LARGEST_CLASSES:
        raise DataError(f"{data}: {len(classes)} classes; allowed {LARGEST_CLASSES}")
    return Source(name, images, labels.astype(np.int64))


def channels_second(images: Array, source: str) -> Array:
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


def grey_levels(images: Array, source: str) -> Images:
    """Numbers to 8-bit grey levels: floats up to 1 are scaled, all else is taken as 0..255."""
    if not (np.issubdtype(images.dtype, np.integer) or np.issubdtype(images.dtype, np.floating)):
        raise DataError(f"{source}: {images.dtype} values; allowed integers and floats")
    check_pixels(images.size, source)
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


def check_pixels(pixels: int, source: str) -> None:
    """Refuse more than fit in memory."""
    if pixels > LARGEST_DATA_PIXELS:
        raise DataError(
            f"{source}: {pixels} values (images x channels x pixels) or more; "
            f"allowed {LARGEST_DATA_PIXELS}"
        )


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
