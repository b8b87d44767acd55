"""Where the time goes and what would relieve it: held against the model and against every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archwright.errors import UserError
from archwright.evaluators.hardware import AnalyticalModel, hardware_space
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.space import neighbours
from archwright.tools.explain_bottleneck import bottleneck_of, rounded

SHAPE = InputShape(3, 32, 100)
LARGE = {"rows": 16, "columns": 16, "dataflow": "os", "clock_mhz": 400, "bits": 16}
BUFFERS = ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib")


def drawn(seed: int) -> tuple[Any, Any, Any]:
    """A workload and a hardware that can run it, from the whole spaces."""
    rng = np.random.default_rng(seed)
    networks, space = network_space(SHAPE), hardware_space()
    while True:
        workload = workload_of(networks.decode(networks.sample(rng, 1))[0], SHAPE)
        hardware = space.decode(space.sample(rng, 1))[0]
        if AnalyticalModel().infeasible(workload, hardware) is None:
            return workload, hardware, space


def latency(workload: Any, hardware: Any) -> float:
    layers = AnalyticalModel().per_layer(workload, hardware)
    return sum(layer.latency_us for layer in layers) / 1e3


@pytest.mark.parametrize("seed", range(12))
def test_its_layers_are_the_slowest_and_its_shares_add_up(seed: int) -> None:
    workload, hardware, space = drawn(seed)
    found = bottleneck_of(workload, hardware, space)
    layers = AnalyticalModel().per_layer(workload, hardware)
    total = sum(layer.latency_us for layer in layers)
    slowest = sorted((layer.latency_us / total for layer in layers), reverse=True)
    assert [slow.share for slow in found.slowest] == [rounded(x) for x in slowest[:4]]
    names = {layer.name for layer in layers}
    assert {slow.layer for slow in found.slowest} <= names
    assert sum(found.time_by_bound.values()) == pytest.approx(1, abs=1e-3)
    assert found.costs["latency_ms"] == pytest.approx(total / 1e3, rel=1e-3)
    assert len(found.model_dump_json()) < 1500, "a model reads it"


@pytest.mark.parametrize("seed", range(12))
def test_its_relief_is_the_best_of_all_single_steps(seed: int) -> None:
    """Every neighbour is costed alone, layer by layer: nothing of it is a canned text."""
    workload, hardware, space = drawn(seed)
    found = bottleneck_of(workload, hardware, space)
    steps: dict[str, float] = {}
    for point in space.decode(neighbours(space, space.encode([hardware]))):
        [choice] = [name for name in point if point[name] != hardware[name]]
        if AnalyticalModel().infeasible(workload, point) is None:
            steps[choice] = min(steps.get(choice, np.inf), latency(workload, point))
    now = latency(workload, hardware)
    quicker = sorted(ms for ms in steps.values() if ms < now * (1 - 1e-9))  # sums are inexact
    relieved = [relief.costs["latency_ms"] for relief in found.relief]
    assert relieved == pytest.approx(quicker[:3], rel=1e-3)
    for relief in found.relief:
        assert relief.now == hardware[relief.choice] != relief.instead
        changed = {**hardware, relief.choice: relief.instead}
        assert relief.costs["latency_ms"] == pytest.approx(latency(workload, changed), rel=1e-3)


def middle() -> Any:
    networks = network_space(SHAPE)
    return workload_of(networks.decode(np.array([networks.shape]) // 2)[0], SHAPE)


def test_a_starved_array_is_bound_by_the_bandwidth_and_a_wide_one_relieved_by_it() -> None:
    hardware = {**LARGE, **dict.fromkeys(BUFFERS, 64), "dram_gb_per_s": 0.25}
    found = bottleneck_of(middle(), hardware, hardware_space())
    assert next(iter(found.time_by_bound)) == "bandwidth"
    assert found.relief[0].choice == "dram_gb_per_s"


def test_small_buffers_are_told_from_a_narrow_memory() -> None:
    hardware = {**LARGE, **dict.fromkeys(BUFFERS, 1), "dram_gb_per_s": 0.25}
    found = bottleneck_of(middle(), hardware, hardware_space())
    assert found.time_by_bound["buffers"] > 0.5
    larger = {**hardware, **dict.fromkeys(BUFFERS, 64)}
    again = bottleneck_of(middle(), larger, hardware_space())
    assert again.time_by_bound.get("buffers", 0.0) < 0.1


def test_a_fixed_hardware_has_no_relief() -> None:
    hardware = {**LARGE, **dict.fromkeys(BUFFERS, 8), "dram_gb_per_s": 4.0}
    fixed = hardware_space().restrict({name: [value] for name, value in hardware.items()})
    assert bottleneck_of(middle(), hardware, fixed).relief == []


def test_a_network_that_cannot_run_is_refused() -> None:
    _, hardware, space = drawn(0)
    wide = workload_of(
        {**network_space(SHAPE).decode(np.zeros((1, 14), int))[0], "bits": 16}, SHAPE
    )
    with pytest.raises(UserError, match=r"^hardware: bits = 8: "):
        bottleneck_of(wide, {**hardware, "bits": 8}, space)
