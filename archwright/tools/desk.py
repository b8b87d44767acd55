"""What tools work at: the registry of runs, the user's settings, and what only a run can do.

Tools stand below agents and runs, so they state here what they need of a run; the
program injects it (``archwright/desk.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, Field

from archwright.brief import Brief
from archwright.design import Design
from archwright.measurement import Measurement
from archwright.memory.recall import DesignMemory
from archwright.memory.registry import Registry
from archwright.settings import Settings
from archwright.space import Point


class RunState(BaseModel):
    """How a run stands. Its counts are those of its last recorded event."""

    run: str
    name: str = Field(description="the brief's")
    status: str = Field(description="running, finished, stopped, failed, interrupted or missing")
    part: str = Field(description="what it is doing, or did last")
    detail: str
    evaluations: int = Field(description="accuracy measurements paid for")
    budget: int = Field(description="accuracy measurements allowed")
    rejected: int
    failed: int
    hypervolume: float = Field(description="share of the objective space dominated, 0 to 1")
    best: str
    seconds: float
    seconds_left: float | None = Field(description="estimated; none when unknown")
    stopped: str = Field(description="why the search ended; empty while it goes on")
    folder: str


class EstimatedAccuracy(BaseModel):
    """What a network's accuracy on validation is expected to be: no measurement."""

    accuracy: float
    low: float = Field(description="of the 95% interval for what a measurement would give")
    high: float
    measured: float | None = Field(description="what was measured, where it was")


class EstimatedAccuracies(BaseModel):
    """An estimate for each network, in order. Nothing was evaluated or paid for."""

    estimates: list[EstimatedAccuracy]
    learned_from: int = Field(description="measured networks of the run that they rest on")


class Runs(Protocol):
    """What a run offers to tools. Every method raises a UserError for an unknown run."""

    def check(self, brief: Brief) -> None:
        """Raise a UserError for what would keep a search from beginning; nothing is spent."""
        ...

    def start(self, brief: Brief, hours: float | None) -> str:
        """Begin a search that outlives its caller; its id, at once."""
        ...

    def status(self, run: str) -> RunState:
        """How a run stands; also when another process works on it."""
        ...

    def stop(self, run: str) -> RunState:
        """Ask a run to end with a report, and return how it stands; waits some seconds."""
        ...

    def evaluate(self, run: str, network: Point) -> Measurement:
        """Accuracy of a network of the run's space, on validation, with its supernet."""
        ...

    def estimate(self, run: str, networks: Sequence[Point]) -> EstimatedAccuracies:
        """Accuracies that the run's measurements let expect, without spending anything."""
        ...

    def suggest(self, run: str, designs: int, excluded: tuple[str, ...]) -> list[Design]:
        """What the run's strategy would evaluate next, without spending anything."""
        ...

    def export(self, run: str, design: str) -> Path:
        """Write a design's weights, ONNX and hardware; the folder."""
        ...


@dataclass(frozen=True)
class Desk:
    """Everything a tool may use. ``trusted``: briefs are written by the user at this machine.

    A brief that a model or another program sends is not: it may read data only in the
    folders that the user's settings allow.
    """

    registry: Registry
    memory: DesignMemory
    settings: Settings
    runs: Runs
    trusted: bool = False
