"""An accelerator as its memories: what they hold, what an access costs, which units they serve.

Files are YAML in the layout of ZigZag 3.9 (https://github.com/KULeuven-MICAS/zigzag; Mei et al.,
"ZigZag", IEEE Transactions on Computers 2021), so that its accelerators can be read as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError

from archwright.border import Table, complaint
from archwright.errors import DataError, UserError

MemoryOperand = Literal["I1", "I2", "O"]
Direction = Literal["fh", "fl", "th", "tl"]
"""Which way data goes through a memory: From or To the Higher or Lower one."""

LARGEST_YAML_BYTES = 65_536
MOST_MEMORIES = 32


@dataclass(frozen=True)
class Port:
    """Moves at most ``bandwidth_max`` bits a cycle, in units of ``bandwidth_min`` bits."""

    name: str
    bandwidth_min: int
    bandwidth_max: int
    moves: tuple[tuple[MemoryOperand, Direction], ...]

    @property
    def feeds_both_inputs(self) -> bool:
        """Whether I1 and I2 take turns at this port."""
        return {"I1", "I2"} <= {operand for operand, _ in self.moves}


@dataclass(frozen=True)
class Memory:
    """One memory, unrolled over the array dimensions that it does not serve.

    ``size`` in bits; costs in pJ for an access of ``bandwidth_max`` bits. ``double_buffered``:
    half of it is always being filled.
    """

    name: str
    size: int
    read_cost: float
    write_cost: float
    operands: tuple[MemoryOperand, ...]
    ports: tuple[Port, ...]
    served: tuple[str, ...]
    double_buffered: bool = False

    @cached_property
    def port_of(self) -> dict[tuple[MemoryOperand, Direction], Port]:
        """The port that each kind of move goes through."""
        return {move: port for port in self.ports for move in port.moves}


@dataclass(frozen=True)
class Accelerator:
    """An array of multipliers and the memories around it, listed from the inside out.

    ``dimensions`` are the array's (name, size); along ``systolic`` ones data moves by one unit a
    cycle. ``mac_cost`` in pJ.
    """

    name: str
    dimensions: tuple[tuple[str, int], ...]
    mac_cost: float
    memories: tuple[Memory, ...]
    systolic: tuple[str, ...] = ()

    def memories_of(self, operand: MemoryOperand) -> tuple[int, ...]:
        """Where in ``memories`` those are that hold an operand, innermost first."""
        return tuple(i for i, memory in enumerate(self.memories) if operand in memory.operands)

    @cached_property
    def innermost(self) -> tuple[Memory, ...]:
        """The memories that no memory lies below of, for any operand that they hold."""
        first = {
            operand: self.memories_of(operand)[0]
            for memory in self.memories
            for operand in memory.operands
        }
        return tuple(
            memory
            for i, memory in enumerate(self.memories)
            if all(first[operand] == i for operand in memory.operands)
        )


def read_accelerator(path: Path) -> Accelerator:
    """The accelerator in a YAML file. Raises :class:`UserError`, one line, for bad ones."""
    try:
        table = _AcceleratorTable.model_validate(read_yaml(path))
    except ValidationError as error:
        raise DataError(f"{path}: {complaint(error)}") from None
    try:
        return _checked(table)
    except UserError as error:
        raise DataError(f"{path}: {error}") from None


def read_yaml(path: Path) -> Any:
    """The plain data in a YAML file of at most ``LARGEST_YAML_BYTES``, without aliases."""
    import yaml  # type: ignore[import-untyped]

    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        content = file.read(LARGEST_YAML_BYTES + 1)
    if len(content) > LARGEST_YAML_BYTES:
        raise DataError(f"{path}: larger than {LARGEST_YAML_BYTES} bytes")
    try:
        text = content.decode("utf-8")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            # aliases of aliases take exponential time to check
            raise DataError(f"{path}: YAML aliases (*) are not allowed")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from None


_Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_ArrayDimension = Annotated[str, StringConstraints(pattern=r"^D\d$")]
_Cost = Annotated[float, Field(ge=0, le=1e12)]
_Bandwidth = Annotated[int, Field(ge=1, le=10**9)]


class _PortTable(Table):
    name: _Name
    type: Literal["read", "write", "read_write"]
    bandwidth_min: _Bandwidth
    bandwidth_max: _Bandwidth
    allocation: list[Annotated[str, StringConstraints(pattern=r"^(I1|I2|O), (fh|tl|fl|th)$")]]


class _MemoryTable(Table):
    size: int = Field(ge=1, le=10**15)
    r_cost: _Cost | None = None
    w_cost: _Cost | None = None
    area: float | None = None
    latency: int = 1
    mem_type: str = "sram"
    auto_cost_extraction: bool = False
    operands: list[MemoryOperand] = Field(min_length=1, max_length=3)
    ports: list[_PortTable] = Field(min_length=1, max_length=16)
    served_dimensions: list[_ArrayDimension]
    force_double_buffering: bool = False


class _ArrayTable(Table):
    dimensions: list[_ArrayDimension] = Field(min_length=1, max_length=10)
    sizes: list[Annotated[int, Field(ge=1, le=10**6)]]
    unit_energy: _Cost | None = None
    unit_area: float | None = None
    systolic_dimensions: list[_ArrayDimension] = Field(default_factory=list)
    is_imc: bool = False
    input_precision: list[int] | None = None
    imc_type: str | None = None
    adc_resolution: float | None = None
    bit_serial_precision: float | None = None


class _AcceleratorTable(Table):
    name: _Name
    memories: dict[_Name, _MemoryTable] = Field(min_length=1, max_length=MOST_MEMORIES)
    operational_array: _ArrayTable
    dataflows: dict[_ArrayDimension, list[str]] | None = None


def _checked(table: _AcceleratorTable) -> Accelerator:
    array = table.operational_array
    if array.is_imc or array.unit_energy is None:
        raise UserError(
            "operational_array: in-memory computing is not modelled; allowed an array of "
            "multipliers with unit_energy"
        )
    if len(array.sizes) != len(array.dimensions) or len(set(array.dimensions)) < len(array.sizes):
        raise UserError(
            f"operational_array.sizes = {array.sizes}: allowed one for each of "
            f"{len(array.dimensions)} different dimensions"
        )
    memories = tuple(
        _memory(name, memory, array.dimensions) for name, memory in table.memories.items()
    )
    for operand in ("I1", "I2", "O"):
        if not any(operand in memory.operands for memory in memories):
            raise UserError(f"memories: none holds {operand}")
    strange = set(array.systolic_dimensions) - set(array.dimensions)
    if strange:
        raise UserError(
            f"operational_array.systolic_dimensions: {min(strange)}: "
            f"allowed {', '.join(array.dimensions)}"
        )
    _check_moves(memories)
    return Accelerator(
        name=table.name,
        dimensions=tuple(zip(array.dimensions, array.sizes, strict=True)),
        mac_cost=array.unit_energy,
        memories=memories,
        systolic=tuple(array.systolic_dimensions),
    )


def _memory(name: str, table: _MemoryTable, dimensions: list[str]) -> Memory:
    if table.r_cost is None or table.w_cost is None:
        raise UserError(f"memories.{name}: r_cost and w_cost are needed (CACTI is not run)")
    for dimension in table.served_dimensions:
        if dimension not in dimensions:
            raise UserError(
                f"memories.{name}.served_dimensions = {dimension}: allowed {', '.join(dimensions)}"
            )
    for port in table.ports:
        where = f"memories.{name}.ports.{port.name}"
        if port.bandwidth_min > port.bandwidth_max:
            raise UserError(
                f"{where}.bandwidth_min = {port.bandwidth_min}: allowed at most bandwidth_max "
                f"({port.bandwidth_max})"
            )
        for move in port.allocation:
            operand, direction = move.split(", ")
            wrong = {"read": "f", "write": "t"}.get(port.type)
            if operand not in table.operands or direction[0] == wrong:
                raise UserError(
                    f"{where}.allocation = {move!r}: allowed moves of {', '.join(table.operands)} "
                    f"that a {port.type} port makes"
                )
    return Memory(
        name=name,
        size=table.size,
        read_cost=table.r_cost,
        write_cost=table.w_cost,
        operands=tuple(table.operands),
        ports=tuple(_port(port) for port in table.ports),
        served=tuple(table.served_dimensions),
        double_buffered=table.force_double_buffering,
    )


def _port(table: _PortTable) -> Port:
    moves: list[Any] = [tuple(move.split(", ")) for move in table.allocation]
    return Port(table.name, table.bandwidth_min, table.bandwidth_max, tuple(moves))


def _check_moves(memories: tuple[Memory, ...]) -> None:
    """Each memory needs a port for every move that its place in the hierarchy asks for.

    Inputs come from above and go below; outputs go both ways, above only where there is a
    memory above.
    """
    for i, memory in enumerate(memories):
        for operand in memory.operands:
            top = not any(operand in above.operands for above in memories[i + 1 :])
            needed = ["tl"] if operand != "O" else ["fl", "tl"]
            if not top:
                needed += ["fh"] if operand != "O" else ["th", "fh"]
            for direction in needed:
                if (operand, direction) not in memory.port_of:
                    raise UserError(
                        f"memories.{memory.name}.ports: none is allocated to "
                        f"'{operand}, {direction}'"
                    )
