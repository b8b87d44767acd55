"""A platform: the fields of a device's datasheet, as a TOML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from archwright.border import Table, complaint, read_toml
from archwright.errors import UserError

if TYPE_CHECKING:
    from archwright.evaluators.hardware.platforms.calibration import MeasuredLatency

PRESETS = ("a100", "h100", "jetson_orin", "microcontroller", "phone_cpu", "server_cpu")
"""The platforms that come with Archwright, to be loaded by name."""

Precision = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "int4"]
BITS: dict[str, int] = {
    **{"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}
}
"""Bits that one operand takes in memory (a tf32 one takes those of an fp32 one)."""
DEFAULTS: dict[int, tuple[str, ...]] = {
    **{32: ("fp32",), 16: ("bf16", "fp16"), 8: ("int8", "fp8"), 4: ("int4",)}
}
"""What a workload of so many bits runs in: the first of these that the platform has."""

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Side = Annotated[int, Field(ge=1, le=4096)]


class Memory(Table):
    """One level of memory; levels stand from the inside out, the last holds everything."""

    name: Annotated[str, Field(min_length=1, max_length=32)]
    capacity_mib: Positive
    gb_per_s: Positive
    """Bandwidth towards the processors, GB (10^9 bytes) a second."""


class Platform(Table):
    """A device as its datasheet describes it.

    ``efficiency`` and ``achieved_bandwidth`` are the shares of the peaks that programs
    reach; 1, the datasheet's promise, until :meth:`calibrated`.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    source: Annotated[str, Field(min_length=1)]
    """Where the fields come from."""
    estimated: tuple[str, ...] = ()
    """Fields that no datasheet gives."""
    processors: Annotated[int, Field(ge=1, le=65536)]
    """Streaming multiprocessors or cores: so many tiles are computed at a time."""
    tiles: Annotated[tuple[tuple[Side, Side, Side], ...], Field(min_length=1, max_length=16)]
    """Blocks of m x n outputs that one processor computes in steps of k; the best is used."""
    matrix_tops: Annotated[dict[Precision, Positive], Field(min_length=1)]
    """Dense peak for matrix products by precision, 10^12 operations/s (a MAC is two)."""
    vector_tops: Positive
    """Peak for all else: depthwise, pooling, elementwise, normalisation."""
    launch_overhead_us: Annotated[float, Field(ge=0)]
    """Time that every layer takes beside its work."""
    memory: Annotated[tuple[Memory, ...], Field(min_length=1, max_length=8)]
    tdp_w: Positive | None = None
    """Thermal design power, an upper bound of the mean power. None: not published."""
    efficiency: Share = 1.0
    achieved_bandwidth: Share = 1.0

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        fields = set(type(self).model_fields) | {level.name for level in self.memory}
        for name in self.estimated:
            if name not in fields:
                raise ValueError(f"estimated: {name!r} is neither a field nor a memory's name")
        if len({level.name for level in self.memory}) < len(self.memory):
            raise ValueError("memory: each name may stand once")
        for inner, outer in zip(self.memory, self.memory[1:], strict=False):
            if outer.capacity_mib < inner.capacity_mib:
                raise ValueError(
                    f"memory.{outer.name}.capacity_mib = {outer.capacity_mib:g}: must be at "
                    f"least that of {inner.name} ({inner.capacity_mib:g}), which lies inside"
                )
        return self

    @staticmethod
    def load(source: str | Path) -> Platform:
        """A preset by its name (see ``PRESETS``), or a TOML file.

        Raises :class:`UserError`, one line naming the file and the key, for anything else.
        """
        preset = str(source) in PRESETS
        path = Path(__file__).with_name(f"{source}.toml") if preset else Path(source)
        if not preset and not path.suffix:
            raise UserError(
                f"platform = {str(source)!r}: allowed {', '.join(PRESETS)} or a TOML file"
            )
        table = _as_tuples(read_toml(path, "platform", UserError))
        try:
            return Platform.model_validate(table)
        except ValidationError as error:
            raise UserError(f"{path.name}: {complaint(error)}") from None

    def precision_for(self, bits: int) -> str:
        """The precision that a workload of ``bits`` runs in.

        Raises :class:`UserError` where the platform has no peak for so many bits.
        """
        for name in DEFAULTS.get(bits, ()):
            if name in self.matrix_tops:
                return name
        raise UserError(
            f"bits = {bits}: {self.name} has no peak for them; it has {', '.join(self.matrix_tops)}"
        )

    def peak(self, precision: str) -> float:
        """Matrix operations/s in ``precision``.

        Raises :class:`UserError` where the platform has no peak for it.
        """
        for name, tops in self.matrix_tops.items():
            if name == precision:
                return 1e12 * tops
        raise UserError(
            f"precision = {precision!r}: {self.name} has no peak for it; "
            f"allowed {', '.join(self.matrix_tops)}"
        )

    def calibrated(self, rows: Sequence[MeasuredLatency], precision: str | None = None) -> Platform:
        """The platform with the shares and the overhead that fit measured ``rows`` best.

        See :func:`~archwright.evaluators.hardware.platforms.calibration.calibrate`.
        """
        from archwright.evaluators.hardware.platforms.calibration import calibrate

        return calibrate(self, rows, precision)


def _as_tuples(value: Any) -> Any:
    """TOML's lists as tuples: a platform does not change."""
    if isinstance(value, dict):
        return {key: _as_tuples(each) for key, each in value.items()}
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
