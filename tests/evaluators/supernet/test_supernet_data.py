from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from archwright.brief import Task
from archwright.errors import DataError
from archwright.evaluators.supernet import data as module
from archwright.evaluators.supernet import load_data, loaders
from archwright.evaluators.supernet.data import Data, Splits

LABELS = np.repeat(np.arange(3), 12)
GREY = np.random.default_rng(0).integers(0, 256, (36, 8, 8), dtype=np.uint8)


def load(path: Path, seed: int = 0, **arrays: np.ndarray) -> Data:
    np.savez(path / "data.npz", **arrays)
    return load_data(Task(data=str(path / "data.npz")), seed)


def test_digits(digits: Data) -> None:
    assert digits.images.shape == (1797, 1, 8, 8)
    assert (digits.shape.channels, digits.shape.side, digits.shape.classes) == (1, 8, 10)
    images, labels = digits.take(np.array([0, 1]))
    assert images.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1
    assert labels.tolist() == [0, 1]


def test_splits_are_apart_stratified_and_drawn_from_the_seed(digits: Data) -> None:
    splits = digits.splits
    together = np.concatenate([splits.train, splits.validation, splits.test])
    assert sorted(together.tolist()) == list(range(1797))
    counts = np.bincount(digits.labels)
    for part, share in ((splits.validation, 0.2), (splits.test, 0.2)):
        assert np.abs(np.bincount(digits.labels[part]) - share * counts).max() <= 0.5
    again = load_data(Task(data="digits"), seed=0)
    other = load_data(Task(data="digits"), seed=1)
    assert again.digest == digits.digest != other.digest
    assert set(digits.calibration(100)) <= set(splits.train)


def test_digest_covers_images_labels_and_splits(digits: Data) -> None:
    images, labels = digits.images.copy(), digits.labels.copy()
    images[5, 0, 3, 3] ^= 1
    labels[9] += 1
    splits = Splits(digits.splits.train, digits.splits.test, digits.splits.validation)
    changed = [
        Data("a", images, digits.labels, 10, digits.splits),
        Data("a", digits.images, labels, 10, digits.splits),
        Data("a", digits.images, digits.labels, 10, splits),
    ]
    assert len({digits.digest, *(data.digest for data in changed)}) == 4


def test_splits_round_trip(tmp_path: Path, digits: Data) -> None:
    digits.splits.save(tmp_path / "splits.npz")
    loaded = Splits.load(tmp_path / "splits.npz")
    for name in ("train", "validation", "test"):
        assert np.array_equal(getattr(loaded, name), getattr(digits.splits, name))
    np.savez(tmp_path / "splits.npz", train=np.arange(3))
    with pytest.raises(DataError, match="no split named 'validation'"):
        Splits.load(tmp_path / "splits.npz")


@pytest.mark.parametrize(
    ("x", "channels"),
    [
        (GREY, 1),
        (GREY[..., None], 1),
        (GREY[:, None], 1),
        (np.repeat(GREY[..., None], 3, 3), 3),
        (np.repeat(GREY[:, None], 3, 1), 3),
        (GREY.astype(np.int64), 1),
        (GREY / 255, 1),
        ((GREY / 255).astype(np.float32), 1),
        (GREY.astype(np.float32), 1),
    ],
)
def test_npz_layouts_and_types(tmp_path: Path, x: np.ndarray, channels: int) -> None:
    data = load(tmp_path, x=x, y=LABELS)
    assert data.images.shape == (36, channels, 8, 8)
    for channel in range(channels):
        assert np.array_equal(data.images[:, channel], GREY)


def test_npz_keeps_its_own_test_split(tmp_path: Path) -> None:
    test = {"x_test": GREY[:6], "y_test": LABELS[::6][:, None]}
    data = load(tmp_path, x_train=GREY, y_train=LABELS, **test)
    assert data.splits.test.tolist() == list(range(36, 42))
    assert len(data.splits.validation) == 9  # 0.2 x 42, of each of three classes alike
    assert np.array_equal(data.images[36:, 0], GREY[:6])


NAN = GREY.astype(np.float32)
NAN = np.where(NAN.max() == NAN, np.nan, NAN)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": GREY}, "arrays x; allowed x and y"),
        ({"x": GREY, "y": LABELS.astype(float)}, "float64 values; labels must be integers"),
        ({"x": GREY, "y": LABELS - 1}, "labels from -1 to 1; allowed 0 to 999"),
        ({"x": GREY, "y": LABELS * 10**6}, "labels from 0 to 2000000; allowed 0 to 999"),
        ({"x": GREY, "y": LABELS[:-1]}, r"shape \(35,\); allowed \(36,\)"),
        ({"x": GREY, "y": LABELS * 2}, "class 1 has 0 images; at least 10"),
        ({"x": GREY[:33], "y": LABELS[:33]}, "class 2 has 9 images"),
        ({"x": GREY, "y": LABELS * 0}, "all images are of one class"),
        ({"x": GREY[:, :, :6], "y": LABELS}, "6 x 8 pixels; they must be square"),
        ({"x": GREY[:, :4, :4], "y": LABELS}, "images of side 4; allowed 8 to 512"),
        ({"x": GREY.reshape(36, 64), "y": LABELS}, r"shape \(36, 64\); allowed \(images, side"),
        ({"x": np.stack([GREY] * 5, 3), "y": LABELS}, "1 or 3 channels"),
        ({"x": NAN, "y": LABELS}, "NaN or infinite"),
        ({"x": GREY.astype(int) - 1, "y": LABELS}, "values from -1 to 254; allowed 0 to 1 or"),
        ({"x": GREY.astype(complex), "y": LABELS}, "complex128 values; allowed integers"),
        ({"x": GREY[:0], "y": LABELS[:0]}, "no images"),
        (
            {
                "x_train": GREY,
                "y_train": LABELS,
                "x_test": GREY[:, None].repeat(3, 1),
                "y_test": LABELS,
            },
            "x_test has images of shape",
        ),
    ],
)
def test_bad_npz_gives_one_line(tmp_path: Path, arrays, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_too_many_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "LARGEST_DATA_PIXELS", 36 * 64 - 1)
    with pytest.raises(DataError, match="2304 values"):
        load(tmp_path, x=GREY, y=LABELS)


def folder(path: Path, mode: str = "L") -> Path:
    for label in ("cat", "dog"):
        (path / label).mkdir(parents=True)
        for n in range(10):
            Image.fromarray(GREY[n]).convert(mode).save(path / label / f"{n:02}.png")
    return path


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_image_folder(tmp_path: Path, mode: str, channels: int) -> None:
    data = load_data(Task(data=str(folder(tmp_path / "pets", mode))), 0)
    assert data.images.shape == (20, channels, 8, 8)
    assert data.labels.tolist() == [0] * 10 + [1] * 10
    assert np.array_equal(data.images[3, 0], GREY[3])


def test_one_colour_image_makes_all_rgb(tmp_path: Path) -> None:
    path = folder(tmp_path / "pets")
    Image.new("RGB", (8, 8), (9, 8, 7)).save(path / "dog" / "09.png")
    data = load_data(Task(data=str(path)), 0)
    assert data.images[19, :, 0, 0].tolist() == [9, 8, 7]
    assert (data.images[0, 0] == data.images[0, 2]).all()


def test_bad_folders_give_one_line(tmp_path: Path) -> None:
    path = folder(tmp_path / "pets")
    Image.new("L", (9, 8)).save(path / "dog" / "05.png")
    with pytest.raises(DataError, match=r"05\.png: 9 x 8 pixels, the others 8 x 8"):
        load_data(Task(data=str(path)), 0)
    (path / "dog" / "05.png").write_text("no image")
    with pytest.raises(DataError, match=r"05\.png: not a readable image"):
        load_data(Task(data=str(path)), 0)
    with pytest.raises(DataError, match="0 folders; at least 2"):
        load_data(Task(data=str(path / "cat")), 0)
    with pytest.raises(DataError, match="allowed digits"):
        load_data(Task(data=str(path / "cat" / "00.png")), 0)


@settings(max_examples=50)
@given(
    st.lists(st.integers(10, 60), min_size=2, max_size=5),
    st.floats(0.05, 0.4),
    st.floats(0.05, 0.4),
    st.integers(0, 2**31 - 1),
)
def test_every_class_is_in_every_split(counts, validation, test, seed) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = module._stratified(labels, (validation, test), np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    for part in parts:
        assert set(labels[part]) == set(range(len(counts)))
