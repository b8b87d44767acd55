"""Times an ONNX model in onnxruntime on this machine's processor.

Between the runs a loop of fixed work is timed, too: what slows that down slows the model.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

SEED = 0
LOOP_STEPS = 20_000
MOST_RUNS = 20_000
PROFILED_RUNS = 5


def main() -> None:
    """Read task.json; write every run's and every loop's time, load and layers, in ms."""
    import onnxruntime

    task = json.loads(Path("task.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task["threads"]
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    session = _session(task["model"], options)
    inputs = _inputs(session)
    load = os.getloadavg()[0]
    runs, loops = _time(session, inputs, task)
    result: dict[str, Any] = {"runs_ms": runs, "loops_ms": loops, "load": load}
    if task["layers"]:
        options.enable_profiling = True
        options.profile_file_prefix = "profile"
        result["layers_ms"] = _layers(_session(task["model"], options), inputs)
    Path("result.json").write_text(json.dumps(result), encoding="utf-8")


def _session(model: str, options: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _inputs(session: Any) -> dict[str, Any]:
    """Random inputs; a first dimension without a size is a batch of 1."""
    kinds = {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
        "tensor(double)": np.float64,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(uint8)": np.uint8,
        "tensor(int8)": np.int8,
        "tensor(bool)": np.bool_,
    }
    rng = np.random.default_rng(SEED)
    inputs: dict[str, Any] = {}
    for value in session.get_inputs():
        shape = [1 if i == 0 and not isinstance(n, int) else n for i, n in enumerate(value.shape)]
        if not all(isinstance(size, int) and size > 0 for size in shape):
            raise ValueError(f"input {value.name} has shape {value.shape}: fixed sizes are needed")
        if value.type not in kinds:
            raise ValueError(f"input {value.name} has type {value.type}: not one of {list(kinds)}")
        kind = kinds[value.type]
        floating = np.issubdtype(kind, np.floating)
        numbers = rng.standard_normal(shape) if floating else rng.integers(0, 2, shape)
        inputs[value.name] = numbers.astype(kind)
    return inputs


def _time(session: Any, inputs: dict[str, Any], task: dict[str, Any]) -> tuple[list[float], ...]:
    """Warm up for a tenth of the time, then run until time and runs are enough."""
    warm = time.perf_counter() + task["seconds"] / 10
    for count in range(MOST_RUNS):
        session.run(None, inputs)
        if count >= 2 and time.perf_counter() >= warm:
            break
    runs: list[float] = []
    loops: list[float] = []
    deadline = time.perf_counter() + task["seconds"]
    while len(runs) < MOST_RUNS:
        loops.append(_loop())
        pause = time.perf_counter() + 0.02
        while len(runs) < MOST_RUNS:
            start = time.perf_counter()
            session.run(None, inputs)
            end = time.perf_counter()
            runs.append((end - start) * 1e3)
            if end >= pause:
                break
        if len(runs) >= task["least_runs"] and time.perf_counter() >= deadline:
            break
    return runs, loops


def _loop() -> float:
    """A fixed piece of work, about a millisecond, in ms."""
    start = time.perf_counter()
    total = 0
    for step in range(LOOP_STEPS):
        total += step
    return (time.perf_counter() - start) * 1e3


def _layers(session: Any, inputs: dict[str, Any]) -> dict[str, float]:
    """Mean time of each node that ran, by its name, ms."""
    for _ in range(PROFILED_RUNS + 1):
        session.run(None, inputs)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    times: dict[str, list[float]] = {}
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            times.setdefault(name.removesuffix("_kernel_time"), []).append(event["dur"] / 1e3)
    # The first run allocates memory; a name that occurs twice in a run counts twice.
    return {
        name: sum(found[len(found) // (PROFILED_RUNS + 1) :]) / PROFILED_RUNS
        for name, found in times.items()
    }


if __name__ == "__main__":
    main()
