import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from archwright.errors import DataError, MeasurementFailed
from archwright.evaluators.supernet import (
    InputShape,
    Recipe,
    augmentation,
    cached_supernet,
    checkpoints,
    load_supernet,
    network_space,
    train_supernet,
)

RECIPE = Recipe(epochs=3, batch_size=64, random_networks=1, device="cpu")


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = checkpoints.verified(path)["weights"]
    return weights


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "recipe",
    [
        RECIPE,
        replace(RECIPE, method="alpha", sampler="attentive", workers=2, flip=True),
        replace(RECIPE, method="progressive", sampler="complexity", mixed_precision=True),
        replace(RECIPE, ends_every=3),
        replace(RECIPE, method="progressive", ends_every=2),
    ],
    ids=lambda recipe: f"{recipe.method}-{recipe.ends_every}",
)
def test_resumed_training_ends_in_the_same_weights(
    tmp_path, small_space, few_digits, recipe
) -> None:
    straight = train_supernet(recipe, small_space, few_digits, tmp_path / "a", lambda _: None)

    def kill(progress) -> None:
        if progress.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train_supernet(recipe, small_space, few_digits, tmp_path / "b", kill)
    assert not (tmp_path / "b" / "supernet.pt").exists()
    epochs: list[int] = []
    resumed = train_supernet(
        recipe, small_space, few_digits, tmp_path / "b", lambda p: epochs.append(p.epoch)
    )
    assert epochs == [3]
    assert same(weights_of(straight), weights_of(resumed))
    assert [file.name for file in (tmp_path / "b").iterdir()] == ["supernet.pt"]


def test_the_seed_decides(tmp_path, small_space, few_digits) -> None:
    recipe = replace(RECIPE, epochs=1)
    paths = [
        train_supernet(replace(recipe, seed=seed), small_space, few_digits, tmp_path / name, print)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    a, b, c = map(weights_of, paths)
    assert same(a, b)
    assert not same(a, c)


def test_training_teaches_and_leaves_the_threads_alone(tmp_path, small_space, few_digits) -> None:
    losses: list[float] = []
    threads = torch.get_num_threads()
    recipe = replace(RECIPE, epochs=4, batch_size=16)
    train_supernet(recipe, small_space, few_digits, tmp_path, lambda p: losses.append(p.loss))
    assert losses[-1] < 0.8 * losses[0]
    assert torch.get_num_threads() == threads


def test_cache_trains_once_and_again_when_something_differs(tmp_path, small_space, few_digits):
    recipe = replace(RECIPE, epochs=1)
    calls: list[int] = []

    def run(recipe=recipe, space=small_space, data=few_digits):
        return cached_supernet(recipe, space, data, tmp_path, lambda p: calls.append(p.epoch))

    with ThreadPoolExecutor(2) as pool:
        first, second = (future.result() for future in [pool.submit(run), pool.submit(run)])
    assert first == second
    assert calls == [1]
    assert run(recipe=replace(recipe, seed=5)) != first
    assert run(space=small_space.restrict({"depth_1": [1]})) != first
    other = replace(few_digits, labels=(few_digits.labels + 1) % 10)
    assert run(data=other) != first
    assert calls == [1] * 4


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_damaged_files_are_trained_again(tmp_path, small_space, few_digits, damage: str) -> None:
    recipe = replace(RECIPE, epochs=1)
    good = cached_supernet(recipe, small_space, few_digits, tmp_path, lambda _: None)
    content = bytearray(good.path.read_bytes())
    if damage == "foreign":
        torch.save({"weights": {"a": torch.ones(1)}}, good.path)
    elif damage == "flip":
        stored = torch.load(good.path, weights_only=True)
        stored["weights"]["body.classifier.bias"][0] += 1
        torch.save(stored, good.path)
    else:
        good.path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    calls: list[int] = []
    again = cached_supernet(
        recipe, small_space, few_digits, tmp_path, lambda p: calls.append(p.epoch)
    )
    assert again == good
    assert calls == [1]


def test_half_written_file_is_not_a_checkpoint(tmp_path, small_space, few_digits) -> None:
    (tmp_path / "training.pt").write_bytes(b"half")
    (tmp_path / "training.pt.99.part").write_bytes(b"half")
    path = train_supernet(replace(RECIPE, epochs=1), small_space, few_digits, tmp_path, print)
    assert weights_of(path)


def test_infinite_loss_stops_and_keeps_the_last_good_weights(
    tmp_path, small_space, few_digits
) -> None:
    kept: list[dict[str, torch.Tensor]] = []

    def spoil(progress) -> None:
        """After epoch 1, make the stored weights so large that the loss overflows."""
        content = torch.load(tmp_path / "training.pt", weights_only=True)
        content["weights"]["body.classifier.weight"].fill_(3e38)
        content["digest"] = checkpoints.hashed(content["weights"])
        torch.save(content, tmp_path / "training.pt")
        kept.append(content["weights"])
        raise Killed

    with pytest.raises(Killed):
        train_supernet(RECIPE, small_space, few_digits, tmp_path, spoil)
    with pytest.raises(MeasurementFailed, match=r"loss is (nan|inf) at epoch 2, step 1;"):
        train_supernet(RECIPE, small_space, few_digits, tmp_path, lambda _: None)
    assert same(weights_of(tmp_path / "training.pt"), kept[0])
    assert not (tmp_path / "supernet.pt").exists()


def test_another_supernets_weights_are_not_loaded(trained, digits) -> None:
    shape = digits.shape
    with pytest.raises(DataError, match="another supernet's: "):
        load_supernet(trained.checkpoint.path, network_space(shape), shape)
    with pytest.raises(
        DataError, match=r"body.classifier.weight has shape \(10, 8\); here \(4, 8\)"
    ):
        load_supernet(trained.checkpoint.path, trained.space, InputShape(1, 8, 4))
    with pytest.raises(DataError, match=r"has shape \(1, 1, 1, 1\); here \(1, 3, 1, 1\)"):
        load_supernet(trained.checkpoint.path, trained.space, InputShape(3, 8, 10))
    with pytest.raises(DataError, match=r"area has shape \(6, 8\); here \(6, 10\)"):
        load_supernet(trained.checkpoint.path, trained.space, InputShape(1, 10, 10))


def test_a_device_that_is_not_there_is_one_line(tmp_path, small_space, few_digits) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(DataError, match="device = 'cuda': there is none here; allowed auto, cpu"):
        train_supernet(replace(RECIPE, device="cuda"), small_space, few_digits, tmp_path, print)


def test_the_number_of_workers_changes_neither_weights_nor_key(
    tmp_path, small_space, few_digits
) -> None:
    recipe = replace(RECIPE, epochs=1, random_networks=3)
    several = replace(recipe, workers=3)
    one, three = (
        weights_of(train_supernet(r, small_space, few_digits, tmp_path / str(r.workers), print))
        for r in (recipe, several)
    )
    assert same(one, three)
    assert recipe.digest == several.digest


def test_each_setting_changes_the_weights(tmp_path, small_space, few_digits) -> None:
    splits = replace(few_digits.splits, train=few_digits.splits.train[:64])
    data = replace(few_digits, splits=splits)
    base = replace(RECIPE, epochs=2, batch_size=32)
    recipes = [
        base,
        replace(base, method="alpha"),
        replace(base, method="progressive"),
        replace(base, sampler="complexity"),
        replace(base, sampler="attentive", attention="best"),
        replace(base, sampler="attentive", attention="worst"),
        replace(base, mixed_precision=True),
        replace(base, label_smoothing=0.1),
        replace(base, shift=0.0),
        replace(base, flip=True),
    ]
    biases = [
        weights_of(train_supernet(recipe, small_space, data, tmp_path / str(index), print))[
            "body.classifier.bias"
        ]
        for index, recipe in enumerate(recipes)
    ]
    assert all(torch.isfinite(bias).all() for bias in biases)
    assert not any(torch.equal(a, b) for i, a in enumerate(biases) for b in biases[:i])


def test_a_space_of_one_network_is_plain_training(tmp_path, small_space, few_digits) -> None:
    """What is equal to the largest network has nothing to learn from it."""
    alone = small_space.restrict({c.name: c.values[-1:] for c in small_space.choices})
    recipe = replace(RECIPE, epochs=1)
    paths = [
        train_supernet(
            replace(recipe, random_networks=n), alone, few_digits, tmp_path / str(n), print
        )
        for n in (0, 4)
    ]
    assert same(*map(weights_of, paths))


def test_images_move_without_changing(digits) -> None:
    images = digits.images[:50]
    moved = augmentation.shifted(images, np.random.default_rng(0), 1 / 8)
    assert moved.shape == images.shape
    inner = images[:, :, 1:-1, 1:-1]
    shifts = 0
    for before, after, core in zip(images, moved, inner, strict=True):
        positions = [
            (row, column)
            for row in range(3)
            for column in range(3)
            if np.array_equal(after[:, row : row + 6, column : column + 6], core)
        ]
        assert positions
        shifts += not np.array_equal(before, after)
    assert shifts > 25


def test_images_are_mirrored_or_not(digits) -> None:
    images = digits.images[:50]
    flipped = augmentation.flipped(images, np.random.default_rng(0))
    kept = [np.array_equal(a, b) for a, b in zip(flipped, images, strict=True)]
    mirrored = [np.array_equal(a, b[..., ::-1]) for a, b in zip(flipped, images, strict=True)]
    assert all(a or b for a, b in zip(kept, mirrored, strict=True))
    assert 10 < sum(kept) < 40
    assert np.array_equal(augmentation.augmented(Recipe(shift=0), images, None), images)


@pytest.mark.slow
def test_the_default_recipe_reaches_its_accuracies(tmp_path: Path) -> None:
    """On digits: the largest network is right, the smallest one really is not.

    In 8 of its 30 epochs, where the largest has 97% on the way to 98%.
    """
    code = f"""
from pathlib import Path
from archwright.brief import Task
from archwright.design import Design, Origin
from archwright.evaluators.supernet import *
data = load_data(Task(data="digits"), 0)
space = network_space(data.shape)
checkpoint = cached_supernet(Recipe(epochs=8), space, data, Path({str(tmp_path)!r}), lambda p: None)
with SupernetEvaluator(checkpoint, space, data, workers=0) as evaluator:
    for network in (smallest_network(space), largest_network(space)):
        outcome, = evaluator.measure([Design(network, {{}}, Origin("test", ""))])
        print(outcome.measurements[0].value)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    smallest, largest = map(float, done.stdout.split())
    assert smallest < 0.88
    assert largest >= 0.95
