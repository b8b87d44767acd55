"""How well cheap fidelities order 16 networks that were each trained alone, twice.

Fashion-MNIST, family "small", networks drawn uniformly. The truth is the accuracy on
20,000 images that no fidelity sees, averaged over two seeds.

    python -m benchmarks.supernet.truth --refresh            trains what is not recorded
    python -m benchmarks.supernet.truth --fidelities         trains the supernet, measures anew
    python -m benchmarks.supernet.truth                      prints what is recorded
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from archwright.evaluators.supernet.data import Data, Splits
from archwright.evaluators.supernet.rank import (
    INHERITED,
    MACS,
    Ranking,
    fidelities,
    rank,
    truth_table,
)
from archwright.evaluators.supernet.recipe import Recipe
from archwright.evaluators.supernet.space import network_space
from archwright.evaluators.supernet.standalone import (
    StandaloneTraining,
    Truth,
    read_truths,
    train_truths,
)
from archwright.evaluators.supernet.train import TrainingProgress, cached_supernet
from archwright.space import Value, point_hash
from archwright.untrusted import read_npz
from benchmarks.row import Row

FAMILY = "small"
NETWORKS, SEEDS, DRAWN_BY = 16, (0, 1), 0
RECIPE = Recipe(epochs=10, batch_size=64, learning_rate=1e-2, shift=0.0, device="cpu")
"""No shifts: in so few epochs they cost more accuracy than they bring."""

SUPERNET = Recipe(
    epochs=48,
    batch_size=64,
    learning_rate=2e-2,
    random_networks=4,
    ends_every=4,
    shift=0.0,
    device="cpu",
    workers=2,
)
"""Of the supernet whose weights are inherited; chosen on the validation images."""

RESULTS = Path(__file__).parent / "results"
TRUTHS, FIDELITIES = RESULTS / "fashion_truth.csv", RESULTS / "fashion_fidelities.csv"
SHARED = Path(os.environ.get("ARCHWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))
AT_BITS = {"at the designs' bits": True, "not quantised": False}


def fashion() -> Data:
    """Fashion-MNIST: 10,000 images to train, 3,000 to validate, 20,000 for the truth."""
    arrays = read_npz(SHARED / "data" / "fashion_mnist.npz")
    images, labels = arrays["x_train"][:33000, None], arrays["y_train"][:33000].astype(np.int64)
    ends = (0, 10000, 13000, 33000)
    splits = Splits(*(np.arange(*ends[i : i + 2]) for i in range(3)))
    return Data("fashion_mnist", np.ascontiguousarray(images), labels, 10, splits)


def drawn(data: Data) -> list[dict[str, Value]]:
    """The networks, drawn uniformly."""
    space = network_space(data.shape, FAMILY)
    return space.decode(space.sample(np.random.default_rng(DRAWN_BY), NETWORKS))


def train(data: Data, workers: int) -> list[Truth]:
    """Train what is not recorded; unfinished trainings are kept in the temporary folder."""
    folder = Path(tempfile.gettempdir()) / "archwright_fashion_truth"
    training = StandaloneTraining(data, FAMILY, RECIPE, folder)

    def report(done: int, total: int) -> None:
        print(f"{done} of {total} trainings", file=sys.stderr, flush=True)

    return train_truths(drawn(data), SEEDS, training, TRUTHS, workers, report)


def measure_fidelities(data: Data) -> None:
    """Train the supernet, and record what every fidelity gives for every network."""
    space, networks = network_space(data.shape, FAMILY), drawn(data)

    def report(progress: TrainingProgress) -> None:
        print(progress, file=sys.stderr, flush=True)

    cache = Path(tempfile.gettempdir()) / "archwright_fashion_supernet"
    checkpoint = cached_supernet(SUPERNET, space, data, cache, report)
    with FIDELITIES.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["truth", "fidelity", "network", "value"])
        for kind, at_bits in AT_BITS.items():
            values = fidelities(checkpoint, space, data, networks, at_bits=at_bits, workers=0)
            for name, row in values.items():
                for network, value in zip(networks, row, strict=True):
                    writer.writerow([kind, name, point_hash(network), repr(value)])


def rankings() -> dict[str, Ranking]:
    """From what is recorded, for the accuracy at the networks' bits and before."""
    with FIDELITIES.open(newline="") as file:
        rows = list(csv.DictReader(file))
    networks = drawn(fashion())
    keys = [point_hash(network) for network in networks]
    found = {}
    for kind, at_bits in AT_BITS.items():
        values: dict[str, dict[str, float]] = {}
        for row in rows:
            if row["truth"] == kind:
                values.setdefault(row["fidelity"], {})[row["network"]] = float(row["value"])
        by_name: dict[str, Sequence[float]] = {
            name: [of[key] for key in keys] for name, of in values.items()
        }
        truths = truth_table(read_truths(TRUTHS), networks, SEEDS, at_bits=at_bits)
        found[kind] = rank(truths, by_name)
    return found


def measure() -> list[Row]:
    """Kendall's tau of all fidelities, with 95% bootstrap intervals, beside the ceiling."""
    rows = []
    for kind, ranking in rankings().items():
        what = f"Kendall tau, {ranking.networks} networks {kind}"
        seeds = "between the truths of two seeds"
        rows.append(Row(f"{what}: ceiling", "", f"{ranking.ceiling:.3f} {seeds}", None))
        for one in ranking.ranked:
            tau = one.agreement
            asked = {INHERITED: ">= 0.9 of the ceiling", MACS: "beside it"}.get(one.fidelity, "")
            reached = (
                f"{tau.kendall:.3f} ({tau.kendall_low:.2f} to {tau.kendall_high:.2f}), "
                f"{one.of_ceiling:.2f} of the ceiling, Spearman {tau.spearman:.3f}"
            )
            met = one.of_ceiling >= 0.9 if one.fidelity == INHERITED else None
            rows.append(Row(f"{what}: {one.fidelity}", asked, reached, met))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fidelities", action="store_true")
    arguments = parser.parse_args()
    if arguments.refresh:
        train(fashion(), arguments.workers)
    if arguments.fidelities:
        measure_fidelities(fashion())
    for row in measure():
        print(f"{row.what}: {row.reached}")


if __name__ == "__main__":
    main()
