"""The instrument: accuracy of networks with the supernet's weights."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from archwright.design import Design
from archwright.errors import MeasurementFailed, SpaceError
from archwright.evaluators.pool import TaskFailed, WorkerPool
from archwright.evaluators.supernet.data import Data, Images, Labels, scaled
from archwright.evaluators.supernet.plan import InputShape
from archwright.measurement import Failure, Fidelity, Measurement, Outcome
from archwright.space import Point, Space

if TYPE_CHECKING:
    from archwright.evaluators.supernet.quantise import QuantisedNetwork
    from archwright.evaluators.supernet.train import Checkpoint

CALIBRATION_IMAGES = 512
PRELOAD = ("archwright.evaluators.supernet.quantise", "archwright.evaluators.supernet.train")


class SupernetEvaluator:
    """Measures ``accuracy`` of a design's network on one split, at the network's bits.

    The search uses split "validation"; "test" is for the one pass after it has frozen.
    Values do not depend on ``workers``, on the batch or on its order. ``workers`` = 0
    measures in this process, without time limit.
    """

    name = "supernet"
    version = "1"
    fidelity = Fidelity.SUPERNET

    def __init__(
        self,
        checkpoint: Checkpoint,
        space: Space,
        data: Data,
        split: Literal["validation", "test"] = "validation",
        *,
        workers: int = 2,
        time_limit_s: float = 60.0,
    ) -> None:
        self._space = space
        calibration, chosen = data.calibration(CALIBRATION_IMAGES), data.split(split)
        self._images = len(chosen)
        settings = [checkpoint.digest, data.digest, split, len(calibration)]
        self._context = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        bench = TestBench(
            checkpoint.path,
            space,
            data.shape,
            data.images[calibration],
            data.images[chosen],
            data.labels[chosen],
        )
        self._pool: WorkerPool[Point, Score] = WorkerPool(bench, workers, time_limit_s, PRELOAD)

    @property
    def context(self) -> str:
        """Hash over the supernet's weights, data with its splits, split and calibration."""
        return self._context

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """One outcome per design, in order."""
        outcomes = dict(self.measure_each(designs))
        return [outcomes[index] for index in range(len(designs))]

    def measure_each(self, designs: Sequence[Design]) -> Iterator[tuple[int, Outcome]]:
        """(index, outcome) of every design, each as soon as it exists.

        Designs with the same network share one measurement.
        """
        same: dict[str, list[int]] = {}
        for index, design in enumerate(designs):
            same.setdefault(design.network_key, []).append(index)
        networks: list[tuple[str, Point]] = []
        for subject, indices in same.items():
            network = designs[indices[0]].network
            try:
                self._space.check(network)
                networks.append((subject, network))
            except SpaceError as error:
                for index in indices:
                    yield index, self._failure(subject, str(error))
        for subject, outcome in self._measured(networks):
            for index in same[subject]:
                yield index, outcome

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def __enter__(self) -> SupernetEvaluator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _measured(self, networks: list[tuple[str, Point]]) -> Iterator[tuple[str, Outcome]]:
        left = {subject for subject, _ in networks}
        try:
            for index, score in self._pool.run([network for _, network in networks]):
                subject = networks[index][0]
                left.remove(subject)
                if isinstance(score, TaskFailed):
                    yield subject, self._failure(subject, score.reason)
                else:
                    yield subject, Outcome((self._measurement(subject, score),))
        except MeasurementFailed as error:  # no worker can be started
            for subject in sorted(left):
                yield subject, self._failure(subject, str(error))

    def _measurement(self, subject: str, score: Score) -> Measurement:
        low, high = wilson_interval(score.correct, self._images)
        return Measurement(
            subject=subject,
            metric="accuracy",
            value=score.correct / self._images,
            unit="1",
            evaluator=self.name,
            version=self.version,
            fidelity=self.fidelity,
            context=self.context,
            low=low,
            high=high,
            seconds=score.seconds,
        )

    def _failure(self, subject: str, reason: str) -> Outcome:
        return Outcome(failure=Failure(subject, self.name, reason))


@dataclass(frozen=True)
class Score:
    """How many images a network classified correctly, and how long that took."""

    correct: int
    seconds: float


@dataclass(frozen=True, eq=False)
class TestBench:
    """All that a worker needs, small enough to send; calling it loads the supernet there."""

    __test__ = False  # for pytest: its name is all that it shares with tests

    checkpoint: Path
    space: Space
    shape: InputShape
    calibration: Images
    images: Images
    labels: Labels

    def __call__(self) -> _Scorer:
        """Called once in each worker."""
        return _Scorer(self)


class _Scorer:
    """Scores networks in one process, on one thread."""

    def __init__(self, bench: TestBench) -> None:
        import torch

        from archwright.evaluators.supernet.train import load_supernet

        self._supernet = load_supernet(bench.checkpoint, bench.space, bench.shape)
        self._calibration = torch.from_numpy(scaled(bench.calibration))
        self._bench = bench

    def __call__(self, network: Point) -> Score:
        import torch

        from archwright.evaluators.supernet.quantise import prepare

        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # small tensors are slower on two, and sums keep their order
        started = time.perf_counter()
        try:
            module = prepare(self._supernet, network, self._calibration)
            correct = count_correct(module, self._bench.images, self._bench.labels)
        finally:
            torch.set_num_threads(threads)
        return Score(correct, time.perf_counter() - started)


def count_correct(module: QuantisedNetwork, images: Images, labels: Labels) -> int:
    """How many images (uint8 grey levels) the network classifies as labelled."""
    import torch

    batch = max(16, 2**19 // images[0].size)  # bounds the activations' memory
    correct = 0
    with torch.no_grad():
        for start in range(0, len(images), batch):
            logits = module(torch.from_numpy(scaled(images[start : start + batch])))
            answers = torch.from_numpy(labels[start : start + batch])
            correct += int((logits.argmax(1) == answers).sum())
    return correct


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """The 95% score interval of a share (Wilson, JASA 22, 1927)."""
    z = 1.959964
    share = correct / images
    centre = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    spread = math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2))
    half = z * spread / (1 + z**2 / images)
    return max(0.0, centre - half), min(1.0, centre + half)
