import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.errors import DataError, SpaceError
from archwright.evaluators.predictor import AccuracyPredictor, NetworkFeatures
from archwright.evaluators.predictor.process import GaussianProcess
from archwright.evaluators.rank_statistics import kendall
from archwright.evaluators.supernet.plan import InputShape, count
from archwright.evaluators.supernet.space import network_space, plan_of

SHAPE = InputShape(1, 28, 10)


def made_up_accuracy(rng, features, noise=0.005):
    """Saturating in a weighted sum, with an interaction."""
    weights = np.linspace(0.2, 1, features.shape[1])
    total = features @ weights / weights.sum() + 0.3 * features[:, 0] * features[:, 1]
    return np.clip(0.95 - 0.5 * np.exp(-2 * total) + noise * rng.normal(size=len(total)), 0, 1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class TestPredictor:
    def test_it_learns_what_a_line_cannot_say(self, rng):
        features = rng.random((400, 8))
        accuracies = made_up_accuracy(rng, features)
        predictor = AccuracyPredictor().fit(features[:100], accuracies[:100])
        predicted = predictor.predict(features[100:]).mean
        line = np.linalg.lstsq(np.c_[features[:100], np.ones(100)], accuracies[:100], rcond=None)[0]
        by_line = np.c_[features[100:], np.ones(300)] @ line
        off, off_by_line = (np.std(p - accuracies[100:]) for p in (predicted, by_line))
        assert kendall(accuracies[100:], predicted) > 0.9
        assert off < 0.8 * off_by_line

    def test_intervals_cover_as_often_as_they_say(self, rng):
        shares = []
        for _ in range(12):
            features = rng.random((360, 5))
            accuracies = made_up_accuracy(rng, features)
            predictor = AccuracyPredictor().fit(features[:60], accuracies[:60])
            for level in (0.95, 0.8):
                found = predictor.predict(features[60:], level)
                inside = (found.low <= accuracies[60:]) & (accuracies[60:] <= found.high)
                shares.append(inside.mean())
        assert np.mean(shares[::2]) == pytest.approx(0.95, abs=0.03)
        assert np.mean(shares[1::2]) == pytest.approx(0.8, abs=0.05)

    def test_it_knows_less_far_from_what_it_saw(self, rng):
        features = rng.random((60, 4))
        predictor = AccuracyPredictor().fit(features, made_up_accuracy(rng, features))
        near, far = predictor.predict(np.array([[0.5] * 4, [3.0, -2.0, 3.0, -2.0]])).deviation
        assert far > 3 * near

    def test_more_networks_make_it_surer(self, rng):
        features = rng.random((200, 4))
        accuracies = made_up_accuracy(rng, features)
        deviations = [
            AccuracyPredictor().fit(features[:n], accuracies[:n]).predict(features).deviation.mean()
            for n in (15, 200)
        ]
        assert deviations[1] < deviations[0] / 2

    @given(st.integers(4, 40), st.integers(1, 6), st.integers(0, 99))
    @settings(deadline=None, max_examples=25)
    def test_predictions_are_accuracies_within_their_intervals(self, rows, columns, seed):
        rng = np.random.default_rng(seed)
        features = rng.integers(0, 3, (rows, columns)).astype(float)
        predictor = AccuracyPredictor().fit(features, rng.random(rows))
        wide, narrow = (predictor.predict(3 * features, level) for level in (0.95, 0.5))
        for found in (wide, narrow):
            assert ((found.low >= 0) & (found.low <= found.mean)).all()
            assert ((found.mean <= found.high) & (found.high <= 1)).all()
            assert (found.deviation >= 0).all()
        assert (wide.low <= narrow.low).all()
        assert (wide.high >= narrow.high).all()

    def test_units_and_order_of_columns_do_not_matter(self, rng):
        features = rng.random((50, 4))
        accuracies = made_up_accuracy(rng, features)
        groups = ["a", "a", "b", "b"]
        plain = AccuracyPredictor(groups).fit(features, accuracies).predict(features)
        changed = (1e6 * features + 7)[:, ::-1]
        other = AccuracyPredictor(groups[::-1]).fit(changed, accuracies).predict(changed)
        np.testing.assert_allclose(plain.mean, other.mean, atol=1e-4)
        np.testing.assert_allclose(plain.high, other.high, atol=1e-3)

    def test_groups_may_differ_in_weight(self, rng):
        """One group says everything, the other is noise of many columns."""
        signal, noise = rng.random((260, 2)), rng.random((260, 30))
        features, accuracies = np.c_[signal, noise], made_up_accuracy(rng, signal)
        taus = []
        for groups in (["signal"] * 2 + ["noise"] * 30, None):
            predictor = AccuracyPredictor(groups).fit(features[:60], accuracies[:60])
            taus.append(kendall(accuracies[60:], predictor.predict(features[60:]).mean))
        assert taus[0] > taus[1] + 0.05

    def test_it_is_the_same_again(self, rng):
        features = rng.random((330, 3))  # more than the parameters are learned from
        accuracies = made_up_accuracy(rng, features)
        first, second = (
            AccuracyPredictor(seed=5).fit(features, accuracies).predict(features).mean
            for _ in range(2)
        )
        np.testing.assert_array_equal(first, second)

    def test_equal_networks_and_equal_accuracies_are_no_trouble(self, rng):
        same = np.ones((6, 3))
        found = AccuracyPredictor().fit(same, [0.5, 0.52, 0.48, 0.5, 0.51, 0.49]).predict(same)
        np.testing.assert_allclose(found.mean, 0.5, atol=0.01)
        found = AccuracyPredictor().fit(rng.random((6, 3)), [0.1] * 6).predict(same)
        np.testing.assert_allclose(found.mean, 0.1, atol=0.01)
        perfect = AccuracyPredictor().fit(rng.random((6, 3)), [1.0] * 6).predict(same)
        np.testing.assert_allclose(perfect.mean, 1.0, atol=0.01)

    @pytest.mark.parametrize(
        ("features", "accuracies", "message"),
        [
            (np.ones((3, 2)), [0.1, 0.2, 0.3], "3 networks to learn from; allowed 4 to 4000"),
            (np.ones((5, 2)), [0.1] * 4, r"allowed \(5,\)"),
            (np.ones((4, 2)), [0.1, 0.2, 0.3, 77.0], "accuracies: allowed 0 to 1"),
            (np.ones((4, 2)), [0.1, 0.2, 0.3, np.nan], "accuracies: allowed 0 to 1"),
            (np.full((4, 2), np.inf), [0.1] * 4, "features that are not finite"),
            (np.ones(4), [0.1] * 4, r"allowed \(networks, columns\)"),
            (np.ones((4, 0)), [0.1] * 4, r"allowed \(networks, columns\)"),
        ],
    )
    def test_what_cannot_be_learned_from_is_refused(self, features, accuracies, message):
        with pytest.raises(DataError, match=message):
            AccuracyPredictor().fit(features, accuracies)

    def test_other_columns_than_learned_from_are_refused(self, rng):
        features = rng.random((9, 3))
        for predictor in (AccuracyPredictor(), AccuracyPredictor(["a"] * 3)):
            predictor.fit(features, features[:, 0])
            with pytest.raises(DataError, match="networks, 3"):
                predictor.predict(features[:, :2])
            with pytest.raises(DataError, match=r"level = 1\.5"):
                predictor.predict(features, 1.5)


class TestProcess:
    def test_leave_one_out_is_what_the_others_say(self, rng):
        inputs, targets = rng.normal(size=(15, 3)), rng.normal(size=15)
        process = GaussianProcess([np.arange(3)])
        process.fit(inputs, targets, seed=0)
        mean, variance = process.leave_one_out()
        covariance = process._covariance(inputs, inputs) + (process.noise + 1e-8) * np.eye(15)
        for row in range(15):
            others = np.arange(15) != row
            known = covariance[np.ix_(others, others)]
            weights = np.linalg.solve(known, covariance[others, row])
            assert mean[row] == pytest.approx(weights @ targets[others])
            left = covariance[row, row] - weights @ covariance[others, row]
            assert variance[row] == pytest.approx(left)

    def test_the_gradient_is_the_losses_slope(self, rng):
        inputs, targets = rng.normal(size=(12, 4)), rng.normal(size=12)
        process = GaussianProcess([np.arange(2), np.arange(2, 4)])
        products = [inputs[:, g] @ inputs[:, g].T for g in (slice(0, 2), slice(2, 4))]
        distances = [np.add.outer(np.diag(p), np.diag(p)) - 2 * p for p in products]
        at = process._start + 0.3 * rng.normal(size=6)
        _, gradient = process._loss(at, products, distances, targets)
        for k in range(6):
            step = 1e-6 * np.eye(6)[k]
            above, below = (
                process._loss(x, products, distances, targets)[0] for x in (at + step, at - step)
            )
            assert gradient[k] == pytest.approx((above - below) / 2e-6, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("family", ["mbconv", "universal", "mobile"])
class TestFeatures:
    def test_columns_are_named_and_say_what_they_should(self, family, rng):
        space = network_space(SHAPE, family)
        features = NetworkFeatures(space, lambda point: plan_of(point, SHAPE, family))
        points = space.decode(space.sample(rng, 20))
        found = features(points)
        assert found.shape == (20, len(features.groups))
        assert np.isfinite(found).all()
        groups = np.array(features.groups)
        numbers = [choice.name for choice in space.choices if choice.ordered]
        np.testing.assert_array_equal(
            found[:, groups == "numbers"], [[point[name] for name in numbers] for point in points]
        )
        worded = [c for c in space.choices if not c.ordered or len(c.values) > 2]
        indicators = found[:, groups == "one-hot"]
        assert (indicators.sum(axis=1) == len(worded)).all()
        parameters, macs = np.expm1(found[:, groups == "sizes"][:, :2]).T
        exact = [count(plan_of(point, SHAPE, family)) for point in points]
        np.testing.assert_allclose(np.stack([parameters, macs], axis=1), exact)

    def test_different_networks_have_different_features(self, family, rng):
        space = network_space(SHAPE, family)
        indices = np.unique(space.sample(rng, 100), axis=0)
        found = NetworkFeatures(space)(space.decode(indices))
        assert len(np.unique(found, axis=0)) == len(indices)

    def test_a_point_outside_the_space_is_refused(self, family, rng):
        space = network_space(SHAPE, family)
        (point,) = space.decode(space.sample(rng, 1))
        with pytest.raises(SpaceError, match="depth_1 = 99"):
            NetworkFeatures(space)([point | {"depth_1": 99}])


def test_stage_sizes_add_up_to_the_networks_blocks(rng):
    space = network_space(SHAPE)
    features = NetworkFeatures(space, lambda point: plan_of(point, SHAPE))
    points = space.decode(space.sample(rng, 10))
    sizes = np.expm1(features(points)[:, np.array(features.groups) == "sizes"])
    by_stage = sizes[:, 2:].reshape(10, 3, 5)
    for point, total, stages in zip(points, sizes[:, :2], by_stage, strict=True):
        plan = plan_of(point, SHAPE)
        assert stages[:, 0] == pytest.approx([point[f"depth_{s}"] for s in (1, 2, 3)])
        around = plan.stem.parameters + plan.classified * 10 + 10
        assert stages[:, 2].sum() + around == pytest.approx(total[0])
        units = [unit for block in plan.blocks for unit in block.units]
        assert stages[:, 3].sum() == pytest.approx(sum(u.weights for u in units if u.depthwise))
