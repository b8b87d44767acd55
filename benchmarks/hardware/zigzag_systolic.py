"""ZigZag's latency and energy of small networks' layers on systolic arrays, as a file.

`python -m benchmarks.hardware.zigzag_systolic` makes tests/data/zigzag_systolic.csv anew:
networks of the mbconv space and hardware of the systolic space, both drawn from a seed;
each hardware runs some of the networks, every distinct layer of them once. ZigZag looks
for the least energy over orders of 4 loop factors (its default, 6, takes ten times as
long). About fifteen minutes on one core.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archwright.evaluators.hardware import AnalyticalModel, hardware_space
from archwright.evaluators.hardware.learned.observations import Observation, write_observations
from archwright.evaluators.hardware.simulators.child import run_child
from archwright.evaluators.hardware.simulators.children import zigzag_layer
from archwright.evaluators.hardware.simulators.zigzag_inputs import accelerator, mapping, sum_bits
from archwright.evaluators.hardware.zigzag_export import zigzag_workload
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.space import Point
from archwright.workload import Workload
from benchmarks.hardware import zigzag_layers

DATA = Path(__file__).resolve().parents[2] / "tests" / "data" / "zigzag_systolic.csv"
SEED = 0
SHAPES = (InputShape(1, 8, 10), InputShape(1, 28, 10))
NETWORKS, HARDWARE, NETWORKS_EACH = 12, 80, 3
SEARCH = {"objective": "energy", "loop_factors": 4}
TIME_LIMIT_S = 1800.0


def networks() -> dict[str, Workload]:
    """Networks for images of 8 and of 28 pixels, in turn, by a short name."""
    rng = np.random.default_rng(SEED)
    found = {}
    for i in range(NETWORKS):
        shape = SHAPES[i % len(SHAPES)]
        space = network_space(shape)
        found[f"{shape.side}px-{i}"] = workload_of(space.decode(space.sample(rng, 1))[0], shape)
    return found


def hardware_points() -> list[Point]:
    """Hardware that ZigZag can be told of."""
    space = hardware_space()
    space = space.restrict({"dataflow": ("os", "ws", "is")})
    return list(space.decode(space.sample(np.random.default_rng(SEED + 1), HARDWARE)))


def main() -> None:
    found: list[Observation] = []
    drawn = np.random.default_rng(SEED + 2)
    named = networks()
    for number, point in enumerate(hardware_points(), start=1):
        chosen = drawn.choice(list(named), NETWORKS_EACH, replace=False)
        found += simulated({name: named[name] for name in chosen}, point)
        print(f"{number} of {HARDWARE} hardware points, {len(found)} rows", file=sys.stderr)
        write_observations(found, DATA)


def simulated(workloads: dict[str, Workload], point: Point) -> list[Observation]:
    """Each distinct layer of the workloads on one hardware.

    Nothing of a workload that cannot run on it, or for a layer of which ZigZag finds no
    order of loops that fits the memories.
    """
    wanted = {
        name: distinct_layers(workload)
        for name, workload in workloads.items()
        if AnalyticalModel().infeasible(workload, point) is None
    }
    tasks = {layer: _files(layer, point) for layers in wanted.values() for layer in layers}
    task = {"script": zigzag_layer.__file__, "layers": list(tasks.values())}
    results = run_child(zigzag_layers.__file__, task, TIME_LIMIT_S)["results"]
    of_layer = dict(zip(tasks, results, strict=True))
    return [
        Observation(
            layer,
            point,
            of_layer[layer]["total_cycles"] / float(point["clock_mhz"]) / 1e3,
            of_layer[layer]["energy_pj"] / 1e6,
            name,
            times,
        )
        for name, layers in wanted.items()
        if not any("failure" in of_layer[layer] for layer in layers)
        for layer, times in layers.items()
    ]


def distinct_layers(workload: Workload) -> dict[Workload, int]:
    """Each different layer on the array as a workload of its own, and how often it occurs."""
    layers = [replace(layer, name="layer", bias=False) for layer in workload.layers]
    counts = Counter(layer for layer in layers if layer.on_array)
    return {Workload("layer", (layer,), workload.bits): times for layer, times in counts.items()}


def _files(workload: Workload, point: Point) -> dict[str, Any]:
    """What the script for one layer reads."""
    (described,) = zigzag_workload(workload, sum_bits=sum_bits(point))
    loops = dict(zip(described["loop_dims"], described["loop_sizes"], strict=True))
    return {
        "workload.json": [described],
        "accelerator.yaml": accelerator(point),
        "mapping.yaml": mapping(loops, point),
        "task.json": SEARCH,
    }


if __name__ == "__main__":
    main()
