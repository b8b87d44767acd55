import random
import time

import numpy as np
import pytest
import torch

from archwright.errors import DataError, SpaceError, UntrustedFileError
from archwright.evaluators.supernet.plan import count
from archwright.evaluators.supernet.released.ofa import ofa_plan
from archwright.evaluators.supernet.released.predictor import (
    LAYERS,
    OFAAccuracyPredictor,
    encoded,
    ofa_point,
    ofa_space,
    plan_of_ofa_point,
)

ARCHITECTURE = {
    "ks": [3, 5, 7, 9, 3, 3, 0, 0] + [5] * 12,
    "e": [3, 4, 6, 9, 6, 6, 0, 0] + [4] * 12,
    "d": [3, 2, 4, 4, 4],
}


def random_architecture(seed):
    chosen = random.Random(seed)
    return {
        "ks": chosen.choices((3, 5, 7), k=20),
        "e": chosen.choices((3, 4, 6), k=20),
        "d": chosen.choices((2, 3, 4), k=5),
    }


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    weights = {
        f"{i}.weight": torch.randn(shape, generator=generator) * (2 / shape[1]) ** 0.5
        for i, shape in LAYERS.items()
    }
    biases = {f"{i}.bias": torch.rand(shape[0], generator=generator) for i, shape in LAYERS.items()}
    return weights | biases


def test_the_inputs_are_kernels_then_expansions_then_the_resolution():
    inputs = encoded(ARCHITECTURE, 160)
    assert inputs.shape == (128,)
    assert inputs[:15].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]
    assert inputs[60:75].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert inputs[18:24].tolist() == [0] * 6  # a block that the depth leaves out
    assert inputs[120:].tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert inputs.sum() == 2 * 17 + 1


def test_a_prediction_is_the_perceptrons_output(state, tmp_path):
    module = torch.nn.Sequential(
        torch.nn.Linear(128, 400),
        torch.nn.ReLU(),
        torch.nn.Linear(400, 400),
        torch.nn.ReLU(),
        torch.nn.Linear(400, 400),
        torch.nn.ReLU(),
        torch.nn.Linear(400, 1),
    )
    module.load_state_dict(state)
    architectures = [random_architecture(seed) for seed in range(5)]
    inputs = torch.tensor(np.stack([encoded(a, 192) for a in architectures])).float()
    with torch.no_grad():
        expected = module(inputs)[:, 0].numpy()
    for name, content in (("plain", state), ("wrapped", {"state_dict": state})):
        torch.save(content, tmp_path / name)
        predictor = OFAAccuracyPredictor.load(tmp_path / name)
        np.testing.assert_allclose(predictor.predict(architectures, 192), expected, rtol=1e-5)
    assert predictor.predict([]).shape == (0,)


def test_a_forward_pass_by_hand():
    # One unit of each layer passes on what it gets: kernel 3 in block 1 counts 0.5, each
    # resolution of 224 counts 0.25, then twice a half, and 0.1 is added at the end.
    state = {f"{i}.weight": torch.zeros(shape) for i, shape in LAYERS.items()}
    state |= {f"{i}.bias": torch.zeros(shape[0]) for i, shape in LAYERS.items()}
    state["0.weight"][7, 0], state["0.weight"][7, 127] = 0.5, 0.25
    state["2.weight"][3, 7] = state["4.weight"][9, 3] = 0.5
    state["6.weight"][0, 9], state["6.bias"][0] = 1.0, 0.1
    predictor = OFAAccuracyPredictor(state)
    other = ARCHITECTURE | {"ks": [7, *ARCHITECTURE["ks"][1:]]}
    values = predictor.predict([ARCHITECTURE, other])
    np.testing.assert_allclose(values, [0.1 + 0.75 / 4, 0.1 + 0.25 / 4])
    np.testing.assert_allclose(predictor.predict([ARCHITECTURE], 208), [0.1 + 0.5 / 4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("4.bias"), "4.bias is missing"),
        (lambda s: s.update({"8.weight": torch.zeros(1)}), "'8.weight' is not known"),
        (lambda s: s.update({"0.weight": torch.zeros(400, 124)}), "0.weight is .400, 124., not"),
        (lambda s: s.update({"6.bias": 3}), "6.bias is 3, not"),
        (lambda s: s["2.bias"].fill_(float("nan")), "not finite"),
        (lambda s: s.clear(), "and 5 more"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(state, change, message):
    change(state)
    with pytest.raises(DataError, match=message) as raised:
        OFAAccuracyPredictor(state)
    assert "\n" not in str(raised.value)


def test_a_file_that_holds_code_is_refused(tmp_path):
    torch.save({"0.weight": time.sleep}, tmp_path / "code.pth")
    with pytest.raises(UntrustedFileError):
        OFAAccuracyPredictor.load(tmp_path / "code.pth")


@pytest.mark.parametrize(
    ("change", "resolution", "message"),
    [
        ({}, 200, "resolution = 200: allowed 112, 128"),
        ({"ks": [4] * 20}, 224, r"ks\[0\] = 4"),
        ({"d": [2] * 4}, 224, "d: 4 values"),
        ({"w": [1]}, 224, "w: not a choice"),
    ],
)
def test_an_architecture_outside_the_space_is_refused(state, change, resolution, message):
    with pytest.raises(SpaceError, match=message):
        OFAAccuracyPredictor(state).predict([ARCHITECTURE | change], resolution)


def test_points_stand_for_the_same_networks():
    space = ofa_space()
    for seed in range(10):
        architecture = random_architecture(seed)
        point = ofa_point(architecture)
        space.check(point)
        assert count(plan_of_ofa_point(point)) == count(ofa_plan(architecture, 224))


def test_what_does_not_run_is_not_in_the_point():
    other = ARCHITECTURE | {"ks": [*ARCHITECTURE["ks"][:3], 7, *ARCHITECTURE["ks"][4:]]}
    assert ofa_point(ARCHITECTURE) == ofa_point(other)
    assert ofa_point(ARCHITECTURE)["kernel_1_4"] == 0
