"""The black-box view of a problem: an evaluation reveals one network on one hardware.

Most published optimisers know of no free costs: they choose a whole design, pay for one
evaluation and see its objectives. Here they search the same designs as everybody else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from archwright.agents.costing import NothingFree
from archwright.agents.problem import Evaluated, Mask, Problem
from archwright.agents.strategies.common import network_keys
from archwright.space import Choice, Indices, Space
from archwright.tabular.listed import ListedSpace, OnlyListed
from archwright.tabular.problem import TabularProblem


@dataclass(frozen=True)
class JointProblem(TabularProblem):
    """A tabular problem seen as a black box over designs.

    Its network space is the network's choices and the hardware's; its rows are a network's
    indices and a hardware's, side by side. ``row_of`` is still that of the networks.
    """

    tabular: TabularProblem

    def holds(self, rows: Indices) -> Mask:
        """For which designs the table holds the network."""
        return self.tabular.holds(self._split(rows)[0])

    def evaluate(self, rows: Indices, step: int) -> tuple[Evaluated, ...]:
        """Every objective of the designs ``rows``; those that cannot run are left out."""
        inside = np.flatnonzero(self.holds(rows))
        networks, hardware = self._split(rows[inside])
        looked_up = self.tabular.evaluate(networks, step)
        costs = self.tabular.problem.costing.zip(networks, hardware)
        keys = network_keys(self.problem.network_space, rows[inside])
        evaluated = []
        for k, (position, key, network) in enumerate(zip(inside, keys, looked_up, strict=True)):
            known = {**{metric: float(of[k]) for metric, of in costs.items()}, **network.measured}
            measured = {metric: known[metric] for metric in self.problem.learned}
            if np.isfinite(list(measured.values())).all():
                evaluated.append(Evaluated(key, key, rows[position], measured, step))
        return tuple(evaluated)

    @property
    def true_hypervolume(self) -> float:
        """That of the tabular problem: the designs and the score are the same."""
        return self.tabular.true_hypervolume

    def _split(self, rows: Indices) -> tuple[Indices, Indices]:
        """The networks and the hardware of designs."""
        networks = len(self.tabular.problem.network_space.choices)
        return rows[:, :networks], rows[:, networks:]


def joint(tabular: TabularProblem) -> JointProblem:
    """The black-box view of ``tabular``: every objective learned, nothing free."""
    of = tabular.problem
    name = f"{of.network_space.name} x {of.hardware_space.name}"
    renamed = _renamed(of.hardware_space, of.network_space.names)
    space = Space(name, (*of.network_space.choices, *renamed))
    costing = NothingFree(space)
    if isinstance(of.network_space, ListedSpace):
        space = ListedSpace(space.name, space.choices, of.network_space.rows)
        costing = OnlyListed(space)
    problem = Problem(
        network_space=space,
        hardware_space=costing.hardware_space,
        score=of.score,
        costing=costing,
        constraints=of.constraints,
        learned=tuple(dict.fromkeys([*of.learned, *of.score.metrics, *of.constraints])),
    )
    return JointProblem(f"{tabular.name}, as a black box", problem, tabular.row_of, tabular)


def _renamed(hardware: Space, taken: tuple[str, ...]) -> list[Choice]:
    """The hardware's choices, with names that no choice of the network has."""
    choices = []
    for choice in hardware.choices:
        name = choice.name
        while name in taken or (name != choice.name and name in hardware.names):
            name = f"hardware_{name}"
        choices.append(replace(choice, name=name))
    return choices
