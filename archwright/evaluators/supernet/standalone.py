"""The truth about networks: each trained alone, from the start, on the same data.

Every finished training is a row of a CSV file, written the moment it exists, and a
training that was stopped goes on at its last epoch: nothing is trained twice.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from archwright.errors import DataError, MeasurementFailed
from archwright.evaluators.pool import TaskFailed, WorkerPool
from archwright.evaluators.supernet.data import Data
from archwright.evaluators.supernet.elastic import ElasticBody
from archwright.evaluators.supernet.extraction import Network
from archwright.evaluators.supernet.fine_tuning import accuracy, fit
from archwright.evaluators.supernet.network import Preparation
from archwright.evaluators.supernet.plan import NetworkPlan, count
from archwright.evaluators.supernet.quantise import quantised
from archwright.evaluators.supernet.recipe import Recipe, digest_of
from archwright.evaluators.supernet.space import plan_of
from archwright.space import Point, point_hash

TIME_LIMIT_S = 24 * 3600.0
OF_ONE_NETWORK = (
    "epochs", "batch_size", "learning_rate", "weight_decay", "warm_up", "label_smoothing",
    "shift", "flip", "threads",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """One training: of which network (its key and choices), from which seed, to what accuracy.

    ``accuracy`` is on the test split at the network's bits, ``accuracy_unquantised`` before
    it was brought to them. ``settings`` hashes the recipe (without its seed) and the data.
    """

    network: str
    seed: int
    settings: str
    epochs: int
    parameters: int
    macs: int
    accuracy: float
    accuracy_unquantised: float
    seconds: float
    choices: str


def initial_network(plan: NetworkPlan, data: Data, seed: int) -> Network:
    """A network with the weights that a supernet of this one network would start from.

    Grey levels are normalised by the mean and deviation of the training images.
    """
    generator = torch.Generator().manual_seed(seed)
    preparation = Preparation(plan.shape, plan.resolution)
    images = data.images[data.splits.train]
    mean, deviation = images.mean((0, 2, 3)), images.std((0, 2, 3), dtype=np.float64)
    preparation.mean.copy_(torch.from_numpy(mean).view(1, -1, 1, 1))
    preparation.deviation.copy_(torch.from_numpy(np.maximum(deviation, 1e-3)).view(1, -1, 1, 1))
    return Network(preparation, ElasticBody(plan, generator).extract(plan))


@dataclass(frozen=True, eq=False)
class StandaloneTraining:
    """Trains networks of ``family`` alone by ``recipe``; ``folder`` holds unfinished ones."""

    data: Data
    family: str
    recipe: Recipe
    folder: Path

    def __call__(self) -> Callable[[tuple[Point, int]], Truth]:
        """Called once in each worker."""
        torch.set_num_threads(self.recipe.threads)
        return self.train

    @property
    def settings(self) -> str:
        """Hash over the data, the family, and what the recipe says about a single network."""
        of_one = [getattr(self.recipe, name) for name in OF_ONE_NETWORK]
        return digest_of([self.data.digest, self.family, of_one])

    def train(self, task: tuple[Point, int]) -> Truth:
        """The truth about a network from a seed."""
        network, seed = task
        started = time.perf_counter()
        plan = plan_of(network, self.data.shape, self.family)
        module = initial_network(plan, self.data, seed)
        checkpoint = self.folder / f"{point_hash(network)}_{seed}.pt"
        fit(module, self.data, replace(self.recipe, seed=seed), checkpoint)
        test = self.data.splits.test
        images, labels = self.data.images[test], self.data.labels[test]
        unquantised = accuracy(module, images, labels)
        calibration = torch.from_numpy(self.data.take(self.data.calibration())[0])
        at_bits = accuracy(quantised(module, calibration), images, labels)
        checkpoint.unlink(missing_ok=True)
        parameters, macs = count(plan)
        return Truth(
            network=point_hash(network),
            seed=seed,
            settings=self.settings,
            epochs=self.recipe.epochs,
            parameters=parameters,
            macs=macs,
            accuracy=at_bits,
            accuracy_unquantised=unquantised,
            seconds=time.perf_counter() - started,
            choices=json.dumps(dict(network)),
        )


def train_truths(
    networks: Sequence[Point],
    seeds: Sequence[int],
    training: StandaloneTraining,
    file: Path,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Truth]:
    """The truths about all networks from all seeds, seed by seed, in this order.

    Those that ``file`` holds are taken from there. Raises :class:`MeasurementFailed` with
    the first reason when trainings failed, once all others are recorded.
    """
    known = {
        (truth.network, truth.seed): truth
        for truth in read_truths(file)
        if truth.settings == training.settings
    }
    wanted = [(network, seed) for seed in seeds for network in networks]
    missing = [task for task in wanted if (point_hash(task[0]), task[1]) not in known]
    training.folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    progress(len(wanted) - len(missing), len(wanted))
    with WorkerPool(training, workers, TIME_LIMIT_S) as pool:
        for _, truth in pool.run(missing):
            if isinstance(truth, TaskFailed):
                failed.append(truth.reason)
                continue
            _append(file, truth)
            known[truth.network, truth.seed] = truth
            progress(len(known), len(wanted))
    if failed:
        raise MeasurementFailed(f"{len(failed)} of {len(missing)} trainings failed: {failed[0]}")
    return [known[point_hash(network), seed] for network, seed in wanted]


def read_truths(file: Path) -> list[Truth]:
    """The rows of a file of truths; none where there is no file. Raises DataError."""
    if not file.is_file():
        return []
    kinds = {"int": int, "float": float, "str": str}
    with file.open(newline="") as text:
        try:
            return [
                Truth(**{f.name: kinds[str(f.type)](row[f.name]) for f in fields(Truth)})
                for row in csv.DictReader(text)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{file}: not a file of truths: {error}") from None


def _append(file: Path, truth: Truth) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="") as text:
        writer = csv.DictWriter(text, [field.name for field in fields(Truth)])
        if text.tell() == 0:
            writer.writeheader()
        writer.writerow(asdict(truth))
        text.flush()
        os.fsync(text.fileno())
