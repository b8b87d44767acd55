"""The instrument of promotion: accuracy of networks trained further from the supernet's weights.

A network's share of the supernet is where its training starts; then come periods of
training, each with a learning rate that falls to zero (warm restarts, Loshchilov and
Hutter, arXiv 1608.03983), so that a network that is promoted goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from archwright.design import Design
from archwright.errors import DataError, MeasurementFailed, UntrustedFileError
from archwright.evaluators.pool import TaskFailed, WorkerPool
from archwright.evaluators.supernet.checkpoints import Checkpoint, load_weights, verified, write
from archwright.evaluators.supernet.data import Data
from archwright.evaluators.supernet.evaluate import accuracy_outcome
from archwright.evaluators.supernet.extraction import Network, extract
from archwright.evaluators.supernet.fine_tuning import FITTING_VERSION, fine_tune
from archwright.evaluators.supernet.quantise import QuantisedNetwork, quantised
from archwright.evaluators.supernet.recipe import Recipe, digest_of
from archwright.evaluators.supernet.score import Score
from archwright.evaluators.supernet.together import score_together
from archwright.evaluators.supernet.train import load_supernet
from archwright.measurement import Fidelity, Outcome
from archwright.space import Point, Space, point_hash

LEARNING_RATE = 5e-3
"""A quarter of the supernet's. Of 5 networks on digits, 4 and 8 epochs each, all 10 gained more
on validation with it than with a tenth, 0.006 to 0.023."""

TIME_LIMIT_S = 24 * 3600.0


@dataclass(frozen=True, eq=False)
class FurtherTraining:
    """Trains networks of ``space`` further from ``checkpoint``'s weights, at full precision.

    ``epochs``: of each period, one after another. The weights after each are kept in
    ``folder``: a network whose weights are there is not trained again, and one whose
    training was stopped goes on at its last epoch.
    """

    checkpoint: Checkpoint
    space: Space
    data: Data
    folder: Path
    epochs: tuple[int, ...]
    seed: int = 0

    @property
    def digest(self) -> str:
        """Hash over all that a network's weights depend on: 16 hex digits."""
        recipes = [asdict(self._recipe(period)) for period in range(len(self.epochs))]
        return digest_of([FITTING_VERSION, self.checkpoint.digest, self.data.digest, recipes])

    def network(self, point: Point) -> Network:
        """The network after all periods, recalibrated; trained now as far as it is not yet.

        Raises :class:`MeasurementFailed` where the training diverges, and SpaceError for a
        point outside the space.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as for the supernet: sums depend on their order
        try:
            supernet = load_supernet(self.checkpoint.path, self.space, self.data.shape)
            network = extract(supernet, point)
            done = next(
                (k for k in range(len(self.epochs), 0, -1) if _read(self._file(point, k), network)),
                0,
            )
            for period in range(done, len(self.epochs)):
                file = self._file(point, period + 1)
                file.parent.mkdir(parents=True, exist_ok=True)
                unfinished = file.with_suffix(".training")
                fine_tune(network, self.data, self._recipe(period), unfinished)
                write(file, network, {})
                unfinished.unlink(missing_ok=True)
            return network
        finally:
            torch.set_num_threads(threads)

    def at_bits(self, point: Point) -> QuantisedNetwork:
        """The trained network at its bits: the very module that is measured and exported."""
        calibration, _ = self.data.take(self.data.calibration())
        return quantised(self.network(point), torch.from_numpy(calibration))

    def _recipe(self, period: int) -> Recipe:
        return Recipe(
            epochs=self.epochs[period],
            seed=self.seed + period,
            learning_rate=LEARNING_RATE,
            device="cpu",
        )

    def _file(self, point: Point, periods: int) -> Path:
        """Where the weights after so many periods are; its name says what they depend on."""
        digest = replace(self, epochs=self.epochs[:periods]).digest
        return self.folder / f"{point_hash(point)}-{digest}.pt"


class FurtherTrainedEvaluator:
    """Measures ``accuracy`` of networks that ``training`` trained, on one split, at their bits.

    ``workers`` train that many networks at once, each on one thread; with 0 in this process.
    Values depend on neither their number nor the order of the designs.
    """

    name = "further training"
    version = "1"
    fidelity = Fidelity.TRAINED

    def __init__(
        self,
        training: FurtherTraining,
        split: Literal["validation", "test"] = "validation",
        *,
        workers: int = 2,
    ) -> None:
        settings = [training.digest, training.data.digest, split]
        self._context = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        self._pool: WorkerPool[Point, Score] = WorkerPool(
            _Start(training, split), workers, TIME_LIMIT_S, (__name__,)
        )

    @property
    def context(self) -> str:
        """Hash over the supernet's weights, the trainings, data with its splits, and split."""
        return self._context

    def measure(self, designs: Sequence[Design]) -> list[Outcome]:
        """One outcome per design, in order."""
        outcomes = dict(self.measure_each(designs))
        return [outcomes[index] for index in range(len(designs))]

    def measure_each(self, designs: Sequence[Design]) -> Iterator[tuple[int, Outcome]]:
        """(index, outcome) of every design, each as soon as it exists; equal networks once."""
        same: dict[str, list[int]] = {}
        for index, design in enumerate(designs):
            same.setdefault(design.network_key, []).append(index)
        subjects = list(same)
        left = set(subjects)
        try:
            networks = [designs[same[subject][0]].network for subject in subjects]
            for position, score in self._pool.run(networks):
                subject = subjects[position]
                left.discard(subject)
                for index in same[subject]:
                    yield index, accuracy_outcome(self, subject, score)
        except MeasurementFailed as error:  # no worker can be started
            for subject in [subject for subject in subjects if subject in left]:
                for index in same[subject]:
                    yield index, accuracy_outcome(self, subject, TaskFailed(str(error)))

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def __enter__(self) -> FurtherTrainedEvaluator:
        return self

    def __exit__(self, *unwinding: object) -> None:
        self.close()


@dataclass(frozen=True, eq=False)
class _Start:
    """What a worker begins with."""

    training: FurtherTraining
    split: Literal["validation", "test"]

    def __call__(self) -> Callable[[Point], Score]:
        return self._score

    def _score(self, network: Point) -> Score:
        started = time.perf_counter()
        module, data = self.training.at_bits(network), self.training.data
        chosen = data.split(self.split)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            score = score_together([module], data.images[chosen], data.labels[chosen])[0]
        finally:
            torch.set_num_threads(threads)
        return replace(score, seconds=time.perf_counter() - started)


def _read(file: Path, network: Network) -> bool:
    """Give the network the weights in a file; False where there is no good one."""
    try:
        load_weights(file, network, verified(file)["weights"])
    except (DataError, UntrustedFileError, OSError):
        return False
    return True
