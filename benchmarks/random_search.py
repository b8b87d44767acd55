"""The search against random search: same supernet, same evaluations, same free costing.

    python benchmarks/random_search.py [--seeds 5] [--brief examples/digits.toml]

Each seed trains a supernet of its own and runs a whole search, random search beside it.
Prints one row a seed and the ratio of the hypervolumes; runs are kept in a temporary home.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import tomli_w


def run_seed(brief: dict[str, object], seed: int, folder: Path) -> dict[str, float]:
    """Search with one seed in a fresh home, so that no run remembers another."""
    path = folder / f"seed{seed}.toml"
    path.write_text(tomli_w.dumps({**brief, "seed": seed}))
    env = {**os.environ, "ARCHWRIGHT_HOME": str(folder / f"home{seed}")}
    command = [sys.executable, "-m", "archwright", "search", str(path), "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--brief", type=Path, default=Path("examples/digits.toml"))
    arguments = parser.parse_args()
    brief = tomllib.loads(arguments.brief.read_text())
    wins = 0
    print("| seed | evaluations | search | random | ratio | seconds |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            result = run_seed(brief, seed, Path(folder))
            ours, random = result["hypervolume"], result["random_hypervolume"]
            wins += ours > random
            print(
                f"| {seed} | {result['evaluations']} | {ours:.4f} | {random:.4f} "
                f"| {ours / random:.4f} | {result['seconds']:.0f} |",
                flush=True,
            )
    print(f"\nthe search exceeds random search in {wins} of {arguments.seeds} seeds")


if __name__ == "__main__":
    main()
