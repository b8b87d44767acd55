"""Preparing and scoring networks together: what they have in common is computed once.

Networks of one supernet that agree in resolution, stem and first blocks have equal
weights and, on the same images, equal activations there. They share the modules of these
parts, and a part that they share is run once for all of them. Every value is the one
that the network alone gives: the same operations on the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from archwright.evaluators.supernet.data import Images, Labels, scaled
from archwright.evaluators.supernet.extraction import Network, extract, fold, recalibrate
from archwright.evaluators.supernet.modules import Unit, channels_last
from archwright.evaluators.supernet.network import Preparation, Supernet
from archwright.evaluators.supernet.quantise import (
    Coding,
    QuantisedNetwork,
    coded_part,
    coded_preparation,
)
from archwright.evaluators.supernet.score import (
    CONFIDENCE,
    LOOK_CONFIDENCE,
    Score,
    hopeless,
    stretches,
)
from archwright.space import Point

Item = TypeVar("Item")
Prepared = Network | QuantisedNetwork
Calibrated = tuple[nn.Module, Tensor]


class Chain(Generic[Item]):
    """What was made part by part for one network after another.

    What belongs to the first parts, as far as the next network has the same, stays.
    """

    def __init__(self) -> None:
        self._parts: tuple[object, ...] = ()
        self._items: list[Item] = []

    def along(
        self, parts: Sequence[object], make: Callable[[int, Item | None], Item]
    ) -> list[Item]:
        """One item per part; ``make`` is given a part's index and the item before it."""
        pairs = zip(parts, self._parts, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        del self._items[common:]
        self._parts = tuple(parts)
        for index in range(common, len(parts)):
            self._items.append(make(index, self._items[-1] if self._items else None))
        return list(self._items)


@torch.no_grad()
def prepare_together(
    supernet: Supernet, networks: Sequence[Point], images: Tensor, *, at_bits: bool = True
) -> list[Prepared]:
    """Each network as ``prepare`` gives it, with parts that are shared; similar ones adjoin.

    ``at_bits`` False: recalibrated on ``images``, but not quantised.
    """
    calibrated: Chain[Calibrated] = Chain()
    coded: dict[int, Chain[Coding]] = {}
    prepared: list[Prepared] = []
    for network in networks:
        module = extract(supernet, network)
        plan = module.plan
        plans = (plan.resolution, plan.stem, *plan.blocks, *plan.head)
        _calibrate(module, calibrated.along(plans, _calibration(module, images)))
        if at_bits:
            fold(module)
            chain = coded.setdefault(plan.bits, Chain())
            codings = chain.along(plans, _coding(module, images))
            prepared.append(QuantisedNetwork(module, codings).eval())
        else:
            prepared.append(module.eval())
    return prepared


@torch.no_grad()
def logits_together(modules: Sequence[Prepared], images: Tensor) -> Iterator[Tensor]:
    """The logits of every module for ``images`` in 0..1, in order."""
    outputs: Chain[Tensor] = Chain()
    for module in modules:
        parts = module.parts

        def run(index: int, before: Tensor | None, parts: Sequence[nn.Module] = parts) -> Tensor:
            return channels_last(parts[index](images if before is None else before))

        yield module.finish(outputs.along(parts, run)[-1])


def score_together(
    modules: Sequence[Prepared], images: Images, labels: Labels, at_least: float | None = None
) -> list[Score]:
    """The scores of all modules on images (uint8 grey levels), in order.

    With ``at_least``, a network stops at a look where its interval lies wholly below.
    """
    tallies = [_Tally() for _ in modules]
    going = list(range(len(modules)))
    # What a batch's activations need should fit in a processor's caches.
    batch = min(256, max(16, 2**18 // images[0].size))
    for start, end, look in stretches(len(images), batch):
        inputs = torch.from_numpy(scaled(images[start:end]))
        answers = torch.from_numpy(labels[start:end])
        results = logits_together([modules[k] for k in going], inputs)
        for k, logits in zip(going, results, strict=True):
            tallies[k].add(logits, answers)
        if look and at_least is not None:
            for k in going:
                tallies[k].stopped = hopeless(tallies[k].correct, end, at_least)
            going = [k for k in going if not tallies[k].stopped]
            if not going:
                break
    return [tally.score() for tally in tallies]


class _Tally:
    """Counts one network's answers."""

    def __init__(self) -> None:
        self.correct = self.images = 0
        self.stopped = False
        self._losses = self._squares = 0.0

    def add(self, logits: Tensor, answers: Tensor) -> None:
        losses = functional.cross_entropy(logits, answers, reduction="none").double()
        self.correct += int((logits.argmax(1) == answers).sum())
        self.images += len(answers)
        self._losses += float(losses.sum())
        self._squares += float((losses**2).sum())

    def score(self) -> Score:
        n = self.images
        mean = self._losses / n
        variance = max(0.0, self._squares / n - mean**2) * n / max(1, n - 1)
        confidence = LOOK_CONFIDENCE if self.stopped else CONFIDENCE
        return Score(self.correct, n, mean, math.sqrt(variance / n), confidence)


def _calibration(module: Network, images: Tensor) -> Callable[[int, Calibrated | None], Calibrated]:
    """Gives a part its batch norms' statistics; its output feeds the next part's."""
    parts = module.parts

    def make(index: int, before: Calibrated | None) -> Calibrated:
        x = images if before is None else before[1]
        return parts[index], channels_last(recalibrate(parts[index], x))

    return make


def _calibrate(module: Network, calibrated: Sequence[Calibrated]) -> None:
    """Put calibrated parts, some of them from networks before, in the place of its own."""
    body = module.body
    parts = [part for part, _ in calibrated]
    module.preparation, body.stem = cast(Preparation, parts[0]), cast(Unit, parts[1])
    last_block = 2 + len(body.blocks)
    body.blocks = nn.ModuleList(parts[2:last_block])
    body.head = nn.ModuleList(parts[last_block:])
    x = calibrated[-1][1].mean((2, 3), keepdim=True)
    for unit in body.features:
        x = recalibrate(unit, x)


def _coding(module: Network, images: Tensor) -> Callable[[int, Coding | None], Coding]:
    """Brings a part to the network's bits."""
    parts, bits = module.parts, module.plan.bits

    def make(index: int, before: Coding | None) -> Coding:
        if before is None:
            return coded_preparation(module.preparation, images, bits)
        return coded_part(parts[index], before, bits)

    return make
