"""What a proxy learns from: what a simulator said about workloads on hardware.

Observations come from an archive (whole networks, as designs were simulated) or from a
table of single layers, a CSV file.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

from archwright.design import Design
from archwright.errors import DataError, UserError
from archwright.measurement import Fidelity, Measurement
from archwright.space import Point, Value
from archwright.workload import Layer, LayerKind, Workload

TARGETS = ("latency_ms", "energy_uj")
LARGEST_TABLE_BYTES = 64 * 2**20
_HARDWARE = "hardware."
_LAYER_FIELDS = tuple(field.name for field in fields(Layer) if field.name != "name")


@dataclass(frozen=True)
class Observation:
    """A simulator's word on a workload (often a single layer) on a hardware.

    ``network`` names what the workload is part of, in which it occurs ``times`` times;
    ``latency_ms`` and ``energy_uj`` are of one occurrence.
    """

    workload: Workload
    hardware: Point
    latency_ms: float
    energy_uj: float
    network: str
    times: int = 1

    def __post_init__(self) -> None:
        for name in TARGETS:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DataError(
                    f"{self.network}, {self.workload.name}: {name} = {value}: "
                    "must be a number above 0"
                )


class DesignSource(Protocol):
    """What is needed of an archive: designs, their workloads and measurements."""

    def designs(self, run: str) -> Any:
        """An object whose ``designs`` are the run's."""
        ...

    def workload(self, network_key: str) -> Workload | None:
        """The layers of a network."""
        ...

    def measurements(
        self, subjects: Iterable[str], metric: str, **instrument: str
    ) -> dict[str, Measurement]:
        """The measurements of ``metric`` by subject, from an instrument described so."""
        ...


def archived_observations(archive: DesignSource, run: str, simulator: str) -> list[Observation]:
    """The designs of a run whose latency and energy ``simulator`` (a name) has given."""
    designs: Sequence[Design] = archive.designs(run).designs
    keys = [design.key for design in designs]
    instrument = {"fidelity": Fidelity.SIMULATOR.value, "evaluator": simulator}
    latency, energy = (archive.measurements(keys, name, **instrument) for name in TARGETS)
    found = []
    for design in designs:
        workload = archive.workload(design.network_key)
        if workload is None or design.key not in latency or design.key not in energy:
            continue
        values = latency[design.key].value, energy[design.key].value
        found.append(Observation(workload, design.hardware, *values, network=design.network_key))
    return found


def write_observations(observations: Sequence[Observation], path: Path) -> None:
    """Write observations of single layers as CSV. All have the same hardware choices."""
    choices = list(observations[0].hardware)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        hardware = [_HARDWARE + name for name in choices]
        writer.writerow(["network", "layer", "times", *_LAYER_FIELDS, "bits", *hardware, *TARGETS])
        for each in observations:
            (layer,) = each.workload.layers
            sizes = [_written(getattr(layer, name)) for name in _LAYER_FIELDS]
            point = [each.hardware[name] for name in choices]
            values = [f"{getattr(each, name):.9g}" for name in TARGETS]
            writer.writerow(
                [each.network, layer.name, each.times, *sizes, each.workload.bits, *point, *values]
            )


def read_observations(path: Path) -> list[Observation]:
    """Observations of single layers from a CSV file as :func:`write_observations` makes it.

    Raises :class:`DataError`, one line naming file and row, for anything else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.stat().st_size > LARGEST_TABLE_BYTES:
        raise DataError(f"{path}: larger than {LARGEST_TABLE_BYTES} bytes")
    points: dict[tuple[str, ...], Point] = {}
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                found.append(_observation(row, points))
            except (KeyError, TypeError, ValueError, UserError) as error:
                raise DataError(f"{path.name}: row {number}: {error}") from None
    return found


def _observation(row: Mapping[str, str], points: dict[tuple[str, ...], Point]) -> Observation:
    sizes: dict[str, Any] = {name: _read(row[name]) for name in _LAYER_FIELDS}
    sizes |= {"kind": LayerKind(row["kind"]), "bias": row["bias"] == "True"}
    layer = Layer(name=row["layer"], **sizes)
    chosen = {name: text for name, text in row.items() if name.startswith(_HARDWARE)}
    point = points.setdefault(
        tuple(chosen.values()),
        {name.removeprefix(_HARDWARE): _value(text) for name, text in chosen.items()},
    )
    return Observation(
        Workload(layer.name, (layer,), int(row["bits"])),
        point,
        latency_ms=float(row["latency_ms"]),
        energy_uj=float(row["energy_uj"]),
        network=row["network"],
        times=int(row["times"]),
    )


def _written(value: object) -> object:
    return "" if value is None else value.value if isinstance(value, LayerKind) else value


def _read(text: str) -> int | None:
    """A size, or None where the field is empty; words (kind, bias) are read elsewhere."""
    return int(text) if text.isdecimal() else None


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
