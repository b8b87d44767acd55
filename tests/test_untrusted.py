import io
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from archwright import untrusted
from archwright.errors import DataError, UntrustedFileError


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_npz_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(6).reshape(2, 3), y=np.array(["one", "two"]))
    arrays = untrusted.read_npz(path)
    assert arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert arrays["y"].tolist() == ["one", "two"]


def test_npz_with_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([Touch(tmp_path / "ran")], dtype=object))
    with pytest.raises(UntrustedFileError, match="pickled objects"):
        untrusted.read_npz(path)
    assert not (tmp_path / "ran").exists()


def test_npz_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as file,
    ):
        for _ in range(untrusted.LARGEST_NPZ_BYTES // 2**24 + 1):
            file.write(bytes(2**24))
    assert path.stat().st_size < 2**20
    with pytest.raises(UntrustedFileError, match="when unpacked; allowed"):
        untrusted.read_npz(path)


def test_npz_header_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 100)}
    )
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(80))
    with pytest.raises(UntrustedFileError, match="claims 800000000000 bytes, it holds 80"):
        untrusted.read_npz(path)


def test_npz_that_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"not a zip at all")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        untrusted.read_npz(tmp_path / "a.npz")
    with pytest.raises(DataError, match="no such file"):
        untrusted.read_npz(tmp_path / "b.npz")


def test_file_size_is_bounded_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(untrusted.LARGEST_CHECKPOINT_BYTES + 1)  # sparse: takes no disk
    for read in (
        untrusted.read_npz,
        untrusted.read_checkpoint,
        untrusted.read_onnx,
        untrusted.read_image,
    ):
        with pytest.raises(UntrustedFileError, match="bytes; allowed"):
            read(path)


def test_checkpoint_round_trip_and_code_refused(tmp_path: Path) -> None:
    import torch

    good, bad = tmp_path / "good.pt", tmp_path / "bad.pt"
    torch.save({"weights": {"a": torch.ones(2)}, "epoch": 3}, good)
    assert untrusted.read_checkpoint(good)["epoch"] == 3
    torch.save({"weights": Touch(tmp_path / "ran")}, bad)
    with pytest.raises(UntrustedFileError, match="other than tensors"):
        untrusted.read_checkpoint(bad)
    bad.write_bytes(pickle.dumps(Touch(tmp_path / "ran")))
    with pytest.raises(DataError, match="not a readable checkpoint"):
        untrusted.read_checkpoint(bad)
    assert not (tmp_path / "ran").exists()


def test_checkpoint_cut_short_and_of_the_wrong_kind(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "a.pt"
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match="not a readable checkpoint"):
        untrusted.read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(DataError, match="a dictionary, this is list"):
        untrusted.read_checkpoint(path)


def external(name: str, location: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def save_onnx(path: Path, tensor: TensorProto, *, nested: bool = False) -> Path:
    output = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4])
    if nested:
        node = helper.make_node("Constant", [], ["w"], value=tensor)
        branch = helper.make_graph([node], "branch", [], [output])
        condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
        choose = helper.make_node("If", ["c"], ["w"], then_branch=branch, else_branch=branch)
        graph = helper.make_graph([choose], "g", [condition], [output])
    else:
        graph = helper.make_graph([], "g", [], [output], [tensor])
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_onnx_reads_external_data_in_its_folder(tmp_path: Path) -> None:
    np.arange(4, dtype=np.float32).tofile(tmp_path / "w.bin")
    model = untrusted.read_onnx(save_onnx(tmp_path / "m.onnx", external("w", "w.bin")))
    assert onnx.numpy_helper.to_array(model.graph.initializer[0]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    "location",
    ["../secret", "sub/../../secret", "{secret}", "link", "folder/secret", "C:\\secret", "", "."],
)
def test_onnx_external_data_elsewhere_is_refused(
    tmp_path: Path, location: str, nested: bool
) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "model"
    secret.write_bytes(bytes(16))
    folder.mkdir()
    (folder / "link").symlink_to(secret)
    (folder / "folder").symlink_to(tmp_path)
    tensor = external("w", location.format(secret=secret))
    path = save_onnx(folder / "m.onnx", tensor, nested=nested)
    with pytest.raises((UntrustedFileError, DataError), match="external data in"):
        untrusted.read_onnx(path)


def test_onnx_broken_or_missing_data(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match="not a readable ONNX"):
        untrusted.read_onnx(path)
    with pytest.raises(DataError, match="no such file"):
        untrusted.read_onnx(save_onnx(path, external("w", "missing.bin")))


@pytest.mark.parametrize(("mode", "shape"), [("L", (4, 6)), ("RGB", (4, 6, 3)), ("P", (4, 6, 3))])
def test_image_modes(tmp_path: Path, mode: str, shape: tuple[int, ...]) -> None:
    Image.new(mode, (6, 4), 7 if mode != "RGB" else (1, 2, 3)).save(tmp_path / "a.png")
    assert untrusted.read_image(tmp_path / "a.png").shape == shape


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [5_000, 12_000, 2**31 - 1])
def test_image_that_unpacks_to_too_many_pixels_is_refused(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(png_header(side, side))
    with pytest.raises(UntrustedFileError, match=r"pixels.* allowed"):
        untrusted.read_image(tmp_path / "a.png")


def test_image_broken_or_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(6, 4))
    with pytest.raises(DataError, match="not a readable image"):
        untrusted.read_image(tmp_path / "a.png")
    Image.new("L", (6, 4)).save(tmp_path / "a.tiff")
    with pytest.raises(DataError, match="allowed PNG, JPEG, BMP, GIF"):
        untrusted.read_image(tmp_path / "a.tiff")
