"""The tool that writes a design for its user: weights, ONNX, hardware, simulator inputs."""

from __future__ import annotations

from pydantic import BaseModel

from archwright.tools.desk import Desk
from archwright.tools.fronts import OneDesign
from archwright.tools.tool import Tool


class ExportedDesign(BaseModel):
    """Where the files are."""

    folder: str
    files: list[str]


def _export(arguments: OneDesign, desk: Desk) -> ExportedDesign:
    """Write a design's weights, ONNX, hardware and simulator inputs into its run's folder."""
    folder = desk.runs.export(arguments.run, arguments.design)
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return ExportedDesign(folder=str(folder), files=files)


export_design = Tool("export_design", OneDesign, ExportedDesign, _export, reads_only=False)
