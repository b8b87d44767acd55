"""How well cheap fidelities order 16 networks that were each trained alone, twice.

``python -m benchmarks.supernet.truth --refresh`` trains them; without it the table is
printed from the recorded trainings and a supernet's checkpoint.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from archwright.evaluators.supernet.data import Data, Splits
from archwright.evaluators.supernet.recipe import Recipe
from archwright.evaluators.supernet.space import network_space
from archwright.evaluators.supernet.standalone import StandaloneTraining, Truth, train_truths
from archwright.space import Value
from archwright.untrusted import read_npz

FAMILY = "small"
NETWORKS, SEEDS, DRAWN_BY = 16, (0, 1), 0
RECIPE = Recipe(epochs=10, batch_size=64, learning_rate=1e-2, shift=0.0, device="cpu")
"""No shifts: in so few epochs they cost more accuracy than they bring."""

TRUTHS = Path(__file__).parent / "results" / "fashion_truth.csv"
SHARED = Path(os.environ.get("ARCHWRIGHT_SHARED", Path(__file__).parents[3] / "shared"))


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


def refresh(data: Data, workers: int) -> list[Truth]:
    """Train what is not recorded; unfinished trainings are kept in the temporary folder."""
    folder = Path(tempfile.gettempdir()) / "archwright_fashion_truth"
    training = StandaloneTraining(data, FAMILY, RECIPE, folder)

    def report(done: int, total: int) -> None:
        print(f"{done} of {total} trainings", file=sys.stderr, flush=True)

    return train_truths(drawn(data), SEEDS, training, TRUTHS, workers, report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="train what is not recorded")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.refresh:
        refresh(fashion(), arguments.workers)


if __name__ == "__main__":
    main()
