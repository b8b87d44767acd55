"""Sources of images beyond arrays and folders: IDX files and OpenML."""

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets._openml as openml

from archwright.brief import Task
from archwright.errors import ArchwrightError, DataError, UntrustedFileError
from archwright.evaluators.supernet import Data, idx, load_data, loaders

LABELS = np.tile(np.arange(3), 14)
GREY = np.random.default_rng(0).integers(0, 256, (42, 8, 8), dtype=np.uint8)


def idx_bytes(values: np.ndarray, kind: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes((0, 0, kind, values.ndim)) + sizes + values.astype(np.uint8).tobytes()


def load(source: Path | str) -> Data:
    return load_data(Task(data=str(source)), 0)


def idx_folder(folder: Path, *, packed: bool = False, joint: str = "-") -> Path:
    parts = {
        f"train-images{joint}idx3-ubyte": GREY[:36],
        f"train-labels{joint}idx1-ubyte": LABELS[:36],
        f"t10k-images{joint}idx3-ubyte": GREY[36:],
        f"t10k-labels{joint}idx1-ubyte": LABELS[36:],
    }
    for name, values in parts.items():
        content = idx_bytes(values)
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(("packed", "joint"), [(False, "-"), (True, "-"), (False, ".")])
def test_idx_files_with_their_own_test_part(tmp_path: Path, packed: bool, joint: str) -> None:
    data = load(idx_folder(tmp_path, packed=packed, joint=joint))
    assert np.array_equal(data.images[:, 0], GREY)
    assert np.array_equal(data.labels, LABELS)
    assert data.splits.test.tolist() == list(range(36, 42))


def test_idx_files_without_a_test_part_are_split(tmp_path: Path) -> None:
    for file in idx_folder(tmp_path).glob("t10k*"):
        file.unlink()
    data = load(tmp_path)
    assert len(data.images) == 36
    assert len(data.splits.test) > 0


IMAGES = idx_bytes(GREY[:36])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", IMAGES[:-1], "its header claims 2304 bytes, it holds 2303"),
        ("train-images-idx3-ubyte", IMAGES[:9], "not an IDX file of unsigned bytes in 3 dim"),
        ("train-images-idx3-ubyte", b"", "not an IDX file"),
        ("train-images-idx3-ubyte", idx_bytes(GREY[:36], 13), "not an IDX file of unsigned bytes"),
        ("train-images-idx3-ubyte", idx_bytes(LABELS[:36]), "in 3 dimensions"),
        ("train-images-idx3-ubyte", idx_bytes(GREY[:36, :7]), "8 x 7 pixels; they must be square"),
        ("train-images-idx3-ubyte", idx_bytes(GREY[:36, :6, :6]), "t10k-images.*of shape"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS[:35]), r"allowed \(36,\), one per image"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS[:36] * 2), "class 1 has 0 images"),
        ("train-labels-idx1-ubyte", None, "no train-labels-idx1-ubyte beside its other half"),
        ("t10k-images-idx3-ubyte", None, "no t10k-images-idx3-ubyte beside"),
    ],
)
def test_bad_idx_files_give_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    idx_folder(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_idx_files_to_test_with_alone(tmp_path: Path) -> None:
    for file in idx_folder(tmp_path).glob("train*"):
        file.unlink()
    with pytest.raises(DataError, match="none to train with"):
        load(tmp_path)


def test_broken_and_too_large_packed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = idx_folder(tmp_path, packed=True) / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], b"no gzip", whole[:40] + b"\0" * 40 + whole[80:]):
        file.write_bytes(broken)
        with pytest.raises(DataError, match="not a readable IDX file"):
            load(tmp_path)
    file.write_bytes(gzip.compress(bytes(10**6)))  # 1 kB that unpack to 1 MB
    monkeypatch.setattr(idx, "LARGEST_IDX_BYTES", 10**5)
    with pytest.raises(UntrustedFileError, match="more than 100000 bytes when unpacked"):
        load(tmp_path)
    file.write_bytes(bytes(10**5 + 1))
    with pytest.raises(UntrustedFileError, match="100001 bytes; allowed 100000"):
        load(tmp_path)


def test_more_pixels_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "LARGEST_DATA_PIXELS", 36 * 64 - 1)
    with pytest.raises(DataError, match="2304 values"):
        load(idx_folder(tmp_path))


def arff(pixels: np.ndarray, labels: list[str]) -> bytes:
    lines = ["@RELATION tiny"]
    lines += [f"@ATTRIBUTE pixel{i} REAL" for i in range(pixels.shape[1])]
    lines += [f"@ATTRIBUTE class {{{','.join(sorted(set(labels)))}}}", "@DATA"]
    lines += [
        ",".join([*map(str, row), label])
        for row, label in zip(pixels.tolist(), labels, strict=True)
    ]
    return "\n".join(lines).encode()


class Served:
    """A server that answers as openml.org does, for one data set called "tiny"."""

    def __init__(self) -> None:
        self.pixels = GREY.reshape(42, 64)
        self.labels = [("boot", "ant", "cat")[label] for label in LABELS]
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content = served.answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def file(self) -> bytes:
        return arff(self.pixels, self.labels)

    def answer(self, path: str) -> tuple[int, bytes]:
        number = self.pixels.shape[1]
        feature = {"data_type": "numeric", "is_ignore": "false", "is_row_identifier": "false"}
        feature["number_of_missing_values"] = "0"
        features = [
            {**feature, "index": str(i), "name": f"pixel{i}", "is_target": "false"}
            for i in range(number)
        ]
        target = {**feature, "data_type": "nominal", "is_target": "true"}
        features.append({**target, "index": str(number), "name": "class"})
        entry = {"did": 7, "name": "tiny", "version": 1, "status": "active", "format": "ARFF"}
        about = {**entry, "id": "7", "version": "1", "file_id": "9", "url": f"{self.url}/file"}
        about["description"] = "grey noise"
        about["md5_checksum"] = hashlib.md5(self.file(), usedforsecurity=False).hexdigest()
        pages = {
            "/list/tiny/limit/2/status/active/": {"data": {"dataset": [entry]}},
            "/data/7": {"data_set_description": about},
            "/features/7": {"data_features": {"feature": features}},
            "/qualities/7": {"data_qualities": {"quality": []}},
        }
        if path.startswith("/file"):
            return 200, self.file()
        if path in pages:
            return 200, json.dumps(pages[path]).encode()
        return 412, json.dumps({"error": {"code": "372", "message": "No results"}}).encode()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    served = Served()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr(openml, "_SEARCH_NAME", f"{served.url}/list/{{}}/limit/2")
    monkeypatch.setattr(openml, "_DATA_INFO", f"{served.url}/data/{{}}")
    monkeypatch.setattr(openml, "_DATA_FEATURES", f"{served.url}/features/{{}}")
    monkeypatch.setattr(openml, "_DATA_QUALITIES", f"{served.url}/qualities/{{}}")
    yield served
    served.server.shutdown()
    served.server.server_close()


def test_openml_grey(served: Served) -> None:
    data = load("openml:tiny")
    assert np.array_equal(data.images[:, 0], GREY)
    assert np.array_equal(data.labels, np.array([1, 0, 2])[LABELS])  # by their names
    assert data.name == "tiny"


def test_openml_rgb_is_planes(served: Served) -> None:
    served.pixels = np.concatenate([served.pixels, served.pixels // 2, served.pixels // 4], 1)
    data = load("openml:tiny")
    assert data.images.shape == (42, 3, 8, 8)
    assert np.array_equal(data.images[:, 1], GREY // 2)


def test_openml_features_that_are_no_image(served: Served) -> None:
    served.pixels = served.pixels[:, :-1]
    with pytest.raises(DataError, match="63 features; allowed the pixels of square images"):
        load("openml:tiny")


def test_openml_name_that_is_not_there(served: Served) -> None:
    with pytest.raises(DataError, match=r"^openml:huge: .*huge") as caught:
        load("openml:huge")
    assert "\n" not in str(caught.value)


def test_openml_without_a_network(served: Served) -> None:
    served.server.shutdown()
    served.server.server_close()
    with pytest.raises(DataError, match=r"^openml:tiny: cannot be fetched from openml.org: "):
        load("openml:tiny")


@pytest.mark.parametrize("data", ["openml:", "openml:a/b", "images.zip", "nowhere"])
def test_what_is_no_source_gives_one_line(data: str) -> None:
    with pytest.raises(ArchwrightError) as caught:
        load(data)
    assert "\n" not in str(caught.value)
