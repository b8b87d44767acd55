"""The reference rows: ZigZag's own results, one row per distinct layer, written as they come.

Runs in an environment that has ``zigzag`` (3.9.1), with this repository on ``PYTHONPATH``. Layers
come from the networks that ZigZag ships, in ZigZag's own reading of them. Rows that the file
already has are kept, so that an interrupted refresh goes on where it stopped.
"""

from __future__ import annotations

import csv
import importlib.util
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "data" / "zigzag_layers.csv"
PRESETS = ROOT / "archwright" / "evaluators" / "hardware" / "hierarchy" / "presets"
NETWORKS = ("alexnet", "resnet18", "mobilenetv2")
ACCELERATORS = ("tpu_like", "eyeriss_like")
HELD_OUT = ("edge_tpu_like", "meta_prototype")
"""First compared when the model stood; a few layers of each network."""
HELD_OUT_LAYERS = 4

SHAPE = (
    *("batch", "groups", "in_channels", "out_channels", "in_height", "in_width"),
    *("out_height", "out_width", "kernel", "stride", "dilation"),
)
FIGURES = (
    *("energy_pj", "mac_energy_pj", "energy_inputs_pj", "energy_weights_pj", "energy_outputs_pj"),
    *("latency0_cycles", "latency1_cycles", "latency2_cycles", "ideal_cycles"),
)
COLUMNS = (
    *(
        "accelerator",
        "network",
        "layer",
        "kind",
        *SHAPE,
        "macs",
        *FIGURES,
        "seconds",
        "occurrences",
    ),
)


def refresh(path: Path = REFERENCE) -> None:
    """Add to ``path`` every layer of the comparison that it does not have yet."""
    if importlib.util.find_spec("zigzag") is None:
        raise SystemExit("zigzag is not installed here: pip install zigzag-dse==3.9.1 six")
    logging.disable(logging.CRITICAL)
    done = {(row["accelerator"], row["network"], row["layer"]) for row in _rows(path)}
    if not path.exists():
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(COLUMNS)
    plans: list[tuple[str, str, int | None]] = [
        *((name, network, None) for network in NETWORKS for name in ACCELERATORS),
        *((name, network, HELD_OUT_LAYERS) for network in NETWORKS for name in HELD_OUT),
    ]
    for accelerator, network, most in plans:
        mapping = PRESETS / "mappings" / f"{accelerator}.yaml"
        for layer, occurrences in _distinct_layers(network, mapping, most):
            if (accelerator, network, layer.name) in done:
                continue
            figures = _run(layer, PRESETS / "accelerators" / f"{accelerator}.yaml")
            row = {"accelerator": accelerator, "network": network, "layer": layer.name}
            row |= _shape(layer) | figures | {"occurrences": occurrences}
            with path.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(row)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _distinct_layers(network: str, mapping: Path, most: int | None) -> Iterator[tuple[Any, int]]:
    """Each distinct layer of a network and how often it occurs; ``most`` spread evenly, or all."""
    import zigzag
    from zigzag.parser.onnx.onnx_model_parser import ONNXModelParser
    from zigzag.workload.layer_node import LayerNode

    model = Path(str(zigzag.__path__[0])) / "inputs" / "workload" / f"{network}.onnx"
    workload = ONNXModelParser(str(model), str(mapping)).run()
    first: dict[Any, Any] = {}
    counts: dict[Any, int] = {}
    for layer in workload.topological_sort():
        if isinstance(layer, LayerNode):
            key = tuple(_shape(layer).items())
            first.setdefault(key, layer)
            counts[key] = counts.get(key, 0) + 1
    keys = list(first)
    if most is not None:
        keys = [keys[i * len(keys) // most] for i in range(most)]
    for key in keys:
        yield first[key], counts[key]


def _shape(layer: Any) -> dict[str, Any]:
    """The layer's kind and sizes in the words of ``archwright.workload.Layer``."""
    sizes = {str(name): int(size) for name, size in layer.layer_dim_sizes.items()}
    macs = int(layer.total_mac_count)
    if layer.type != "Conv":
        ones = dict.fromkeys(("groups", "in_width", "out_width", "kernel", "stride", "dilation"), 1)
        tokens = sizes["D"] * sizes.get("B", 1)
        shape = {"batch": 1, "in_channels": sizes["C"], "out_channels": sizes["K"]}
        shape |= {"in_height": tokens, "out_height": tokens}
        return {"kind": "linear", **ones, **shape, "macs": macs}
    groups, in_channels = sizes["G"], sizes["C"] * sizes["G"]
    inputs = {str(name): int(size) for name, size in layer.pr_layer_dim_sizes.items()}
    (_, stride), (_, dilation) = next(
        pair for name, pair in layer.pr_scaling_factors.items() if str(name) == "IY"
    )
    return {
        "kind": "depthwise" if groups > 1 and sizes["C"] == sizes["K"] == 1 else "convolution",
        "batch": sizes["B"],
        "groups": groups,
        "in_channels": in_channels,
        "out_channels": sizes["K"] * groups,
        "in_height": inputs["IY"],
        "in_width": inputs["IX"],
        "out_height": sizes["OY"],
        "out_width": sizes["OX"],
        "kernel": sizes["FY"],
        "stride": int(stride),
        "dilation": int(dilation),
        "macs": macs,
    }


def _run(layer: Any, accelerator_file: Path) -> dict[str, Any]:
    """ZigZag's default search for energy on one layer: all its stages from the mapping on."""
    from zigzag.mapping.temporal_mapping import TemporalMappingType
    from zigzag.stages.evaluation.cost_model_evaluation import CostModelStage
    from zigzag.stages.mapping.spatial_mapping_generation import SpatialMappingGeneratorStage
    from zigzag.stages.mapping.temporal_mapping_generator_stage import TemporalMappingGeneratorStage
    from zigzag.stages.parser.accelerator_parser import AcceleratorParserStage
    from zigzag.stages.results.reduce_stages import MinimalEnergyStage

    started = time.perf_counter()
    stage = MinimalEnergyStage(
        [
            SpatialMappingGeneratorStage,
            MinimalEnergyStage,
            TemporalMappingGeneratorStage,
            CostModelStage,
        ],
        accelerator=AcceleratorParserStage.parse_accelerator(str(accelerator_file)),
        layer=layer,
        loma_lpf_limit=6,
        loma_show_progress_bar=False,
        nb_mappings_generated=3,
        enable_mix_spatial_mapping_generation=False,
        access_same_data_considered_as_no_access=True,
        temporal_mapping_type=TemporalMappingType.UNEVEN,
    )
    result: Any = next(iter(stage.run()))[0]
    by_operand = {str(name): sum(levels) for name, levels in result.mem_energy_breakdown.items()}
    return {
        "energy_pj": result.energy_total,
        "mac_energy_pj": result.mac_energy,
        "energy_inputs_pj": by_operand["I"],
        "energy_weights_pj": by_operand["W"],
        "energy_outputs_pj": by_operand["O"],
        "latency0_cycles": result.latency_total0,
        "latency1_cycles": result.latency_total1,
        "latency2_cycles": result.latency_total2,
        "ideal_cycles": result.ideal_temporal_cycle,
        "seconds": round(time.perf_counter() - started, 3),
    }


if __name__ == "__main__":
    refresh()
