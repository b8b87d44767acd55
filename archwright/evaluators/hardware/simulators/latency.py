"""Latency of an ONNX model on this machine: a median with its interval, and how far to trust it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, lgamma, log
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.simulators.child import run_child
from archwright.untrusted import read_onnx_structure

if TYPE_CHECKING:
    import onnx

LEAST_RUNS = 30
CONFIDENCE = 0.95

# Beyond these a machine is called noisy. Estimated: an idle machine with a fixed clock
# stays below a tenth of each.
LARGEST_SPREAD = 0.10
"""Of the middle half of the times, relative to their median."""
LARGEST_DRIFT = 0.05
"""Between the medians of the first and the second half, relative to the whole's."""


@dataclass(frozen=True)
class Latency:
    """``low_ms`` and ``high_ms`` bound the median's 95% interval; ``noisy`` says why the
    machine was not quiet, None if it was. ``layers_ms``: by name of the node, where asked.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    noisy: str | None
    layers_ms: Mapping[str, float] = field(default_factory=dict)


def measure_latency(
    onnx_path: Path,
    *,
    threads: int = 1,
    seconds: float = 2.0,
    least_runs: int = LEAST_RUNS,
    layers: bool = False,
    time_limit_s: float = 300.0,
) -> Latency:
    """The latency of one run of an ONNX model in onnxruntime, in a process of its own.

    Random inputs (a first dimension without a size is 1), a warm-up, then runs one after
    another for at least ``seconds`` and ``least_runs``, with ``threads`` within and one
    between operators. Raises :class:`DataError` or :class:`UntrustedFileError` for the
    file, :class:`MeasurementFailed` where it does not run or takes too long.
    """
    model = read_onnx_structure(onnx_path)
    answer = run_child(
        "onnx_latency.py",
        {
            "model": str(onnx_path.resolve()),
            "threads": threads,
            "seconds": seconds,
            "least_runs": least_runs,
            "layers": layers,
        },
        time_limit_s,
    )
    try:
        runs = [float(run) for run in answer["runs_ms"]]
        loops = [float(loop) for loop in answer["loops_ms"]]
        load = float(answer["load"])
        by_node = {str(name): float(ms) for name, ms in answer.get("layers_ms", {}).items()}
        if len(runs) < least_runs or not loops:
            raise ValueError("too few runs")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MeasurementFailed(f"its times cannot be read: {error}") from error
    low, high = median_interval(runs)
    noisy = noise(runs, loops, load, threads, os.cpu_count() or 1)
    return Latency(float(np.median(runs)), low, high, len(runs), noisy, _named(by_node, model))


def _named(times: Mapping[str, float], model: onnx.ModelProto) -> dict[str, float]:
    """Times by the names of the model's nodes.

    A node that onnxruntime moved to its blocked layout runs under its output's name.
    """
    names = {node.output[0]: node.name for node in model.graph.node if node.output}
    found: dict[str, float] = {}
    for name, time_ms in times.items():
        node = names.get(name.removesuffix("_nchwc"), name)
        found[node] = found.get(node, 0.0) + time_ms
    return found


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """An interval for the median from the order statistics, whatever the distribution.

    The r-th smallest and the r-th largest value, with the largest r for which the median
    lies outside with a probability of at most 1 - ``confidence``: twice the binomial
    P(B(n, 1/2) < r) (Conover, "Practical Nonparametric Statistics", 3rd ed., 3.2; Le
    Boudec, "Performance Evaluation of Computer and Communication Systems", theorem 2.1).
    Below six values it is their range, which covers less than 95%. Values are taken as
    independent; those of a machine that drifts are not.
    """
    ordered = sorted(values)
    n, rank, below = len(ordered), 0, 0.0
    while rank < (n + 1) // 2:
        below += exp(lgamma(n + 1) - lgamma(rank + 1) - lgamma(n - rank + 1) - n * log(2))
        if below > (1 - confidence) / 2:
            break
        rank += 1
    rank = max(rank, 1)
    return float(ordered[rank - 1]), float(ordered[n - rank])


def noise(
    runs: Sequence[float], loops: Sequence[float], load: float, threads: int, cores: int
) -> str | None:
    """Why the machine was not quiet, None if it was.

    ``runs`` are the model's times, ``loops`` those of a fixed piece of work between them;
    ``load`` is the machine's load average before the first run.
    """
    half = len(runs) // 2
    median = float(np.median(runs))
    drift = abs(float(np.median(runs[:half])) - float(np.median(runs[half:]))) / median
    reasons = [
        f"{what} spread by {_spread(times):.0%}"
        for what, times in (("the runs", runs), ("a fixed loop between them", loops))
        if _spread(times) > LARGEST_SPREAD
    ]
    if drift > LARGEST_DRIFT:
        reasons.append(f"the first and the second half differ by {drift:.0%}")
    if load + threads > cores:
        reasons.append(f"load {load:.1f} before {threads} of {cores} cores were asked for")
    return "; ".join(reasons) or None


def _spread(times: Sequence[float]) -> float:
    """The interquartile range relative to the median."""
    low, middle, high = np.percentile(times, (25, 50, 75))
    return float((high - low) / middle)
