"""A learned proxy: what a simulator would say, from the analytical model and examples.

- ``observations``: examples, from an archive or a CSV file
- ``features``: workloads on hardware as numbers to learn from
- ``proxy``: the model, its intervals
"""

from archwright.evaluators.hardware.learned.observations import (
    Observation,
    archived_observations,
    read_observations,
    write_observations,
)
from archwright.evaluators.hardware.learned.proxy import Prediction, ProxyModel

__all__ = [
    "Observation",
    "Prediction",
    "ProxyModel",
    "archived_observations",
    "read_observations",
    "write_observations",
]
