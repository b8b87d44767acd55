"""The hardware space as a Gymnasium environment (Towers et al., arXiv 2407.17032).

Needs the extra ``archwright[gym]``. Like ArchGym (Krishnan et al., ISCA 2023), an agent
chooses hardware and is paid by what it saves::

    register()
    env = gymnasium.make(ENVIRONMENT, workload=workload, objective="edp")
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from archwright.errors import MeasurementFailed, UserError
from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.space import hardware_space
from archwright.space import Indices, Space
from archwright.workload import Workload

ENVIRONMENT = "archwright/Hardware-v0"
COSTS = ("latency_ms", "energy_uj", "area_mm2")
OBJECTIVES = (*COSTS, "edp")
"""What an agent may be asked to lower; "edp" is energy x delay, uJ ms."""
INFEASIBLE_REWARD = -1.0
SCALE_POINTS, SCALE_SEED = 2048, 0

Observation = npt.NDArray[np.float32]
Information = dict[str, Any]


class HardwareEnv(gymnasium.Env[Observation, npt.NDArray[np.int64]]):
    """One workload; every step chooses a hardware for it, judged by the analytical model.

    - An action holds, for each choice of the hardware space, the index of a value: the
      hardware to go to.
    - An observation describes the present hardware, all from 0 to 1: each choice's index
      over its largest, then latency, energy and area, as logarithms between the least and
      the most of a fixed sample of the space.
    - The reward is the relative improvement, ln(objective before / objective after):
      rewards add up to that of the last hardware over the first. Hardware on which the
      workload cannot run is not gone to, and costs 1.
    - An episode starts on hardware drawn by the environment's generator (or at
      ``options["point"]``) and is truncated after ``episode_length`` steps.

    ``info`` holds ``point``, ``costs`` by name and ``objective`` of the present hardware,
    ``best`` (objective, point) of the episode, and ``infeasible``: the reason, or None.

    Raises :class:`UserError` for an unknown objective, an episode shorter than a step, and
    a workload that runs nowhere in the space.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - gymnasium's own declaration

    def __init__(
        self,
        workload: Workload,
        objective: str = "edp",
        space: Space | None = None,
        episode_length: int = 64,
        render_mode: str | None = None,
    ) -> None:
        if objective not in OBJECTIVES:
            raise UserError(f"objective = {objective!r}: allowed {', '.join(OBJECTIVES)}")
        if episode_length < 1:
            raise UserError(f"episode_length = {episode_length}: must be at least 1")
        self.render_mode = render_mode
        self._workload, self._objective = workload, objective
        self._space = space or hardware_space()
        self._episode_length = episode_length
        self._model = AnalyticalModel()
        shape = np.array(self._space.shape, dtype=np.int64)
        self._last_index = np.maximum(shape - 1, 1)
        self.action_space = gymnasium.spaces.MultiDiscrete(shape)
        size = len(shape) + len(COSTS)
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (size,), np.float32)
        self._lowest, self._highest = self._scale()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Information]:
        """Start an episode; ``options`` may give the ``point`` to start at.

        Raises :class:`SpaceError` for a point outside the space, :class:`MeasurementFailed`
        for one on which the workload cannot run.
        """
        super().reset(seed=seed)
        wanted = (options or {}).get("point")
        if wanted is None:
            self._go_to(self._drawn())
        else:
            indices = self._space.encode([wanted])[0]
            if reason := self._infeasible(indices):
                raise MeasurementFailed(reason)
            self._go_to(indices)
        self._steps = 0
        self._best, self._best_indices = self._value, self._indices
        return self._observation(), self._information(None)

    def step(
        self, action: npt.NDArray[np.int64]
    ) -> tuple[Observation, float, bool, bool, Information]:
        """Go to the hardware that ``action`` names."""
        indices = np.asarray(action, dtype=np.int64)
        if not self.action_space.contains(indices):
            raise UserError(f"action = {indices.tolist()}: allowed 0 up to {self._space.shape}")
        self._steps += 1
        reward, before = INFEASIBLE_REWARD, self._value
        reason = self._infeasible(indices)
        if reason is None:
            self._go_to(indices)
            reward = float(np.log(before / self._value))
            if self._value < self._best:
                self._best, self._best_indices = self._value, indices
        truncated = self._steps >= self._episode_length
        return self._observation(), reward, False, truncated, self._information(reason)

    def _go_to(self, indices: npt.NDArray[np.int64]) -> None:
        self._indices = indices
        costs = self._evaluate(indices[None])
        self._costs = {name: float(values[0]) for name, values in costs.items()}
        self._value = self._costs.get(
            self._objective, self._costs["latency_ms"] * self._costs["energy_uj"]
        )

    def _evaluate(self, indices: Indices) -> dict[str, npt.NDArray[np.float64]]:
        """The costs of points, each of shape (points,)."""
        columns = self._space.columns(indices)
        costs = self._model.evaluate([self._workload], columns, "cross", COSTS)
        return {name: costs[name][0] for name in COSTS}

    def _infeasible(self, indices: npt.NDArray[np.int64]) -> str | None:
        return self._model.infeasible(self._workload, self._point(indices))

    def _point(self, indices: npt.NDArray[np.int64]) -> dict[str, Any]:
        return dict(self._space.decode(indices[None])[0])

    def _drawn(self) -> npt.NDArray[np.int64]:
        """A point on which the workload runs: the first of a sample."""
        sample = self._space.sample(self.np_random, SCALE_POINTS)
        runs = np.isfinite(self._evaluate(sample)["latency_ms"])
        first: npt.NDArray[np.int64] = sample[np.argmax(runs)]
        return first

    def _scale(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Least and most of each cost over a fixed sample, as logarithms."""
        sample = self._space.sample(np.random.default_rng(SCALE_SEED), SCALE_POINTS)
        costs = np.array(list(self._evaluate(sample).values()))
        runs = np.isfinite(costs).all(axis=0)
        if not runs.any():
            reason = self._infeasible(sample[0])
            raise UserError(f"workload {self._workload.name} runs nowhere in the space: {reason}")
        logarithms = np.log(costs[:, runs])
        return logarithms.min(axis=1), logarithms.max(axis=1)

    def _observation(self) -> Observation:
        costs = np.log([self._costs[name] for name in COSTS])
        width = np.maximum(self._highest - self._lowest, 1e-9)
        scaled = np.clip((costs - self._lowest) / width, 0.0, 1.0)
        place = self._indices / self._last_index
        observation: Observation = np.concatenate([place, scaled]).astype(np.float32)
        return observation

    def _information(self, reason: str | None) -> Information:
        return {
            "point": self._point(self._indices),
            "costs": dict(self._costs),
            "objective": self._value,
            "best": (self._best, self._point(self._best_indices)),
            "infeasible": reason,
        }


def register() -> None:
    """Make the environment known to ``gymnasium.make`` as ``ENVIRONMENT``; once is enough."""
    if ENVIRONMENT not in gymnasium.registry:
        gymnasium.register(ENVIRONMENT, entry_point=f"{__name__}:HardwareEnv")
