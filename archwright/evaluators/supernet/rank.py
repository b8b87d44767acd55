"""How well cheap fidelities order networks, judged by networks that were trained alone.

The truths come from :mod:`.standalone`, the agreement from :mod:`..rank_statistics`.
Fidelities see training and validation images only; truths are of the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from archwright.errors import DataError, MeasurementFailed
from archwright.evaluators.rank_statistics import RankAgreement, kendall, rank_agreement
from archwright.evaluators.supernet.checkpoints import Checkpoint
from archwright.evaluators.supernet.data import Data
from archwright.evaluators.supernet.evaluate import SupernetEvaluator
from archwright.evaluators.supernet.extraction import Network, extract, recalibrate
from archwright.evaluators.supernet.modules import Block, Unit
from archwright.evaluators.supernet.network import Supernet
from archwright.evaluators.supernet.plan import count
from archwright.evaluators.supernet.score import Score
from archwright.evaluators.supernet.space import largest_network, plan_of
from archwright.evaluators.supernet.standalone import Truth
from archwright.evaluators.supernet.together import score_together
from archwright.evaluators.supernet.train import load_supernet
from archwright.space import Point, Space, Value, point_hash

Floats = npt.NDArray[np.float64]
Told = Callable[[str], None]

INHERITED, UNCALIBRATED = "inherited weights", "inherited, not recalibrated"
CROSS_ENTROPY, PREDICTOR = "inherited, by cross-entropy", "predictor"
MACS, PARAMETERS = "MACs", "parameters"
PREDICTOR_NETWORKS = 100
PROXY_IMAGES = 64


@dataclass(frozen=True)
class Ranked:
    """How a fidelity agrees with the truth; ``of_ceiling`` is its tau over the ceiling's."""

    fidelity: str
    agreement: RankAgreement
    of_ceiling: float


@dataclass(frozen=True)
class Ranking:
    """All fidelities against the mean truth over seeds, best first.

    ``ceiling`` is Kendall's tau between the truths of two seeds (the mean over all pairs):
    no fidelity can be expected to agree better with what training alone decides.
    """

    networks: int
    seeds: int
    ceiling: float
    ranked: tuple[Ranked, ...]


def rank(truths: Floats, fidelities: dict[str, Sequence[float]], seed: int = 0) -> Ranking:
    """Compare fidelities, one value per network, with ``truths`` of shape (networks, seeds)."""
    if truths.ndim != 2 or truths.shape[1] < 2:
        raise DataError(f"truths of shape {truths.shape}; allowed (networks, at least 2 seeds)")
    pairs = combinations(truths.T, 2)
    ceiling = float(np.mean([kendall(one, other) for one, other in pairs]))
    found = [
        (name, rank_agreement(truths.mean(axis=1), values, seed))
        for name, values in fidelities.items()
    ]
    found.sort(key=lambda pair: -np.nan_to_num(pair[1].kendall, nan=-1.0))
    ranked = tuple(Ranked(name, one, one.kendall / ceiling) for name, one in found)
    return Ranking(truths.shape[0], truths.shape[1], ceiling, ranked)


def truth_table(
    truths: Sequence[Truth], networks: Sequence[Point], seeds: Sequence[int], *, at_bits: bool
) -> Floats:
    """Accuracies on the test split, shape (networks, seeds). Raises :class:`DataError`."""
    found = {
        (truth.network, truth.seed): truth.accuracy if at_bits else truth.accuracy_unquantised
        for truth in truths
    }
    wanted = [[(point_hash(network), seed) for seed in seeds] for network in networks]
    missing = [key for row in wanted for key in row if key not in found]
    if missing:
        raise DataError(f"{len(missing)} trainings are missing, the first of {missing[0][0]}")
    return np.array([[found[key] for key in row] for row in wanted])


def fidelities(
    checkpoint: Checkpoint,
    space: Space,
    data: Data,
    networks: Sequence[Point],
    *,
    at_bits: bool = True,
    workers: int = 2,
    seed: int = 0,
    tell: Told = lambda _: None,
) -> dict[str, Sequence[float]]:
    """What every fidelity gives for ``networks``, higher being better, by its name.

    The predictor learns from inherited accuracies of ``PREDICTOR_NETWORKS`` other
    networks, drawn by ``seed``. ``tell`` is told what is being measured.
    """
    supernet = load_supernet(checkpoint.path, space, data.shape)
    counts = [count(plan_of(network, data.shape, space.name)) for network in networks]
    values: dict[str, Sequence[float]] = {
        MACS: [float(macs) for _, macs in counts],
        PARAMETERS: [float(parameters) for parameters, _ in counts],
    }
    own = {point_hash(network) for network in networks}
    drawn = space.decode(space.sample(np.random.default_rng([seed, 1]), PREDICTOR_NETWORKS))
    others = [network for network in drawn if point_hash(network) not in own]
    with SupernetEvaluator(checkpoint, space, data, workers=workers, at_bits=at_bits) as evaluator:
        tell("inherited weights")
        inherited = _scores(evaluator, networks)
        tell("the predictor's networks")
        known = _scores(evaluator, others)
    values[INHERITED] = [score.accuracy for score in inherited]
    values[CROSS_ENTROPY] = [-score.cross_entropy for score in inherited]
    tell("inherited weights without recalibration")
    values[UNCALIBRATED] = uncalibrated(supernet, networks, data)
    tell("the predictor")
    values[PREDICTOR] = _predicted(space, data, others, known, networks, seed)
    tell("proxies")
    values |= _proxies(supernet, networks, data, seed)
    return values


@torch.no_grad()
def uncalibrated(supernet: Supernet, networks: Sequence[Point], data: Data) -> list[float]:
    """Validation accuracies with the batch-norm statistics of the largest networks.

    Each unit has the first channels' share of those that it has in the largest network
    with its kind of blocks.
    """
    images = torch.from_numpy(data.take(data.calibration())[0])
    statistics = _widest_statistics(supernet, images)
    validation = data.splits.validation
    accuracies = []
    for network in networks:
        module = extract(supernet, network).eval()
        for name, norm in _norms(module).items():
            mean, variance = statistics[name]
            cast(Tensor, norm.running_mean).copy_(mean[: norm.num_features])
            cast(Tensor, norm.running_var).copy_(variance[: norm.num_features])
        (score,) = score_together([module], data.images[validation], data.labels[validation])
        accuracies.append(score.accuracy)
    return accuracies


def _widest_statistics(supernet: Supernet, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of each unit's batch norm, of the widest network that has the unit."""
    space = supernet.space
    kinds = [choice for choice in space.choices if choice.name.startswith("block_")]
    largest = largest_network(space)
    variants: list[dict[str, Value]] = [largest]
    for kind in {value: None for choice in kinds for value in choice.values}:
        own = {choice.name: kind for choice in kinds if kind in choice.values}
        variants.append({**largest, **own})
    statistics: dict[str, tuple[Tensor, Tensor]] = {}
    for network in variants:
        module = extract(supernet, network)
        recalibrate(module, images)
        for name, norm in _norms(module).items():
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            if name not in statistics or len(mean) > len(statistics[name][0]):
                statistics[name] = mean.clone(), variance.clone()
    return statistics


def _norms(module: Network) -> dict[str, nn.BatchNorm2d]:
    """Every batch norm by its block and unit."""
    found: dict[str, nn.BatchNorm2d] = {"stem": cast(nn.BatchNorm2d, module.body.stem.norm)}
    for plan, block in zip(module.plan.blocks, module.body.blocks, strict=True):
        for name, unit in cast(Block, block).units.items():
            found[f"{plan.name}.{name}"] = cast(nn.BatchNorm2d, cast(Unit, unit).norm)
    return found


def _scores(evaluator: SupernetEvaluator, networks: Sequence[Point]) -> list[Score]:
    found: dict[int, Score] = {}
    for index, score in evaluator.score_each(networks):
        if not isinstance(score, Score):
            raise MeasurementFailed(f"network {point_hash(networks[index])}: {score.reason}")
        found[index] = score
    return [found[index] for index in range(len(networks))]


def _predicted(
    space: Space,
    data: Data,
    others: Sequence[Point],
    known: Sequence[Score],
    networks: Sequence[Point],
    seed: int,
) -> list[float]:
    from archwright.evaluators.predictor.accuracy import AccuracyPredictor
    from archwright.evaluators.predictor.features import NetworkFeatures

    features = NetworkFeatures(space, lambda point: plan_of(point, data.shape, space.name))
    predictor = AccuracyPredictor(features.groups, seed)
    predictor.fit(features(others), [score.accuracy for score in known])
    return [float(value) for value in predictor.predict(features(networks)).mean]


def _proxies(
    supernet: Supernet, networks: Sequence[Point], data: Data, seed: int
) -> dict[str, Sequence[float]]:
    from archwright.evaluators.proxies import score_networks

    images, labels = data.take(data.calibration(PROXY_IMAGES))
    scores = score_networks(
        supernet, networks, torch.from_numpy(images), torch.from_numpy(labels), seed=seed
    )
    return {f"proxy {name}": [float(value) for value in row] for name, row in scores.items()}
