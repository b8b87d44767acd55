"""One layer through ZigZag: the best temporal mapping's energy, cycles and DRAM traffic.

The stages are those of ``zigzag.api.get_hardware_performance_zigzag`` without the ones
that save and draw, whose imports take longer than a layer.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any


def main() -> None:
    """Read workload.json, accelerator.yaml, mapping.yaml; write what task.json is about."""
    from zigzag.mapping.temporal_mapping import TemporalMappingType
    from zigzag.opt.loma.engine import NoValidLoopOrderingFoundException
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage
    from zigzag.stages.main import MainStage
    from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage
    from zigzag.stages.mapping.temporal_mapping_generator_stage import (
        TemporalMappingGeneratorStage,
    )
    from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage
    from zigzag.stages.parser.workload_parser import WorkloadParserStage
    from zigzag.stages.results.reduce_stages import MinimalEnergyStage, MinimalLatencyStage
    from zigzag.stages.workload_iterator import WorkloadStage

    logging.disable(logging.CRITICAL)
    task = json.loads(Path("task.json").read_text(encoding="utf-8"))
    best = {"energy": MinimalEnergyStage, "latency": MinimalLatencyStage}[task["objective"]]
    stages = [
        WorkloadParserStage,
        AcceleratorParserStage,
        WorkloadStage,
        best,
        SpatialMappingGeneratorStage,
        best,
        TemporalMappingGeneratorStage,
        CostModelStage,
    ]
    run = MainStage(
        stages,
        workload=json.loads(Path("workload.json").read_text(encoding="utf-8")),
        accelerator="accelerator.yaml",
        mapping="mapping.yaml",
        loma_lpf_limit=task["loop_factors"],
        loma_show_progress_bar=False,
        nb_mappings_generated=1,
        access_same_data_considered_as_no_access=True,
        temporal_mapping_type=TemporalMappingType("uneven"),
    )
    try:
        ((cost, _),) = run.run()
    except NoValidLoopOrderingFoundException:
        failure = (
            "no order of its loops fits the memories; a buffer of ZigZag's holds all that "
            "the registers below it hold"
        )
        Path("result.json").write_text(json.dumps({"failure": failure}), encoding="utf-8")
        return
    result = {
        "energy_pj": float(cost.energy_total),
        "mac_energy_pj": float(cost.mac_energy),
        "total_cycles": float(cost.latency_total2),
        "cycles": float(cost.ideal_temporal_cycle),
        "macs": float(cost.layer.total_mac_count),
        "dram_bytes": _dram_bits(cost) / 8,
    }
    Path("result.json").write_text(json.dumps(result), encoding="utf-8")


def _dram_bits(cost: Any) -> float:
    """The traffic of the outermost memory: accesses of full width, of all operands."""
    bits = 0.0
    for layer_operand, accesses in cost.memory_word_access.items():
        operand = cost.memory_operand_links.layer_to_mem_op(layer_operand)
        level = cost.accelerator.memory_hierarchy.get_memory_levels(operand)[-1]
        width = max(port.bw_max for port in level.memory_instance.ports)
        bits += width * sum(accesses[-1].data.values())
    return bits


if __name__ == "__main__":
    main()
