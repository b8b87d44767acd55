"""Measurements: every number in a result, with how it was obtained."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fidelity(StrEnum):
    """How a number was obtained, cheapest first within each kind."""

    PROXY = "proxy"
    PREDICTOR = "predictor"
    SUPERNET = "supernet"
    TRAINED = "trained"
    ANALYTICAL = "analytical"
    SIMULATOR = "simulator"
    MEASURED = "measured"


@dataclass(frozen=True)
class Metric:
    """A metric that a design can be judged by; its unit is in its name or is none."""

    name: str
    unit: str
    maximise: bool
    meaning: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "1", True, "share of images classified correctly"),
        Metric("latency_ms", "ms", False, "time for one input"),
        Metric("energy_uj", "uJ", False, "energy for one input"),
        Metric("area_mm2", "mm2", False, "silicon area of the accelerator"),
        Metric("power_mw", "mW", False, "mean power while it runs"),
        Metric("parameters", "1", False, "weights and biases of the network"),
        Metric("macs", "1", False, "multiply-accumulates for one input"),
        Metric("memory_kib", "KiB", False, "weights plus the largest activations of a layer"),
    )
}
"""What a brief may ask for or bound. All but accuracy are costs: free and exact."""

DIAGNOSTICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("cross_entropy", "nats", False, "mean surprise at the images' labels"),
        Metric("images", "1", True, "how many images an accuracy was measured on"),
    )
}
"""What is measured beside the metrics, and kept, but nothing that a brief may ask for."""

COSTS: tuple[str, ...] = tuple(name for name in METRICS if name != "accuracy")


@dataclass(frozen=True)
class Measurement:
    """One value and its provenance.

    ``subject`` is the key of the network (accuracy) or of the design (costs);
    ``context`` hashes data and split, checkpoint, settings and seed; ``low`` and
    ``high`` bound the 95% interval (equal to ``value`` where the value is exact).
    """

    subject: str
    metric: str
    value: float
    unit: str
    evaluator: str
    version: str
    fidelity: Fidelity
    context: str
    low: float
    high: float
    seconds: float


@dataclass(frozen=True)
class Failure:
    """Why a subject could not be measured."""

    subject: str
    evaluator: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What an instrument gives back for one design: measurements, or a failure."""

    measurements: tuple[Measurement, ...] = ()
    failure: Failure | None = None
