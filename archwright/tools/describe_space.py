"""The tool that puts a network space or a hardware space into words."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import network_space
from archwright.space import Value
from archwright.tools.desk import Desk
from archwright.tools.images import Images
from archwright.tools.tool import Tool


class DescribeSpace(Images):
    """Which space, and for a network space the images it is for."""

    space: Literal["network", "hardware"]
    hardware: Literal["systolic", "row_stationary"] = Field(
        default="systolic", description="which hardware space"
    )


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


def _describe(arguments: DescribeSpace, desk: Desk) -> DescribedSpace:
    """List the choices of the network space or the hardware space, with their meaning."""
    if arguments.space == "hardware":
        space = hardware_space(arguments.hardware)
    else:
        space = network_space(arguments.shape, arguments.family)
    return DescribedSpace(
        name=space.name,
        size=space.size,
        choices=[
            DescribedChoice(name=c.name, values=list(c.values), unit=c.unit, meaning=c.meaning)
            for c in space.choices
        ],
    )


describe_space = Tool("describe_space", DescribeSpace, DescribedSpace, _describe)
