"""A training step of the sandwich rule against four passes written plainly.

The same four networks, images, loss, clipping and optimiser on both sides. Time: medians
of repeats, the ways in turn within each. Memory: how far a process that does nothing else
rises above what it held before its first step.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from archwright.evaluators.supernet import (
    InputShape,
    Recipe,
    Supernet,
    largest_network,
    network_space,
    smallest_network,
)
from archwright.evaluators.supernet.step import Stepper
from archwright.space import Point
from benchmarks.row import Row

SHAPE = InputShape(1, 28, 10)
BATCH, REPEATS, MEMORY_STEPS, MEMORY_RUNS = 64, 25, 12, 3
WAYS = ("plain", "one worker", "two workers")
WORKERS = {"one worker": 1, "two workers": 2}

Step = Callable[[int], None]


def step_of(way: str) -> Step:
    """A function that makes step number n, from its own copy of the weights."""
    space = network_space(SHAPE, "small")
    supernet = Supernet(space, SHAPE, torch.Generator().manual_seed(0))
    optimiser = torch.optim.AdamW(supernet.parameters(), lr=1e-3)
    largest, smallest = largest_network(space), smallest_network(space)
    stepper = None
    if way != "plain":
        recipe = Recipe(workers=WORKERS[way], device="cpu")
        stepper = Stepper(recipe, supernet, largest, "cpu")

    def step(number: int) -> None:
        rng = np.random.default_rng(number)
        images = torch.from_numpy(rng.random((BATCH, 1, 28, 28), dtype=np.float32))
        labels = torch.from_numpy(rng.integers(0, 10, BATCH))
        others = [smallest, *space.decode(space.sample(rng, 2))]
        optimiser.zero_grad(set_to_none=True)
        if stepper is None:
            _plain(supernet, images, labels, largest, others)
        else:
            stepper.add_gradients(images, labels, others)
        torch.nn.utils.clip_grad_norm_(supernet.parameters(), 5.0)
        optimiser.step()

    return step


def _plain(
    supernet: Supernet, images: Tensor, labels: Tensor, largest: Point, others: list[Point]
) -> None:
    logits = supernet(images, largest)
    functional.cross_entropy(logits, labels).backward()
    answers = logits.detach().softmax(1)
    for network in others:
        functional.cross_entropy(supernet(images, network), answers).backward()


def seconds() -> dict[str, list[float]]:
    """Wall seconds of each step of each way, in turn."""
    torch.set_num_threads(1)
    steps = {way: step_of(way) for way in WAYS}
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(REPEATS + 2):
        for way in WAYS[number % 3 :] + WAYS[: number % 3]:  # nobody is always first
            started = time.perf_counter()
            steps[way](number)
            taken[way].append(time.perf_counter() - started)
    return {way: values[2:] for way, values in taken.items()}  # without warming up


def risen(way: str) -> float:
    """MiB by which a fresh process's largest resident memory rises during its steps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_risen, (way,))


def _risen(way: str) -> float:
    torch.set_num_threads(1)
    step = step_of(way)
    before = _largest_resident()
    for number in range(MEMORY_STEPS):
        step(number)
    return _largest_resident() - before


def _largest_resident() -> float:
    """MiB, from Linux's high-water mark: that of getrusage starts at the parent's."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


def measure() -> list[Row]:
    """Ratios of time and memory to those of the plain passes."""
    taken = seconds()
    memory = {way: float(np.median([risen(way) for _ in range(MEMORY_RUNS)])) for way in WAYS}
    rows = []
    for way in WAYS[1:]:
        ratio = float(np.median(np.array(taken[way]) / np.array(taken["plain"])))
        milliseconds = [1000 * float(np.median(taken[one])) for one in (way, "plain")]
        asked = way == "one worker"
        rows += [
            Row(
                f"sandwich step, {way}: time / four plain passes",
                "<= 1",
                f"{ratio:.2f} ({milliseconds[0]:.0f} ms against {milliseconds[1]:.0f} ms)",
                round(ratio, 2) <= 1,
            ),
            Row(
                f"sandwich step, {way}: memory / four plain passes",
                "<= 1" if asked else "",
                f"{memory[way] / memory['plain']:.2f} "
                f"({memory[way]:.0f} MiB against {memory['plain']:.0f} MiB)",
                round(memory[way] / memory["plain"], 2) <= 1 if asked else None,
            ),
        ]
    return rows


if __name__ == "__main__":
    for row in measure():
        print(f"{row.what}: {row.reached}")
