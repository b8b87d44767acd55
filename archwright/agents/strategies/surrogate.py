"""Surrogate-assisted evolution: the rule-based proposer's strategy.

Hardware costs are exact and free, so only accuracy is learned. NSGA-II (Deb et al.
2002, through pymoo) evolves whole designs against predicted accuracy and exact costs;
the batch is then chosen greedily by expected hypervolume improvement, where each
candidate network is credited with every hardware of a panel.
"""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Any

import numpy as np

from archwright.agents.frontier import Frontier, Pairing, Pairings
from archwright.agents.problem import Evaluated, History, Problem, Suggestion
from archwright.agents.strategies.accuracy_model import AccuracyModel, Prediction
from archwright.agents.strategies.common import StartedAnew, draw_untried, network_keys, untried
from archwright.agents.strategies.random_search import RandomSearch
from archwright.agents.strategies.spread import Spread, draw_scaled
from archwright.front import Floats, non_dominated
from archwright.space import Indices

FEWEST_TO_LEARN_FROM = 4
POPULATION = 112
GENERATIONS = 16
PANEL = 192
"""Hardware points that candidates are paired with while they are compared."""
CANDIDATES = 128
VARIANTS = 48
"""Candidates that differ from a network of the front in one choice."""


class SurrogateEvolution(StartedAnew):
    """NSGA-II on a learned accuracy and exact costs; greedy expected hypervolume gain.

    ``exploration`` scales the predicted standard deviation: 1 trusts it, 0 ignores it.
    """

    name = "surrogate"

    def __init__(
        self, problem: Problem, pairings: Pairings, rng: np.random.Generator, exploration: float
    ) -> None:
        super().__init__(problem, pairings, rng)
        self._exploration = exploration

    def ask(self, n: int) -> list[Suggestion]:
        """Up to ``n`` designs with the largest expected gain, each after the ones before."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        if len(self._history.evaluated) < FEWEST_TO_LEARN_FROM:
            opening = Spread(self._problem, self._pairings, self._rng)
            opening.tell(self._history)
            return opening.ask(n)
        # On one thread sums are added up in one order, whatever the machine's cores; the
        # matrices are too small to gain from more.
        with threadpool_limits(1, user_api="blas"):
            proposals = self._evolved(n)
        return proposals + self._drawn(n - len(proposals), proposals)

    def _evolved(self, n: int) -> list[Suggestion]:
        """Evolution's part of the batch; short where it has found fewer that are new."""
        model = AccuracyModel(self._problem)
        model.fit(self._history.evaluated)
        frontier = Frontier(self._problem, self._pairings)
        frontier.add(self._history.evaluated)
        population = self._first_population(frontier)
        if self._problem.network_space.size > CANDIDATES:  # else every network is a candidate
            population = self._evolve(population, model)
        candidates = self._candidates(population, frontier)
        if len(candidates) == 0:
            return []
        panel = self._panel(population, frontier)
        return self._choose(candidates, panel, model.predict(candidates), frontier, n)

    def _drawn(self, n: int, proposals: list[Suggestion]) -> list[Suggestion]:
        """``n`` uniform draws beside ``proposals``."""
        if n == 0:
            return []
        rows = np.array([proposal.network for proposal in proposals], dtype=np.int64)
        keys = network_keys(self._problem.network_space, rows)
        rest = RandomSearch(self._problem, self._pairings, self._rng)
        rest.tell(History(self._history.evaluated, self._history.tried | frozenset(keys)))
        return rest.ask(n)

    def _evolve(self, start: Indices, model: AccuracyModel) -> Indices:
        """The final population of NSGA-II, shape (designs, network + hardware choices)."""
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.optimize import minimize

        algorithm = NSGA2(
            pop_size=len(start),
            sampling=start,
            crossover=SBX(prob=0.9, eta=5, vtype=float, repair=RoundingRepair()),
            mutation=PM(eta=5, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        landscape = _predicted_landscape(self._problem, model, self._exploration)
        result = minimize(
            landscape, algorithm, ("n_gen", GENERATIONS), seed=int(self._rng.integers(2**31))
        )
        return np.asarray(result.pop.get("X")).astype(np.int64)

    def _first_population(self, frontier: Frontier) -> Indices:
        """Half from the front, half spread over complexity on random hardware."""
        points = frontier.points()
        picks = self._rng.permutation(len(points))[: POPULATION // 2]
        from_front = [np.concatenate([points[p].evaluated.row, points[p].hardware]) for p in picks]
        networks = draw_scaled(self._problem.network_space, self._rng, POPULATION - len(picks))
        hardware = self._problem.hardware_space.sample(self._rng, len(networks))
        spread = np.concatenate([networks, hardware], axis=1)
        together = np.concatenate(
            [np.array(from_front, dtype=np.int64).reshape(-1, spread.shape[1]), spread]
        )
        return np.asarray(np.unique(together, axis=0))

    def _candidates(self, population: Indices, frontier: Frontier) -> Indices:
        """Untried networks: the population's, one-step variants of the front's, and draws."""
        space, tried = self._problem.network_space, self._history.tried
        evolved = population[:, : len(space.choices)]
        of_front = list({p.evaluated.key: p.evaluated.row for p in frontier.points()}.values())
        owners = np.array(of_front, dtype=np.int64).reshape(-1, len(space.choices))
        picks = self._rng.integers(len(owners), size=VARIANTS if len(owners) else 0)
        drawn = np.array(list(islice(draw_untried(space, self._rng, tried), CANDIDATES)), np.int64)
        rows = [evolved, self._varied(owners[picks]), drawn.reshape(-1, len(space.choices))]
        return untried(space, np.concatenate(rows), tried)[:CANDIDATES]

    def _varied(self, rows: Indices) -> Indices:
        """Networks with one choice each drawn anew."""
        space = self._problem.network_space
        which = self._rng.integers(len(space.choices), size=len(rows))
        every = np.arange(len(rows))
        varied = rows.copy()
        varied[every, which] = space.sample(self._rng, len(rows))[every, which]
        return varied

    def _panel(self, population: Indices, frontier: Frontier) -> Indices:
        """Hardware that is good for something: the front's and the population's."""
        evolved = population[:, len(self._problem.network_space.choices) :]
        of_front = [point.hardware for point in frontier.points()]
        rows = np.unique(np.concatenate([evolved, *[h[None] for h in of_front]]), axis=0)
        picks = self._rng.permutation(len(rows))[:PANEL]
        return rows[np.sort(picks)]

    def _choose(
        self, candidates: Indices, panel: Indices, predicted: Prediction, frontier: Frontier, n: int
    ) -> list[Suggestion]:
        """Greedy batch by expected hypervolume improvement over three outcomes each.

        Candidates without an affordable hardware on the panel are left out.
        """
        pairs = self._pairs(candidates, panel)
        # Three-point quadrature of a normal distribution (Gauss-Hermite): 1/6, 2/3, 1/6.
        outcomes = [
            (weight, predicted.accuracy(sign * np.sqrt(3.0) * self._exploration))
            for weight, sign in ((1 / 6, -1), (2 / 3, 0), (1 / 6, 1))
        ]
        losses = frontier.losses

        def gain(c: int) -> float:
            return sum(
                weight * self._improvement(losses, accuracy[c], pairs[c])
                for weight, accuracy in outcomes
            )

        expected = predicted.accuracy()
        # Of equal gains (none, before anything meets the bound on accuracy) the nearest to it.
        miss = [self._miss(expected[c], pairs[c]) for c in range(len(candidates))]
        # A gain only shrinks while the batch grows: an old one bounds the new one from above,
        # so that only the best need to be computed again (lazy greedy, Minoux 1978).
        queue = [(-gain(c), miss[c], c, 0) for c in range(len(candidates)) if len(pairs[c])]
        heapq.heapify(queue)
        proposals: list[Suggestion] = []
        while queue and len(proposals) < n:
            bound, _, c, known_at = heapq.heappop(queue)
            if known_at < len(proposals):
                heapq.heappush(queue, (-gain(c), miss[c], c, len(proposals)))
                continue
            losses = self._joined(losses, expected[c], pairs[c])
            proposals.append(self._proposal(candidates[c], pairs[c], expected[c], -bound))
        return proposals

    def _pairs(self, candidates: Indices, panel: Indices) -> list[Pairing]:
        """Each candidate's affordable, non-dominated part of the panel."""
        costs = self._problem.costing.cross(candidates, panel)
        affordable = self._problem.affordable(costs)
        pairs = []
        for c in range(len(candidates)):
            kept = np.flatnonzero(affordable[c])
            own = {metric: values[c][kept] for metric, values in costs.items()}
            front = non_dominated(self._problem.losses({"accuracy": 1.0}, own))
            pairs.append(Pairing(panel[kept[front]], {m: v[front] for m, v in own.items()}))
        return pairs

    def _improvement(self, losses: Floats, accuracy: float, pairing: Pairing) -> float:
        """What a network with this accuracy would add to the hypervolume."""
        together = self._joined(losses, accuracy, pairing)
        hypervolume = self._problem.score.hypervolume
        return hypervolume(together) - hypervolume(losses)

    def _joined(self, losses: Floats, accuracy: float, pairing: Pairing) -> Floats:
        """The losses once a network with this accuracy has joined."""
        expected = {"accuracy": accuracy}
        if not self._problem.acceptable(expected):
            return losses
        return np.concatenate([losses, self._problem.losses(expected, pairing.costs)])

    def _miss(self, accuracy: float, pairing: Pairing) -> float:
        """How far a network is from the brief's bounds on its best hardware."""
        return float(self._problem.miss({"accuracy": accuracy}, pairing.costs).min(initial=np.inf))

    def _proposal(self, row: Indices, pairing: Pairing, accuracy: float, gain: float) -> Suggestion:
        losses = self._problem.losses({"accuracy": accuracy}, pairing.costs)
        distance = (np.clip(losses, 0.0, None) ** 2).sum(axis=1)
        hardware = pairing.hardware[int(np.argmin(distance))]
        reason = f"expected hypervolume gain {gain:.4f} at a predicted accuracy of {accuracy:.3f}"
        return Suggestion(row, hardware, reason, self._nearest(row), gain)

    def _nearest(self, row: Indices) -> tuple[str, ...]:
        """The two evaluated designs whose networks differ in the fewest choices."""
        evaluated: tuple[Evaluated, ...] = self._history.evaluated
        different = (np.stack([e.row for e in evaluated]) != row).sum(axis=1)
        order = np.argsort(different, kind="stable")[:2]
        return tuple(evaluated[k].design for k in order)


def _predicted_landscape(problem: Problem, model: AccuracyModel, exploration: float) -> Any:
    """What NSGA-II minimises: losses with an optimistic accuracy; missed bounds as G > 0."""
    from pymoo.core.problem import Problem as PymooProblem

    spaces = (problem.network_space, problem.hardware_space)
    top = np.concatenate([np.array(space.shape) - 1 for space in spaces])
    split = len(problem.network_space.choices)

    class Landscape(PymooProblem):  # type: ignore[misc]  # pymoo has no types
        def __init__(self) -> None:
            super().__init__(
                n_var=len(top),
                n_obj=len(problem.score.metrics),
                n_ieq_constr=1,
                xl=np.zeros(len(top)),
                xu=top,
                vtype=int,
            )

        def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            rows = np.asarray(x).astype(np.int64)
            networks, hardware = rows[:, :split], rows[:, split:]
            accuracy = model.predict(networks).accuracy(0.5 * exploration)
            costs = problem.costing.zip(networks, hardware)
            out["F"] = np.nan_to_num(
                problem.score.losses({**costs, "accuracy": accuracy}), posinf=10.0, neginf=-10.0
            )
            out["G"] = np.nan_to_num(problem.miss({"accuracy": accuracy}, costs), posinf=1e6)[
                :, None
            ]

    return Landscape()
