"""One matrix product through SCALE-Sim: its compute report as numbers.

SCALE-Sim calls ``exit()`` where an input is missing: that ends without a result.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path


def main() -> None:
    """Run scale.cfg, topology.csv and layout.csv; write cycles, stall_cycles, dram_words."""
    from scalesim.scale_sim import scalesim  # here: only this process has it

    task = json.loads(Path("task.json").read_text(encoding="utf-8"))
    simulator = scalesim(
        save_disk_space=True,
        verbose=False,
        config="scale.cfg",
        topology="topology.csv",
        layout="layout.csv",
        input_type_gemm=True,
    )
    simulator.run_scale(top_path="out")
    report = Path("out") / task["run_name"]
    (compute,) = _rows(report / "COMPUTE_REPORT.csv")
    (accesses,) = _rows(report / "DETAILED_ACCESS_REPORT.csv")
    dram = ("DRAM IFMAP Reads", "DRAM Filter Reads", "DRAM OFMAP Writes")
    result = {
        "cycles": float(compute["Total Cycles"]),
        "stall_cycles": float(compute["Stall Cycles"]),
        "dram_words": sum(float(accesses[name]) for name in dram),
    }
    Path("result.json").write_text(json.dumps(result), encoding="utf-8")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, skipinitialspace=True))


if __name__ == "__main__":
    main()
