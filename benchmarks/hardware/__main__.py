"""All measurements of the hardware models as one table. Run by `python -m benchmarks.hardware`."""

from benchmarks.command import print_measurements

MEASUREMENTS = (
    "cycles",
    "throughput",
    "simulator_speed",
    "area",
    "zigzag_agreement",
    "eyeriss_alexnet",
    "a100_matmul",
    "proxy",
)

if __name__ == "__main__":
    print_measurements("benchmarks.hardware", MEASUREMENTS, __doc__ or "")
