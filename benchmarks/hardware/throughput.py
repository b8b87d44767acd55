"""How many pairs of a network and a hardware the analytical model costs in a second.

Every figure is the best of several runs, in float64, in wall-clock time; beside it stands
what one core did in a second of its own time, which other work on the machine disturbs less.
"All outputs" are those of ``OUTPUTS``: the totals, and traffic, energy, area and peak need by
type and component. "Scattered" hardware shares nothing, that of the space much. "First
sight" times the very first evaluation of networks that nothing has touched since they were
built; building them (half a million layers, each a Python object) is timed apart.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np

from archwright.evaluators.hardware import OUTPUTS, AnalyticalModel, hardware_space
from archwright.workload import Layer, LayerKind, Workload
from benchmarks.row import Row

STAGES = (  # expansion, channels, blocks, stride: Sandler et al., CVPR 2018, table 2
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
NETWORKS = 10_000
RUNS = 5
ASKED_ALL, ASKED_ZIPPED, ASKED_CYCLES = 100_000, 50_000, 1_000_000


def mobilenet_v2(name: str = "mobilenet_v2", varied: random.Random | None = None) -> Workload:
    """MobileNetV2's 53 layers with weights; ``varied`` draws another size for each of them."""

    def draw(*values: int) -> int:
        return values[0] if varied is None else varied.choice(values)

    layers: list[Layer] = []

    def add(kind: LayerKind, inputs: int, outputs: int, side: int, kernel: int, stride: int) -> int:
        out, number = -(-side // stride), len(layers)
        sizes = (inputs, outputs, side, side, out, out)
        layers.append(Layer(f"{kind}{number}", kind, *sizes, kernel, stride, bias=True))
        return out

    channels = draw(32, 24, 40)
    side = add(LayerKind.CONVOLUTION, 3, channels, draw(224, 192, 160, 128), 3, 2)
    for expansion, width, blocks, stride in STAGES:
        for block in range(blocks):
            middle = channels * (draw(6, 5, 4, 3) if expansion > 1 else 1)
            if expansion > 1:
                add(LayerKind.CONVOLUTION, channels, middle, side, 1, 1)
            step = stride if block == 0 else 1
            side = add(LayerKind.DEPTHWISE, middle, middle, side, draw(3, 5, 7), step)
            channels = width + draw(0, 8, -8)
            add(LayerKind.CONVOLUTION, middle, channels, side, 1, 1)
    add(LayerKind.CONVOLUTION, channels, 1280, side, 1, 1)
    add(LayerKind.LINEAR, 1280, 1000, 1, 1, 1)
    return Workload(name, tuple(layers))


def scattered_hardware(count: int) -> dict[str, np.ndarray]:
    """Hardware points that share nothing: sides, buffers, bandwidth and clock all drawn."""
    rng = np.random.default_rng(0)
    space = hardware_space()
    columns = dict(space.columns(space.sample(rng, count)))
    for name in ("rows", "columns"):
        columns[name] = rng.integers(4, 65, count)
    for name in ("input_buffer_kib", "weight_buffer_kib", "output_buffer_kib"):
        columns[name] = rng.uniform(1, 64, count)
    columns["dram_gb_per_s"] = rng.uniform(0.25, 16, count)
    columns["clock_mhz"] = rng.uniform(200, 800, count)
    return columns


def measure() -> list[Row]:
    space, model = hardware_space(), AnalyticalModel()
    network = [mobilenet_v2()]
    regular, scattered = space.columns(space.enumerate()), scattered_hardware(space.size)
    rows = []
    for metrics, what, asked in (
        (OUTPUTS, f"all {len(OUTPUTS)} outputs", ASKED_ALL),
        (("cycles",), "cycles alone", ASKED_CYCLES),
    ):
        for hardware, kind in ((regular, "the space's"), (scattered, "scattered")):
            rate = _rate(
                space.size,
                lambda h=hardware, m=metrics: model.evaluate(network, h, metrics=m),
            )
            title = f"MobileNetV2 x {space.size} hardware points ({kind}), {what}"
            rows.append(_row(title, asked, rate))
    return rows + _zipped(model)


def _zipped(model: AnalyticalModel) -> list[Row]:
    rng = random.Random(0)
    start = time.perf_counter()
    networks = [mobilenet_v2(f"n{i}", rng) for i in range(NETWORKS)]
    building = time.perf_counter() - start
    assert len({w.layers for w in networks}) == NETWORKS, "the networks are distinct"
    hardware = scattered_hardware(NETWORKS)

    def evaluate(count: int = NETWORKS, metrics: Sequence[str] = OUTPUTS) -> None:
        some = {name: column[:count] for name, column in hardware.items()}
        model.evaluate(networks[:count], some, pairing="zip", metrics=metrics)

    title = f"{NETWORKS} distinct networks zipped with {NETWORKS} hardware points, all outputs"
    first = _rate(NETWORKS, evaluate, runs=1)
    again = _rate(NETWORKS, evaluate)
    return [
        _row(f"{title}, first sight", ASKED_ZIPPED, first),
        _row(f"{title}, again", ASKED_ZIPPED, again),
        Row("- building those networks", "", f"{NETWORKS / building:,.0f} networks/s", None),
        Row(
            "- memory at work beside the results, 2,500 and 10,000 pairs",
            "the same",
            " and ".join(f"{_working_set(evaluate, n) / 1e6:.0f} MB" for n in (2500, 10_000)),
            None,
        ),
    ]


def _rate(pairs: int, work: Callable[[], object], runs: int = RUNS) -> tuple[float, float]:
    """Pairs a second, and pairs a second of processor time, by the quickest of ``runs``."""
    wall, processor = [], []
    for _ in range(runs):
        start, began = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - began)
    return pairs / min(wall), pairs / min(processor)


def _working_set(evaluate: Callable[[int], None], pairs: int) -> float:
    """The most bytes at once, less those of the results."""
    tracemalloc.start()
    evaluate(pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - pairs * 8 * len(OUTPUTS)


def _row(what: str, asked: float, rate: tuple[float, float]) -> Row:
    wall, processor = rate
    reached = f"{wall:,.0f} pairs/s ({processor:,.0f} a core)"
    return Row(what, f">= {asked:,.0f} pairs/s", reached, wall >= asked)
