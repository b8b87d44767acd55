"""The surrogate's batch, of which an advisor may replace a share.

An advisor is whoever knows networks and sees the optimiser's batch: a model, as a rule. At
30% of the trials such a hybrid wins over both, at 80% it degrades (arXiv 2603.24647).
Without an advisor it is the surrogate. In a run the proposer's model takes this part with
whole designs (``ModelProposer``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from archwright.agents.problem import Suggestion
from archwright.agents.strategies.common import balanced_hardware, network_keys
from archwright.agents.strategies.surrogate import Surrogate
from archwright.space import Indices

ADVISED_SHARE = 0.3


class Advisor(Protocol):
    """Names better networks for some positions of a batch."""

    def __call__(self, batch: Sequence[Suggestion], allowed: int) -> Mapping[int, Indices]:
        """Networks as indices, shape (choices,), by position; ``allowed`` count at most."""
        ...


class Hybrid(Surrogate):
    """The surrogate and an advisor. What breaks the contract of a strategy is not taken."""

    name = "hybrid"
    advisor: Advisor | None = None

    def ask(self, n: int) -> list[Suggestion]:
        """The surrogate's batch with the advisor's networks in place of some."""
        batch = super().ask(n)
        allowed = self._allowed(len(batch))
        if self.advisor is None or allowed == 0:
            return batch
        taken = set(self._beside(batch).tried)
        replaced = 0
        for position, row in self.advisor(tuple(batch), allowed).items():
            if replaced == allowed or not (0 <= position < len(batch) and self._inside(row)):
                continue
            [key] = network_keys(self._problem.network_space, row[None])
            pairing = self._pairings.of(row) if key not in taken else ()
            if len(pairing) == 0:
                continue
            taken.add(key)
            hardware = balanced_hardware(self._problem, self._pairings.of(row))
            parents = batch[position].parents
            batch[position] = Suggestion(row, hardware, "advised in place of another", parents)
            replaced += 1
        return batch

    def _allowed(self, n: int) -> int:
        """A share of all networks so far: in small batches an advisor is heard now and then."""
        before = len(self._history.tried)
        return int(ADVISED_SHARE * (before + n)) - int(ADVISED_SHARE * before)

    def _inside(self, row: Indices) -> bool:
        shape = self._problem.network_space.shape
        return row.shape == (len(shape),) and bool(((row >= 0) & (row < shape)).all())
