"""The supernet's modules: elastic layers, extraction, quantisation, export."""

import numpy as np
import onnxruntime
import pytest
import torch

from archwright.errors import SpaceError
from archwright.evaluators.supernet import (
    export_network,
    extract,
    largest_network,
    prepare,
    smallest_network,
    workload_of,
)
from archwright.evaluators.supernet.data import scaled
from archwright.evaluators.supernet.export import compare
from archwright.evaluators.supernet.extraction import fold, recalibrate
from archwright.evaluators.supernet.network import area_weights
from archwright.evaluators.supernet.quantise import CodedBlock


@pytest.fixture
def calibration(trained) -> torch.Tensor:
    return torch.from_numpy(trained.data.take(trained.data.calibration())[0])


@pytest.fixture
def points(trained, rng):
    space = trained.space
    drawn = space.decode(space.sample(rng, 6))
    return [smallest_network(space), largest_network(space), *drawn]


def test_area_weights_are_means_of_the_area() -> None:
    for side, resolution in ((8, 8), (8, 6), (8, 4), (28, 20), (256, 180)):
        weights = area_weights(side, resolution)
        assert torch.equal(weights.sum(1), torch.ones(resolution))
        assert torch.equal(weights * 256, torch.round(weights * 256))
        assert (weights >= 0).all()
        row = torch.rand(side)
        expected = row.repeat_interleave(resolution).view(resolution, side).mean(1)
        assert torch.allclose(weights @ row, expected, atol=0.005)


def test_extracted_outputs_equal_the_supernets(trained, points, calibration) -> None:
    with torch.no_grad():
        for point in points:
            module = extract(trained.supernet, point).train()
            expected = trained.supernet(calibration, point)
            assert torch.allclose(module(calibration), expected, atol=1e-5)


def test_recalibrated_outputs_equal_those_with_the_same_statistics(trained, points, calibration):
    """On the calibration batch itself, up to the running variance's n / (n - 1)."""
    with torch.no_grad():
        for point in points:
            module = extract(trained.supernet, point)
            recalibrate(module, calibration)
            expected = trained.supernet(calibration, point)
            assert torch.allclose(module(calibration), expected, atol=0.02)


def test_folding_changes_nothing(trained, points, calibration) -> None:
    with torch.no_grad():
        for point in points:
            module = extract(trained.supernet, point)
            recalibrate(module, calibration)
            before = module(calibration)
            fold(module)
            assert torch.allclose(module(calibration), before, atol=1e-4)
            assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in module.modules())


def test_extraction_copies_and_checks(trained) -> None:
    point = smallest_network(trained.space)
    module = extract(trained.supernet, point)
    before = trained.supernet.body.stem.weight.detach().clone()
    with torch.no_grad():
        module.body.stem.convolution.weight.zero_()
    assert torch.equal(trained.supernet.body.stem.weight, before)
    with pytest.raises(SpaceError, match="width_1 = 5: allowed"):
        extract(trained.supernet, {**point, "width_1": 5})


def test_codes_are_whole_and_sums_exact_at_8_bits(trained, points, calibration) -> None:
    for point in points:
        module = prepare(trained.supernet, {**point, "bits": 8}, calibration)
        for name, parameter in module.named_parameters():
            assert torch.equal(parameter, parameter.round()), name
            if "weight" in name:
                assert parameter.abs().max() <= 127
            else:
                assert parameter.abs().max() <= 2**22
        seen: list[torch.Tensor] = []
        for block in (m for m in module.layers if isinstance(m, CodedBlock)):
            block.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out))
        with torch.no_grad():
            logits = module(calibration)
            assert torch.equal(module.double()(calibration.double()).float(), logits)
        for codes in seen:
            assert torch.equal(codes, codes.round())
            assert codes.min() >= -128
            assert codes.max() <= 127


def test_more_bits_are_closer_to_real_numbers(trained, points, calibration) -> None:
    with torch.no_grad():
        for point in points:
            real = extract(trained.supernet, point)
            recalibrate(real, calibration)
            expected = real(calibration)
            errors = [
                (prepare(trained.supernet, {**point, "bits": bits}, calibration)(calibration))
                .sub(expected)
                .abs()
                .max()
                for bits in (8, 16)
            ]
            assert 0 < errors[1] < errors[0] / 20
            assert errors[1] < 1e-3 * expected.abs().max()


def test_quantised_parameters_are_the_workloads(trained, points, calibration) -> None:
    for point in points:
        module = prepare(trained.supernet, point, calibration)
        expected = workload_of(point, trained.data.shape).parameters
        assert sum(parameter.numel() for parameter in module.parameters()) == expected


@pytest.mark.parametrize("bits", [8, 16])
def test_onnx_matches(trained, calibration, tmp_path, capfd, bits: int) -> None:
    from safetensors.torch import load_file

    point = {**largest_network(trained.space), "bits": bits, "resolution": 6}
    module = prepare(trained.supernet, point, calibration)
    chosen = trained.data.splits.validation
    images, labels = trained.data.images[chosen], trained.data.labels[chosen]
    exported = export_network(module, images, labels, tmp_path)
    assert capfd.readouterr() == ("", "")
    parity = exported.parity
    assert parity.images == len(images)
    assert parity.onnx_accuracy == parity.accuracy > 0.15
    assert parity.agreement == 1
    assert parity.largest_difference <= 1e-6  # exact wherever this was run
    written = load_file(exported.weights)
    assert all(torch.equal(written[name], value) for name, value in module.state_dict().items())
    assert str(tmp_path.cwd()).encode() not in exported.onnx.read_bytes()
    one = onnxruntime.InferenceSession(exported.onnx).run(None, {"images": scaled(images[:1])})
    assert np.asarray(one[0]).shape == (1, 10)


def test_comparison_sees_other_weights(trained, calibration, tmp_path) -> None:
    small, large = smallest_network(trained.space), largest_network(trained.space)
    chosen = trained.data.splits.validation
    images, labels = trained.data.images[chosen], trained.data.labels[chosen]
    exported = export_network(
        prepare(trained.supernet, small, calibration), images, labels, tmp_path
    )
    other = prepare(trained.supernet, large, calibration)
    parity = compare(other, exported.onnx, images, labels)
    assert parity.largest_difference > 0.01
    assert parity.agreement < 1
