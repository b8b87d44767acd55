"""Networks of released supernets as ONNX and safetensors."""

import json
import math

import numpy as np
import onnxruntime
import pytest
import tomli_w
import torch
from safetensors.torch import load_file

from archwright.errors import DataError, SpaceError
from archwright.evaluators.supernet import AttentiveNASSupernet, OFAMobileNetV3
from archwright.evaluators.supernet.released.export import (
    NormalisedNetwork,
    export_network_of,
    export_released,
    read_released,
)

SIDE = 64
SUPERNETS = {
    "ofa": (OFAMobileNetV3, {"ks": [3, 5, 7, 3] * 5, "e": [3, 4, 6, 3] * 5, "d": [2, 3, 4, 3, 2]}),
    "attentive": (
        AttentiveNASSupernet,
        {
            "width": [16, 16, 24, 40, 72, 128, 208, 224, 1984],
            "depth": [1, 3, 3, 4, 3, 5, 1],
            "kernel_size": [5, 3, 5, 3, 5, 3, 5],
            "expand_ratio": [1, 4, 5, 6, 4, 6, 6],
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SUPERNETS)
def test_onnx_matches(kind: str, tmp_path) -> None:
    make, architecture = SUPERNETS[kind]
    supernet = make(classes=10)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in supernet.named_parameters():
        if "scale" in name:  # a residual branch starts at zero: nothing to compare
            torch.nn.init.uniform_(parameter, 0.5, 1.5, generator=generator)
    images = torch.rand(16, 3, SIDE, SIDE, generator=generator)
    exported = export_network_of(supernet, architecture, SIDE, tmp_path, images)
    parity = exported.parity
    assert parity.largest_logit > 0
    assert parity.largest_difference <= 1e-4 * parity.largest_logit
    assert parity.agreement == 1
    session = onnxruntime.InferenceSession(exported.onnx)
    (one,) = session.run(None, {"images": images[:1].numpy()})
    assert np.asarray(one).shape == (1, 10)
    written = load_file(exported.weights)
    assert not any("running" in name for name in written)  # batch norm is folded


def test_images_from_0_to_1_are_normalised() -> None:
    make, architecture = SUPERNETS["ofa"]
    body = make(classes=10).extract(architecture)
    grey = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).expand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(NormalisedNetwork(body)(grey), body(torch.zeros(2, 3, 32, 32)))


def test_what_is_no_released_supernet_is_one_line(tmp_path) -> None:
    file = tmp_path / "weights.pt"
    torch.save({"state_dict": {"first_conv.conv.weight": torch.zeros(16, 3, 3, 3)}}, file)
    for released, message in (
        ("resnet:file", "allowed ofa:FILE, attentive:FILE"),
        ("ofa:", "allowed ofa:FILE, attentive:FILE"),
        (f"ofa:{tmp_path / 'none.pt'}", "no such file"),
        (f"ofa:{file}", "lacks"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            read_released(released)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_whole_released_file_with_an_architecture_as_toml(shared, tmp_path) -> None:
    folder = shared / "oracles" / "ofa_mbv3"
    if not (folder / "keys.json").is_file():
        pytest.skip("the oracle ofa_mbv3 is not there")
    rng = np.random.default_rng(0)
    state = {}
    for key, shape in json.loads((folder / "keys.json").read_text(encoding="utf-8")).items():
        spread = math.sqrt(1 / max(1, math.prod(shape[1:]))) if len(shape) > 1 else 0.1
        centre = 1.0 if key.endswith(("bn.weight", "running_var")) else 0.0
        state[key] = torch.tensor(centre + spread * rng.standard_normal(shape), dtype=torch.float32)
        if key.endswith("running_var"):
            state[key].abs_()
    torch.save({"state_dict": state}, tmp_path / "ofa.pt")
    toml = tmp_path / "architecture.toml"
    toml.write_text(tomli_w.dumps({"network": SUPERNETS["ofa"][1]}), encoding="utf-8")
    exported = export_released(f"ofa:{tmp_path / 'ofa.pt'}", toml, SIDE, tmp_path / "out")
    assert exported.parity.largest_difference <= 1e-4 * exported.parity.largest_logit
    toml.write_text(tomli_w.dumps({"network": {"ks": [3] * 20}}), encoding="utf-8")
    with pytest.raises(SpaceError, match="e: missing from the architecture"):
        export_released(f"ofa:{tmp_path / 'ofa.pt'}", toml, SIDE, tmp_path / "out")
