"""The network measured on this machine's processor, whatever the hardware."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from archwright.errors import MeasurementFailed
from archwright.evaluators.hardware.simulators.installed import installed_version, missing_package
from archwright.evaluators.hardware.simulators.latency import Latency, measure_latency
from archwright.evaluators.hardware.simulators.result import HardwareResult, LayerResult
from archwright.evaluators.hardware.simulators.workload_onnx import workload_onnx
from archwright.measurement import Fidelity
from archwright.space import Point
from archwright.workload import Workload


@dataclass(frozen=True)
class Measured:
    """Latency of ``onnx``, the network's own file, or of the workload with random weights.

    There is no chip to run on: the point of the hardware space is not looked at, and the
    notes say so. ``threads`` and ``seconds`` are :func:`measure_latency`'s.
    """

    onnx: Path | None = None
    threads: int = 1
    seconds: float = 2.0
    time_limit_s: float = 300.0
    name: ClassVar[str] = "measured"
    fidelity: ClassVar[Fidelity] = Fidelity.MEASURED

    @property
    def version(self) -> str:
        """Of onnxruntime, and of the way in which it is measured."""
        return f"{installed_version('onnxruntime')}+1"

    @property
    def settings(self) -> Mapping[str, str | int | float | bool | None]:
        """The options; the processor is the one that this runs on."""
        return {
            "threads": self.threads,
            "seconds": self.seconds,
            "weights": "own" if self.onnx else "random",
            "processor": processor(),
        }

    def missing(self) -> str | None:
        """None when it can run, else how to install it."""
        return missing_package("onnxruntime", "onnxruntime")

    def simulate(self, workload: Workload, hardware: Point) -> HardwareResult:
        """The latency of the network on this machine, in all and by layer."""
        start = time.perf_counter()
        if reason := self.missing():
            raise MeasurementFailed(reason)
        with tempfile.TemporaryDirectory(prefix="archwright-measured-") as folder:
            path = self.onnx
            if path is None:
                path = Path(folder) / "workload.onnx"
                workload_onnx(workload, path)
            latency = measure_latency(
                path,
                threads=self.threads,
                seconds=self.seconds,
                layers=True,
                time_limit_s=self.time_limit_s,
            )
        return HardwareResult(
            self.name,
            self.fidelity,
            {"latency_ms": latency.median_ms, "macs": float(workload.macs)},
            tuple(
                LayerResult(layer.name, layer.macs * workload.batch, latency_us=microseconds)
                for layer in workload.layers
                for microseconds in [_microseconds(latency.layers_ms.get(layer.name))]
            ),
            time.perf_counter() - start,
            self._notes(latency),
            {"latency_ms": (latency.low_ms, latency.high_ms)},
        )

    def _notes(self, latency: Latency) -> tuple[str, ...]:
        threads = f"{self.threads} thread" + ("s" if self.threads > 1 else "")
        notes = [
            f"this machine's processor ({processor()}), {threads}, "
            f"median of {latency.runs} runs; not the hardware of the design"
        ]
        if self.onnx is None:
            notes.append("the layers with random weights in float32, whatever the bits")
        if latency.noisy:
            notes.append(f"noisy machine: {latency.noisy}")
        return tuple(notes)


def _microseconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds * 1e3


def processor() -> str:
    """The processor's name, as far as the platform tells."""
    import platform

    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()
