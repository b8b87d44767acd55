"""One network of a released supernet as files: ONNX and safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from archwright.border import read_toml
from archwright.errors import DataError, shown
from archwright.evaluators.supernet.export import ExportedNetwork, export_network
from archwright.evaluators.supernet.extraction import fold, recalibrate
from archwright.evaluators.supernet.modules import Body
from archwright.evaluators.supernet.released.attentive import AttentiveNASSupernet
from archwright.evaluators.supernet.released.ofa import OFAMobileNetV3
from archwright.evaluators.supernet.released.supernet import ReleasedSupernet
from archwright.untrusted import read_checkpoint

# ImageNet's, as both were trained with; of values in 0..1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NOISE_IMAGES = 4


class NormalisedNetwork(nn.Module):
    """A network behind ImageNet's normalisation: takes images in 0..1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        """Logits of shape (batch, classes)."""
        logits: Tensor = self.body((images - self.mean) / self.deviation)
        return logits


def read_released(released: str) -> ReleasedSupernet:
    """The supernet that ``KIND:FILE`` names. Raises :class:`DataError`, one line."""
    kind, _, file = released.partition(":")
    if kind not in ("ofa", "attentive") or not file:
        raise DataError(f"released = {shown(released)}: allowed ofa:FILE, attentive:FILE")
    content: dict[str, Any] = read_checkpoint(Path(file))
    weights = content.get("state_dict", content.get("model", content))
    if not isinstance(weights, dict):
        raise DataError(f"{file}: not a released supernet: no weights in it")
    supernet: ReleasedSupernet
    if kind == "attentive":
        supernet = AttentiveNASSupernet(_classes(weights))
    else:
        supernet = OFAMobileNetV3(_width(weights), _classes(weights))
    supernet.load_released(weights)
    return supernet


@torch.no_grad()
def export_network_of(
    supernet: ReleasedSupernet,
    architecture: dict[str, list[int]],
    resolution: int,
    folder: Path,
    calibration: Tensor | None = None,
) -> ExportedNetwork:
    """Write an architecture's network for images in 0..1 of a resolution.

    Batch norms get the statistics of ``calibration`` (training images in 0..1 of that
    resolution), or keep those of the file, which belong to no network in particular. ONNX
    is compared on noise: agreement is of logits, no accuracy of anything.
    """
    module = NormalisedNetwork(supernet.extract(architecture))
    if calibration is not None:
        recalibrate(module, calibration)
    module.eval()
    fold(module)
    noise = np.random.default_rng(0).integers(
        0, 256, (NOISE_IMAGES, 3, resolution, resolution), dtype=np.uint8
    )
    return export_network(module, noise, np.zeros(NOISE_IMAGES, np.int64), folder)


def export_released(
    released: str, architecture: Path, resolution: int, folder: Path
) -> ExportedNetwork:
    """As :func:`export_network_of`, from a released file and an architecture as TOML."""
    table = read_toml(architecture, "architecture", DataError)
    chosen = table.get("network", table)
    if not isinstance(chosen, dict):
        raise DataError(f"{architecture}: network = {shown(chosen)}: a table is needed")
    return export_network_of(read_released(released), chosen, resolution, folder)


def _classes(weights: dict[str, Any]) -> int:
    """From the classifier's bias, whatever it is called."""
    for name, value in weights.items():
        if name.endswith("linear.bias") and isinstance(value, Tensor) and value.ndim == 1:
            return len(value)
    return 1000


def _width(weights: dict[str, Any]) -> float:
    """1.0 or 1.2 of Once-for-All, from the channels of the stem (16 or 24)."""
    for name, value in weights.items():
        if "first_conv" in name and isinstance(value, Tensor) and value.ndim == 4:
            return 1.2 if len(value) > 16 else 1.0
    return 1.0
