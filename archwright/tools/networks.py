"""The tools that work with one run's networks: measure one, estimate some, suggest the next."""

from __future__ import annotations

from pydantic import BaseModel, Field

from archwright.border import Table
from archwright.space import Value
from archwright.tools.archived import DesignArgument, RunArgument, ShownMetric, shown
from archwright.tools.desk import Desk, EstimatedAccuracies
from archwright.tools.simulate_hardware import PointArgument
from archwright.tools.tool import Tool


class EvaluateNetwork(Table):
    """A network, and the run whose data and supernet judge it."""

    run: RunArgument
    network: PointArgument = Field(description="a value for each choice of the network space")


class EvaluatedAccuracy(BaseModel):
    """Accuracy on the validation split, measured with the run's supernet."""

    accuracy_validation: ShownMetric


class EstimateAccuracy(Table):
    """Networks of a run's space, and the run whose measurements the estimates rest on."""

    run: RunArgument
    networks: list[PointArgument] = Field(
        min_length=1, max_length=16, description="a value for each choice of the space, each"
    )


class SuggestDesigns(Table):
    """How many designs, for which run, without which."""

    run: RunArgument
    designs: int = Field(default=5, ge=1, le=16)
    without: list[DesignArgument] = Field(
        default=[], max_length=64, description="designs whose networks are not to be suggested"
    )


class SuggestedDesign(BaseModel):
    """A design that was not evaluated yet, and why it is suggested."""

    key: str
    network: dict[str, Value]
    hardware: dict[str, Value]
    proposer: str
    reason: str


class SuggestedDesigns(BaseModel):
    """Designs to evaluate next, best first."""

    designs: list[SuggestedDesign]


def _evaluate(arguments: EvaluateNetwork, desk: Desk) -> EvaluatedAccuracy:
    """Measure a network's accuracy with a run's trained supernet; the run itself is unchanged."""
    measured = desk.runs.evaluate(arguments.run, arguments.network)
    return EvaluatedAccuracy(accuracy_validation=shown(measured))


def _estimate(arguments: EstimateAccuracy, desk: Desk) -> EstimatedAccuracies:
    """Estimate networks' accuracies from what a run has measured; this costs no evaluation."""
    return desk.runs.estimate(arguments.run, arguments.networks)


def _suggest(arguments: SuggestDesigns, desk: Desk) -> SuggestedDesigns:
    """Suggest designs that a run should evaluate next, from what it has measured so far."""
    found = desk.runs.suggest(arguments.run, arguments.designs, tuple(arguments.without))
    return SuggestedDesigns(
        designs=[
            SuggestedDesign(
                key=design.key,
                network=dict(design.network),
                hardware=dict(design.hardware),
                proposer=design.origin.proposer,
                reason=design.origin.reason,
            )
            for design in found
        ]
    )


evaluate_network = Tool("evaluate_network", EvaluateNetwork, EvaluatedAccuracy, _evaluate)
estimate_accuracy = Tool("estimate_accuracy", EstimateAccuracy, EstimatedAccuracies, _estimate)
suggest_designs = Tool("suggest_designs", SuggestDesigns, SuggestedDesigns, _suggest)
