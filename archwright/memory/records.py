"""What an archive takes and gives back: frozen, and free of any database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from archwright.design import Design
from archwright.measurement import Measurement
from archwright.space import Point

Floats = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]


class Role(StrEnum):
    """What a measurement was made for, so that the search never reads the others."""

    SEARCH = "search"
    BASELINE = "baseline"
    PROMOTION = "promotion"
    TEST = "test"


class Verdict(StrEnum):
    """The critic's word on a proposal. Who revises proposes something better in its place."""

    ACCEPT = "accept"
    REPAIR = "repair"
    REJECT = "reject"
    DEFER = "defer"
    REVISE = "revise"


@dataclass(frozen=True)
class Review:
    """The verdict on the proposal at ``index``; a repair brings its ``replacement``."""

    index: int
    verdict: Verdict
    reason: str
    replacement: Design | None = None


@dataclass(frozen=True)
class Proposal:
    """A proposed design, with its review once there is one."""

    step: int
    attempt: int
    index: int
    design: Design
    review: Review | None


@dataclass(frozen=True)
class EvaluatedNetwork:
    """A network whose accuracy was measured.

    ``design`` is the key of the design it was measured in, ``step`` the step that used
    the measurement first.
    """

    network: Point
    network_key: str
    design: str
    accuracy: Measurement
    step: int


@dataclass(frozen=True)
class FailedSubject:
    """A subject that an evaluator could not measure in a step, and why."""

    step: int
    subject: str
    evaluator: str
    reason: str


@dataclass(frozen=True)
class DesignTable:
    """The designs that a run judged, in order, with one array of values per metric.

    ``steps`` and every array have shape (designs,); NaN where a metric was not measured.
    """

    designs: tuple[Design, ...]
    steps: Steps
    values: Mapping[str, Floats]
