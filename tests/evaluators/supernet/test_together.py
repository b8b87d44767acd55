"""Networks that are prepared and scored together give what each gives alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from archwright.evaluators.supernet import InputShape, extract, network_space, prepare
from archwright.evaluators.supernet.data import scaled
from archwright.evaluators.supernet.extraction import recalibrate
from archwright.evaluators.supernet.score import (
    LOOK_CONFIDENCE,
    LOOKS,
    Score,
    hopeless,
    stretches,
    wilson_interval,
)
from archwright.evaluators.supernet.together import (
    Chain,
    logits_together,
    prepare_together,
    score_together,
)
from archwright.evaluators.supernet.train import new_supernet


@pytest.fixture
def calibration(trained) -> torch.Tensor:
    return torch.from_numpy(trained.data.take(trained.data.calibration())[0])


@pytest.fixture
def neighbours(trained, rng):
    """Networks that begin alike, some in two or three bits, and one that does not."""
    space = trained.space
    first = space.decode(space.sample(rng, 1))[0]
    last = {**first, "kernel_3": 8 - int(first["kernel_3"])}
    other = {**first, "resolution": 14 - int(first["resolution"])}
    return [{**point, "bits": bits} for point in (first, last, other) for bits in (8, 16)]


def equal_modules(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_prepared_together_is_prepared_alone(trained, neighbours, calibration) -> None:
    together = prepare_together(trained.supernet, neighbours, calibration)
    for point, module in zip(neighbours, together, strict=True):
        assert equal_modules(module, prepare(trained.supernet, point, calibration))


def test_unquantised_is_recalibrated_alone(trained, neighbours, calibration) -> None:
    images = calibration[:50]
    together = prepare_together(trained.supernet, neighbours, calibration, at_bits=False)
    for point, module, logits in zip(
        neighbours, together, logits_together(together, images), strict=True
    ):
        alone = extract(trained.supernet, point)
        recalibrate(alone, calibration)
        assert equal_modules(module, alone)
        with torch.no_grad():
            assert torch.equal(logits, alone(images))


def test_every_kind_of_block_and_4_bits(rng) -> None:
    shape = InputShape(3, 8, 5)
    space = network_space(shape, "universal")
    supernet = new_supernet(space, shape, 0).eval()
    images = torch.from_numpy(rng.random((40, 3, 8, 8), dtype=np.float32))
    points = [
        {**point, "block_1": kind, "squeeze_1": squeeze, "bits": bits}
        for point, bits in zip(space.decode(space.sample(rng, 3)), (4, 8, 16), strict=True)
        for kind in ("ffn", "convnext", "mbconv", "extra", "fused")
        for squeeze in ("off", "on")
    ]
    together = prepare_together(supernet, points, images)
    for point, module, logits in zip(
        points, together, logits_together(together, images), strict=True
    ):
        alone = prepare(supernet, point, images)
        assert equal_modules(module, alone)
        assert torch.equal(logits, alone(images))


def test_common_parts_are_one_module_and_run_once(trained, neighbours, calibration) -> None:
    same_bits = [point for point in neighbours if point["bits"] == 8]
    first, last, other = prepare_together(trained.supernet, same_bits, calibration)
    common = sum(a is b for a, b in zip(first.parts, last.parts, strict=True))
    assert 2 <= common < len(first.parts)
    assert not any(a is b for a, b in zip(first.parts, other.parts, strict=False))
    runs = []
    for part in dict.fromkeys((*first.parts, *last.parts)):
        part.register_forward_hook(lambda *_: runs.append(1))
    list(logits_together([first, last], calibration))
    assert len(runs) == len(first.parts) + len(last.parts) - common


def test_scores_are_plain_counts(trained, neighbours, calibration) -> None:
    validation = trained.data.splits.validation
    images, labels = trained.data.images[validation], trained.data.labels[validation]
    modules = prepare_together(trained.supernet, neighbours, calibration)
    for module, score in zip(modules, score_together(modules, images, labels), strict=True):
        logits = module(torch.from_numpy(scaled(images)))
        answers = torch.from_numpy(labels)
        losses = torch.nn.functional.cross_entropy(logits, answers, reduction="none")
        assert score.correct == int((logits.argmax(1) == answers).sum())
        assert score.images == len(labels)
        assert score.cross_entropy == pytest.approx(float(losses.mean()), rel=1e-5)
        error = float(losses.std()) / len(labels) ** 0.5
        assert score.cross_entropy_error == pytest.approx(error, rel=1e-4)
        low, high = score.cross_entropy_interval
        assert low < score.cross_entropy < high


def test_a_hopeless_network_stops_and_says_so(trained, neighbours, calibration) -> None:
    validation = trained.data.splits.validation
    images, labels = trained.data.images[validation], trained.data.labels[validation]
    modules = prepare_together(trained.supernet, neighbours, calibration)
    whole = score_together(modules, images, labels)
    assert score_together(modules, images, labels, at_least=0.0) == whole
    stopped = score_together(modules, images, labels, at_least=1.0)
    for score, full in zip(stopped, whole, strict=True):
        assert score.images == int(np.ceil(len(labels) * LOOKS[0])) < full.images
        assert score.confidence == LOOK_CONFIDENCE > full.confidence
        assert score.interval[1] < 1.0
        assert score.interval[0] <= full.accuracy <= score.interval[1]


def test_a_chain_makes_only_what_differs() -> None:
    made: list[str] = []
    chain: Chain[str] = Chain()
    for word in ("abcd", "abxy", "abx", "b"):

        def make(index: int, before: str | None, word: str = word) -> str:
            made.append(word[index])
            return (before or "") + word[index]

        assert chain.along(word, make)[-1] == word
    assert "".join(made) == "abcd" + "xy" + "" + "b"


@given(st.integers(1, 5000), st.integers(1, 600))
def test_stretches_cover_every_image_once(images: int, batch: int) -> None:
    found = stretches(images, batch)
    assert [end for _, end, _ in found[:-1]] == [start for start, _, _ in found[1:]]
    assert found[0][0] == 0
    assert found[-1][1] == images
    assert all(0 < end - start <= batch for start, end, _ in found)
    assert sum(look for _, _, look in found) <= len(LOOKS)
    assert not found[-1][2]


def test_looks_together_are_right_as_often_as_they_say(rng) -> None:
    """A network that just reaches the bound is stopped in at most 5% of evaluations."""
    answers = rng.random((4000, 2000)) < 0.8
    stopped = np.zeros(4000, dtype=bool)
    for share in LOOKS:
        seen = int(2000 * share)
        correct = answers[:, :seen].sum(axis=1)
        stopped |= np.array([hopeless(int(c), seen, 0.8) for c in correct])
    assert 0 < stopped.mean() <= 0.05


def test_intervals_widen_with_confidence() -> None:
    narrow, wide = wilson_interval(80, 100), wilson_interval(80, 100, LOOK_CONFIDENCE)
    assert wide[0] < narrow[0] < 0.8 < narrow[1] < wide[1]
    assert Score(80, 100, 0.5, 0.1).standard_error == pytest.approx(0.04)
