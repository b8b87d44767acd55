"""Released supernets: outputs, counts and files as the originals have them.

The reference logits, parameters and multiply-accumulates are in the shared oracles, made
with the original implementations from weights that follow from each key's name.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archwright.errors import DataError, SpaceError
from archwright.evaluators.supernet import AttentiveNASSupernet, OFAMobileNetV3

ORACLES = {"ofa_mbv3": OFAMobileNetV3, "attentive_nas": AttentiveNASSupernet}
TOLERANCE = 1e-4
NEAR = np.array([1, 1, 0.25, 0.125])
"""A depthwise kernel's factor by distance from its centre."""

OFA_SMALLEST: dict[str, list[int]] = {"ks": [3] * 20, "e": [3] * 20, "d": [2] * 5}


def oracle(shared: Path, name: str) -> Path:
    folder = shared / "oracles" / name
    if not (folder / "cases.json").is_file():
        pytest.skip(f"the oracle {name} is not there")
    return folder


def filled(name: str, keys: Mapping[str, list[int]]) -> dict[str, torch.Tensor]:
    """A state dict by the rule of the oracle's README."""
    state = {}
    for key, shape in keys.items():
        values = _filled(name, key, np.random.default_rng(zlib.crc32(key.encode())), tuple(shape))
        state[key] = torch.from_numpy(np.asarray(values, dtype=np.float32))
    return state


def _filled(name: str, key: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    n = rng.standard_normal(shape)
    if key.endswith("num_batches_tracked"):
        return 0
    if key.endswith("_matrix"):
        return np.eye(shape[0]) + 0.01 * n
    if len(shape) == 4 and shape[1] == 1 and shape[2] > 1:
        away = np.abs(np.arange(shape[2]) - shape[2] // 2)
        return n * math.sqrt(2 / 9) * NEAR[np.maximum(away[:, None], away[None, :])]
    if len(shape) >= 2:
        factor = 0.25 if key.endswith("se.fc.expand.weight") else 0.7 if ".shortcut." in key else 1
        return n * np.sqrt(2 / np.prod(shape[1:])) * factor * _projection_factor(name, key)
    if key.endswith("se.fc.expand.bias"):
        return 1.5 + 0.1 * n
    if key.endswith("running_var"):
        return 1 + 0.1 * np.abs(n)
    return 0.1 * n if key.endswith(("running_mean", "bias")) else 1 + 0.1 * n


def _projection_factor(name: str, key: str) -> float:
    found = re.match(r"blocks\.(\d+)\.\w+\.point_linear\.conv\.", key)
    if found is None:
        return 1.0
    block = int(found[1])
    if name == "ofa_mbv3":
        return 2.0 if block in (1, 5, 9, 13, 17) else 0.5
    return 1.0 if block in (0, 2, 7, 13, 19, 27, 35) else 0.25


@cache
def keys_of(folder: Path) -> dict[str, list[int]]:
    return dict(json.loads((folder / "keys.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ORACLES)
def test_logits_parameters_and_macs_are_the_original_s(shared: Path, name: str) -> None:
    folder = oracle(shared, name)
    supernet = ORACLES[name]()
    supernet.load_released(filled(name, keys_of(folder)))
    cases = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    expected = np.load(folder / "logits.npz")
    for number, case in enumerate(cases):
        resolution = case["resolution"]
        rng = np.random.default_rng(0)
        images = rng.standard_normal((2, 3, resolution, resolution)).astype(np.float32)
        with torch.no_grad():
            logits = supernet.extract(case["arch"])(torch.from_numpy(images)).numpy()
        reference = expected[f"case_{number}"]
        assert np.abs(logits - reference).max() <= TOLERANCE * np.abs(reference).max(), number
        assert supernet.count(case["arch"], resolution) == (case["params"], case["macs"])


def test_both_styles_of_keys_load_alike(shared: Path) -> None:
    state = filled("ofa_mbv3", keys_of(oracle(shared, "ofa_mbv3")))
    released = {
        "module." + re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", key): value
        for key, value in state.items()
    }
    one, other = OFAMobileNetV3(), OFAMobileNetV3()
    one.load_released(state)
    other.load_released({"state_dict": released})
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_what_does_not_fit_is_one_line_and_nothing_is_loaded(shared: Path) -> None:
    state = filled("ofa_mbv3", keys_of(oracle(shared, "ofa_mbv3")))
    supernet = OFAMobileNetV3()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    first = "first_conv.conv.weight"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({k: v for k, v in state.items() if k != first}, "lacks 1: stem.weight"),
        ({**state, "tail.weight": state[first]}, "has besides 1: tail.weight"),
        ({**state, "classifier.linear.bias": torch.zeros(10)}, r"classifier.bias has shape \(10,"),
        ({**state, first: torch.full((16, 3, 3, 3), math.nan)}, "stem.weight holds values that"),
        ({**state, first: 3}, "first_conv.conv.weight is not a tensor"),
        ({"state_dict": 3}, "state_dict is not a table"),
    ]
    for table, message in wrong:
        with pytest.raises(DataError, match=message) as caught:
            supernet.load_released(table)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(DataError, match="width or classes"):
        OFAMobileNetV3(width=1.2).load_released(state)
    for name, tensor in supernet.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": [9] + [3] * 19}, r"ks\[0\] = 9: allowed 3, 5, 7"),
        ({"e": [3] * 19}, "e: 19 values; 20 are needed"),
        ({"d": [2, 2, 2, 2, 5]}, r"d\[4\] = 5: allowed 2, 3, 4"),
        ({"d": "22222"}, "d = '22222': a list is needed"),
        ({"ks": [3.0] * 20}, r"ks\[0\] = 3.0: allowed"),
        ({"resolution": [224]}, "resolution: not a choice; allowed ks, e, d"),
    ],
)
def test_an_architecture_outside_the_space_is_one_line(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpaceError, match=message):
        OFAMobileNetV3().extract({**OFA_SMALLEST, **change})


def test_blocks_that_do_not_run_may_say_anything() -> None:
    supernet = OFAMobileNetV3()
    zeros = {"ks": [3, 3, 0, 0] * 5, "e": [3, 3, 0, 0] * 5, "d": [2] * 5}
    assert supernet.count(zeros, 160) == supernet.count(OFA_SMALLEST, 160)


def test_attentive_architectures_are_checked() -> None:
    supernet = AttentiveNASSupernet(classes=10)
    smallest = {
        "width": [16, 16, 24, 32, 64, 112, 192, 216, 1792],
        "depth": [1, 3, 3, 3, 3, 3, 1],
        "kernel_size": [3] * 7,
        "expand_ratio": [1, 4, 4, 4, 4, 6, 6],
    }
    assert supernet.extract(smallest)(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    with pytest.raises(SpaceError, match=r"expand_ratio\[0\] = 4: allowed 1"):
        supernet.extract({**smallest, "expand_ratio": [4] * 7})


def test_the_wide_supernet_has_the_original_s_widths() -> None:
    """Widths x 1.2, each a multiple of 8 (once-for-all's constructor)."""
    plan = OFAMobileNetV3(width=1.2).body.plan
    widths = [plan.stem.out_channels, *dict.fromkeys(b.out_channels for b in plan.blocks)]
    assert widths == [24, 24, 32, 48, 96, 136, 192] or widths == [24, 32, 48, 96, 136, 192]
    assert (plan.head[0].out_channels, plan.features[0].out_channels) == (1152, 1536)


def test_in_training_mode_supernet_and_extracted_network_agree() -> None:
    supernet = OFAMobileNetV3(classes=10)
    for parameter in supernet.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    architecture = {"ks": [5, 7, 3, 3] * 5, "e": [4, 3, 6, 6] * 5, "d": [3, 2, 4, 3, 2]}
    with torch.no_grad():
        shared_view = supernet(images, architecture)
        alone = supernet.extract(architecture).train()(images)
    assert torch.allclose(shared_view, alone, rtol=1e-4, atol=1e-4 * float(alone.abs().max()))
