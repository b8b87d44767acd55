"""Wall time and peak memory of a command with all its child processes.

    python benchmarks/cost_of_a_command.py make search

Memory is the sum of proportional set sizes (pages shared by n processes count 1/n in
each), sampled every half second; where the platform has none, of resident set sizes.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

SAMPLE_S = 0.5


def memory_mib(process: psutil.Process) -> float:
    """What a process and its children hold now."""
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for member in family:
        try:
            full = member.memory_full_info()
            total += getattr(full, "pss", full.rss)
        except psutil.Error:
            continue
    return total / 2**20


def main() -> None:
    began = time.monotonic()
    command = psutil.Popen(sys.argv[1:])
    peak = 0.0
    while True:
        try:
            command.wait(timeout=SAMPLE_S)
            break
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            peak = max(peak, memory_mib(command))
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s, peak {peak:.0f} MiB, exit status {command.returncode}")
    sys.exit(command.returncode)


if __name__ == "__main__":
    main()
