"""Which networks a training draws."""

import math
from functools import partial

import numpy as np
import pytest

from archwright.evaluators.supernet import InputShape, Recipe, largest_network, network_space
from archwright.evaluators.supernet.plan import count
from archwright.evaluators.supernet.sampling import Sampler, space_at, spread_over_costs
from archwright.evaluators.supernet.space import plan_of

SHAPE = InputShape(1, 28, 10)
SPACE = network_space(SHAPE, "small")
PLAN_OF = partial(plan_of, shape=SHAPE, family="small")


def macs(network) -> int:
    return count(PLAN_OF(network))[1]


def draw(recipe: Recipe, steps: int, loss_of=macs) -> list[dict]:
    rng = np.random.default_rng(3)
    sampler = Sampler(recipe, SPACE, PLAN_OF, rng)
    return [network for _ in range(steps) for network in sampler.draw(rng, loss_of)]


def test_phases_release_one_choice_after_another() -> None:
    recipe = Recipe(epochs=100, method="progressive", phases=(0.2, 0.2, 0.3, 0.3))

    def sizes(epoch: int) -> dict[str, int]:
        space = space_at(recipe, SPACE, epoch)
        return {c.name: len(c.values) for c in space.choices if c.name.endswith(("2", "n"))}

    alone = space_at(recipe, SPACE, 19)
    assert {c.name: c.values for c in alone.choices if c.name != "bits"} == {
        name: (value,) for name, value in largest_network(SPACE).items() if name != "bits"
    }
    start = {"depth_2": 1, "kernel_2": 1, "expansion_2": 1, "width_2": 1, "resolution": 1}
    assert sizes(0) == start
    assert sizes(20) == start | {"kernel_2": 2, "resolution": 2}
    assert sizes(39) == start | {"kernel_2": 2, "resolution": 4}
    assert sizes(40) == sizes(39) | {"depth_2": 2}
    assert sizes(55) == sizes(39) | {"depth_2": 3}
    assert sizes(70) == sizes(55) | {"expansion_2": 2, "width_2": 2}
    assert space_at(recipe, SPACE, 99) == SPACE


@pytest.mark.parametrize("epochs", [1, 2, 3, 7])
def test_short_and_empty_phases(epochs: int) -> None:
    recipe = Recipe(epochs=epochs, method="progressive", phases=(1, 0, 0, 0))
    for epoch in range(epochs):
        assert space_at(recipe, SPACE, epoch).size == 3  # bits
    at_once = Recipe(epochs=epochs, method="progressive", phases=(0, 0, 0, 1))
    assert len(space_at(at_once, SPACE, 0).choices[0].values) == 3
    for other in ("sandwich", "alpha"):
        assert space_at(Recipe(method=other), SPACE, 0) == SPACE


def test_spread_networks_cover_all_costs_and_all_values_alike() -> None:
    drawn = spread_over_costs(SPACE, np.random.default_rng(0), 20_000)
    for column, choice in zip(drawn.T, SPACE.choices, strict=True):
        shares = np.bincount(column, minlength=len(choice.values)) / len(drawn)
        assert np.abs(shares - 1 / len(choice.values)).max() < 0.02


def test_complexity_is_uniform_over_the_logarithm_of_costs() -> None:
    space_levels = sorted(map(math.log, (22_816, macs(largest_network(SPACE)))))
    levels = np.log([macs(n) for n in draw(Recipe(sampler="complexity"), 600)])
    shares = np.histogram(levels, bins=4, range=space_levels)[0] / len(levels)
    assert np.abs(shares - 0.25).max() < 0.06
    uniform = np.log([macs(n) for n in draw(Recipe(), 600)])
    shares = np.histogram(uniform, bins=4, range=space_levels)[0] / len(uniform)
    assert shares[0] < 0.05  # what the sampler is for


@pytest.mark.parametrize(("attention", "choose"), [("best", min), ("worst", max)])
def test_attention_takes_the_best_or_worst_of_alike_candidates(attention, choose) -> None:
    groups: list[list[dict]] = [[]]
    losses: dict[int, float] = {}
    rng = np.random.default_rng(5)

    def loss_of(network) -> float:
        groups[-1].append(network)
        return losses.setdefault(id(network), rng.random())

    recipe = Recipe(sampler="attentive", attention=attention, random_networks=1, candidates=4)
    generator = np.random.default_rng(3)
    sampler = Sampler(recipe, SPACE, PLAN_OF, generator)
    for _ in range(20):
        (drawn,) = sampler.draw(generator, loss_of)
        group = groups[-1]
        assert len(group) == 4
        assert drawn is choose(group, key=lambda network: losses[id(network)])
        costs = [macs(network) for network in group]
        assert max(costs) < 2 * min(costs)
        groups.append([])


def test_draws_depend_on_the_generator_alone() -> None:
    for sampler in ("uniform", "complexity", "attentive"):
        recipe = Recipe(sampler=sampler)
        assert draw(recipe, 5) == draw(recipe, 5)
