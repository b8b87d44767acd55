"""Writing a network for its user: safetensors weights, and ONNX checked in onnxruntime."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from archwright.errors import MeasurementFailed
from archwright.evaluators.supernet.data import Images, Labels, scaled
from archwright.untrusted import read_onnx

OPSET = 18
_BATCH = 256


@dataclass(frozen=True)
class Parity:
    """How onnxruntime's answers compare with the module's, over ``images`` real images.

    ``largest_difference`` is of logits, absolute; ``agreement`` the share of images
    given the same class; the accuracies are against the labels.
    """

    images: int
    largest_difference: float
    largest_logit: float
    agreement: float
    accuracy: float
    onnx_accuracy: float


@dataclass(frozen=True)
class ExportedNetwork:
    """The written files, and how well the ONNX one matches."""

    weights: Path
    onnx: Path
    parity: Parity


def export_network(
    module: nn.Module, images: Images, labels: Labels, folder: Path
) -> ExportedNetwork:
    """Write weights.safetensors and network.onnx, and compare the latter with ``module``.

    ``images`` are uint8 grey levels of shape (images, channels, side, side); the written
    network takes float32 "images" in 0..1, any number at once, and gives "logits".
    Raises :class:`MeasurementFailed` when the network cannot be exported.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights, onnx = folder / "weights.safetensors", folder / "network.onnx"
    module.eval()
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, weights)
    _write_onnx(module, torch.from_numpy(scaled(images[:2])), onnx)
    _strip(onnx)
    return ExportedNetwork(weights, onnx, compare(module, onnx, images, labels))


def compare(module: nn.Module, onnx: Path, images: Images, labels: Labels) -> Parity:
    """The module's logits beside those of the ONNX file in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    ours, theirs = [], []
    for start in range(0, len(images), _BATCH):
        batch = scaled(images[start : start + _BATCH])
        with torch.no_grad():
            ours.append(module(torch.from_numpy(batch)).numpy())
        theirs.append(session.run(["logits"], {"images": batch})[0])
    expected, given = np.concatenate(ours), np.concatenate(theirs)
    classes, given_classes = expected.argmax(1), given.argmax(1)
    return Parity(
        images=len(images),
        largest_difference=float(np.abs(expected - given).max()),
        largest_logit=float(np.abs(expected).max()),
        agreement=float((classes == given_classes).mean()),
        accuracy=float((classes == labels).mean()),
        onnx_accuracy=float((given_classes == labels).mean()),
    )


def _write_onnx(module: nn.Module, example: torch.Tensor, path: Path) -> None:
    try:
        with _quiet():
            torch.onnx.export(
                module,
                (example,),
                str(path),
                input_names=["images"],
                output_names=["logits"],
                opset_version=OPSET,
                dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
                external_data=False,
                verbose=False,
                # Traced: the newer exporter takes twenty seconds for a hundred layers, ten
                # times as long, and the modules have no branches that a trace could miss.
                dynamo=False,
            )
    except Exception as error:  # the exporter raises nearly anything
        reason = " ".join(str(error).split())[:200]
        raise MeasurementFailed(f"the network cannot be exported to ONNX: {reason}") from error


def _strip(path: Path) -> None:
    """Remove the exporter's notes: stack traces with this machine's paths."""
    import onnx

    model = read_onnx(path)
    for part in (*model.graph.node, *model.graph.value_info, model.graph, model):
        part.ClearField("metadata_props")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
    onnx.save_model(model, str(path))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter off the user's terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
