"""Accelerators and mappings that come with Archwright, by name."""

from __future__ import annotations

from pathlib import Path

from archwright.errors import UserError
from archwright.evaluators.hardware.hierarchy.accelerator import read_accelerator
from archwright.evaluators.hardware.hierarchy.mapping import read_mapping
from archwright.evaluators.hardware.hierarchy.model import HierarchyModel, Objective

PRESETS = ("edge_tpu_like", "eyeriss_like", "meta_prototype", "tpu_like")
_HERE = Path(__file__).parent


def preset(name: str, objective: Objective = "energy") -> HierarchyModel:
    """The model of a preset accelerator with its preset mapping."""
    if name not in PRESETS:
        raise UserError(f"accelerator = {name!r}: allowed {', '.join(PRESETS)}")
    return HierarchyModel(
        read_accelerator(_HERE / "accelerators" / f"{name}.yaml"),
        read_mapping(_HERE / "mappings" / f"{name}.yaml"),
        objective,
    )
