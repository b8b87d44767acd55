"""The brief: what the user wants. A TOML file, checked at the border.

Endpoints and keys are not here: they belong to the user's settings. A brief only
names which model profile of those settings each role uses.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archwright.errors import BriefError
from archwright.measurement import METRICS

ROLES = ("planner", "proposer", "critic", "evaluator")
EMBEDDED_DATA = ("digits",)
LARGEST_BRIEF_BYTES = 1_000_000

Direction = Literal["maximise", "minimise"]
ChoiceValue = Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | str


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Task(_Table):
    """What the network must do: a data set and how it is split.

    ``data`` is "digits" (embedded), or the path of an .npz file or of a folder with
    one folder of images per class. ``validation`` and ``test`` are shares of all
    images; ``test`` is not used where the data brings a test split of its own.
    """

    data: str = Field(min_length=1, max_length=4096)
    validation: float = Field(default=0.2, ge=0.05, le=0.4)
    test: float = Field(default=0.2, ge=0.05, le=0.4)


class Constraint(_Table):
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
            raise ValueError(f"at_least {self.at_least} is above at_most {self.at_most}")
        return self

    def holds(self, value: float) -> bool:
        """Whether ``value`` is within the bounds."""
        return (self.at_most is None or value <= self.at_most) and (
            self.at_least is None or value >= self.at_least
        )


class NetworkSection(_Table):
    """The network space, and which values of its choices to keep (all, when not named)."""

    space: Literal["mbconv"] = "mbconv"
    choices: dict[str, list[ChoiceValue]] = Field(default_factory=dict)


class HardwareSection(_Table):
    """The hardware space with the values to keep, or one fixed hardware."""

    space: Literal["systolic"] = "systolic"
    choices: dict[str, list[ChoiceValue]] = Field(default_factory=dict)
    fixed: dict[str, ChoiceValue] | None = None

    @model_validator(mode="after")
    def _either_choices_or_fixed(self) -> HardwareSection:
        if self.fixed is not None and self.choices:
            raise ValueError("choices and fixed exclude each other: keep one of them")
        return self


class Supernet(_Table):
    """How the supernet is trained."""

    epochs: int = Field(default=40, ge=1, le=1000)


class Budget(_Table):
    """What a run may spend. It stops at the first that is spent."""

    evaluations: int = Field(ge=1, le=100_000)
    hours: float = Field(default=24.0, gt=0, le=1000)
    tokens: int = Field(default=200_000, ge=0, le=10**9)
    dollars: float = Field(default=1.0, ge=0, le=10**5)


class Brief(_Table):
    """What the user wants, whole."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    task: Task
    objectives: dict[str, Direction]
    constraints: dict[str, Constraint] = Field(default_factory=dict)
    network: NetworkSection = Field(default_factory=NetworkSection)
    hardware: HardwareSection = Field(default_factory=HardwareSection)
    supernet: Supernet = Field(default_factory=Supernet)
    budget: Budget
    models: dict[Literal["planner", "proposer", "critic", "evaluator"], str] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _metrics_are_known(self) -> Brief:
        for section, names in (("objectives", self.objectives), ("constraints", self.constraints)):
            for name in names:
                if name not in METRICS:
                    raise ValueError(f"{section}.{name}: allowed {', '.join(METRICS)}")
        if not self.objectives:
            raise ValueError(f"objectives: at least one of {', '.join(METRICS)}")
        for name, direction in self.objectives.items():
            natural: Direction = "maximise" if METRICS[name].maximise else "minimise"
            if direction != natural:
                raise ValueError(f"objectives.{name} = {direction!r}: allowed {natural!r}")
        accuracy = self.constraints.get("accuracy")
        if accuracy is not None:
            for bound in (accuracy.at_least, accuracy.at_most):
                if bound is not None and not 0 <= bound <= 1:
                    raise ValueError(f"constraints.accuracy = {bound}: allowed 0 to 1")
        for name, constraint in self.constraints.items():
            if constraint.at_most is not None and constraint.at_most <= 0:
                raise ValueError(f"constraints.{name}.at_most = {constraint.at_most}: must be > 0")
        return self


def _one_line(error: ValidationError, source: str) -> str:
    """The first complaint as `source: key = value: what is allowed`."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part not in ("int", "float", "str"))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        model = _table_at(first["loc"][:-1])
        allowed = f"; allowed {', '.join(model.model_fields)}" if model else ""
        return f"{source}: {key}: unknown key{allowed}"
    if first["type"] == "missing":
        return f"{source}: {key}: missing"
    if first["type"] == "value_error":
        return f"{source}: {key + ': ' if key else ''}{message}"
    message = message.replace("Input should be", "should be")
    return f"{source}: {key} = {first['input']!r}: {message}"


def _table_at(location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model whose fields are allowed at ``location``, where there is one."""
    model: type[BaseModel] = Brief
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            return Constraint if model is Brief else None
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            model = annotation
        elif part == "constraints":
            return Constraint
        else:
            return None
    return model


def parse_brief(table: Mapping[str, object], source: str = "brief") -> Brief:
    """A brief from a parsed TOML table. Raises :class:`BriefError`, one line."""
    try:
        return Brief.model_validate(table)
    except ValidationError as error:
        raise BriefError(_one_line(error, source)) from None


def load_brief(path: Path) -> Brief:
    """A brief from a TOML file; a relative data path is taken from the file's folder.

    Raises :class:`BriefError` for anything wrong with the file or what it names.
    """
    if not path.is_file():
        raise BriefError(f"{path}: no such brief")
    if path.stat().st_size > LARGEST_BRIEF_BYTES:
        raise BriefError(f"{path}: larger than {LARGEST_BRIEF_BYTES} bytes")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BriefError(f"{path}: not TOML: {error}") from None
    brief = parse_brief(table, path.name)
    return brief.model_copy(update={"task": _resolve(brief.task, path.parent, path.name)})


def _resolve(task: Task, folder: Path, source: str) -> Task:
    """The task with an absolute data path that exists."""
    if task.data in EMBEDDED_DATA:
        return task
    data = (folder / Path(task.data).expanduser()).resolve()
    if not data.exists():
        raise BriefError(
            f"{source}: task.data = {task.data!r}: no such file or folder; allowed "
            f"{', '.join(EMBEDDED_DATA)}, a path of an .npz file or of a folder of images"
        )
    return task.model_copy(update={"data": str(data)})
