"""The proxy: gradient boosting on what the analytical model leaves unexplained.

It learns log(simulator / base) for latency and energy, ``base`` being the analytical
model without what simulators leave out (see ``features``). Intervals are split-conformal
(Lei et al., JASA 2018): the quantile of the errors on hardware that was left out of the
training, in turn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from archwright.errors import DataError, UserError
from archwright.evaluators.hardware.learned.features import Columns, LayerTable, layer_table
from archwright.evaluators.hardware.learned.observations import TARGETS, Observation
from archwright.space import Point, point_hash
from archwright.workload import Workload

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

COVERAGE = 0.95
FOLDS = 5
LEAST_OBSERVATIONS, LEAST_HARDWARE = 30, 6
BLOCK_PAIRS = 2048
BOOSTING: dict[str, Any] = {
    **{"n_estimators": 200, "learning_rate": 0.1, "max_depth": 4},
    **{"subsample": 0.5, "max_features": 0.3},
}


@dataclass(frozen=True)
class Prediction:
    """Values with their 95% intervals, arrays of one shape."""

    value: Floats
    low: Floats
    high: Floats


class ProxyModel:
    """Predicts a simulator from observations of it; made by :meth:`fit`.

    Learned from single layers, it adds up its predictions over a workload's layers;
    learned from whole networks, it predicts these. Layers of the vector unit count
    nothing, as they do in array simulators.
    """

    def __init__(
        self,
        regressors: Mapping[str, Any],
        widths: Mapping[str, Mapping[str, float]],
        grain: str,
        dataflows: frozenset[str],
    ) -> None:
        self._dataflows = dataflows
        self._regressors = regressors
        self._widths = widths
        self._grain = grain

    @staticmethod
    def fit(observations: Sequence[Observation], seed: int = 0) -> ProxyModel:
        """Learn from ``observations``: all of single layers, or all of whole networks.

        Raises :class:`DataError` where there are too few, or the model cannot run one.
        """
        examples = _Examples(observations)
        widths = {target: examples.widths(target, seed) for target in TARGETS}
        everything = np.arange(len(observations))
        regressors = {t: examples.regressor(t, everything, seed) for t in TARGETS}
        seen = frozenset(str(each.hardware["dataflow"]) for each in observations)
        return ProxyModel(regressors, widths, examples.grain, seen)

    def evaluate(
        self,
        workloads: Sequence[Workload],
        hardware: Mapping[str, npt.ArrayLike],
        pairing: Literal["cross", "zip"] = "cross",
    ) -> dict[str, Prediction]:
        """``latency_ms`` and ``energy_uj`` of every pair of a workload and a hardware point.

        Arguments and shapes are those of ``AnalyticalModel.evaluate``. Pairs that cannot
        run are inf. Raises :class:`UserError` for a dataflow that it has not learned.
        """
        points = {name: np.atleast_1d(np.asarray(values)) for name, values in hardware.items()}
        unseen = set(points.get("dataflow", np.empty(0, dtype=str)).tolist()) - self._dataflows
        if unseen:
            raise UserError(
                f"dataflow = {min(unseen)!r}: the proxy has learned "
                f"{', '.join(sorted(self._dataflows))}"
            )
        size = len(next(iter(points.values()), np.empty(0)))
        if pairing == "zip":
            shape: tuple[int, ...] = (size,)
            if len(workloads) != size:
                raise UserError(
                    f"pairing = 'zip': {len(workloads)} workloads and {size} hardware points; "
                    "as many are needed"
                )
            first = second = np.arange(size)
        else:
            shape = (len(workloads), size)
            first, second = (axis.ravel() for axis in np.indices(shape))
        found = {target: np.empty((3, len(first))) for target in TARGETS}
        for start in range(0, len(first), BLOCK_PAIRS):
            block = slice(start, start + BLOCK_PAIRS)
            table = layer_table(
                [workloads[i] for i in first[block]],
                {name: values[second[block]] for name, values in points.items()},
            )
            for target in TARGETS:
                found[target][:, block] = self._predict(table, target)
        return {
            target: Prediction(*(values.reshape(shape) for values in found[target]))
            for target in TARGETS
        }

    def _predict(self, table: LayerTable, target: str) -> Floats:
        """Value, low and high of each pair, shape (3, pairs)."""
        features, base, pair = _at_grain(table, target, self._grain)
        value = np.bincount(pair, base * np.exp(self._regressors[target].predict(features)))
        value = np.where(np.bincount(table.pair, ~table.able) > 0, np.inf, value)
        alone = np.bincount(table.pair) == 1
        widths = self._widths[target]
        factor = np.exp(np.where(alone, widths["layer"], widths["network"]))
        return np.array([value, value / factor, value * factor])


class _Examples:
    """Observations as a table, and the regressors that can be learned from it."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        hardware = [point_hash(each.hardware) for each in observations]
        if len(observations) < LEAST_OBSERVATIONS or len(set(hardware)) < LEAST_HARDWARE:
            raise DataError(
                f"proxy: {len(observations)} observations on {len(set(hardware))} hardware "
                f"points; at least {LEAST_OBSERVATIONS} on {LEAST_HARDWARE} are needed"
            )
        sizes = {len(each.workload.layers) > 1 for each in observations}
        self.grain = "network" if True in sizes else "layer"
        table = layer_table([o.workload for o in observations], columns_of(observations))
        if not table.able.all():
            bad = observations[table.pair[~table.able][0]]
            raise DataError(
                f"proxy: {bad.network}: the analytical model cannot run it on {dict(bad.hardware)}"
            )
        self._table = table
        self._simulated = {
            target: np.array([getattr(each, target) for each in observations]) for target in TARGETS
        }
        self._times = np.array([each.times for each in observations])
        self._hardware = np.unique(hardware, return_inverse=True)[1]
        self._network = np.unique([o.network for o in observations], return_inverse=True)[1]

    def regressor(self, target: str, rows: Integers, seed: int) -> Any:
        """What ``rows`` teach."""
        from sklearn.ensemble import GradientBoostingRegressor

        features, base, _ = _at_grain(self._table, target, self.grain)
        wanted = np.log(self._simulated[target] / base)
        return GradientBoostingRegressor(random_state=seed, **BOOSTING).fit(
            features[rows], wanted[rows]
        )

    def widths(self, target: str, seed: int) -> dict[str, float]:
        """Half widths of the intervals, in logarithms, of a layer and of a network.

        Every row is predicted once, by what other hardware taught.
        """
        shuffled = np.random.default_rng(seed).permutation(self._hardware.max() + 1)
        fold = shuffled[self._hardware] % FOLDS
        features, base, _ = _at_grain(self._table, target, self.grain)
        predicted = np.empty(len(base))
        for number in range(FOLDS):
            test = fold == number
            learned = self.regressor(target, np.flatnonzero(~test), seed)
            predicted[test] = base[test] * np.exp(learned.predict(features[test]))
        simulated = self._simulated[target]
        design = self._hardware * (self._network.max() + 1) + self._network
        whole, said = (
            np.bincount(design, self._times * values)[np.unique(design)]
            for values in (simulated, predicted)
        )
        return {
            "layer": _quantile(np.abs(np.log(simulated / predicted))),
            "network": _quantile(np.abs(np.log(whole / said))),
        }


def columns_of(observations: Sequence[Observation]) -> Columns:
    """The observations' hardware as columns."""
    points: list[Point] = [each.hardware for each in observations]
    return {name: np.array([point[name] for point in points]) for name in points[0]}


def _at_grain(table: LayerTable, target: str, grain: str) -> tuple[Floats, Floats, Integers]:
    """Features, base and pair of each row to predict: the layers, or one for each pair.

    The features of a network are its layers' means, weighted by the base; and its totals.
    """
    base = table.base[target]
    if grain == "layer":
        return table.features, base, table.pair
    total = table.total(base)
    share = base / total[table.pair]
    means = [table.total(share * column) for column in table.features.T]
    layers = np.bincount(table.pair).astype(np.float64)
    return np.column_stack([*means, np.log2(total), layers]), total, np.arange(table.pairs)


def _quantile(errors: Floats) -> float:
    """The conformal quantile for ``COVERAGE``: of n errors the ceil((n + 1) 0.95)-th."""
    rank = min(math.ceil((len(errors) + 1) * COVERAGE), len(errors))
    return float(np.sort(errors)[rank - 1])
