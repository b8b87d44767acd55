"""IDX files: the format of MNIST and its relatives, plain or packed with gzip.

Two zero bytes, a type (8: unsigned bytes), the number of dimensions, each dimension as
four bytes (most significant first), then the values (http://yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archwright.errors import DataError, UntrustedFileError

LARGEST_IDX_BYTES = 512 * 1024**2
_PARTS = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTES = 8


def idx_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Images and labels of the parts ("train", "test") that are in ``folder``, by MNIST's names.

    ``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` and so on, also with a dot
    before "idx", also with ``.gz``. Raises :class:`DataError` where one of a pair is missing.
    """
    found = {}
    for part, prefix in _PARTS.items():
        pair = [_find(folder, f"{prefix}-{stem}") for stem in ("images{}idx3", "labels{}idx1")]
        if pair[0] and pair[1]:
            found[part] = (pair[0], pair[1])
        elif pair[0] or pair[1]:
            lacking = "labels-idx1" if pair[0] else "images-idx3"
            raise DataError(f"{folder}: no {prefix}-{lacking}-ubyte beside its other half")
    return found


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array in ``path``, at most ``LARGEST_IDX_BYTES`` packed and unpacked."""
    size = path.stat().st_size
    if size > LARGEST_IDX_BYTES:
        raise UntrustedFileError(f"{path}: {size} bytes; allowed {LARGEST_IDX_BYTES}")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST_IDX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a readable IDX file: {error}") from None
    if len(content) > LARGEST_IDX_BYTES:
        raise UntrustedFileError(f"{path}: more than {LARGEST_IDX_BYTES} bytes when unpacked")
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise DataError(f"{path}: not an IDX file of unsigned bytes in {dimensions} dimensions")
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4)]
    if math.prod(shape) != len(content) - header:
        raise DataError(
            f"{path}: its header claims {math.prod(shape)} bytes, it holds {len(content) - header}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _find(folder: Path, pattern: str) -> Path | None:
    for joint in ("-", "."):
        for ending in ("-ubyte", "-ubyte.gz"):
            path = folder / f"{pattern.format(joint)}{ending}"
            if path.is_file():
                return path
    return None
