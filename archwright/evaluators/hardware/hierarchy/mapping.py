"""Which loops a mapping file wants unrolled across the array, for which layers.

YAML in ZigZag's layout: a list of entries, one of them named ``default``. An entry is meant for
the layer of its name, else for layers of its operator (``Conv``, ``Gemm``, ``MatMul``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError

from archwright.border import Table, complaint
from archwright.errors import DataError
from archwright.evaluators.hardware.hierarchy.accelerator import MemoryOperand, read_yaml
from archwright.evaluators.hardware.hierarchy.nest import Operand
from archwright.workload import LayerKind

OPERATORS = {
    LayerKind.CONVOLUTION: "Conv",
    LayerKind.DEPTHWISE: "Conv",
    LayerKind.LINEAR: "Gemm",
    LayerKind.MATMUL: "MatMul",
}
MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Wish:
    """One entry: loops and how often each is wanted across each array dimension.

    ``unrolled`` array dimensions are taken as they are, clipped to layer and array; those that it
    leaves out are filled from ``hints`` (any loop where there is none). ``links`` says which
    memory operand holds which tensor. ``ordered`` are the loops that the entry wants in a fixed
    order, which the model does not do.
    """

    unrolled: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    hints: tuple[tuple[str, tuple[str, ...]], ...]
    links: tuple[tuple[Operand, MemoryOperand], ...]
    ordered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """The entries of a file, by layer name, operator or ``default``."""

    entries: dict[str, Wish]

    def of(self, name: str, kind: LayerKind) -> Wish:
        """The entry that is meant for a layer."""
        for key in (name, OPERATORS[kind]):
            if key in self.entries:
                return self.entries[key]
        return self.entries["default"]


def read_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file. Raises :class:`UserError`, one line, for bad ones."""
    try:
        tables = _FileTable.model_validate({"entries": read_yaml(path)}).entries
    except ValidationError as error:
        raise DataError(f"{path}: {complaint(error)}") from None
    if "default" not in {table.name for table in tables}:
        raise DataError(f"{path}: no entry is named default")
    entries: dict[str, Wish] = {}
    for table in tables:
        if table.name in entries:
            raise DataError(f"{path}: {table.name}: more than one entry has this name")
        if len(set(table.memory_operand_links.values())) < 3:
            raise DataError(f"{path}: {table.name}: memory_operand_links: allowed O, I1, I2 once")
        entries[table.name] = _wish(table)
    return Mapping(entries)


_ArrayDimension = Annotated[str, StringConstraints(pattern=r"^D\d$")]
_Unrolled = Annotated[str, StringConstraints(pattern=r"^[A-Z]+\d*, [1-9]\d{0,5}$")]
_Loop = Annotated[str, StringConstraints(pattern=r"^[A-Z]+\d*$")]
_Step = Annotated[list[str | int], Field(min_length=2, max_length=2)]
_LINKS: dict[Operand, MemoryOperand] = {"O": "O", "I": "I1", "W": "I2"}


class _EntryTable(Table):
    name: str = Field(min_length=1, max_length=200)
    spatial_mapping: dict[_ArrayDimension, list[_Unrolled]] | None = None
    spatial_mapping_hint: dict[_ArrayDimension, list[_Loop]] | None = None
    memory_operand_links: dict[Literal["I", "W", "O"], MemoryOperand] = _LINKS
    temporal_ordering: list[_Step] = Field(default_factory=list)


class _FileTable(BaseModel):
    entries: list[_EntryTable] = Field(max_length=MOST_ENTRIES)


def _wish(table: _EntryTable) -> Wish:
    return Wish(
        unrolled=tuple(
            (dimension, tuple(_factor(text) for text in factors))
            for dimension, factors in (table.spatial_mapping or {}).items()
        ),
        hints=tuple(
            (dimension, tuple(loops))
            for dimension, loops in (table.spatial_mapping_hint or {}).items()
        ),
        links=tuple(table.memory_operand_links.items()),
        ordered=tuple(str(loop) for loop, _ in table.temporal_ordering),
    )


def _factor(text: str) -> tuple[str, int]:
    loop, factor = re.split(", ", text)
    return loop, int(factor)
