"""The Gymnasium environment: gymnasium's own check, its rewards, its seeds, its mistakes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from archwright.errors import MeasurementFailed, SpaceError, UserError
from archwright.evaluators.hardware import AnalyticalModel, hardware_space

gymnasium = pytest.importorskip("gymnasium", reason="the extra archwright[gym] is not installed")

from archwright.evaluators.hardware.gym_env import (  # noqa: E402 - needs gymnasium
    ENVIRONMENT,
    OBJECTIVES,
    HardwareEnv,
    register,
)

SPACE = hardware_space()


@pytest.fixture
def env(workloads: SimpleNamespace) -> HardwareEnv:
    return HardwareEnv(workloads.residual(8), episode_length=20)


def actions(env: HardwareEnv, seed: int, n: int) -> list[Any]:
    return list(SPACE.sample(np.random.default_rng(seed), n))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gymnasiums_own_check_passes(workloads: SimpleNamespace, objective: str) -> None:
    from gymnasium.utils.env_checker import check_env

    register()
    env = gymnasium.make(ENVIRONMENT, workload=workloads.digits(8), objective=objective)
    check_env(env.unwrapped, skip_render_check=True)


def test_registering_twice_is_registering_once(workloads: SimpleNamespace) -> None:
    register()
    register()
    env = gymnasium.make(ENVIRONMENT, workload=workloads.digits(8), episode_length=3)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_rewards_add_up_to_the_improvement(workloads: SimpleNamespace, objective: str) -> None:
    env = HardwareEnv(workloads.digits(8), objective=objective)
    _, first = env.reset(seed=1)
    total, values = 0.0, [first["objective"]]
    for action in actions(env, 0, 15):
        _, reward, _, _, info = env.step(action)
        if info["infeasible"] is None:
            assert info["point"] == SPACE.decode(action[None])[0]
            total += reward
            values.append(info["objective"])
    assert total == pytest.approx(np.log(first["objective"] / info["objective"]))
    assert info["best"][0] == min(values)


def test_costs_are_those_of_the_analytical_model(
    env: HardwareEnv, workloads: SimpleNamespace
) -> None:
    _, info = env.reset(seed=3)
    costs = AnalyticalModel().evaluate([workloads.residual(8)], info["point"])
    for name, value in info["costs"].items():
        assert value == costs[name][0, 0]
    assert info["objective"] == info["costs"]["latency_ms"] * info["costs"]["energy_uj"]


def test_the_observation_tells_the_point_and_orders_the_costs(env: HardwareEnv) -> None:
    seen = []
    for seed in range(6):
        observation, info = env.reset(seed=seed)
        place = observation[: len(SPACE.choices)] * (np.array(SPACE.shape) - 1)
        assert SPACE.decode(np.rint(place).astype(np.int64)[None])[0] == info["point"]
        seen.append((info["costs"]["latency_ms"], observation[-3]))
    assert [b for _, b in sorted(seen)] == sorted(b for _, b in seen)


def test_equal_seeds_give_equal_episodes(workloads: SimpleNamespace) -> None:
    def episode(seed: int) -> list[Any]:
        env = HardwareEnv(workloads.digits(8))
        steps = [env.reset(seed=seed)[0].tolist()]
        for action in actions(env, 5, 10):
            observation, reward, *_ = env.step(action)
            steps += [observation.tolist(), reward]
        return steps

    assert episode(7) == episode(7)
    assert episode(7)[0] != episode(8)[0]


def test_hardware_that_cannot_run_is_not_gone_to(workloads: SimpleNamespace) -> None:
    env = HardwareEnv(workloads.digits(16))
    _, before = env.reset(seed=0)
    narrow = {**before["point"], "bits": 8}
    observation, reward, terminated, _, info = env.step(SPACE.encode([narrow])[0])
    assert reward == -1
    assert not terminated
    assert "bits = 8" in info["infeasible"]
    assert info["point"] == before["point"]
    assert env.observation_space.contains(observation)
    with pytest.raises(MeasurementFailed, match="bits = 8"):
        env.reset(options={"point": narrow})


def test_an_episode_may_start_at_a_given_point(env: HardwareEnv) -> None:
    point = SPACE.decode(np.array([[i - 1 for i in SPACE.shape]]))[0]
    assert env.reset(options={"point": point})[1]["point"] == point
    with pytest.raises(SpaceError, match="rows = 5"):
        env.reset(options={"point": {**point, "rows": 5}})


def test_mistakes_are_one_line(workloads: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="objective = 'speed': allowed latency_ms"):
        HardwareEnv(workloads.digits(8), objective="speed")
    with pytest.raises(UserError, match="episode_length = 0"):
        HardwareEnv(workloads.digits(8), episode_length=0)
    with pytest.raises(UserError, match="runs nowhere in the space: bits = 8"):
        HardwareEnv(workloads.digits(16), space=SPACE.restrict({"bits": (8,)}))
    env = HardwareEnv(workloads.digits(8))
    env.reset(seed=0)
    with pytest.raises(UserError, match="action = "):
        env.step(np.array(SPACE.shape))
