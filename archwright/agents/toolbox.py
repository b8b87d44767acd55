"""The tools that a model inside a run may call: those that are free and only read.

They are the tool surface's own, bound to the run: a model names no run and no file, and a
result holds nothing that differs between a run and its replay. Each reads what its step may
know, the archive's rows of the steps before it. Nothing here evaluates, starts or writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, Field, ValidationError, WithJsonSchema

from archwright.agents import foresight
from archwright.agents.frontier import Frontier, FrontPoint, Pairings
from archwright.agents.model.prompt import compact
from archwright.agents.problem import History, Problem
from archwright.agents.recollection import Recollection
from archwright.border import ChoiceValue, Table, complaint
from archwright.design import Design, Origin
from archwright.errors import ArchwrightError, UserError, printable
from archwright.measurement import METRICS
from archwright.space import Point, Space, point_hash
from archwright.tools.archived import DesignArgument
from archwright.tools.explain_bottleneck import bottleneck_of, rounded
from archwright.tools.simulate_hardware import point_in

Item = TypeVar("Item")

LONGEST_RESULT = 3000
"""Characters: a result costs at most about a thousand tokens."""
LONGEST_ARGUMENTS = 10_000
MOST_DESIGNS = 8

Changes = Annotated[
    dict[str, ChoiceValue], Field(max_length=64), WithJsonSchema({"type": "object"})
]
"""Values of choices. The schema is kept short: what is allowed is said where it is not kept."""

Base = Annotated[
    DesignArgument | None,
    Field(description="key of a design shown by front or suggest; then name only what differs"),
    WithJsonSchema({"type": "string"}),
]


class _DescribeSpace(Table):
    space: Literal["network", "hardware"]


class _RecallDesigns(Table):
    network: Changes = Field(default={}, description="recall networks like this one")
    designs: int = Field(default=4, ge=1, le=MOST_DESIGNS)


class _OneDesign(Table):
    design: Base = None
    network: Changes = Field(default={}, description="choice to value")
    hardware: Changes = Field(default={}, description="choice to value")


class _SeveralNetworks(Table):
    design: Base = None
    networks: list[Changes] = Field(
        min_length=1, max_length=MOST_DESIGNS, description="choice to value, each"
    )


class _Front(Table):
    designs: int = Field(default=MOST_DESIGNS, ge=1, le=12)
    by: str = Field(default="accuracy", max_length=24, description="best first by this metric")


class _Suggest(Table):
    designs: int = Field(default=4, ge=1, le=MOST_DESIGNS)


@dataclass(frozen=True)
class _Declared:
    """What a tool takes, what it is for, and what it does with the step's view."""

    arguments: type[Table]
    description: str
    run: Callable[[_View, Any], object]


class Offered:
    """A tool as a model is offered it (:class:`archwright.agents.model.port.OfferedTool`)."""

    def __init__(self, name: str, declared: _Declared, view: _View) -> None:
        self.name = name
        self.schema: Mapping[str, object] = {
            "type": "function",
            "function": {
                "name": name,
                "description": declared.description,
                "parameters": compact(declared.arguments.model_json_schema()),
            },
        }
        self._declared, self._view = declared, view

    def call(self, arguments: str) -> str:
        """The result as JSON, or ``error: ...`` in words that a model can act on."""
        try:
            return _cut(self._answer(arguments))
        except ValidationError as wrong:
            return _cut(f"error: {self.name}: {complaint(wrong)}")
        except ArchwrightError as wrong:
            return _cut(f"error: {self.name}: {printable(str(wrong))}")
        except Exception as error:  # noqa: BLE001 - whatever a model asks for, the run goes on
            return f"error: {self.name}: it does not work here ({type(error).__name__})"

    def _answer(self, arguments: str) -> str:
        if len(arguments) > LONGEST_ARGUMENTS:
            raise UserError(f"allowed at most {LONGEST_ARGUMENTS} characters of arguments")
        try:
            table = json.loads(arguments.strip() or "{}")
        except (ValueError, RecursionError) as error:
            raise UserError(f"the arguments are not JSON: {error}") from None
        if not isinstance(table, dict):
            raise UserError("the arguments must be one JSON object")
        checked = self._declared.arguments.model_validate(table)
        plain = _plain(self._declared.run(self._view, checked))
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Toolbox:
    """The tools of one run. ``history`` gives what a step may know."""

    def __init__(
        self,
        problem: Problem,
        pairings: Pairings,
        seed: int,
        recollection: Recollection,
        history: Callable[[int], History],
    ) -> None:
        self._problem, self._pairings, self._seed = problem, pairings, seed
        self._recollection, self._history = recollection, history

    def for_role(self, role: str, step: int) -> tuple[Offered, ...]:
        """What ``role`` is offered in ``step``: a new role is offered everything."""
        view = _View(
            self._problem,
            self._pairings,
            self._seed,
            self._recollection,
            partial(self._history, step),
        )
        names = OFFERED.get(role, tuple(_TOOLS))
        return tuple(Offered(name, _TOOLS[name], view) for name in names)


@dataclass
class _View:
    """What the tools of one ask see; ``shown`` holds the designs that a model may build on."""

    problem: Problem
    pairings: Pairings
    seed: int
    recollection: Recollection
    read_history: Callable[[], History]
    shown: dict[str, Design] = field(default_factory=dict)

    @cached_property
    def history(self) -> History:
        """What the step may know; read when a tool is first called."""
        return self.read_history()

    def front(self) -> list[tuple[FrontPoint, Design]]:
        """The front's designs, best accuracy first."""
        frontier = Frontier(self.problem, self.pairings)
        frontier.add(self.history.evaluated)
        points = frontier.points()
        if not points:
            return []
        networks = self.problem.networks(np.stack([p.evaluated.row for p in points]))
        hardware = self.problem.hardware_space.decode(np.stack([p.hardware for p in points]))
        origin = Origin("front", "on the front")
        designs = [Design(n, h, origin) for n, h in zip(networks, hardware, strict=True)]
        self.shown |= {design.key: design for design in designs}
        return list(zip(points, designs, strict=True))

    def based_on(self, key: str | None) -> tuple[Point, Point]:
        """Network and hardware of a design that was shown; nothing without a key."""
        if key is None:
            return {}, {}
        self.front()
        found = [design for name, design in self.shown.items() if name.startswith(key)]
        if len(found) != 1:
            known = ", ".join(list(self.shown)[:4]) or "none yet"
            raise UserError(f"design = {key!r}: not one that front or suggest shows; {known}")
        return found[0].network, found[0].hardware

    def network(self, base: Point, changes: Point, name: str = "network") -> Point:
        """A network of the run's space. Raises SpaceError with what is allowed."""
        return point_in(self.problem.network_space, name, {**base, **changes})

    def hardware(self, base: Point, changes: Point) -> Point:
        """A hardware of the run's space. Raises SpaceError with what is allowed."""
        return point_in(self.problem.hardware_space, "hardware", {**base, **changes})

    def table(self, rows: Sequence[tuple[Design, Mapping[str, object]]]) -> dict[str, object]:
        """Designs with what is said of each; the choices are named once."""
        return {
            "network choices": list(self.problem.network_space.names),
            "hardware choices": list(self.problem.hardware_space.names),
            "designs": [
                {
                    "key": design.key[:8],
                    **said,
                    "network": list(design.network.values()),
                    "hardware": list(design.hardware.values()),
                }
                for design, said in rows
            ],
        }


def _describe_space(view: _View, arguments: _DescribeSpace) -> object:
    of_network = arguments.space == "network"
    space: Space = view.problem.network_space if of_network else view.problem.hardware_space
    choices = [
        [c.name, list(c.values), f"{c.meaning}{f' ({c.unit})' if c.unit else ''}"]
        for c in space.choices
    ]
    return {"points": space.size, "choice, values, meaning": choices}


def _recall_designs(view: _View, arguments: _RecallDesigns) -> object:
    """Networks of past runs that lie in this space: like the one asked for, else the best."""
    space = view.problem.network_space
    accuracy = {
        point_hash(network): known
        for past in reversed(view.recollection.past)  # of two runs that of the more similar
        for network, known in past.networks
    }
    fronts = [design.network for design in view.recollection.designs]
    measured = [network for past in view.recollection.past for network, _ in past.networks]
    networks = list({point_hash(network): network for network in fronts + measured}.values())
    if arguments.network:
        for name, value in arguments.network.items():
            space.restrict({name: [value]})  # says what is allowed
        wanted = arguments.network.items()
        networks.sort(key=lambda known: -sum(known[name] == value for name, value in wanted))
    elif fronts:
        networks = _thinned(networks[: max(len(fronts), arguments.designs)], arguments.designs)
    return {
        "note": "accuracies of other runs, on other data perhaps: no measurements of this run",
        "network choices": list(space.names),
        "networks": [
            {
                "accuracy then": accuracy.get(point_hash(network)),
                "network": [network[name] for name in space.names],
            }
            for network in networks[: arguments.designs]
        ],
    }


def _simulate(view: _View, arguments: _OneDesign) -> object:
    problem = view.problem
    network, hardware = view.based_on(arguments.design)
    row = problem.network_space.encode([view.network(network, arguments.network)])
    device = view.hardware(hardware, arguments.hardware)
    reason = problem.costing.why_not(row[0], device)
    if reason is not None:
        raise UserError(f"hardware: {reason}")
    costs = problem.costing.zip(row, problem.hardware_space.encode([device]))
    values = {metric: float(cost[0]) for metric, cost in costs.items()}
    return {"costs": values, "breaks": problem.why_not(values) or "no bound of the brief on costs"}


def _estimate_accuracy(view: _View, arguments: _SeveralNetworks) -> object:
    base, _ = view.based_on(arguments.design)
    networks = [
        view.network(base, changes, f"networks.{number}")
        for number, changes in enumerate(arguments.networks)
    ]
    evaluated = view.history.evaluated
    found = foresight.estimate(view.problem, view.pairings, evaluated, networks)
    return {"note": "estimates, not measurements; low to high is the 95% interval", **dict(found)}


def _explain_bottleneck(view: _View, arguments: _OneDesign) -> object:
    network, hardware = view.based_on(arguments.design)
    row = view.problem.network_space.encode([view.network(network, arguments.network)])
    workload = view.problem.costing.workloads(row)[0]
    device = view.hardware(hardware, arguments.hardware)
    return bottleneck_of(workload, device, view.problem.hardware_space)


def _front(view: _View, arguments: _Front) -> object:
    metrics = ("accuracy", *view.problem.cost_objectives)
    if arguments.by not in metrics:
        raise UserError(f"by = {arguments.by!r}: allowed {', '.join(metrics)}")
    sign = -1.0 if METRICS[arguments.by].maximise else 1.0
    rows = [
        (design, {"accuracy": point.evaluated.accuracy, **{m: point.costs[m] for m in metrics[1:]}})
        for point, design in view.front()
    ]
    rows.sort(key=lambda row: (sign * row[1][arguments.by], row[0].key))
    kept = _thinned(rows, arguments.designs)
    return {"size": len(rows), "measured networks": len(view.history.evaluated), **view.table(kept)}


def _suggest(view: _View, arguments: _Suggest) -> object:
    found = foresight.suggest(
        view.problem, view.pairings, view.history, view.seed, arguments.designs
    )
    view.shown |= {design.key: design for design in found}
    return view.table([(design, {"reason": design.origin.reason}) for design in found])


_TOOLS: Mapping[str, _Declared] = {
    "describe_space": _Declared(
        _DescribeSpace,
        "The choices of the network space or the hardware space, their values and meaning.",
        _describe_space,
    ),
    "recall_designs": _Declared(
        _RecallDesigns,
        "Networks of past runs in this space, with the accuracy that they had there.",
        _recall_designs,
    ),
    "simulate": _Declared(
        _OneDesign, "What a network costs on a hardware, exactly and at once.", _simulate
    ),
    "estimate_accuracy": _Declared(
        _SeveralNetworks,
        "The accuracy that the measurements so far let expect of networks, with 95% intervals.",
        _estimate_accuracy,
    ),
    "explain_bottleneck": _Declared(
        _OneDesign,
        "Where a network's time goes on a hardware, and which hardware choice would relieve it.",
        _explain_bottleneck,
    ),
    "front": _Declared(_Front, "The best measured designs so far, evenly thinned.", _front),
    "suggest": _Declared(
        _Suggest, "Designs that the optimiser would evaluate next, and why.", _suggest
    ),
}

OFFERED: Mapping[str, tuple[str, ...]] = {
    "planner": ("front", "suggest", "recall_designs"),
    "critic": ("front", "simulate", "estimate_accuracy", "explain_bottleneck"),
}
"""By role, where it is not everything: the fewer tools, the better small models do."""


def _plain(value: object) -> object:
    """As JSON: numbers to four significant digits, what is not finite as null."""
    if isinstance(value, BaseModel):
        return _plain(dict(value))
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return rounded(value) if np.isfinite(value) else None
    return value


def _thinned(items: Sequence[Item], most: int) -> list[Item]:
    """At most ``most`` of ``items``, evenly spaced from the first to the last."""
    if len(items) <= most:
        return list(items)
    last = len(items) - 1
    return [items[round(k * last / max(most - 1, 1))] for k in range(most)]


def _cut(text: str) -> str:
    """At most so many characters as a model should read of one result."""
    if len(text) <= LONGEST_RESULT:
        return text
    end = " ... (cut: ask for less)"
    return text[: LONGEST_RESULT - len(end)] + end
