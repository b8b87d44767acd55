"""A run's result on real costs: the analytical model over sampled designs.

Accuracies are made up (a saturating function of the network's work, with the interval
of a share of so many images), because a report does not judge them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archwright.brief import parse_brief
from archwright.design import Design, Origin
from archwright.evaluators.hardware.analytical import AnalyticalModel
from archwright.evaluators.hardware.space import hardware_space
from archwright.evaluators.supernet.space import InputShape, network_space, workload_of
from archwright.front import Score, bounds_from_sample, non_dominated
from archwright.measurement import COSTS, METRICS, Failure, Fidelity, Measurement
from archwright.result import (
    CurvePoint,
    Decision,
    Inspection,
    JudgedDesign,
    ModelUse,
    RandomBaseline,
    Rejection,
    RoleUse,
    RunResult,
)

SHAPE = InputShape(channels=1, side=8, classes=10)
IMAGES = {"train": 1077, "validation": 360, "test": 360}


def _share(subject: str, right: float, images: int, context: str) -> Measurement:
    """An accuracy with its Wilson interval."""
    z = 1.96
    centre = (right + z * z / (2 * images)) / (1 + z * z / images)
    half = z * np.sqrt(right * (1 - right) / images + z * z / (4 * images**2))
    half /= 1 + z * z / images
    return Measurement(
        subject,
        "accuracy",
        right,
        "1",
        "supernet",
        "1",
        Fidelity.SUPERNET,
        context,
        float(centre - half),
        float(min(1.0, centre + half)),
        0.21,
    )


def _judged(design: Design, costs: dict[str, float], step: int) -> JudgedDesign:
    rng = np.random.default_rng(int(design.network_key, 16))
    right = 0.99 - 0.35 / (1 + (costs["macs"] / 9000) ** 0.8) + rng.normal(0, 0.006)
    validation = round(min(right, 1.0) * IMAGES["validation"]) / IMAGES["validation"]
    test = round(min(right - 0.008, 1.0) * IMAGES["test"]) / IMAGES["test"]
    exact = {
        metric: Measurement(
            design.key,
            metric,
            costs[metric],
            METRICS[metric].unit,
            "analytical",
            "1",
            Fidelity.ANALYTICAL,
            "3f0c77aa9b1e2d44",
            costs[metric],
            costs[metric],
            0.0002,
        )
        for metric in COSTS
    }
    return JudgedDesign(
        design,
        _share(design.network_key, validation, IMAGES["validation"], "a1b2c3d4e5f60718"),
        exact,
        step,
        _share(design.network_key, test, IMAGES["test"], "ffee00112233aabb"),
    )


def _sample(designs: int, origin: Origin) -> list[JudgedDesign]:
    rng = np.random.default_rng(7)
    networks, hardwares = network_space(SHAPE), hardware_space()
    network_points = networks.decode(networks.sample(rng, designs))
    hardware = hardwares.sample(rng, designs)
    workloads = [workload_of(point, SHAPE) for point in network_points]
    values = AnalyticalModel().evaluate(workloads, hardwares.columns(hardware), pairing="zip")
    runs = np.isfinite(values["latency_ms"])
    return [
        _judged(
            Design(network_points[i], hardware_point, origin),
            {metric: float(values[metric][i]) for metric in COSTS},
            step=int(i) // 100,
        )
        for i, hardware_point in enumerate(hardwares.decode(hardware))
        if runs[i]
    ]


def _score(objectives: tuple[str, ...], judged: list[JudgedDesign]) -> tuple[Score, Any]:
    values = {m: np.array([each.value(m) for each in judged]) for m in objectives}
    score = Score(bounds_from_sample(objectives, SHAPE.classes, values))
    return score, score.losses(values)


def _result(
    objectives: tuple[str, ...] = ("accuracy", "latency_ms", "energy_uj"),
    designs: int = 400,
    proposer: str = "rules/surrogate",
    reason: str = "highest expected hypervolume improvement among 512 offspring",
    data: str = "digits",
) -> RunResult:
    origin = Origin(proposer, reason, parents=("0123456789abcdef",), recalled=("fedcba9876543210",))
    judged = _sample(designs, origin)
    direction = {m: "maximise" if METRICS[m].maximise else "minimise" for m in objectives}
    brief = parse_brief(
        {
            "name": "digits-at-the-edge",
            "seed": 3,
            "task": {"data": data},
            "objectives": direction,
            "constraints": {"area_mm2": {"at_most": 8.0}, "accuracy": {"at_least": 0.7}},
            "budget": {"evaluations": 100},
        }
    )
    judged = [
        each for each in judged if brief.constraints["area_mm2"].holds(each.value("area_mm2"))
    ]
    score, losses = _score(objectives, judged)
    kept = np.flatnonzero(non_dominated(losses))
    front = tuple(judged[i] for i in kept)
    best = front[int(np.argmin(losses[kept].sum(axis=1)))]
    hypervolume = score.hypervolume(losses)
    curve = [CurvePoint(n, score.hypervolume(losses[: 4 * n])) for n in range(4, 101, 4)]
    model = AnalyticalModel()
    return RunResult(
        run="digits-at-the-edge-20261121-1430",
        brief=brief,
        created="2026-11-21 14:30:12 UTC",
        stopped="the budget of 100 evaluations is spent",
        seconds=187.3,
        seconds_by_part={"supernet": 96.0, "search": 71.2, "test_pass": 9.8, "report": 0.6},
        evaluations=100,
        proposed=512,
        rejected=112,
        rejections=(
            Rejection("area_mm2 = 11.2: at most 8", 71, judged[0].design),
            Rejection("bits = 8: the network's operands have 16 bits", 30, judged[1].design),
            Rejection("duplicate of an evaluated design", 11, judged[2].design),
        ),
        failures=(Failure(judged[3].design.network_key, "supernet", "timed out after 60 s"),),
        score=score,
        hypervolume=hypervolume,
        curve=tuple(curve),
        baseline=RandomBaseline(
            tuple(replace(p, hypervolume=0.94 * p.hypervolume) for p in curve),
            0.94 * hypervolume,
            41.5,
        ),
        front=front,
        best=best,
        why_best="Of the front it lies nearest to the ideal corner, all objectives weighed alike.",
        inspection=Inspection(
            tuple(model.per_layer(workload_of(best.design.network, SHAPE), best.design.hardware)),
            model.area_breakdown(best.design.hardware),
        ),
        decisions=(
            Decision(0, "planner", "rules", "open with 32 spread designs", "nothing is known yet"),
            Decision(4, "planner", "rules", "change to surrogate", "the surrogate's rank is 0.71"),
            Decision(9, "proposer", "rules", "rules answered for the model", "it timed out"),
        ),
        lessons=("Arrays above 16 × 16 wait for memory on 8 × 8 images.",),
        recalled=("fedcba9876543210", "0011223344556677"),
        images_by_split=IMAGES,
        classes=SHAPE.classes,
        model_use=ModelUse(
            requests=14,
            failures=2,
            tokens=18_250,
            dollars=None,
            by_role=(
                RoleUse("planner", "gpt-5-mini", 4, 0, 4, 3_800, 450, 9.4, 0.00185),
                RoleUse("proposer", "qwen3-8b", 8, 2, 10, 12_600, 1_400, 81.0, None),
            ),
            unpriced=("qwen3-8b",),
        ),
    )


@pytest.fixture(scope="session")
def make_result() -> Callable[..., RunResult]:
    """Builds a result; see ``_result`` for what can be chosen."""
    return _result


@pytest.fixture(scope="session")
def result() -> RunResult:
    return _result()


@pytest.fixture(scope="session")
def nothing_feasible(result: RunResult) -> RunResult:
    return replace(
        result,
        nearest=result.best,
        front=(),
        best=None,
        why_best="",
        inspection=None,
        hypervolume=0.0,
        evaluations=60,
    )
