"""The tree-structured Parzen estimator, Optuna's.

Two densities are estimated, one of the good networks and one of the rest; of draws from
the first, the one whose ratio of the two is largest is proposed. Bergstra et al.,
"Algorithms for hyper-parameter optimization", NeurIPS 2011; with several objectives, Ozaki
et al., JAIR 73, 2022; multivariate, Falkner et al. 2018 (arXiv 1807.01774). The ideas of
one batch keep away from each other, because those without a result count among the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from archwright.agents.strategies.classic import Classic, Idea
from archwright.agents.strategies.view import View
from archwright.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

REASON = "likelier among the good networks than among the rest"


class TreeParzen(Classic):
    """Optuna's multivariate sampler over the indices of the choices."""

    name = "tpe"
    patience: ClassVar[int] = 32  # an idea takes some 20 ms

    def _ideas(self, view: View) -> Iterator[Idea]:
        """One draw after the other; none is told, so each keeps away from those before."""
        study, choices = self._study(view), _distributions(self._problem.network_space)
        while True:
            params = study.ask(choices).params
            yield Idea(np.array([params[name] for name in choices], dtype=np.int64), REASON)

    def _study(self, view: View) -> Study:
        """A study in memory that was told everything in view."""
        from optuna import create_study
        from optuna.samplers import TPESampler
        from optuna.trial import create_trial

        choices = _distributions(self._problem.network_space)
        seed = int(self._rng.integers(2**31))
        sampler = TPESampler(multivariate=True, constant_liar=True, seed=seed)
        with _quiet():
            study = create_study(
                sampler=sampler, directions=["minimize"] * view.losses.shape[1], study_name="tpe"
            )
        study.add_trials(
            create_trial(
                params=dict(zip(choices, row, strict=True)),
                distributions=choices,
                values=losses,
                constraints={"miss": miss},
            )
            for row, losses, miss in zip(
                view.rows.tolist(), view.losses.tolist(), view.miss.tolist(), strict=True
            )
        )
        return study


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    """The choices as Optuna's: positions of numbers are near each other, those of words not."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    return {
        choice.name: IntDistribution(0, len(choice.values) - 1)
        if choice.ordered
        else CategoricalDistribution(range(len(choice.values)))
        for choice in space.choices
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces every study; its verbosity is left as it was."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)
