"""What measurements let expect, at no cost: accuracies of networks, designs to evaluate next.

Both are pure functions of what was measured: the same until more is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archwright.agents.frontier import Pairings
from archwright.agents.problem import Evaluated, History, Problem
from archwright.agents.strategies import make_strategy
from archwright.agents.strategies.learned import REMEMBERED
from archwright.design import Design, Origin
from archwright.errors import SpaceError, UserError
from archwright.evaluators.predictor import AccuracyPredictor
from archwright.evaluators.predictor.accuracy import FEWEST
from archwright.space import Indices, Point
from archwright.tools.desk import EstimatedAccuracies, EstimatedAccuracy

SUGGESTIONS_SEED = 2_000_003
"""Keeps the suggestions' draws apart from every step's."""


def estimate(
    problem: Problem, pairings: Pairings, evaluated: Sequence[Evaluated], networks: Sequence[Point]
) -> EstimatedAccuracies:
    """The accuracies of ``networks`` that those ``evaluated`` let expect.

    By the search's own regression, on the features that it uses; past runs do not count.
    Raises :class:`UserError` where too few are measured, :class:`SpaceError` for a network
    outside the space.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    rows = _rows(problem, networks)
    if len(evaluated) < FEWEST:
        raise UserError(
            f"{len(evaluated)} networks of the run are measured so far; an estimate needs {FEWEST}"
        )
    known = {network.row.tobytes(): network.accuracy for network in evaluated}
    learned_from = evaluated[-REMEMBERED:]
    with threadpool_limits(1, user_api="blas"):  # sums in one order, whatever the cores
        catalogue = pairings.catalogue
        predictor = AccuracyPredictor(catalogue.groups).fit(
            catalogue.features(np.stack([network.row for network in learned_from])),
            [network.accuracy for network in learned_from],
        )
        found = predictor.predict(catalogue.features(rows))
    return EstimatedAccuracies(
        estimates=[
            EstimatedAccuracy(
                accuracy=float(found.mean[k]),
                low=float(found.low[k]),
                high=float(found.high[k]),
                measured=known.get(row.tobytes()),
            )
            for k, row in enumerate(rows)
        ],
        learned_from=len(learned_from),
    )


def _rows(problem: Problem, networks: Sequence[Point]) -> Indices:
    """Networks as indices. Raises :class:`SpaceError` that says which of them is wrong."""
    for number, network in enumerate(networks):
        try:
            problem.network_space.check(network)
        except SpaceError as error:
            raise SpaceError(f"networks.{number}.{error}") from None
    return problem.network_space.encode(networks)


def suggest(
    problem: Problem, pairings: Pairings, history: History, seed: int, designs: int
) -> list[Design]:
    """Up to ``designs`` designs that the surrogate strategy would evaluate next, best first."""
    strategy = make_strategy(
        "surrogate", problem, pairings, (seed, SUGGESTIONS_SEED, len(history.evaluated))
    )
    strategy.tell(history)
    found = strategy.ask(designs)
    if not found:
        return []
    networks = problem.networks(np.stack([s.network for s in found]))
    hardware = problem.hardware_space.decode(np.stack([s.hardware for s in found]))
    origins = [Origin(f"rules/{strategy.name}", s.reason, s.parents) for s in found]
    return list(map(Design, networks, hardware, origins))
