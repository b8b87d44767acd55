"""The instrument: accuracy of networks with the supernet's weights."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from archwright.design import Design
from archwright.errors import DataError, MeasurementFailed, SpaceError, shown
from archwright.evaluators import Evaluator
from archwright.evaluators.pool import TaskFailed, WorkerPool
from archwright.evaluators.supernet.data import Data, Images, Labels, scaled
from archwright.evaluators.supernet.plan import InputShape
from archwright.evaluators.supernet.score import Score
from archwright.evaluators.supernet.space import plan_of
from archwright.measurement import DIAGNOSTICS, METRICS, Failure, Fidelity, Measurement, Outcome
from archwright.space import Point, Space

if TYPE_CHECKING:
    from archwright.evaluators.supernet.train import Checkpoint

CALIBRATION_IMAGES = 512
LARGEST_GROUP = 16
GROUPS_PER_WORKER = 4
"""At least as many where there are networks enough, so that no worker waits long for another."""

PRELOAD = ("archwright.evaluators.supernet.together", "archwright.evaluators.supernet.train")
Group = tuple[Point, ...]


class SupernetEvaluator:
    """Measures ``accuracy`` of a design's network on one split, at the network's bits.

    Beside it come the mean cross-entropy and how many images were seen. The search uses
    split "validation"; "test" is for the one pass after it has frozen. Values do not
    depend on ``workers``, on the batch or on its order. ``workers`` = 0 measures in this
    process, without time limit; ``time_limit_s`` is for one network.

    ``at_least``: the accuracy that a design needs. A network whose interval on the first
    images (in an order drawn once) lies below it is not evaluated further; its
    measurement is of those images, with an interval that holds although several were
    looked at. ``at_bits`` False measures networks before they are quantised.
    """

    name = "supernet"
    version = "2"
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
        at_least: float | None = None,
        at_bits: bool = True,
    ) -> None:
        if at_least is not None and not 0 <= at_least <= 1:
            raise DataError(f"at_least = {shown(at_least)}: allowed 0 to 1")
        self._space, self._shape, self._workers = space, data.shape, workers
        calibration, chosen = data.calibration(CALIBRATION_IMAGES), data.split(split)
        # Data may be stored class by class; the first images must be a fair sample.
        chosen = np.random.default_rng(0).permutation(chosen)
        settings = [checkpoint.digest, data.digest, split, len(calibration), at_least, at_bits]
        self._context = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        bench = TestBench(
            checkpoint.path,
            space,
            data.shape,
            data.images[calibration],
            data.images[chosen],
            data.labels[chosen],
            at_least,
            at_bits,
        )
        self._pool: WorkerPool[Group, list[Score]] = WorkerPool(
            bench, workers, time_limit_s, PRELOAD
        )

    @property
    def context(self) -> str:
        """Hash over the supernet's weights, data with its splits, split, settings."""
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
        subjects = list(same)
        networks = [designs[same[subject][0]].network for subject in subjects]
        for position, score in self.score_each(networks):
            subject = subjects[position]
            outcome = accuracy_outcome(self, subject, score)
            for index in same[subject]:
                yield index, outcome

    def score_each(self, networks: Sequence[Point]) -> Iterator[tuple[int, Score | TaskFailed]]:
        """(index, score or why there is none) of every network, each as soon as it exists."""
        good: list[int] = []
        for index, network in enumerate(networks):
            try:
                self._space.check(network)
                good.append(index)
            except SpaceError as error:
                yield index, TaskFailed(str(error))
        left = set(good)
        groups = self._groups(networks, good)
        try:
            while groups:
                again: list[list[int]] = []
                tasks = [tuple(networks[index] for index in group) for group in groups]
                sizes = [len(group) for group in groups]
                for number, result in self._pool.run(tasks, sizes):
                    group = groups[number]
                    if isinstance(result, TaskFailed) and len(group) > 1:
                        again += [[index] for index in group]  # only one may be to blame
                        continue
                    scores = [result] if isinstance(result, TaskFailed) else result
                    left -= set(group)
                    yield from zip(group, scores, strict=True)
                groups = again
        except MeasurementFailed as error:  # no worker can be started
            for index in sorted(left):
                yield index, TaskFailed(str(error))

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def __enter__(self) -> SupernetEvaluator:
        return self

    def __exit__(self, *unwinding: object) -> None:
        self.close()

    def _groups(self, networks: Sequence[Point], chosen: Sequence[int]) -> list[list[int]]:
        """Networks that begin alike together; groups in the order of what was asked first."""

        def beginning(index: int) -> tuple[int, list[str], int]:
            plan = plan_of(networks[index], self._shape, self._space.name)
            parts = (plan.stem, *plan.blocks, *plan.head)
            return plan.resolution, [repr(part) for part in parts], plan.bits

        size = len(chosen) // (GROUPS_PER_WORKER * max(1, self._workers))
        size = min(LARGEST_GROUP, max(1, size))
        order = sorted(chosen, key=beginning)
        return sorted((order[i : i + size] for i in range(0, len(order), size)), key=min)


def accuracy_outcome(instrument: Evaluator, subject: str, score: Score | TaskFailed) -> Outcome:
    """A network's score as an instrument's outcome: accuracy, cross-entropy, images seen."""
    if isinstance(score, TaskFailed):
        return Outcome(failure=Failure(subject, instrument.name, score.reason))
    seen = float(score.images)
    values = {
        "accuracy": (score.accuracy, score.interval),
        "cross_entropy": (score.cross_entropy, score.cross_entropy_interval),
        "images": (seen, (seen, seen)),
    }
    return Outcome(
        tuple(
            Measurement(
                subject=subject,
                metric=metric,
                value=value,
                unit=(METRICS | DIAGNOSTICS)[metric].unit,
                evaluator=instrument.name,
                version=instrument.version,
                fidelity=instrument.fidelity,
                context=instrument.context,
                low=low,
                high=high,
                seconds=score.seconds,
            )
            for metric, (value, (low, high)) in values.items()
        )
    )


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
    at_least: float | None = None
    at_bits: bool = True

    def __call__(self) -> _Scorer:
        """Called once in each worker."""
        if multiprocessing.parent_process() is not None:
            _keep_freed_memory()
        return _Scorer(self)


class _Scorer:
    """Scores groups of networks in one process, on one thread."""

    def __init__(self, bench: TestBench) -> None:
        import torch

        from archwright.evaluators.supernet.train import load_supernet

        self._supernet = load_supernet(bench.checkpoint, bench.space, bench.shape)
        self._calibration = torch.from_numpy(scaled(bench.calibration))
        self._bench = bench

    def __call__(self, networks: Group) -> list[Score]:
        import torch

        from archwright.evaluators.supernet.together import prepare_together, score_together

        bench, started = self._bench, time.perf_counter()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # small tensors are slower on two, and sums keep their order
        try:
            modules = prepare_together(
                self._supernet, networks, self._calibration, at_bits=bench.at_bits
            )
            # Parts are shared by networks of the same bits: these go one after another.
            order = sorted(range(len(networks)), key=lambda k: networks[k]["bits"])
            scores = score_together(
                [modules[k] for k in order], bench.images, bench.labels, bench.at_least
            )
        finally:
            torch.set_num_threads(threads)
        seconds = (time.perf_counter() - started) / len(networks)
        found = dict(zip(order, scores, strict=True))
        return [replace(found[k], seconds=seconds) for k in range(len(networks))]


def _keep_freed_memory() -> None:
    """Let this process keep what tensors leave behind: the next ones are of the same sizes.

    Handing it back to the system and having it zeroed again took up to a third of the time.
    A process that lives for its evaluations alone may; where there is no glibc, it cannot.
    """
    trim_threshold, mmap_threshold = -1, -3  # mallopt's names for them
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(trim_threshold, 2**30)
        library.mallopt(mmap_threshold, 2**30)
