"""The learned proxy against ZigZag, on hardware and on networks that it has not seen.

Its examples: tests/data/zigzag_systolic.csv, which `python -m benchmarks.hardware.zigzag_systolic`
makes anew. Each hardware, and then each network, is left out once, a quarter of them at a
time; with a network every layer goes that it shares with others. What is compared are
designs: a network's layers on the array, on a hardware. Beside each figure stand those of
the uncorrected analytical model, which judges each layer alone, as ZigZag does: whole, and
without fill and drain, leakage and standby, of which ZigZag knows nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.learned import Observation, ProxyModel, read_observations
from archwright.evaluators.hardware.learned.features import layer_table
from archwright.evaluators.hardware.learned.observations import TARGETS
from archwright.evaluators.hardware.learned.proxy import columns_of
from archwright.evaluators.hardware.simulators.zigzag import ZigZag
from archwright.space import point_hash
from archwright.workload import Workload
from benchmarks.hardware.zigzag_systolic import DATA, SEARCH
from benchmarks.row import Row

Floats = npt.NDArray[np.float64]
FOLDS, SEED = 4, 0
TIMED_DESIGNS = 20_000


@dataclass(frozen=True)
class Compared:
    """Designs that were left out: what ZigZag, the proxy and the analytical model say."""

    simulated: Floats
    predicted: Floats
    low: Floats
    high: Floats
    analytical: Floats
    base: Floats

    @property
    def errors(self) -> str:
        said = {
            "proxy": self.predicted,
            "model": self.analytical,
            "without fill, leakage": self.base,
        }
        return "; ".join(f"{who} {_error(value, self.simulated)}" for who, value in said.items())

    @property
    def coverage(self) -> float:
        return float(np.mean((self.low <= self.simulated) & (self.simulated <= self.high)))


def measure() -> list[Row]:
    observations = read_observations(DATA)
    rows = []
    for unseen, key in (
        ("hardware", lambda o: point_hash(o.hardware)),
        ("networks", lambda o: o.network),
    ):
        groups = [key(each) for each in observations]
        parts = list(_left_out(observations, groups))
        for target in TARGETS:
            compared = _joined([part[target] for part in parts])
            rows.append(
                Row(
                    f"ZigZag {target}, {len(compared.simulated)} designs, unseen {unseen}: "
                    "RMSE, median error, Spearman",
                    "",
                    compared.errors,
                    None,
                )
            )
            rows.append(
                Row(
                    f"share of them inside the proxy's 95% intervals ({target}, {unseen})",
                    "",
                    f"{compared.coverage:.1%}, mean width x/÷ "
                    f"{np.mean(compared.high / compared.predicted):.2f}",
                    None,
                )
            )
    return [*rows, _speed(observations)]


def _left_out(
    observations: Sequence[Observation], groups: Sequence[str]
) -> Iterator[dict[str, Compared]]:
    """For each fold of ``groups``, what others teach about its designs."""
    names = np.random.default_rng(SEED).permutation(sorted(set(groups)))
    fold_of = {name: i % FOLDS for i, name in enumerate(names.tolist())}
    by_network = set(groups) == {each.network for each in observations}
    for fold in range(FOLDS):
        test = [o for o, group in zip(observations, groups, strict=True) if fold_of[group] == fold]
        hidden = {each.workload for each in test} if by_network else set()
        taught = [
            each
            for each, group in zip(observations, groups, strict=True)
            if fold_of[group] != fold and each.workload not in hidden
        ]
        yield _compare(ProxyModel.fit(taught, SEED), test)


def _compare(proxy: ProxyModel, test: Sequence[Observation]) -> dict[str, Compared]:
    """The designs of the observed layers, by target."""
    designs: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for each in test:
        designs[each.network, point_hash(each.hardware)].append(each)
    workloads = [_network(layers) for layers in designs.values()]
    columns = columns_of([layers[0] for layers in designs.values()])
    predictions = proxy.evaluate(workloads, columns, "zip")
    table = layer_table(workloads, columns)
    return {
        target: Compared(
            np.array([sum(o.times * getattr(o, target) for o in d) for d in designs.values()]),
            predictions[target].value,
            predictions[target].low,
            predictions[target].high,
            table.total(table.analytical[target]),
            table.total(table.base[target]),
        )
        for target in TARGETS
    }


def _network(observations: Sequence[Observation]) -> Workload:
    """The layers of one network, each as often as it occurs."""
    layers = [layer for o in observations for layer in o.times * o.workload.layers]
    return Workload(observations[0].network, tuple(layers), observations[0].workload.bits)


def _joined(parts: Sequence[Compared]) -> Compared:
    names = [field.name for field in fields(Compared)]
    return Compared(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _error(said: Floats, simulated: Floats) -> str:
    from scipy.stats import spearmanr

    relative = said / simulated - 1
    return (
        f"{np.sqrt(np.mean(relative**2)):.1%}, {np.median(np.abs(relative)):.1%}, "
        f"{spearmanr(said, simulated).statistic:.4f}"
    )


def _speed(observations: Sequence[Observation]) -> Row:
    """The proxy's designs a second, and how many times ZigZag's here and now."""
    proxy = ProxyModel.fit(observations, SEED)
    designs: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for each in observations:
        designs[each.network, point_hash(each.hardware)].append(each)
    chosen = [list(designs.values())[i % len(designs)] for i in range(TIMED_DESIGNS)]
    networks = {o[0].network: _network(o) for o in designs.values()}
    workloads = [networks[each[0].network] for each in chosen]
    columns = columns_of([each[0] for each in chosen])
    start = time.perf_counter()
    proxy.evaluate(workloads, columns, "zip")
    rate = TIMED_DESIGNS / (time.perf_counter() - start)
    return Row("designs a second by the proxy", "", f"{rate:,.0f}{_ratio(chosen[0], rate)}", None)


def _ratio(design: Sequence[Observation], rate: float) -> str:
    """How many times faster than ZigZag with the same search, where it is installed."""
    simulator = ZigZag(loop_factors=int(SEARCH["loop_factors"]))
    try:
        result = simulator.simulate(_network(design), design[0].hardware)
    except MeasurementFailed:
        return ""
    return f": {rate * result.seconds:,.0f} times ZigZag"
