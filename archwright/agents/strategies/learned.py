"""What an evaluation would measure, learned from those that were made.

One Gaussian process for each learned metric. Of past runs every prediction joins the
features as one more column: the marginal likelihood says how much it counts, and a run
whose predictions do not order what is measured now is retired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from archwright.agents.catalogue import Catalogue
from archwright.agents.problem import Evaluated, PastNetworks, Problem
from archwright.evaluators.predictor import Regression
from archwright.front import Bound, Floats
from archwright.space import Indices

EPSILON = 0.005
"""Keeps the logarithm of an error finite where every image was right."""
BEYOND = 1.25
"""A loss above the reference point (1) adds nothing however bad: it is learned as this."""
LEARNED_FROM = 128
"""Rows from which the processes' parameters are learned: enough for so few."""
REMEMBERED = 320
"""Networks that a process knows: of more, the latest half and draws from the rest. The
latest are those that the search thought best."""
UNSURE = 0.29
"""The standard deviation of a loss of which nothing is known: uniform in 0 to 1."""
JITTER = 0.1
"""Of the ranks by which structure orders networks."""
JUDGED_FROM, SMALLEST_ORDER = 8, 0.3
"""A past run is judged from this many networks on, and must order them at least so well."""
CLEANED, OUTLYING = 5, 2.5
"""Rounds in which rows of a past run further off than 2.5 median deviations (1.7 standard
deviations of a normal distribution) are left out: three in ten may be wrong."""


@dataclass(frozen=True)
class Prediction:
    """Losses that an evaluation is expected to give: each of shape (networks,).

    The deviation is that of the expectation: a measurement's noise is not in it.
    """

    mean: Floats
    deviation: Floats


class Predictor(Protocol):
    """Anything that expects losses of networks."""

    def rough(self, rows: Indices) -> dict[str, Prediction]:
        """As ``predict``, but as unsure of all networks alike: quick for many."""
        ...

    def predict(self, rows: Indices) -> dict[str, Prediction]:
        """The losses of each learned metric, of networks as indices (networks, choices)."""
        ...


class LearnedMetric:
    """Predicts the losses of one learned metric.

    Learned is the logarithm of the error of an accuracy (errors span orders of magnitude,
    and a step from 3% to 2% is as hard as one from 30% to 20%), log10 of what the score
    compares so, and any other metric as it is.
    """

    def __init__(
        self, bound: Bound, groups: Sequence[str], seed: int, telling: Sequence[str] = ()
    ) -> None:
        self._bound = bound
        self._regression = Regression(groups, seed, LEARNED_FROM, telling)
        self._is_share = bound.metric == "accuracy" and 0 <= bound.low <= bound.high <= 1

    def fit(self, features: Floats, values: Floats) -> LearnedMetric:
        """Learn from measured values of shape (networks,)."""
        worst = self._bound.value(BEYOND)
        beyond = self._bound.normalise(values) > BEYOND
        targets = self._target(np.where(beyond, worst, values))
        self._regression.fit(features, targets)
        expected, _ = self._regression.leave_one_out()
        self._typical = float(np.std(targets - expected))
        return self

    def predict(self, features: Floats) -> Prediction:
        """Losses of networks with these features; deviations to first order."""
        return self._losses(*self._regression.predict(features))

    def rough(self, features: Floats) -> Prediction:
        """The same with one deviation for all: that of what was learned from the others."""
        mean = self._regression.mean(features)
        return self._losses(mean, np.full(len(mean), self._typical))

    def _losses(self, mean: Floats, deviation: Floats) -> Prediction:
        step = 1e-4 * self._regression.spread
        loss = self._bound.normalise(self._value(mean))
        slope = (self._bound.normalise(self._value(mean + step)) - loss) / step
        return Prediction(loss, np.abs(slope) * deviation)

    def _target(self, values: Floats) -> Floats:
        if self._is_share:
            return np.log(np.maximum(1.0 - values, 0.0) + EPSILON)
        return np.log10(values) if self._bound.log else values

    def _value(self, target: Floats) -> Floats:
        if self._is_share:
            return 1.0 + EPSILON - np.exp(target)
        return np.asarray(10.0**target) if self._bound.log else target


class Learned:
    """All learned metrics of a problem, from what was evaluated and what past runs knew."""

    def __init__(
        self,
        problem: Problem,
        catalogue: Catalogue,
        evaluated: Sequence[Evaluated],
        past: Sequence[PastNetworks] = (),
        seed: int = 0,
    ) -> None:
        self._problem, self._catalogue = problem, catalogue
        self._past = [_past_run(catalogue, one) for one in past]
        self.retired: tuple[str, ...] = ()
        known = _kept(evaluated, np.random.default_rng(seed))
        if known:
            rows = np.stack([network.row for network in known])
            if self._past:  # only accuracies are remembered of past runs
                self._retire(known, rows)
        runs = [f"run {past.run}" for past in self._past]
        groups = (*catalogue.groups, *runs)
        self._metrics = {
            metric: LearnedMetric(bound_of(problem, metric), groups, seed, runs).fit(
                self._features(rows), np.array([network.measured[metric] for network in known])
            )
            for metric in problem.learned
            if known
        }

    def predict(self, rows: Indices) -> dict[str, Prediction]:
        """The losses of each learned metric, of networks as indices (networks, choices)."""
        features = self._features(rows)
        return {name: metric.predict(features) for name, metric in self._metrics.items()}

    def rough(self, rows: Indices) -> dict[str, Prediction]:
        """The same, quick for many networks, unsure of all alike."""
        features = self._features(rows)
        return {name: metric.rough(features) for name, metric in self._metrics.items()}

    def _features(self, rows: Indices) -> Floats:
        columns = [past.expected(rows)[:, None] for past in self._past]
        return np.concatenate([self._catalogue.features(rows), *columns], axis=1)

    def _retire(self, known: Sequence[Evaluated], rows: Indices) -> None:
        """Forget the past runs that have been found to mislead."""
        if not self._past:
            return
        accuracy = np.array([network.accuracy for network in known])
        told = [past.order(rows, accuracy) for past in self._past]
        misled = [len(known) >= JUDGED_FROM and tau < SMALLEST_ORDER for tau in told]
        self.retired = tuple(
            f"retired what run {past.run} measured: its accuracies order the {len(known)} measured "
            f"here with a rank correlation of {tau:.2f}, less than {SMALLEST_ORDER:g}"
            for past, tau, gone in zip(self._past, told, misled, strict=True)
            if gone
        )
        self._past = [past for past, gone in zip(self._past, misled, strict=True) if not gone]


class FromStructure:
    """What structure alone makes one expect: the more promise, the smaller the loss.

    Losses are the ranks of the promise among the networks that are asked about; where the
    problem offers none, of their complexity. Chance enters, since a structure says little
    of a single network: equal seeds alone begin alike.
    """

    def __init__(self, problem: Problem, catalogue: Catalogue, rng: np.random.Generator) -> None:
        self._problem, self._catalogue, self._rng = problem, catalogue, rng

    def predict(self, rows: Indices) -> dict[str, Prediction]:
        """The same for each learned metric."""
        from scipy.stats import rankdata

        known = self._catalogue.promise(rows)
        if np.ptp(known) == 0:
            known = self._catalogue.complexity(rows)
        ranks = (rankdata(known) - 0.5) / len(known)
        loss = np.clip(1.0 - ranks + self._rng.normal(0.0, JITTER, len(known)), 0.0, 1.0)
        expected = Prediction(loss, np.full(len(loss), UNSURE))
        return dict.fromkeys(self._problem.learned, expected)

    def rough(self, rows: Indices) -> dict[str, Prediction]:
        """The same: it is quick."""
        return self.predict(rows)


def from_past(problem: Problem, catalogue: Catalogue, past: PastNetworks) -> Predictor:
    """What a past run makes one expect before anything is measured here.

    Its accuracies are compared within their own range, from the worst twentieth to the
    best: they may be of other data.
    """
    return _Expected(catalogue, past)


class _Expected:
    def __init__(self, catalogue: Catalogue, past: PastNetworks) -> None:
        low, high = np.quantile(past.accuracies, 0.05), past.accuracies.max()
        self._catalogue = catalogue
        self._metric = LearnedMetric(
            Bound("accuracy", float(low), float(high), log=False), catalogue.groups, 0
        ).fit(catalogue.features(past.rows), past.accuracies)

    def predict(self, rows: Indices) -> dict[str, Prediction]:
        return {"accuracy": self._metric.predict(self._catalogue.features(rows))}

    def rough(self, rows: Indices) -> dict[str, Prediction]:
        return {"accuracy": self._metric.rough(self._catalogue.features(rows))}


def _past_run(catalogue: Catalogue, past: PastNetworks) -> _PastRun:
    """What is learned from a past run: once for all steps."""
    digest = hashlib.sha256(past.rows.tobytes() + past.accuracies.tobytes()).hexdigest()
    name = f"past run {past.run} {digest}"
    return catalogue.once(name, lambda: _PastRun(catalogue, past, name))


class _PastRun:
    """What a past run makes one expect of a network's error: robust against wrong rows."""

    def __init__(self, catalogue: Catalogue, past: PastNetworks, name: str) -> None:
        self.run, self._catalogue, self._name = past.run, catalogue, name
        features = catalogue.features(past.rows)
        targets = np.log(1.0 - past.accuracies + EPSILON)
        kept = np.ones(len(targets), dtype=bool)
        for _ in range(CLEANED):
            self._regression = Regression(catalogue.groups, 0, LEARNED_FROM)
            self._regression.fit(features[kept], targets[kept])
            off = np.abs(targets - self._regression.mean(features))
            kept = off <= OUTLYING * max(float(np.median(off)), 1e-6)

    def expected(self, rows: Indices) -> Floats:
        """The logarithm of the error that the past run makes one expect, shape (networks,)."""
        return self._catalogue.remembered(self._name, rows, self._compute)

    def _compute(self, rows: Indices) -> Floats:
        return self._regression.mean(self._catalogue.features(rows))

    def order(self, rows: Indices, accuracy: Floats) -> float:
        """Spearman's rank correlation with what was measured now; 1 where that is all equal."""
        from scipy.stats import spearmanr

        expected = -self.expected(rows)
        if np.ptp(accuracy) == 0 or np.ptp(expected) == 0:
            return 1.0
        return float(spearmanr(expected, accuracy).statistic)


def bound_of(problem: Problem, metric: str) -> Bound:
    """The score's bound of an objective; of a metric that is only constrained, 0 to 1."""
    for bound in problem.score.bounds:
        if bound.metric == metric:
            return bound
    return Bound(metric, 0.0, 1.0, log=False)


def _kept(evaluated: Sequence[Evaluated], rng: np.random.Generator) -> list[Evaluated]:
    """At most :data:`REMEMBERED` networks: the latest half, and draws from those before."""
    if len(evaluated) <= REMEMBERED:
        return list(evaluated)
    half = REMEMBERED // 2
    older = np.sort(rng.permutation(len(evaluated) - half)[:half])
    return [*(evaluated[k] for k in older), *evaluated[-half:]]
