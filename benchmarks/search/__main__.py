"""All measurements of the searches as one table. Run by `python -m benchmarks.search`."""

from benchmarks.command import print_measurements

MEASUREMENTS = ("nas201", "validation", "warm_start", "overhead")

if __name__ == "__main__":
    print_measurements("benchmarks.search", MEASUREMENTS, __doc__ or "")
