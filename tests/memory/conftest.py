"""Small runs to remember: designs of a made-up space with values that are easy to check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from archwright.brief import Brief, parse_brief
from archwright.design import Design, Origin
from archwright.measurement import Fidelity, Measurement, Outcome
from archwright.memory.archive import ARCHIVE_FILE, Archive
from archwright.memory.recall import META_BRIEF, META_DATA_DIGEST
from archwright.memory.registry import Registry
from archwright.workload import Layer, LayerKind, Workload


def make_design(depth: int, rows: int, proposer: str = "rules/test") -> Design:
    network = {"depth": depth, "kernel": 3, "resolution": 8, "bits": 8}
    hardware = {"rows": rows, "dataflow": "ws", "clock_mhz": 500.0}
    return Design(network, hardware, Origin(proposer, "a test", ("parent",), ("past",)))


def accuracy_of(
    design: Design, value: float, fidelity: Fidelity = Fidelity.SUPERNET, context: str = "digits"
) -> Measurement:
    return Measurement(
        subject=design.network_key,
        metric="accuracy",
        value=value,
        unit="1",
        evaluator="supernet",
        version="1",
        fidelity=fidelity,
        context=context,
        low=max(value - 0.02, 0.0),
        high=min(value + 0.02, 1.0),
        seconds=0.5,
    )


def cost_of(design: Design, metric: str, value: float) -> Measurement:
    return Measurement(
        subject=design.key,
        metric=metric,
        value=value,
        unit="ms",
        evaluator="systolic",
        version="1",
        fidelity=Fidelity.ANALYTICAL,
        context="analytical",
        low=value,
        high=value,
        seconds=0.0,
    )


def judged(design: Design, accuracy: float, **costs: float) -> Outcome:
    """What judging gives: the network's accuracy and the design's costs."""
    found = (cost_of(design, metric, value) for metric, value in costs.items())
    return Outcome((accuracy_of(design, accuracy), *found))


def make_workload(depth: int) -> Workload:
    layer = Layer("c", LayerKind.CONVOLUTION, 4, 4, 8, 8, 8, 8, kernel=3)
    return Workload("test", (layer,) * depth, bits=8)


def make_brief(name: str = "small", metric: str = "latency_ms", at_most: float = 10.0) -> Brief:
    return parse_brief(
        {
            "name": name,
            "task": {"data": "digits"},
            "objectives": {"accuracy": "maximise", metric: "minimise"},
            "constraints": {"latency_ms": {"at_most": at_most}},
            "budget": {"evaluations": 10},
        }
    )


class Make:
    """The makers above, for tests: files of tests cannot import one another."""

    design = staticmethod(make_design)
    accuracy = staticmethod(accuracy_of)
    cost = staticmethod(cost_of)
    judged = staticmethod(judged)
    workload = staticmethod(make_workload)
    brief = staticmethod(make_brief)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make


def fill_run(home: Path, run: str, brief: Brief, depths: int = 3) -> Path:
    """A registered run whose front is its designs of depth 1, 2 ... ``depths`` on 8 rows."""
    folder = home / run
    folder.mkdir(exist_ok=True)
    with Archive(folder / ARCHIVE_FILE) as archive, Registry(home / "registry.db") as registry:
        archive.set_meta(run, META_BRIEF, brief.model_dump(mode="json"))
        archive.set_meta(run, META_DATA_DIGEST, "digits-digest")
        for depth in range(1, depths + 1):
            pair = [make_design(depth, rows) for rows in (8, 16)]
            outcomes = [
                judged(
                    design, 0.5 + depth / 200, latency_ms=depth + worse, energy_uj=2 * depth + worse
                )
                for design, worse in zip(pair, (0.0, 0.5), strict=True)
            ]
            archive.record(run, depth, pair, outcomes)
            archive.add_workloads({pair[0].network_key: make_workload(depth)})
        registry.register(run, folder, brief.name)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry(tmp_path / "registry.db") as opened:
        yield opened


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    return partial(fill_run, tmp_path)
