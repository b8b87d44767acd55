"""Evaluations per second, against extracting, recalibrating and evaluating one by one.

Both measure the same 200 networks of family "small", drawn uniformly, at their bits, on
Fashion-MNIST (recalibrated on 512 training images, evaluated on 3,000), with the weights
of a supernet that was trained for one short epoch. The plain loop runs with torch's
default threads or with one, whichever is faster on the first networks. Ours has 2
processes, and their start is not counted: a search starts them once.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from archwright.evaluators.supernet import (
    Recipe,
    Splits,
    Supernet,
    SupernetEvaluator,
    cached_supernet,
    extract,
    load_supernet,
    network_space,
)
from archwright.evaluators.supernet.data import Data, scaled
from archwright.evaluators.supernet.extraction import recalibrate
from archwright.evaluators.supernet.quantise import quantised
from archwright.evaluators.supernet.score import Score
from archwright.space import Value
from benchmarks.row import Row
from benchmarks.supernet.truth import fashion

FAMILY, NETWORKS, TRIED, BATCH = "small", 200, 12, 256
RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=1e-2, shift=0.0, device="cpu")
Network = dict[str, Value]


def plain_loop(supernet: Supernet, networks: list[Network], data: Data) -> list[int]:
    """How many validation images each network classifies correctly."""
    calibration = torch.from_numpy(data.take(data.calibration())[0])
    validation = data.splits.validation
    counts = []
    for network in networks:
        module = extract(supernet, network)
        recalibrate(module, calibration)
        coded = quantised(module, calibration)
        correct = 0
        with torch.inference_mode():
            for start in range(0, len(validation), BATCH):
                chosen = validation[start : start + BATCH]
                logits = coded(torch.from_numpy(scaled(data.images[chosen])))
                labels = torch.from_numpy(data.labels[chosen])
                correct += int((logits.argmax(1) == labels).sum())
        counts.append(correct)
    return counts


def measure() -> list[Row]:
    """The rates, their ratio, and whether the accuracies are equal."""
    data = fashion()
    space = network_space(data.shape, FAMILY)
    short = Splits(data.splits.train[::4], data.splits.validation, data.splits.test)
    cache = Path(tempfile.gettempdir()) / "archwright_evaluation_speed"
    checkpoint = cached_supernet(RECIPE, space, replace(data, splits=short), cache, print)
    supernet = load_supernet(checkpoint.path, space, data.shape)
    networks = space.decode(space.sample(np.random.default_rng(0), NETWORKS))

    default = torch.get_num_threads()
    rates = {
        threads: TRIED / _plainly(supernet, networks[:TRIED], data, threads)[1]
        for threads in (default, 1)
    }
    faster = max(rates, key=lambda one: rates[one])
    expected, plain = _plainly(supernet, networks, data, faster)
    if faster != 1:  # batch norm's statistics depend on the threads; ours are those of one
        expected, _ = _plainly(supernet, networks, data, 1)

    with SupernetEvaluator(checkpoint, space, data, workers=2) as evaluator:
        list(evaluator.score_each(networks[:2]))  # starts the processes
        started = time.perf_counter()
        scores = dict(evaluator.score_each(networks))
        ours = time.perf_counter() - started
    counts = [s.correct if isinstance(s, Score) else -1 for _, s in sorted(scores.items())]
    equal = sum(a == b for a, b in zip(counts, expected, strict=True))
    ratio = plain / ours
    tried = ", ".join(f"{rate:.2f} with {threads} thread(s)" for threads, rate in rates.items())
    spread = f"{min(counts) / 3000:.3f} to {max(counts) / 3000:.3f}"
    return [
        Row(
            "evaluations per second, plain loop",
            "",
            f"{NETWORKS / plain:.2f} (the first {TRIED}: {tried})",
            None,
        ),
        Row("evaluations per second, 2 processes", "", f"{NETWORKS / ours:.2f}", None),
        Row("times the better plain loop", ">= 3", f"{ratio:.2f}", ratio >= 3),
        Row(
            "networks with equal accuracy",
            f"{NETWORKS} of {NETWORKS}",
            f"{equal} of {NETWORKS} (accuracies {spread})",
            equal == NETWORKS,
        ),
    ]


def _plainly(
    supernet: Supernet, networks: list[Network], data: Data, threads: int
) -> tuple[list[int], float]:
    """The plain loop's counts with so many threads, and its seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    started = time.perf_counter()
    try:
        return plain_loop(supernet, networks, data), time.perf_counter() - started
    finally:
        torch.set_num_threads(before)


def main() -> None:
    for row in measure():
        print(f"{row.what}: {row.reached}")


if __name__ == "__main__":
    main()
