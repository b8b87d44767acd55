"""All measurements of models behind the agents. Run by `python -m benchmarks.models`."""

from benchmarks.command import print_measurements

MEASUREMENTS = ("openings", "teams", "prompts")

if __name__ == "__main__":
    print_measurements("benchmarks.models", MEASUREMENTS, __doc__ or "")
