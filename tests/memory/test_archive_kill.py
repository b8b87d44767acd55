from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from archwright.memory.archive import Archive

HERE = Path(__file__).parent
BATCH = 300

WRITER = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from conftest import judged, make_design
from archwright.memory.archive import Archive
with Archive(sys.argv[1]) as archive:
    for step in range(10**6):
        designs = [make_design({BATCH} * step + i, 8) for i in range({BATCH})]
        outcomes = [judged(design, 0.5, latency_ms=1.0, energy_uj=2.0) for design in designs]
        archive.record("run", step, designs, outcomes)
        print(step, flush=True)
"""


def test_a_kill_in_the_middle_of_writing_leaves_whole_batches(tmp_path: Path, make) -> None:
    file = tmp_path / "archive.db"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True
    )
    announced = [process.stdout.readline() for _ in range(4)][-1]
    process.kill()
    announced = (process.communicate()[0].split() or [announced])[-1]
    with Archive(file) as archive:
        table = archive.designs("run", ("accuracy", "latency_ms", "energy_uj"))
        whole, rest = divmod(len(table.designs), BATCH)
        assert rest == 0
        assert whole >= int(announced) + 1
        assert all((values > 0).all() for values in table.values.values())
        assert archive.recorded_evaluations("run") == whole * BATCH
        design = make.design(0, 16)
        archive.record("run", whole, [design], [make.judged(design, 0.5)])
        assert len(archive.designs("run").designs) == whole * BATCH + 1
