"""Runs many layers through ZigZag in one process, for which its start is paid once.

task.json names the script that runs one layer and the files of each; the answer has one
result for each. Started by ``zigzag_systolic``; imports nothing of Archwright.
"""

from __future__ import annotations

import json
import os
import runpy
from pathlib import Path


def main() -> None:
    top = Path.cwd()
    task = json.loads((top / "task.json").read_text(encoding="utf-8"))
    run_one = runpy.run_path(task["script"])["main"]
    results = []
    for number, files in enumerate(task["layers"]):
        folder = top / str(number)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
        os.chdir(folder)
        run_one()
        results.append(json.loads((folder / "result.json").read_text(encoding="utf-8")))
    os.chdir(top)
    Path("result.json").write_text(json.dumps({"results": results}), encoding="utf-8")


if __name__ == "__main__":
    main()
