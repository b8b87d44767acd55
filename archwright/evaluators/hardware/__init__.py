"""Hardware models: from a workload and a hardware to cycles, energy and area."""
