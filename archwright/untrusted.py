"""Readers for files that someone else made: bounded, and never running what is in them.

Each reader checks what the file claims (sizes, names, paths) before it reads the
content. :class:`UntrustedFileError` says that a file asks for something it must not
have; :class:`DataError` that it is missing or broken.
"""

from __future__ import annotations

import gzip
import math
import pickle
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from archwright.errors import DataError, UntrustedFileError

if TYPE_CHECKING:
    import onnx

MIB = 1024**2
LARGEST_NPZ_BYTES = 512 * MIB
LARGEST_NPZ_MEMBERS = 64
LARGEST_CHECKPOINT_BYTES = 1024 * MIB
LARGEST_ONNX_BYTES = 512 * MIB
LARGEST_IMAGE_BYTES = 32 * MIB
LARGEST_IMAGE_PIXELS = 16_000_000
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "GIF")


def read_text(path: Path, largest: int) -> str:
    """A UTF-8 text, packed by gzip or not, of at most ``largest`` bytes when unpacked.

    Unpacking stops where the limit is passed, whatever the file claims.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(largest + 1)
        if len(content) > largest:
            raise UntrustedFileError(
                f"{path}: more than {largest} bytes of text; allowed {largest}"
            )
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {_short(error)}") from None


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays of an .npz file, at most ``LARGEST_NPZ_BYTES`` packed and unpacked.

    The zip directory and each array's header are checked first, so that neither a zip
    bomb nor a header that claims a huge shape takes memory. Pickled objects are refused.
    """
    _check_size(path, LARGEST_NPZ_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_zip(path, archive, LARGEST_NPZ_BYTES)
            members = archive.infolist()
            if len(members) > LARGEST_NPZ_MEMBERS:
                raise UntrustedFileError(
                    f"{path}: {len(members)} arrays; allowed {LARGEST_NPZ_MEMBERS}"
                )
            for member in members:
                _check_npy_header(path, archive, member)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (UntrustedFileError, DataError):
        raise
    except Exception as error:  # noqa: BLE001 - a hostile zip can raise nearly anything
        raise DataError(f"{path}: not a readable .npz file: {_short(error)}") from None


def read_checkpoint(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """What ``torch.save`` wrote: a dictionary of tensors, numbers, text and lists of them.

    ``mapped``: tensors stay in the file and come into memory as they are used, once for
    all processes that read it so.
    Anything else in it (code, other classes) is refused before it can run.
    """
    import torch

    _check_size(path, LARGEST_CHECKPOINT_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_zip(path, archive, LARGEST_CHECKPOINT_BYTES)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UntrustedFileError:
        raise
    except pickle.UnpicklingError:
        raise UntrustedFileError(
            f"{path}: holds something other than tensors, numbers and text; not loaded"
        ) from None
    except Exception as error:  # noqa: BLE001 - a broken file can raise nearly anything
        raise DataError(f"{path}: not a readable checkpoint: {_short(error)}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: a checkpoint is a dictionary, this is {type(content).__name__}")
    return content


def read_onnx(path: Path) -> onnx.ModelProto:
    """An ONNX model with its external data, which must lie in the model's own folder.

    Every location is checked before any external file is opened: relative, plain,
    no link, inside the folder, and all together at most ``LARGEST_ONNX_BYTES``.
    """
    from onnx.external_data_helper import load_external_data_for_model

    model = read_onnx_structure(path)
    files = [path.parent.resolve() / location for location in _external_locations(model)]
    for file in files:
        if not file.is_file():
            raise DataError(f"{path}: external data in {file.name!r}: no such file")
    total = sum(file.stat().st_size for file in files)
    if total > LARGEST_ONNX_BYTES:
        raise UntrustedFileError(
            f"{path}: {total} bytes of external data; allowed {LARGEST_ONNX_BYTES}"
        )
    try:
        load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # noqa: BLE001 - offsets and lengths in the file may be nonsense
        raise DataError(f"{path}: its external data cannot be read: {_short(error)}") from None
    return model


def read_onnx_structure(path: Path) -> onnx.ModelProto:
    """An ONNX model without its external data, which need not be there.

    No external file is opened; their locations are checked all the same.
    """
    import onnx

    _check_size(path, LARGEST_ONNX_BYTES)
    try:
        model = onnx.load_model(str(path), format="protobuf", load_external_data=False)
    except Exception as error:  # noqa: BLE001 - protobuf raises its own, undocumented errors
        raise DataError(f"{path}: not a readable ONNX file: {_short(error)}") from None
    for location in _external_locations(model):
        _check_external(path, location)
    return model


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """An image of one of ``IMAGE_FORMATS``: (height, width) if grey, else (height, width, 3).

    File size and pixel count are checked before anything is decompressed.
    """
    from PIL import Image

    _check_size(path, LARGEST_IMAGE_BYTES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=IMAGE_FORMATS) as image:
                width, height = image.size
                if width * height > LARGEST_IMAGE_PIXELS:
                    raise UntrustedFileError(
                        f"{path}: {width} x {height} pixels; allowed {LARGEST_IMAGE_PIXELS} in all"
                    )
                grey = image.mode in ("1", "L", "LA")
                return np.asarray(image.convert("L" if grey else "RGB"))
    except UntrustedFileError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UntrustedFileError(
            f"{path}: too many pixels; allowed {LARGEST_IMAGE_PIXELS} in all"
        ) from None
    except Exception as error:  # noqa: BLE001 - the decoders raise nearly anything
        allowed = ", ".join(IMAGE_FORMATS)
        raise DataError(
            f"{path}: not a readable image (allowed {allowed}): {_short(error)}"
        ) from None


def _check_size(path: Path, largest: int) -> None:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    size = path.stat().st_size
    if size > largest:
        raise UntrustedFileError(f"{path}: {size} bytes; allowed {largest}")


def _check_zip(path: Path, archive: zipfile.ZipFile, largest: int) -> None:
    total = sum(member.file_size for member in archive.infolist())
    if total > largest:
        raise UntrustedFileError(f"{path}: {total} bytes when unpacked; allowed {largest}")


def _check_npy_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse objects, and shapes that do not match the member's size."""
    with archive.open(member) as file:
        npy: Any = np.lib.format  # has no types
        version = npy.read_magic(file)
        read_header = {
            (1, 0): npy.read_array_header_1_0,
            (2, 0): npy.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise DataError(f"{path}: {member.filename}: .npy version {version}; allowed 1.0, 2.0")
        shape, _, dtype = read_header(file)
        if dtype.hasobject:
            raise UntrustedFileError(
                f"{path}: {member.filename}: pickled objects, which may run code; not loaded"
            )
        claimed = math.prod(shape) * dtype.itemsize
        held = member.file_size - file.tell()
        if claimed != held:
            raise UntrustedFileError(
                f"{path}: {member.filename}: its header claims {claimed} bytes, it holds {held}"
            )


def _external_locations(model: onnx.ModelProto) -> set[str]:
    """Where a model says that its external data lies."""
    return {
        entry.value
        for tensor in _tensors(model)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _check_external(model: Path, location: str) -> None:
    """Refuse a location that is not plainly inside the model's folder."""
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    plain = (
        location != ""
        and "\0" not in location
        and not posix.is_absolute()
        and not windows.is_absolute()
        and not windows.drive
        and ".." not in posix.parts
        and ".." not in windows.parts
    )
    folder = model.parent.resolve()
    if not plain or (folder / location).resolve() != folder / location:
        raise UntrustedFileError(
            f"{model}: external data in {location!r}; allowed only a file inside the model's "
            "folder, without links and '..'"
        )


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of a model, also those in attributes, subgraphs and functions."""
    for information in model.training_info:
        yield from _graph_tensors(information.initialization)
        yield from _graph_tensors(information.algorithm)
    for function in model.functions:
        yield from _node_tensors(function.node)
    yield from _graph_tensors(model.graph)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            if attribute.HasField("g"):
                yield from _graph_tensors(attribute.g)
            for graph in attribute.graphs:
                yield from _graph_tensors(graph)


def _short(error: Exception) -> str:
    """The error on one line of bounded length."""
    return " ".join(str(error).split())[:200] or type(error).__name__
