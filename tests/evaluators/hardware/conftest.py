"""Workloads for the hardware tests, as the fixture `workloads`: a module of builders."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from archwright.workload import Layer, LayerKind, Workload


def convolution(name: str, inputs: int, outputs: int, side: int, kernel: int = 1, stride: int = 1):
    out = -(-side // stride)
    return Layer(
        name, LayerKind.CONVOLUTION, inputs, outputs, side, side, out, out, kernel, stride, True
    )


def depthwise(name: str, channels: int, side: int, kernel: int = 3, stride: int = 1):
    out = -(-side // stride)
    return Layer(
        name, LayerKind.DEPTHWISE, channels, channels, side, side, out, out, kernel, stride, True
    )


def linear(name: str, inputs: int, outputs: int):
    return Layer(name, LayerKind.LINEAR, inputs, outputs, 1, 1, 1, 1, bias=True)


def pooling(name: str, channels: int, side: int):
    return Layer(name, LayerKind.POOLING, channels, channels, side, side, 1, 1, side)


def addition(name: str, channels: int, side: int):
    return Layer(name, LayerKind.ELEMENTWISE, channels, channels, side, side, side, side)


def mbconv(name: str, inputs: int, outputs: int, side: int, expansion: int, stride: int = 1):
    middle = inputs * expansion
    layers = [
        convolution(f"{name}.expand", inputs, middle, side),
        depthwise(f"{name}.depthwise", middle, side, 3, stride),
        convolution(f"{name}.project", middle, outputs, -(-side // stride)),
    ]
    if stride == 1 and inputs == outputs:
        layers.append(addition(f"{name}.add", outputs, side))
    return layers


def workload(name: str, layers: list[Layer], bits: int = 8) -> Workload:
    return Workload(f"{name}{bits}", tuple(layers), bits)


def digits(bits: int = 8) -> Workload:
    """A tiny MBConv network on 8x8 images: some hundred parameters."""
    layers = [
        convolution("stem", 1, 4, 8, 3),
        *mbconv("a", 4, 4, 8, 2),
        *mbconv("b", 4, 8, 8, 2, 2),
    ]
    return workload("digits", [*layers, pooling("pool", 8, 4), linear("head", 8, 10)], bits)


def wide_digits(bits: int = 8) -> Workload:
    """A wider MBConv network on 8x8 images."""
    layers = [convolution("stem", 1, 16, 8, 3), *mbconv("a", 16, 16, 8, 4)]
    layers += [*mbconv("b", 16, 32, 8, 4, 2), *mbconv("c", 32, 32, 4, 4)]
    return workload("wide_digits", [*layers, pooling("pool", 32, 4), linear("head", 32, 10)], bits)


def perceptron(bits: int = 8) -> Workload:
    """Linear layers only: every weight is used once."""
    layers = [linear("a", 784, 512), linear("b", 512, 256), linear("c", 256, 10)]
    return workload("perceptron", layers, bits)


def residual(bits: int = 8) -> Workload:
    """Plain 3x3 convolutions of a ResNet on 32x32 images."""
    layers = [convolution("stem", 3, 32, 32, 3)]
    for name, inputs, outputs, side, stride in (
        ("a", 32, 32, 32, 1),
        ("b", 32, 64, 32, 2),
        ("c", 64, 128, 16, 2),
    ):
        layers.append(convolution(f"{name}1", inputs, outputs, side, 3, stride))
        layers.append(convolution(f"{name}2", outputs, outputs, side // stride, 3))
    return workload("residual", [*layers, pooling("pool", 128, 8), linear("head", 128, 10)], bits)


def mobilenet(bits: int = 8) -> Workload:
    """Layers of MobileNetV2 on 224x224 images."""
    layers = [convolution("stem", 3, 32, 224, 3, 2), depthwise("first", 32, 112)]
    layers += [convolution("first.project", 32, 16, 112), *mbconv("a", 16, 24, 112, 6, 2)]
    layers += [*mbconv("b", 24, 24, 56, 6), *mbconv("c", 24, 32, 56, 6, 2)]
    layers += [*mbconv("d", 64, 64, 14, 6), *mbconv("e", 160, 160, 7, 6)]
    layers += [convolution("last", 320, 1280, 7), pooling("pool", 1280, 7)]
    return workload("mobilenet", [*layers, linear("head", 1280, 1000)], bits)


@pytest.fixture(scope="session")
def workloads() -> SimpleNamespace:
    """The builders above by name, and ``varied``: ten workloads, of 8 and 16 bits."""
    builders = (digits, wide_digits, perceptron, residual, mobilenet)
    return SimpleNamespace(
        **{f.__name__: f for f in (*builders, convolution, linear, mbconv, pooling, workload)},
        varied=[build(bits) for bits in (8, 16) for build in builders],
    )
