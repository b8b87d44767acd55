"""Files of supernets: written whole or not at all, and read only when they hold what they say."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archwright.errors import DataError, UntrustedFileError
from archwright.evaluators.supernet.recipe import TRAINER_VERSION
from archwright.untrusted import read_checkpoint


@dataclass(frozen=True)
class Checkpoint:
    """A trained supernet: its file, and a hash over its weights."""

    path: Path
    digest: str


def write(path: Path, supernet: nn.Module, state: dict[str, Any]) -> None:
    """Write weights and ``state``, whole or not at all."""
    weights = {name: tensor.cpu().contiguous() for name, tensor in supernet.state_dict().items()}
    content = {"version": TRAINER_VERSION, "weights": weights, "digest": hashed(weights), **state}
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def verified(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """A checkpoint whose weights are those that were written. Raises :class:`DataError`.

    ``mapped``: see :func:`read_checkpoint`.
    """
    content = read_checkpoint(path, mapped=mapped)
    weights = content.get("weights")
    if content.get("version") != TRAINER_VERSION or not isinstance(weights, dict):
        raise DataError(f"{path}: not a supernet of trainer version {TRAINER_VERSION}")
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise DataError(f"{path}: weights that are not tensors")
    if content.get("digest") != hashed(weights):
        raise DataError(f"{path}: the weights are not those that were written")
    return content


def restore(path: Path, supernet: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Go back to the checkpoint in ``path``; how many epochs are done (0 without a good one)."""
    try:
        content = verified(path)
        load_weights(path, supernet, content["weights"])
        optimiser.load_state_dict(content["optimiser"])
        return int(content["epoch"])
    except (DataError, UntrustedFileError, KeyError, ValueError):
        return 0


def load_weights(path: Path, supernet: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load all weights, or none and a line that says what does not fit.

    A supernet without memory of its own (on torch's meta device) takes the tensors themselves.
    """
    own = supernet.state_dict()
    missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or extra:
        raise DataError(f"{path}: another supernet's: lacks {missing[:3]}, has besides {extra[:3]}")
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise DataError(
                f"{path}: another supernet's: {name} has shape {tuple(weights[name].shape)}; "
                f"here {tuple(tensor.shape)}"
            )
    bare = any(tensor.is_meta for tensor in own.values())
    supernet.load_state_dict(weights, assign=bare)


def hashed(weights: dict[str, Tensor]) -> str:
    """Hash over names, shapes and values: 16 hex digits."""
    total = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        total.update(tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]
