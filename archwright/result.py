"""What a run came to: the one structure that the report, the command line and tools show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from archwright.agents.analyst import Explanation
from archwright.brief import Brief
from archwright.design import Design
from archwright.evaluators.hardware import LayerCost
from archwright.front import Score
from archwright.measurement import Failure, Measurement


@dataclass(frozen=True)
class JudgedDesign:
    """A design with the measurement behind each of its numbers.

    ``costs`` maps every cost metric to its measurement. ``accuracy_validation`` is
    what the search selected on, and optimistic for that; ``accuracy_test`` was
    measured once, after the search had frozen, on the weights that are exported.
    """

    design: Design
    accuracy_validation: Measurement
    costs: Mapping[str, Measurement]
    step: int
    accuracy_test: Measurement | None = None

    def value(self, metric: str) -> float:
        """The value that the search compared: accuracy on validation, or a cost."""
        if metric == "accuracy":
            return self.accuracy_validation.value
        return self.costs[metric].value


@dataclass(frozen=True)
class PromotedDesign:
    """A design of the front that was judged once more, by dearer means.

    ``trained`` is its accuracy on validation after further training for ``epochs`` (of
    each period), None where that failed; ``accuracy_test`` is of the same weights.
    ``simulated`` maps the costs that a simulator gave. ``reached``: it came as far as any.
    """

    design: Design
    epochs: tuple[int, ...]
    trained: Measurement | None
    accuracy_test: Measurement | None
    simulated: Mapping[str, Measurement]
    reached: bool


@dataclass(frozen=True)
class Promotion:
    """The designs that were promoted, in the order in which they entered.

    ``stopped`` says why it ended before its last rung, where it did.
    """

    designs: tuple[PromotedDesign, ...]
    stopped: str = ""
    seconds_by_part: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CurvePoint:
    """The hypervolume after so many accuracy evaluations."""

    evaluations: int
    hypervolume: float


@dataclass(frozen=True)
class Decision:
    """What a role decided, and why: the planner's phases, a model's failure, a repair."""

    step: int
    role: str
    mind: str
    decision: str
    reason: str


@dataclass(frozen=True)
class Rejection:
    """A reason for which the critic turned designs away, how often, and one example."""

    reason: str
    count: int
    example: Design


@dataclass(frozen=True)
class RandomBaseline:
    """Random search with the same number of evaluations, supernet and free costing."""

    curve: tuple[CurvePoint, ...]
    hypervolume: float
    seconds: float


@dataclass(frozen=True)
class RoleUse:
    """What one role asked of one model. ``dollars`` is None where the price is unknown."""

    role: str
    model: str
    asks: int
    failures: int
    requests: int
    tokens_in: int
    tokens_out: int
    seconds: float
    dollars: float | None


@dataclass(frozen=True)
class ModelUse:
    """What the language models of a run took.

    ``dollars`` is None where a price is unknown: ``unpriced`` names these models.
    ``failures`` are asks that got no usable answer, so that the rules answered instead.
    """

    requests: int
    failures: int
    tokens: int
    dollars: float | None
    by_role: tuple[RoleUse, ...] = ()
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """The chosen design, layer by layer, and its area by component (mm2)."""

    layers: tuple[LayerCost, ...]
    area: Mapping[str, float]


@dataclass(frozen=True)
class RunResult:
    """One run, finished or stopped.

    ``nearest`` is the evaluated design that came closest to the constraints, where none
    met them. The front's accuracies are those with inherited weights, ``best`` has those
    of its exported weights: trained further where it was promoted. ``explanation`` holds a
    model's words, where one was asked: words, no measurement. ``flagged`` counts the false
    claims in models' words that were left out.
    """

    run: str
    brief: Brief
    created: str
    stopped: str
    seconds: float
    seconds_by_part: Mapping[str, float]
    evaluations: int
    proposed: int
    rejected: int
    rejections: tuple[Rejection, ...]
    failures: tuple[Failure, ...]
    score: Score
    hypervolume: float
    curve: tuple[CurvePoint, ...]
    baseline: RandomBaseline | None
    front: tuple[JudgedDesign, ...]
    best: JudgedDesign | None
    why_best: str
    inspection: Inspection | None
    decisions: tuple[Decision, ...]
    lessons: tuple[str, ...]
    recalled: tuple[str, ...]
    images_by_split: Mapping[str, int]
    classes: int
    model_use: ModelUse
    nearest: JudgedDesign | None = None
    promotion: Promotion | None = None
    explanation: Explanation | None = None
    flagged: int = 0

    @property
    def tokens_per_design(self) -> float | None:
        """Tokens of language models for each evaluation; None where none was made."""
        return self.model_use.tokens / self.evaluations if self.evaluations else None
