"""Between the words of the types and the rows of an archive."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from archwright.design import Design, Origin
from archwright.errors import MeasurementFailed
from archwright.measurement import Fidelity, Measurement, Outcome
from archwright.memory.records import EvaluatedNetwork, FailedSubject, Proposal, Review, Verdict
from archwright.space import Point, Value, point_hash
from archwright.workload import Layer, LayerKind, Workload

Row = dict[str, object]
MOST_CHOICES = 256
LONGEST_TEXT = 64


def dump(value: object) -> str:
    """JSON on one line; not-a-number and infinity are refused."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def load_point(text: str) -> dict[str, Value]:
    """A point from its JSON. Raises ValueError for anything that is not a point."""
    point = json.loads(text)
    if not isinstance(point, dict) or len(point) > MOST_CHOICES:
        raise ValueError("a point is a table of choices")
    for name, value in point.items():
        if len(name) > LONGEST_TEXT or not _is_value(value):
            raise ValueError(f"{name[:LONGEST_TEXT]!r}: not a choice's value")
    return point


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_TEXT
    return isinstance(value, int | float) and math.isfinite(value)


def point_rows(designs: Iterable[Design]) -> list[Row]:
    """Each network and each hardware once."""
    points: dict[str, Point] = {}
    for design in designs:
        points.setdefault(design.network_key, design.network)
        points.setdefault(point_hash(design.hardware), design.hardware)
    return [{"key": key, "point": dump(dict(point))} for key, point in points.items()]


def design_row(run: str, design: Design) -> Row:
    """A design's row, with its origin."""
    return {
        "run": run,
        "key": design.key,
        "network": design.network_key,
        "hardware": point_hash(design.hardware),
        "proposer": design.origin.proposer,
        "reason": design.origin.reason,
        "parents": dump(design.origin.parents),
        "recalled": dump(design.origin.recalled),
    }


def load_design(row: RowMapping, points: dict[str, Point]) -> Design:
    """The design of a joined row; ``points`` remembers the points that were read already."""
    for side in ("network", "hardware"):
        if row[side] not in points:
            points[row[side]] = load_point(row[f"{side}_point"])
    origin = Origin(
        row["proposer"],
        row["reason"],
        tuple(json.loads(row["parents"])),
        tuple(json.loads(row["recalled"])),
    )
    return Design(points[row["network"]], points[row["hardware"]], origin)


def check_measurement(measurement: Measurement) -> None:
    """Raise :class:`MeasurementFailed` for a value that cannot be a measurement.

    Costs may be infinite (a design that does not fit); accuracy is a share.
    """
    numbers = (measurement.value, measurement.low, measurement.high, measurement.seconds)
    if any(math.isnan(number) for number in numbers):
        raise MeasurementFailed(f"{_named(measurement)}: not a number")
    if measurement.metric == "accuracy":
        if not 0.0 <= measurement.value <= 1.0:
            raise MeasurementFailed(f"{_named(measurement)}: allowed 0 to 1")
        if not all(map(math.isfinite, numbers)):
            raise MeasurementFailed(f"{_named(measurement)}: its interval and time must be finite")


def _named(measurement: Measurement) -> str:
    return f"{measurement.metric} of {measurement.subject} = {measurement.value}"


def measurement_rows(
    run: str, step: int, role: str, outcomes: Sequence[Outcome], instruments: Mapping[object, int]
) -> list[Row]:
    """All measurements of a batch."""
    created = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [
        {
            "subject": m.subject,
            "instrument": instruments[instrument_key(m)],
            "metric": m.metric,
            "value": float(m.value),
            "unit": m.unit,
            "low": float(m.low),
            "high": float(m.high),
            "seconds": float(m.seconds),
            "run": run,
            "role": role,
            "step": step,
            "created": created,
        }
        for outcome in outcomes
        for m in outcome.measurements
    ]


def instrument_key(measurement: Measurement) -> tuple[str, str, str, str]:
    """Who measured, and under what."""
    m = measurement
    return m.evaluator, m.version, m.fidelity.value, m.context


def load_measurement(row: RowMapping) -> Measurement:
    """The measurement of a row of ``measurements`` joined with its instrument."""
    return Measurement(
        subject=row["subject"],
        metric=row["metric"],
        value=row["value"],
        unit=row["unit"],
        evaluator=row["evaluator"],
        version=row["version"],
        fidelity=Fidelity(row["fidelity"]),
        context=row["context"],
        low=row["low"],
        high=row["high"],
        seconds=row["seconds"],
    )


def load_evaluated(row: RowMapping) -> EvaluatedNetwork:
    """An evaluated network from a joined row."""
    return EvaluatedNetwork(
        network=load_point(row["point"]),
        network_key=row["subject"],
        design=row["design"],
        accuracy=load_measurement(row),
        step=row["used"],
    )


def load_proposal(row: RowMapping, designs: Mapping[str, Design]) -> Proposal:
    """A proposal from its row; ``designs`` holds the proposed and the replacing ones."""
    review = None
    if row["verdict"] is not None:
        replacement = designs[row["replaced_by"]] if row["replaced_by"] else None
        review = Review(row["position"], Verdict(row["verdict"]), row["reason"], replacement)
    return Proposal(row["step"], row["attempt"], row["position"], designs[row["design"]], review)


def load_failure(row: RowMapping) -> FailedSubject:
    """A failure from its row."""
    return FailedSubject(row["step"], row["subject"], row["evaluator"], row["reason"])


def dump_workload(workload: Workload) -> str:
    """A workload as JSON; of layers only what differs from the fields' defaults."""
    layers = [_without_defaults(layer) for layer in workload.layers]
    numbers = {name: getattr(workload, name) for name in ("bits", "batch", "weight_bits")}
    return dump({"name": workload.name, **numbers, "layers": layers})


def _without_defaults(layer: Layer) -> Row:
    values = {field.name: (getattr(layer, field.name), field.default) for field in fields(layer)}
    return {name: value for name, (value, default) in values.items() if value != default}


def load_workload(text: str) -> Workload:
    """A workload from its JSON, also one written before layers had groups and batches.

    Raises ValueError for anything else.
    """
    table: Any = json.loads(text)
    try:
        layers = tuple(Layer(**{**x, "kind": LayerKind(x["kind"])}) for x in table["layers"])
        batch, weight_bits = table.get("batch", 1), table.get("weight_bits")
        return Workload(table["name"], layers, table["bits"], batch, weight_bits)
    except (TypeError, KeyError):
        raise ValueError("not a workload") from None
