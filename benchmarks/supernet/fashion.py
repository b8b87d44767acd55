"""A supernet on Fashion-MNIST: its ends against their twins, its networks against a curve.

``python -m benchmarks.supernet.fashion --refresh`` trains the supernet and its smallest
and largest network alone, with the same recipe, and records accuracies on the validation
images; without it the table is printed from what is recorded.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression

from archwright.design import Design, Origin
from archwright.evaluators.supernet import (
    Checkpoint,
    Data,
    SupernetEvaluator,
    TrainingProgress,
    largest_network,
    network_space,
    plan_of,
    smallest_network,
    train_supernet,
)
from archwright.evaluators.supernet.checkpoints import verified
from archwright.evaluators.supernet.plan import count
from archwright.space import Point, Space
from benchmarks.row import Row
from benchmarks.supernet.truth import SUPERNET, fashion

RECIPE = replace(SUPERNET, epochs=24)
"""Chosen on the family's whole space with shorter trainings, before this one."""
NETWORKS, DRAWN_BY = 50, 1
RESULTS = Path(__file__).parent / "results" / "fashion.csv"
MINUTES = 15


@dataclass(frozen=True)
class Trained:
    """A network's accuracy; ``seconds`` took the training of the weights that it uses."""

    weights: str
    network: str
    parameters: int
    macs: int
    accuracy: float
    epochs: int
    wall_seconds: float
    cpu_seconds: float


def space_of(data: Data) -> Space:
    """The family "small" from 4,054 parameters on (its smallest has 1,318), at 16 bits."""
    return network_space(data.shape, "small").restrict(
        {
            "bits": [16],
            "width_1": [12, 16],
            "width_2": [16, 24, 32],
            "width_3": [24, 32, 48],
            **{f"expansion_{stage}": [2, 4] for stage in (1, 2, 3)},
        }
    )


def refresh(data: Data) -> list[Trained]:
    """Train and measure everything again."""
    space = space_of(data)
    drawn = space.decode(space.sample(np.random.default_rng(DRAWN_BY), NETWORKS))
    ends = {"smallest": smallest_network(space), "largest": largest_network(space)}
    networks = ends | {f"drawn {number}": network for number, network in enumerate(drawn)}
    found = trained(data, space, "supernet", networks)
    with ProcessPoolExecutor(len(ends), get_context("spawn")) as pool:
        for rows in pool.map(trained_alone, repeat(data), repeat(space), ends.items()):
            found += rows
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Trained)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in found)
    return found


def trained_alone(data: Data, space: Space, named: tuple[str, Point]) -> list[Trained]:
    """The same for a space of this one network."""
    name, network = named
    alone = space.restrict({choice: [value] for choice, value in network.items()})
    return trained(data, alone, "alone", {name: network})


def trained(data: Data, space: Space, weights: str, networks: dict[str, Point]) -> list[Trained]:
    """Train a supernet of ``space`` from the start, and measure networks with its weights."""

    def report(progress: TrainingProgress) -> None:
        print(weights, progress, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        path = train_supernet(RECIPE, space, data, Path(folder), report)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        checkpoint = Checkpoint(path, verified(path)["digest"])
        designs = [Design(network, {}, Origin("benchmark", "")) for network in networks.values()]
        with SupernetEvaluator(checkpoint, space, data, workers=0) as evaluator:
            outcomes = evaluator.measure(designs)
    return [
        Trained(
            weights,
            name,
            *count(plan_of(network, data.shape, space.name)),
            round(outcome.measurements[0].value, 6),
            RECIPE.epochs,
            round(wall, 1),
            round(cpu, 1),
        )
        for (name, network), outcome in zip(networks.items(), outcomes, strict=True)
    ]


def recorded() -> list[Trained]:
    """What :func:`refresh` recorded."""
    with RESULTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {"weights": str, "network": str, "parameters": int, "macs": int, "epochs": int}
    return [
        Trained(**{name: kinds.get(name, float)(value) for name, value in row.items()})
        for row in rows
    ]


def from_the_curve(drawn: Iterable[Trained]) -> np.ndarray:
    """Each network's distance from the isotonic accuracy-MACs curve through all, in points."""
    costs, accuracies = np.array([(np.log(one.macs), one.accuracy) for one in drawn]).T
    curve = IsotonicRegression().fit(costs, accuracies).predict(costs)
    return 100 * np.abs(accuracies - curve)


def measure() -> list[Row]:
    """The ends against their twins, the drawn networks against the curve, the time."""
    found = recorded()
    shared = {one.network: one for one in found if one.weights == "supernet"}
    alone = {one.network: one for one in found if one.weights == "alone"}
    smallest, largest = shared["smallest"], shared["largest"]
    rows = [
        Row(
            "Fashion-MNIST space: parameters of its ends",
            "<= 5,000 and >= 100,000",
            f"{smallest.parameters:,} and {largest.parameters:,}",
            smallest.parameters <= 5000 and largest.parameters >= 100_000,
        ),
        Row(
            f"training of the supernet, {largest.epochs} epochs, on 2 cores",
            f"<= {MINUTES} minutes",
            f"{largest.wall_seconds / 60:.1f} minutes ({largest.cpu_seconds / 60:.1f} of CPU)",
            largest.wall_seconds <= 60 * MINUTES,
        ),
    ]
    for name, one in alone.items():
        below = 100 * (one.accuracy - shared[name].accuracy)
        rows.append(
            Row(
                f"{name} network, below the same trained alone",
                "<= 2 points",
                f"{below:.1f} points ({shared[name].accuracy:.1%} against {one.accuracy:.1%})",
                below <= 2,
            )
        )
    distances = from_the_curve(one for one in shared.values() if one.network.startswith("drawn"))
    return [
        *rows,
        Row(
            "largest network, validation accuracy",
            ">= 88%",
            f"{largest.accuracy:.1%}",
            largest.accuracy >= 0.88,
        ),
        Row(
            f"{len(distances)} drawn networks within 1.5 points of the accuracy-MACs curve",
            ">= 90%",
            f"{(distances <= 1.5).mean():.0%} (largest distance {distances.max():.2f}, "
            f"median {np.median(distances):.2f} points)",
            bool((distances <= 1.5).mean() >= 0.9),
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="train and measure again")
    if parser.parse_args().refresh:
        refresh(fashion())
    for row in measure():
        print(f"{row.what}: {row.reached} (asked {row.asked})")


if __name__ == "__main__":
    main()
