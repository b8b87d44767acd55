"""What a predictor sees of a network: its choices and its sizes, in any space.

Columns stand in three groups, which a predictor weighs apart: a choice as a number says
that neighbours are alike, one-hot that each value has its own worth, sizes what came of
all choices together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from archwright.evaluators.supernet.plan import NetworkPlan, count, halved
from archwright.space import Point, Space

Floats = npt.NDArray[np.float64]

NUMBERS, INDICATORS, SIZES = "numbers", "one-hot", "sizes"


class NetworkFeatures:
    """Turns networks of a space into features; ``groups`` names each column's group.

    - ``numbers``: each choice of numbers as a number.
    - ``one-hot``: each choice of words, or of more than two numbers.
    - ``sizes``, where ``plan_of`` gives a point's plan, as logarithms: the network's
      parameters and multiply-accumulates; of each stage what :func:`_stage_sizes` says.
    """

    def __init__(self, space: Space, plan_of: Callable[[Point], NetworkPlan] | None = None) -> None:
        self._space = space
        self._plan_of = plan_of
        self._numbers = [c for c, choice in enumerate(space.choices) if choice.ordered]
        self._indicators = [
            (c, position)
            for c, choice in enumerate(space.choices)
            if not choice.ordered or len(choice.values) > 2
            for position in range(len(choice.values))
        ]
        self._stages: tuple[int, ...] = ()
        if plan_of is not None:
            some = plan_of({choice.name: choice.values[-1] for choice in space.choices})
            self._stages = tuple(sorted({block.stage for block in some.blocks}))
        self.groups: tuple[str, ...] = (
            *(NUMBERS for _ in self._numbers),
            *(INDICATORS for _ in self._indicators),
            *(SIZES for _ in range(self._sizes)),
        )

    def __call__(self, points: Sequence[Point]) -> Floats:
        """Shape (networks, columns). Raises SpaceError for a point outside the space."""
        indices = self._space.encode(points)
        values = self._space.columns(indices)
        columns = [values[self._space.names[c]].astype(np.float64) for c in self._numbers]
        columns += [(indices[:, c] == p).astype(np.float64) for c, p in self._indicators]
        choices = np.stack(columns, axis=1).reshape(len(points), len(columns))
        if self._plan_of is None:
            return choices
        rows = [self._logarithms(self._plan_of(point)) for point in points]
        return np.concatenate([choices, np.array(rows).reshape(len(points), self._sizes)], axis=1)

    @property
    def _sizes(self) -> int:
        """How many columns are sizes."""
        return 2 + STAGE_SIZES * len(self._stages) if self._plan_of is not None else 0

    def _logarithms(self, plan: NetworkPlan) -> Floats:
        stages = _stage_sizes(plan)
        missing = (0.0,) * STAGE_SIZES
        rows = [count(plan), *(stages.get(stage, missing) for stage in self._stages)]
        return np.asarray(np.log1p(np.concatenate([np.asarray(row, np.float64) for row in rows])))


STAGE_SIZES = 5


def _stage_sizes(plan: NetworkPlan) -> dict[int, Floats]:
    """By stage: blocks, multiply-accumulates, parameters, depthwise weights, hidden channels."""
    stages: dict[int, Floats] = {}
    side = halved(plan.resolution, plan.stem.stride)
    for block in plan.blocks:
        sizes = stages.setdefault(block.stage, np.zeros(STAGE_SIZES))
        sizes += (1, 0, 0, 0, block.units[-1].in_channels)
        for unit in block.units:
            side = halved(side, unit.stride)
            macs = unit.weights * side**2 + unit.squeeze_weights
            sizes += (0, macs, unit.parameters, unit.weights if unit.depthwise else 0, 0)
    return stages
