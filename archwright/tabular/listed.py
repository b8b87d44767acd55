"""Spaces of which a table holds only some points, and how strategies are kept to these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from archwright.agents.costing import Costs, NothingFree
from archwright.agents.problem import Mask
from archwright.measurement import COSTS
from archwright.space import Indices, Space


@dataclass(frozen=True)
class ListedSpace(Space):
    """A space of whose points only some can be evaluated: those that begin as one of ``rows``.

    ``rows`` has shape (listed, first choices); choices after these are free. Uniform draws
    are among the listed, however few of all combinations they are.
    """

    rows: Indices = field(compare=False, repr=False)

    def sample(self, rng: np.random.Generator, n: int) -> Indices:
        """``n`` of the listed points drawn uniformly, with repetition."""
        drawn = super().sample(rng, n)
        drawn[:, : self.rows.shape[1]] = self.rows[rng.integers(len(self.rows), size=n)]
        return drawn

    def lists(self, rows: Indices) -> Mask:
        """Which of ``rows``, shape (points, choices), are listed."""
        first = _plain(rows[:, : self.rows.shape[1]])
        return np.array([row.tobytes() in self._known for row in first], dtype=bool)

    @cached_property
    def _known(self) -> frozenset[bytes]:
        return frozenset(row.tobytes() for row in _plain(self.rows))


class OnlyListed(NothingFree):
    """Nothing is free, and what is not listed cannot run: its cost is infinite.

    So its pairing is empty and no strategy proposes it.
    """

    def __init__(self, network_space: ListedSpace) -> None:
        super().__init__(network_space)

    def _evaluate(
        self,
        networks: Indices,
        hardware: Indices,
        pairing: Literal["cross", "zip"],
        metrics: Sequence[str] = COSTS,
    ) -> Costs:
        assert isinstance(self.network_space, ListedSpace)
        [(metric, free)] = super()._evaluate(networks, hardware, pairing, metrics).items()
        listed = self.network_space.lists(networks)
        return {metric: np.where(listed[:, None] if pairing == "cross" else listed, free, np.inf)}


def _plain(rows: Indices) -> Indices:
    """Rows whose bytes can be compared."""
    return np.ascontiguousarray(rows, dtype=np.int64)
