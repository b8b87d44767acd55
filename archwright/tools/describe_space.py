"""The tool that puts a network space or a hardware space into words."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, network_space
from archwright.space import Value
from archwright.tools.tool import Tool


class DescribeSpace(BaseModel):
    """Which space, and for a network space the images it is for."""

    model_config = ConfigDict(extra="forbid")

    space: Literal["network", "hardware"]
    channels: Literal[1, 3] = Field(default=1, description="of the images")
    side: int = Field(default=8, ge=8, le=256, description="of the square images, in pixels")
    classes: int = Field(default=10, ge=2, le=1000)


class DescribedChoice(BaseModel):
    """One choice of a space."""

    name: str
    values: list[Value]
    unit: str
    meaning: str


class DescribedSpace(BaseModel):
    """A space: its choices in order, and how many points it has."""

    name: str
    size: int
    choices: list[DescribedChoice]


def _describe(arguments: DescribeSpace) -> DescribedSpace:
    """List the choices of the network space or the hardware space, with their meaning."""
    if arguments.space == "hardware":
        space = hardware_space()
    else:
        shape = InputShape(arguments.channels, arguments.side, arguments.classes)
        space = network_space(shape)
    return DescribedSpace(
        name=space.name,
        size=space.size,
        choices=[
            DescribedChoice(name=c.name, values=list(c.values), unit=c.unit, meaning=c.meaning)
            for c in space.choices
        ],
    )


describe_space = Tool("describe_space", DescribeSpace, DescribedSpace, _describe)
