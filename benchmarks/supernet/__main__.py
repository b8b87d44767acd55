"""All measurements of the supernets as one table. Run by `python -m benchmarks.supernet`."""

from benchmarks.command import print_measurements

MEASUREMENTS = ("fashion", "truth", "evaluation_speed", "predictor", "training_step")

if __name__ == "__main__":
    print_measurements("benchmarks.supernet", MEASUREMENTS, __doc__ or "")
