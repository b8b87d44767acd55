"""The surrogate, under the name that says a model is heard beside it.

A strategy knows no model. Where a role has one, the proposer lets it override a share of
any strategy's batch: see :mod:`archwright.agents.hybrid`.
"""

from __future__ import annotations

from archwright.agents.strategies.surrogate import Surrogate


class Hybrid(Surrogate):
    """The surrogate's batch; what a model makes of it is the proposer's."""

    name = "hybrid"
