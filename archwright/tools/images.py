"""The images that a network is for, as arguments of tools and as a table of network files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archwright.border import Table
from archwright.brief import NetworkFamily
from archwright.evaluators.supernet import InputShape


class Images(Table):
    """Square images and the number of their classes; the defaults are those of digits.

    With ``family`` they say which network space is meant.
    """

    channels: Literal[1, 3] = Field(default=1, description="of the images: 1 grey, 3 RGB")
    side: int = Field(default=8, ge=8, le=256, description="of the square images, in pixels")
    classes: int = Field(default=10, ge=2, le=1000, description="into which the images fall")

    family: NetworkFamily = Field(default="mbconv", description="which family of networks")

    @property
    def shape(self) -> InputShape:
        """As evaluators take it."""
        return InputShape(self.channels, self.side, self.classes)
