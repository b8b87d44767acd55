"""The search that uses what black-box optimisers throw away: costs are exact and free.

Only what an evaluation gives is learned. A batch is chosen greedily by the expected
hypervolume that a network adds on all hardware together, from all networks of a space that
can be enumerated, else from variants of the front's, draws over all complexities and
variants of the best of these. The opening is spread over complexity, and begins where past
runs expect the front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from archwright.agents.catalogue import Weights
from archwright.agents.frontier import Frontier, Pairing, Pairings
from archwright.agents.problem import Evaluated, PastNetworks, Problem, Suggestion
from archwright.agents.strategies.common import (
    StartedAnew,
    balanced_hardware,
    draw_untried,
    untried,
)
from archwright.agents.strategies.improvement import Bets, best_losses, expected_gain
from archwright.agents.strategies.learned import (
    FromStructure,
    Learned,
    Prediction,
    Predictor,
    bound_of,
    from_past,
)
from archwright.agents.strategies.random_search import RandomSearch
from archwright.agents.strategies.spread import Spread, draw_scaled
from archwright.brief import Constraint
from archwright.front import Floats
from archwright.space import Indices

FEWEST_TO_LEARN_FROM = 4
"""Of networks that are better than the worst that counts."""
LONGEST_OPENING = 32
"""Evaluations after which whatever there is has to do."""
PANEL = 192
"""Hardware that candidates are paired with while they are compared, in large spaces."""
CANDIDATES = 768
ROUNDS = 2
"""Of candidates in a large space: the second are variants of the first's best."""
MOST_CHANGES = 3
OPENING_FROM_PAST = 0.75
"""The share of an opening that is taken where past runs expect the front."""
LOOKED_AT = 2048
"""Of more networks these are looked at closely: the best by a quick look."""
SHORTLIST = 512
"""Networks of which the whole batch is chosen: gains only shrink while it grows."""


class Surrogate(StartedAnew):
    """Greedy expected hypervolume improvement on learned accuracy and exact costs.

    ``exploration`` scales the predicted standard deviation: 1 trusts it, 0 ignores it.
    ``past`` holds what other runs measured. After ``ask``, ``remarks`` says what the
    strategy decided beside its proposals.
    """

    name = "surrogate"

    def __init__(
        self,
        problem: Problem,
        pairings: Pairings,
        rng: np.random.Generator,
        exploration: float = 1.0,
        past: Sequence[PastNetworks] = (),
    ) -> None:
        super().__init__(problem, pairings, rng)
        self._exploration, self._past = exploration, past
        self._catalogue = pairings.catalogue

    def ask(self, n: int) -> list[Suggestion]:
        """Up to ``n`` designs with the largest expected gain, each after the ones before."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        # On one thread sums are added up in one order, whatever the machine's cores; the
        # matrices are too small to gain from more.
        with threadpool_limits(1, user_api="blas"):
            if self._opens():
                return self._opening(n)
            proposals = self._best(n)
        return proposals + self._following(RandomSearch, n - len(proposals), proposals)

    def _opens(self) -> bool:
        """Whether too little is known to learn from: of networks at the worst, nothing is."""
        evaluated, learned = self._history.evaluated, self._problem.learned_objectives
        if len(evaluated) < FEWEST_TO_LEARN_FROM or not learned:
            return len(evaluated) < FEWEST_TO_LEARN_FROM
        values = np.array([network.measured[learned[0]] for network in evaluated])
        better = bound_of(self._problem, learned[0]).normalise(values) < 1.0
        return len(evaluated) < LONGEST_OPENING and better.sum() < FEWEST_TO_LEARN_FROM

    def _opening(self, n: int) -> list[Suggestion]:
        """Where past runs expect the front, and spread over complexity."""
        expected: list[Suggestion] = []
        if self._past:
            learned = from_past(self._problem, self._catalogue, self._past[0])
            share = int(np.ceil(OPENING_FROM_PAST * n))
            expected = _because(self._chosen(learned, share), f"run {self._past[0].run} expects it")
        structure = FromStructure(self._problem, self._catalogue, self._rng)
        promising = self._chosen(structure, n - len(expected), expected)
        opening = expected + _because(promising, "its structure promises it")
        return opening + self._following(Spread, n - len(opening), opening)

    def _best(self, n: int) -> list[Suggestion]:
        """What is learned from what was measured."""
        seed, evaluated = int(self._rng.integers(2**31)), self._history.evaluated
        learned = Learned(self._problem, self._catalogue, evaluated, self._past, seed)
        self.remarks = learned.retired
        return self._chosen(learned, n)

    def _chosen(
        self, learned: Predictor, n: int, before: Sequence[Suggestion] = ()
    ) -> list[Suggestion]:
        """The batch of the largest gains; short where too few networks are affordable.

        None of the networks ``before`` is among them.
        """
        frontier = Frontier(self._problem, self._pairings)
        frontier.add(self._history.evaluated)
        best = best_losses(*self._split(frontier.losses), self._catalogue.levels)
        panel = self._panel()
        tried = self._beside(before).tried
        candidates = self._candidates(learned, best, panel, frontier, tried)
        if len(candidates) == 0:
            return []
        if len(candidates) > LOOKED_AT:
            gain = expected_gain(self._bets(candidates, learned.rough(candidates), panel), best)
            candidates = candidates[np.sort(np.argsort(-gain, kind="stable")[:LOOKED_AT])]
        bets = self._bets(candidates, learned.predict(candidates), panel)
        return self._greedy(candidates, bets, best, n)

    def _greedy(self, candidates: Indices, bets: Bets, best: Floats, n: int) -> list[Suggestion]:
        """Each network with the largest gain once those before it keep what they promise."""
        # Of equal gains (none, before anything meets the bound on accuracy) the best network.
        order = np.lexsort([bets.mean, -expected_gain(bets, best)])[:SHORTLIST]
        candidates, bets = candidates[order], bets.take(order)
        left, proposals = np.ones(len(candidates), dtype=bool), list[Suggestion]()
        gain = expected_gain(bets, best)
        while left.any() and len(proposals) < n:
            pick = int(np.argmax(np.where(left, gain, -1.0)))
            left[pick] = False
            pairing = self._pairings.of(candidates[pick])
            if len(pairing) == 0:
                continue
            proposals.append(self._proposal(candidates[pick], pairing, bets.mean[pick], gain[pick]))
            if bets.mean[pick] <= bets.limit:
                reached = bets.reach[pick] > 0.5
                best = np.where(reached, np.minimum(best, max(bets.mean[pick], 0.0)), best)
                gain = expected_gain(bets, best)
        return proposals

    def _bets(
        self, rows: Indices, predicted: Mapping[str, Prediction], panel: Indices | None
    ) -> Bets:
        """Networks with what is expected of them."""
        problem = self._problem
        reach = self._catalogue.coverage(rows, panel)
        costs = len(problem.cost_objectives)
        for k, metric in enumerate(problem.learned_objectives[1:]):
            level = self._catalogue.levels[:, costs + k]
            reach = reach * self._chance(predicted[metric], level[None, :])
        first = next(iter(problem.learned_objectives), None)
        for metric, constraint in problem.constraints.items():
            if metric in predicted and metric != first:
                limit = self._limit(metric, constraint)
                reach = reach * self._chance(predicted[metric], np.full((1, 1), limit))
        if first is None:
            nothing = np.zeros(len(rows))
            return Bets(reach, nothing, nothing)
        one, bound = predicted[first], problem.constraints.get(first)
        limit = 1.0 if bound is None else min(1.0, self._limit(first, bound))
        return Bets(reach, one.mean, self._exploration * one.deviation, limit)

    def _limit(self, metric: str, constraint: Constraint) -> float:
        """The largest loss of a learned metric that its bound in the brief allows."""
        bound = bound_of(self._problem, metric)
        limits = [v for v in (constraint.at_least, constraint.at_most) if v is not None]
        return float(max(bound.normalise(np.array(limits))))

    def _chance(self, predicted: Prediction, level: Floats) -> Weights:
        """The probability of a loss of at most ``level``, shape (networks, levels)."""
        from scipy.special import ndtr

        deviation = np.maximum(self._exploration * predicted.deviation, 1e-9)
        return np.asarray(ndtr((level - predicted.mean[:, None]) / deviation[:, None]), np.float32)

    def _split(self, losses: Floats) -> tuple[Floats, Floats]:
        """The front's losses in the levels' dimensions, and the first learned loss."""
        problem = self._problem
        names = list(problem.score.metrics)
        learned = [names.index(metric) for metric in problem.learned_objectives]
        others = [*(names.index(metric) for metric in problem.cost_objectives), *learned[1:]]
        first = losses[:, learned[0]] if learned else np.zeros(len(losses))
        return losses[:, others], first

    def _panel(self) -> Indices | None:
        """Hardware that is good for something: that of the evaluated networks' fronts.

        None where all hardware is looked at.
        """
        space = self._problem.hardware_space
        if self._catalogue.enumerable or space.size <= PANEL:
            return None
        own = [self._pairings.of(network.row).hardware for network in self._history.evaluated]
        rows = np.unique(np.concatenate([*own, space.sample(self._rng, PANEL // 4)]), axis=0)
        return rows[np.sort(self._rng.permutation(len(rows))[:PANEL])]

    def _candidates(
        self,
        learned: Predictor,
        best: Floats,
        panel: Indices | None,
        frontier: Frontier,
        tried: frozenset[str],
    ) -> Indices:
        """Untried networks to choose from."""
        space = self._problem.network_space
        if self._catalogue.enumerable:
            return self._admitted(self._catalogue.networks[self._catalogue.without(tried)])
        of_front = {p.evaluated.key: p.evaluated.row for p in frontier.points()}
        parents = np.array(list(of_front.values()), np.int64).reshape(-1, len(space.choices))
        drawn = list(islice(draw_untried(space, self._rng, tried), CANDIDATES // 4))
        uniform = np.array(drawn, np.int64).reshape(-1, len(space.choices))
        spread = draw_scaled(space, self._rng, CANDIDATES // 4)
        found = untried(space, np.concatenate([self._varied(parents), spread, uniform]), tried)
        for _ in range(ROUNDS - 1 if len(found) else 0):
            gain = expected_gain(self._bets(found, learned.predict(found), panel), best)
            parents = found[np.argsort(-gain, kind="stable")[: CANDIDATES // 16]]
            found = untried(space, np.concatenate([found, self._varied(parents)]), tried)
        return self._admitted(found)

    def _admitted(self, rows: Indices) -> Indices:
        """Those that a narrow round is about, where there are any."""
        if self._problem.admits is None or not (inside := self._problem.admits(rows)).any():
            return rows
        return rows[inside]

    def _varied(self, parents: Indices) -> Indices:
        """Networks that differ from one of ``parents`` in one to three choices."""
        if len(parents) == 0:
            return parents
        space, rng = self._problem.network_space, self._rng
        rows = parents[rng.integers(len(parents), size=CANDIDATES // 2)]
        order = rng.random(rows.shape).argsort(axis=1)
        changes = rng.integers(1, MOST_CHANGES + 1, size=(len(rows), 1))
        return np.where(order < changes, space.sample(rng, len(rows)), rows)

    def _proposal(self, row: Indices, pairing: Pairing, loss: float, gain: float) -> Suggestion:
        hardware = balanced_hardware(self._problem, pairing)
        reason = f"expected hypervolume gain {gain:.4f} at a predicted loss of {loss:.3f}"
        if self._problem.learned_objectives[:1] == ("accuracy",):
            accuracy = bound_of(self._problem, "accuracy").value(loss)
            reason = (
                f"expected hypervolume gain {gain:.4f} at a predicted accuracy of {accuracy:.3f}"
            )
        return Suggestion(row, hardware, reason, self._nearest(row), float(gain))

    def _nearest(self, row: Indices) -> tuple[str, ...]:
        """The two evaluated designs whose networks differ in the fewest choices."""
        evaluated: tuple[Evaluated, ...] = self._history.evaluated
        if not evaluated:
            return ()
        different = (np.stack([e.row for e in evaluated]) != row).sum(axis=1)
        order = np.argsort(different, kind="stable")[:2]
        return tuple(evaluated[k].design for k in order)

    def _following(
        self, strategy: type[Spread] | type[RandomSearch], n: int, before: list[Suggestion]
    ) -> list[Suggestion]:
        """``n`` proposals of another strategy beside those ``before``."""
        if n <= 0:
            return []
        rest = strategy(self._problem, self._pairings, self._rng)
        rest.tell(self._beside(before))
        return rest.ask(n)


def _because(suggestions: Sequence[Suggestion], why: str) -> list[Suggestion]:
    """As an opening's: what is expected before anything is measured is no expectation."""
    reason = f"opens the search: on the front with what it covers, {why}"
    return [replace(s, reason=reason, expected_gain=None) for s in suggestions]
