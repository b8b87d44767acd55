"""The brief: what the user wants. A TOML file, checked at the border.

Endpoints and keys are not here: they belong to the user's settings. A brief only
names which model profile of those settings each role uses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from archwright.border import ChoiceValue, Table, complaint, read_toml
from archwright.errors import BriefError, shown
from archwright.measurement import METRICS

Role = Literal["planner", "proposer", "critic", "evaluator"]
ROLES: tuple[Role, ...] = get_args(Role)
Direction = Literal["maximise", "minimise"]
NetworkFamily = Literal["mbconv", "universal", "small", "mobile"]
PromotionSimulator = Literal["none", "zigzag", "scalesim"]
Values = Annotated[list[ChoiceValue], Field(min_length=1)]

EMBEDDED_DATA = ("digits",)
OPENML = "openml:"
"""Before the name of a data set on openml.org."""
MOST_OBJECTIVES = 5
"""An exact hypervolume of 500 designs takes 4 ms in five dimensions, 26 s in seven."""
PROMOTION_SHARE = 0.1
"""Of a budget's hours, kept from the search for what comes after it."""


class Task(Table):
    """What the network must do: a data set and how it is split.

    ``data`` is "digits" (embedded), the path of an .npz file, of a folder with one folder
    of images per class or of a folder with IDX files, or "openml:NAME". ``validation``
    and ``test`` are shares of all images; ``test`` is not used where the data brings a
    test split of its own.
    """

    data: str = Field(min_length=1, max_length=4096)
    validation: float = Field(default=0.2, ge=0.05, le=0.4)
    test: float = Field(default=0.2, ge=0.05, le=0.4)


class Constraint(Table):
    """A bound on a metric, in the unit that the metric's name says."""

    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _bounds_make_sense(self) -> Constraint:
        if self.at_most is None and self.at_least is None:
            raise ValueError("needs at_most or at_least")
        if (
            self.at_most is not None
            and self.at_least is not None
            and (self.at_least > self.at_most)
        ):
            raise ValueError(f"at_least {self.at_least:g} is above at_most {self.at_most:g}")
        return self

    def holds(self, value: float) -> bool:
        """Whether ``value`` is within the bounds."""
        return (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )


class NetworkSection(Table):
    """The network space, and which values of its choices to keep (all, when not named)."""

    space: NetworkFamily = "mbconv"
    choices: dict[str, Values] = Field(default_factory=dict)


class HardwareSection(Table):
    """The hardware space with the values to keep, or one fixed hardware."""

    space: Literal["systolic", "row_stationary"] = "systolic"
    choices: dict[str, Values] = Field(default_factory=dict)
    fixed: dict[str, ChoiceValue] | None = None

    @model_validator(mode="after")
    def _either_choices_or_fixed(self) -> HardwareSection:
        if self.fixed is not None and self.choices:
            raise ValueError("choices and fixed exclude each other: keep one of them")
        return self


class Supernet(Table):
    """How the supernet is trained."""

    epochs: int = Field(default=30, ge=1, le=1000)


class Search(Table):
    """How the space is searched.

    ``strategy`` is the optimiser of the search proper, after the opening; which there are is
    known where they live, so it is checked with the spaces. After ``patience`` rounds in a
    row that neither gained nor expected what is worth a round, the run stops before its
    budget is spent; 0, the default, spends the budget. ``committee`` is how often the
    proposer's model, where there is one, is asked for a batch: 1, the default, is once.
    """

    strategy: str = Field(default="surrogate", min_length=1, max_length=40)
    patience: int = Field(default=0, ge=0, le=1000)
    committee: int = Field(default=1, ge=1, le=5)


class Promotion(Table):
    """What is judged once more, by dearer means, before a design is called best.

    The best ``designs`` of the front (0: none) are trained further, ``epochs`` in the last
    rung and half as many in each rung before; ``simulator`` judges those that are left.
    """

    designs: int = Field(default=4, ge=0, le=64)
    epochs: int = Field(default=8, ge=1, le=1000)
    simulator: PromotionSimulator = "none"


class RoundBudget(Table):
    """What each round may spend on language models, within the run's budget; all optional.

    ``requests``, ``tokens`` and ``dollars`` count those in flight; ``seconds`` is how long
    the round may wait for models. Once one is spent, the rules answer for the rest of the round.
    """

    requests: int | None = Field(default=None, ge=0, le=10**6)
    tokens: int | None = Field(default=None, ge=0, le=10**9)
    dollars: float | None = Field(default=None, ge=0, le=10**5)
    seconds: float | None = Field(default=None, gt=0, le=10**6)


class Budget(Table):
    """What a run may spend. It stops at the first of evaluations and hours that is spent.

    The others bound the use of language models; once one is spent, the rules answer for the
    rest of the run. ``tokens``, ``dollars`` and ``requests`` count those in flight;
    ``model_hours`` is how long the run may wait for models in all. A model without a known
    price is bounded by all but dollars. ``round`` bounds each round.
    """

    evaluations: int = Field(ge=1, le=100_000)
    hours: float = Field(default=24.0, gt=0, le=1000)
    tokens: int = Field(default=200_000, ge=0, le=10**9)
    dollars: float = Field(default=1.0, ge=0, le=10**5)
    requests: int | None = Field(default=None, ge=0, le=10**6)
    model_hours: float | None = Field(default=None, gt=0, le=1000)
    round: RoundBudget = Field(default_factory=RoundBudget)


class Brief(Table):
    """What the user wants, whole."""

    name: str
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    task: Task
    objectives: dict[str, Direction]
    constraints: dict[str, Constraint] = Field(default_factory=dict)
    network: NetworkSection = Field(default_factory=NetworkSection)
    hardware: HardwareSection = Field(default_factory=HardwareSection)
    supernet: Supernet = Field(default_factory=Supernet)
    search: Search = Field(default_factory=Search)
    promotion: Promotion = Field(default_factory=Promotion)
    budget: Budget
    approval: bool = False
    models: dict[Role, str] = Field(default_factory=dict)

    @property
    def search_seconds(self) -> float:
        """Of the budget's time what the search may spend; promotion has the rest."""
        share = 1 - PROMOTION_SHARE if self.promotion.designs else 1.0
        return share * self.budget.hours * 3600

    @field_validator("name")
    @classmethod
    def _can_begin_a_run_id(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
            raise ValueError(
                "allowed 1 to 40 letters, digits, _ and -, the first a letter or digit"
            )
        return name

    @model_validator(mode="after")
    def _objectives_fit(self) -> Brief:
        _check_metrics("objectives", self.objectives)
        if not 1 <= len(self.objectives) <= MOST_OBJECTIVES:
            raise ValueError(
                f"objectives: {len(self.objectives)} of them; "
                f"allowed 1 to {MOST_OBJECTIVES} of {', '.join(METRICS)}"
            )
        for metric, direction in self.objectives.items():
            natural = "maximise" if METRICS[metric].maximise else "minimise"
            if direction != natural:
                raise ValueError(f"objectives.{metric} = {direction!r}: allowed {natural!r}")
        return self

    @model_validator(mode="after")
    def _constraints_fit(self) -> Brief:
        _check_metrics("constraints", self.constraints)
        for metric, constraint in self.constraints.items():
            highest = 1.0 if metric == "accuracy" else float("inf")
            allowed = "above 0, up to 1" if metric == "accuracy" else "above 0"
            for side, bound in constraint.model_dump(exclude_none=True).items():
                if not 0 < bound <= highest:
                    key = f"constraints.{metric}.{side}"
                    raise ValueError(f"{key} = {bound:g}: allowed {allowed}")
        return self


def _check_metrics(section: str, names: Mapping[str, object]) -> None:
    for name in names:
        if name not in METRICS:
            raise ValueError(f"{section}.{name}: unknown metric; allowed {', '.join(METRICS)}")


def parse_brief(table: Mapping[str, object], source: str = "brief") -> Brief:
    """A brief from a parsed TOML table. Raises :class:`BriefError`, one line."""
    try:
        return Brief.model_validate(table)
    except ValidationError as error:
        raise BriefError(f"{source}: {complaint(error)}") from None


def load_brief(path: Path) -> Brief:
    """A brief from a TOML file; a relative data path is taken from the file's folder.

    Raises :class:`BriefError` for anything wrong with the file or what it names.
    """
    brief = parse_brief(read_toml(path, "brief", BriefError), path.name)
    return brief.model_copy(update={"task": _resolve(brief.task, path.parent, path.name)})


def has_name(data: str) -> bool:
    """Whether data is found by its name: it is no path."""
    return data in EMBEDDED_DATA or data.startswith(OPENML)


def _resolve(task: Task, folder: Path, source: str) -> Task:
    """The task with an absolute data path that exists, unless its data has a name."""
    if has_name(task.data):
        return task
    try:
        data = (folder / Path(task.data).expanduser()).resolve()
        there = data.exists()
    except (OSError, RuntimeError, ValueError):  # too long, ~ of nobody, a null byte
        there = False
    if not there:
        raise BriefError(
            f"{source}: task.data = {shown(task.data)}: no such file or folder; allowed "
            f"{', '.join(EMBEDDED_DATA)}, {OPENML}NAME, a path of an .npz file or of a folder of "
            "images"
        )
    return task.model_copy(update={"data": str(data)})
