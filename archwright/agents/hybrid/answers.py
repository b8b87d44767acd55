"""What a proposer's model may answer: schemas made from the space, and designs read from them.

Every choice is an enumeration of its values, so that an endpoint which enforces schemas can
only name designs of the space, however small its model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)

from archwright.agents.frontier import DOMINATED, Frontier, Pairings
from archwright.agents.hybrid.levels import Levels
from archwright.agents.minds import Position, Sentence
from archwright.agents.model.reading import complaints
from archwright.agents.problem import Problem
from archwright.agents.strategies.common import balanced_hardware
from archwright.design import Design, Origin
from archwright.errors import SpaceError
from archwright.space import Choice, Indices, Space, Value

LARGEST_OPENING = 8
"""Designs of an opening that are the model's at most: what a worthless one can cost."""
MOST_PROPOSALS = 16
LONGEST_VALUE = 40
MOST_COMPLAINTS = 8
OUTSIDE = "outside the space"
Values = dict[str, Value]


class OpeningDesign(BaseModel):
    """A network, the cost level it is for, and why it should do well there."""

    level: str = Field(max_length=LONGEST_VALUE)
    network: Any
    rationale: Sentence


@dataclass(frozen=True)
class Unreadable:
    """What stands in an answer in the place of a design that is none: why it is none."""

    reason: str


class OpeningAnswer(BaseModel):
    """Networks to measure first, best first."""

    designs: list[OpeningDesign | Unreadable]


class Change(BaseModel):
    """A choice and its new value.

    What both spaces name (bits) changes in both, where both have the value: they have to agree.
    """

    choice: str = Field(max_length=64)
    value: str = Field(max_length=LONGEST_VALUE)


class ProposedDesign(BaseModel):
    """One of the numbered candidates, as it is or with changes."""

    candidate: Position = Field(description="number of the candidate")
    changes: list[Change] = Field(max_length=12, description="none: the candidate as it is")
    rationale: Sentence


class ProposalsAnswer(BaseModel):
    """Designs in place of the optimiser's; none keeps its batch."""

    proposals: list[ProposedDesign | Unreadable]


def opening_answer(space: Space, levels: Levels, designs: int) -> type[OpeningAnswer]:
    """The schema of an opening of at most ``designs`` networks."""
    # A table's column may have any name, a field of pydantic's may not.
    fields: dict[str, Any] = {
        f"choice_{c}": (_one_of(choice.values), Field(alias=choice.name))
        for c, choice in enumerate(space.choices)
    }
    network = create_model("Network", **fields)
    design = create_model(
        "OpeningDesign",
        __base__=OpeningDesign,
        __doc__=OpeningDesign.__doc__,
        level=(_one_of(levels.names), ...),
        network=(network, ...),
    )
    several = _several(design, designs)
    return create_model(
        "Opening", __base__=OpeningAnswer, __doc__=OpeningAnswer.__doc__, designs=(several, ...)
    )


def proposals_answer(network: Space, hardware: Space) -> type[ProposalsAnswer]:
    """The schema of a round's proposals: only choices that there are can change."""
    names = dict.fromkeys((*network.names, *(hardware.names if hardware.size > 1 else ())))
    value = Annotated[str, BeforeValidator(_as_text), Field(max_length=LONGEST_VALUE)]
    change = create_model(
        "Change",
        __base__=Change,
        __doc__="A choice and its new value.",
        choice=(_one_of(tuple(names)), ...),
        value=(value, ...),
    )
    changes = Annotated[
        list[change],
        Field(max_length=12, description="none: the candidate as it is"),
    ]
    design = create_model(
        "ProposedDesign",
        __base__=ProposedDesign,
        __doc__=ProposedDesign.__doc__,
        changes=(changes, ...),
    )
    several = _several(design, MOST_PROPOSALS)
    return create_model(
        "Proposals",
        __base__=ProposalsAnswer,
        __doc__=ProposalsAnswer.__doc__,
        proposals=(several, ...),
    )


@dataclass(frozen=True)
class Refusal:
    """A design of an answer that is not taken: its place, why, and what exactly is wrong."""

    number: int
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"design {self.number}: {self.reason}{f': {self.detail}' if self.detail else ''}"


@dataclass(frozen=True)
class Understood:
    """Designs that may be evaluated, best first, and why each of the others may not."""

    designs: tuple[Design, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def complaint(self) -> str:
        """What the model is told of its refused designs; empty when there are none."""
        return "; ".join(map(str, self.refusals[:MOST_COMPLAINTS]))

    @property
    def counts(self) -> dict[str, int]:
        """How many designs were refused for each reason."""
        return dict(Counter(refusal.reason for refusal in self.refusals))


@dataclass(frozen=True)
class Reader:
    """Reads designs from answers: inside the space, never tried, affordable on some hardware.

    ``mind`` is who proposes them, ``frontier`` what they have to join, ``tried`` the networks
    that are taken, ``unwanted`` whether the user's objections speak against a design.
    """

    problem: Problem
    pairings: Pairings
    frontier: Frontier
    mind: str
    tried: Collection[str]
    unwanted: Callable[[Design], bool]

    def opening(self, answer: OpeningAnswer) -> Understood:
        """An opening's designs, each network on the hardware that balances its costs."""
        choices = self.problem.network_space.choices
        read: list[Design | Refusal] = []
        for number, wanted in enumerate(answer.designs):
            if isinstance(wanted, Unreadable):
                read.append(Refusal(number, OUTSIDE, wanted.reason))
                continue
            values = wanted.network.model_dump(by_alias=True)
            network = {choice.name: _value(choice, values[choice.name]) for choice in choices}
            origin = Origin(self.mind, f"{wanted.level}: {wanted.rationale}")
            read.append(self._read(number, network, None, origin))
        return _without_repeats(read)

    def proposals(self, answer: ProposalsAnswer, candidates: Sequence[Design]) -> Understood:
        """A round's designs: candidates, or changed copies of them."""
        read: list[Design | Refusal] = []
        for number, wanted in enumerate(answer.proposals):
            if isinstance(wanted, Unreadable):
                read.append(Refusal(number, OUTSIDE, wanted.reason))
                continue
            if wanted.candidate >= len(candidates):
                detail = f"{wanted.candidate}, allowed 0 to {len(candidates) - 1}"
                read.append(Refusal(number, "no such candidate", detail))
                continue
            base = candidates[wanted.candidate]
            try:
                network, hardware = self._changed(base, wanted.changes)
            except SpaceError as error:
                read.append(Refusal(number, OUTSIDE, str(error)))
                continue
            before = base.origin
            origin = Origin(self.mind, wanted.rationale, before.parents, before.recalled)
            read.append(self._read(number, network, hardware, origin))
        return _without_repeats(read)

    def _changed(self, base: Design, changes: Sequence[Change]) -> tuple[Values, Values]:
        """The candidate's network and hardware with the changes. Raises SpaceError.

        What both spaces name changes wherever there is such a value.
        """
        network, hardware = dict(base.network), dict(base.hardware)
        places = (
            (network, self.problem.network_space),
            (hardware, self.problem.hardware_space),
        )
        for change in changes:
            named = [
                (point, choice)
                for point, space in places
                for choice in space.choices
                if choice.name == change.choice
            ]
            having = [(point, choice) for point, choice in named if change.value in _texts(choice)]
            for point, choice in having or named[:1]:
                point[choice.name] = _value(choice, change.value)
        return network, hardware

    def _read(
        self, number: int, network: Values, hardware: Values | None, origin: Origin
    ) -> Design | Refusal:
        """A design, or why not. Hardware that cannot run the network gives way to what suits it."""
        problem = self.problem
        row = problem.network_space.encode([network])[0]
        pairing = self.pairings.of(row)
        if len(pairing) == 0:
            return Refusal(number, "no hardware keeps its costs within the bounds")
        if hardware is None or not self._affordable(row, hardware):
            best = balanced_hardware(problem, pairing)
            hardware = problem.hardware_space.decode(best[None])[0]
        design = Design(network, hardware, origin)
        if design.network_key in self.tried:
            return Refusal(number, "its network was tried before, or is in the batch")
        if not self.frontier.could_join(pairing):
            return Refusal(number, DOMINATED)
        if self.unwanted(design):
            return Refusal(number, "the user rejected such a design")
        return design

    def _affordable(self, network: Indices, hardware: Values) -> bool:
        device = self.problem.hardware_space.encode([hardware])
        costs = self.problem.costing.zip(network[None], device)
        return bool(self.problem.affordable(costs)[0])


def _without_repeats(read: Sequence[Design | Refusal]) -> Understood:
    """What was read, each network once."""
    designs: dict[str, Design] = {}
    refusals: list[Refusal] = []
    for number, one in enumerate(read):
        if isinstance(one, Refusal):
            refusals.append(one)
        elif one.network_key in designs:
            refusals.append(Refusal(number, "its network stands twice in the answer"))
        else:
            designs[one.network_key] = one
    return Understood(tuple(designs.values()), tuple(refusals))


def _one_of(values: Sequence[Value]) -> Any:
    """One of these, as text; a number that equals one of them is taken, too."""
    texts = {value: str(value) for value in values}

    def as_text(given: object) -> object:
        known = isinstance(given, int | float) and not isinstance(given, bool) and given in texts
        return texts[given] if known else given  # type: ignore[index]

    return Annotated[Literal[tuple(texts.values())], BeforeValidator(as_text)]


def _several(design: type[BaseModel], most: int) -> Any:
    """At most so many designs. One that cannot be read does not take the others with it, and
    of a longer list the first count: best first is what is asked for."""

    def or_why(given: object, read: ValidatorFunctionWrapHandler) -> object:
        try:
            return read(given)
        except ValidationError as error:
            return Unreadable(complaints(error, 2))

    def first(given: object) -> object:
        return given[:most] if isinstance(given, list) else given

    one: Any = Annotated[design, WrapValidator(or_why)]
    return Annotated[list[one], Field(max_length=most), BeforeValidator(first)]


def _as_text(given: object) -> object:
    """A number as it is written: 8 for 8.0."""
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


def _value(choice: Choice, text: str) -> Value:
    """The choice's own value that is written like this. Raises :class:`SpaceError`."""
    try:
        return _texts(choice)[text]
    except KeyError:
        allowed = ", ".join(map(str, choice.values))
        raise SpaceError(f"{choice.name} = {text!r}: allowed {allowed}") from None


def _texts(choice: Choice) -> dict[str, Value]:
    """The values by how they are written."""
    short = {f"{v:g}": v for v in choice.values if not isinstance(v, str)}
    return {**short, **{str(v): v for v in choice.values}}
