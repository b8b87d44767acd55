"""What every proxy keeps to, and each one's formula on a case worked out by other means."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from archwright.errors import DataError, SpaceError
from archwright.evaluators.proxies import (
    GradientNorm,
    GradSign,
    JacobianCovariance,
    Naswot,
    SynFlow,
    Zen,
    all_proxies,
    score_networks,
)
from archwright.evaluators.proxies.table import initial_network
from archwright.evaluators.supernet.space import largest_network, smallest_network

PROXIES = all_proxies(seed=0)
names = [proxy.name for proxy in PROXIES]
every_proxy = pytest.mark.parametrize("proxy", PROXIES, ids=names)


@pytest.fixture
def small(supernet):
    return initial_network(supernet, smallest_network(supernet.space), seed=0)


@pytest.fixture
def large(supernet):
    return initial_network(supernet, largest_network(supernet.space), seed=0)


@every_proxy
def test_a_score_is_finite_and_the_same_again(proxy, large, batch):
    first = proxy.score(large, *batch)
    torch.rand(3)  # global random state plays no part
    assert math.isfinite(first)
    assert proxy.score(large, *batch) == first


@every_proxy
def test_the_network_is_left_as_it_was(proxy, large, batch):
    for training in (True, False):
        large.train(training)
        before = {name: value.clone() for name, value in large.state_dict().items()}
        state = torch.get_rng_state()
        proxy.score(large, *batch)
        after = large.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert all(part.training == training for part in large.modules())
        assert all(parameter.grad is None for parameter in large.parameters())
        assert torch.equal(torch.get_rng_state(), state)


@every_proxy
def test_a_proxy_works_where_gradients_are_off(proxy, small, batch):
    expected = proxy.score(small, *batch)
    with torch.no_grad():
        assert proxy.score(small, *batch) == expected


@pytest.mark.parametrize("proxy", [SynFlow(), Naswot(), GradSign(), Zen()], ids=lambda p: p.name)
def test_wider_and_deeper_networks_score_higher(proxy, supernet, batch):
    base = smallest_network(supernet.space)
    deeper = base | {name: 3 for name in base if name.startswith("depth")}
    wider = base | {
        choice.name: choice.values[-1]
        for choice in supernet.space.choices
        if choice.name.startswith(("width", "expansion"))
    }
    scores = score_networks(supernet, [base, deeper, wider], *batch, [proxy])[proxy.name]
    assert scores[1] > scores[0]
    assert scores[2] > scores[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:1], y[:1]), "at least 2"),
        (lambda x, y: (x[:, :, :8], y), "16, 16"),
        (lambda x, y: (x.expand(-1, 3, -1, -1), y), "at least 2, 1"),
        (lambda x, y: (x, y[:3]), "labels"),
        (lambda x, y: (x, y + 5), "allowed 0 to 9"),
        (lambda x, y: (x, y - 1), "allowed 0 to 9"),
        (lambda x, y: (x * float("nan"), y), "not finite"),
    ],
)
def test_images_and_labels_that_do_not_fit_are_refused(small, batch, change, message):
    for proxy in PROXIES:
        with pytest.raises(DataError, match=message):
            proxy.score(small, *change(*batch))


def test_a_table_has_each_proxys_score_of_each_network(supernet, batch):
    points = [smallest_network(supernet.space), largest_network(supernet.space)]
    table = score_networks(supernet, points, *batch, seed=3)
    assert list(table) == names
    for proxy in all_proxies(seed=3):
        alone = [proxy.score(initial_network(supernet, p, seed=3), *batch) for p in points]
        np.testing.assert_array_equal(table[proxy.name], alone)


def test_initial_weights_are_drawn_by_the_seed(supernet, small):
    point = smallest_network(supernet.space)
    same = initial_network(supernet, point, seed=0).state_dict()
    other = initial_network(supernet, point, seed=1).state_dict()
    assert all(torch.equal(same[name], value) for name, value in small.state_dict().items())
    assert not torch.equal(
        other["body.stem.convolution.weight"], same["body.stem.convolution.weight"]
    )


def test_a_network_outside_the_space_is_refused(supernet, batch):
    point = smallest_network(supernet.space) | {"kernel_1": 4}
    with pytest.raises(SpaceError, match="kernel_1 = 4"):
        score_networks(supernet, [point], *batch)


def test_synflow_is_the_flow_through_every_layer(small, batch):
    # Where every path passes every layer, each layer's weights carry all of R: the sum
    # over layers of dR/dw w is R times the number of layers.
    body = small.body
    for block in body.blocks:
        block.shortcut = None
    with torch.no_grad():
        flow = torch.ones(1, 1, 8, 8, dtype=torch.float64)
        for part in (body.stem, *(unit for b in body.blocks for unit in b.units.values())):
            conv = part.convolution
            flow = functional.conv2d(
                flow, conv.weight.double().abs(), None, conv.stride, conv.padding, 1, conv.groups
            )
        flow = flow.mean((2, 3)) @ body.classifier.weight.double().abs().T
    layers = 2 + sum(len(block.units) for block in body.blocks)
    expected = math.log(layers * flow.sum().item())
    assert SynFlow().score(small, *batch) == pytest.approx(expected)


def test_grad_norm_sums_the_layers_norms(small, batch):
    images, labels = batch
    features = []
    handle = small.body.classifier.register_forward_pre_hook(
        lambda _, inputs: features.append(inputs[0])
    )
    logits = small.train()(images)
    handle.remove()
    weights = [parameter for parameter in small.parameters() if parameter.ndim > 1]
    parts = torch.autograd.grad(functional.cross_entropy(logits, labels), weights)
    # The classifier's part in closed form: (softmax - one-hot)^T features / images.
    error = logits.softmax(1) - functional.one_hot(labels, 10)
    torch.testing.assert_close(parts[-1], (error.T @ features[0] / len(labels)).detach())
    expected = sum(part.norm().item() for part in parts)
    assert GradientNorm().score(small, *batch) == pytest.approx(expected, rel=1e-5)


def test_gradsign_is_highest_for_equal_images(small, batch):
    images, labels = batch
    alike = images[:1].expand(4, -1, -1, -1), labels[:1].expand(4)
    agreeing = GradSign().score(small, *alike)
    mixed = GradSign().score(small, images[:4], labels[:4])
    weights = sum(p.numel() for p in small.parameters() if p.ndim > 1)
    assert mixed < agreeing <= 4 * weights
    assert agreeing % 4 == 0


def test_gradsign_is_that_of_each_images_share_of_the_batchs_loss(small, batch):
    from archwright.evaluators.supernet.modules import recalibrate

    images, labels = batch[0][:5], batch[1][:5]
    score = GradSign().score(small, images, labels)
    recalibrate(small, images)
    weights = [p for p in small.parameters() if p.ndim > 1]
    losses = functional.cross_entropy(small(images), labels, reduction="none")
    parts = [torch.autograd.grad(loss, weights, retain_graph=True) for loss in losses]
    signs = [sum(gradient.sign() for gradient in same) for same in zip(*parts, strict=True)]
    expected = sum(total.abs().sum().item() for total in signs)
    assert score == pytest.approx(expected, rel=0.01)  # signs of gradients that are nearly 0


def test_jacob_cov_is_lowest_for_equal_images(small, batch):
    images, labels = batch
    equal = images[:1].expand(len(images), -1, -1, -1)
    apart, alike = (JacobianCovariance().score(small, x, labels) for x in (images, equal))
    n = len(images)
    # Correlations are all 1: one eigenvalue n, the others 0.
    k = 1e-5
    lowest = -(math.log(n + k) + 1 / (n + k) + (n - 1) * (math.log(k) + 1 / k))
    assert alike <= 0.999 * lowest  # beyond it where equal images have no gradient at all
    assert apart > 0.999 * lowest
    assert apart < -n  # at no correlation every eigenvalue is 1: -n (log 1 + 1)


def test_naswot_counts_units_by_hand(small, batch):
    images, _ = batch
    codes = []
    hooks = [
        unit.norm.register_forward_hook(lambda _, __, out: codes.append(out.flatten(1) > 0))
        for unit in [small.body.stem, *(u for b in small.body.blocks for u in b.units.values())]
        if unit.plan.activation
    ]
    with torch.no_grad():
        small.train()(images)
    for hook in hooks:
        hook.remove()
    code = torch.cat(codes, 1)
    hamming = (code[:, None] != code[None]).sum(-1).numpy()
    expected = np.linalg.slogdet(code.shape[1] - hamming.astype(float))[1]
    assert Naswot().score(small, *batch) == pytest.approx(expected)


def test_naswot_is_finite_and_lower_for_equal_images(small, batch):
    images, labels = batch
    equal = images[:1].expand(len(images), -1, -1, -1)
    assert Naswot().score(small, equal, labels) < Naswot().score(small, images, labels)


def test_zen_does_not_see_images_or_the_networks_weights(supernet, batch):
    point = smallest_network(supernet.space)
    images, labels = batch
    scores = {
        Zen().score(initial_network(supernet, point, seed), x, labels)
        for seed in (0, 1)
        for x in (images, 1 - images)
    }
    assert len(scores) == 1
    assert Zen(seed=1).score(initial_network(supernet, point, 0), *batch) not in scores


def test_zen_undoes_batch_norm(small, batch):
    """Scaling a normalised convolution by c changes nothing but its batch norm's variance.

    Zen draws the weights itself; on the drawn network, log sigma grows by log c.
    """
    from archwright.evaluators.proxies import zen

    body = small.body.train()
    generator = torch.Generator().manual_seed(0)
    shape = (8, 1, 8, 8)
    with torch.no_grad():
        zen._as_vanilla(body, generator)
        x = torch.randn(shape, generator=generator)
        before = zen._maps(body, x)
        body.stem.convolution.weight.mul_(8)
        after = zen._maps(body, x)
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-3)
