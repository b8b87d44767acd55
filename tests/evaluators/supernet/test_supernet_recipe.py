"""Recipes: what is allowed, and what their digest covers."""

from dataclasses import fields, replace
from typing import Any

import pytest

from archwright.errors import DataError
from archwright.evaluators.supernet import Recipe

OTHER: dict[str, Any] = {
    "method": "alpha",
    "sampler": "attentive",
    "attention": "best",
    "device": "cpu",
    "phases": (0.4, 0.2, 0.2, 0.2),
    "label_smoothing": 0.1,
    "warm_up": 0.5,
    "shift": 0.0,
    "flip": True,
    "mixed_precision": True,
}


def test_the_digest_covers_all_that_the_weights_depend_on() -> None:
    recipe = Recipe()
    digests = {recipe.digest}
    for field in fields(Recipe):
        value = OTHER[field.name] if field.name in OTHER else getattr(recipe, field.name) + 1
        other = replace(recipe, **{field.name: value})
        if field.name == "workers":
            assert other.digest == recipe.digest
        else:
            digests.add(other.digest)
    assert len(digests) == len(fields(Recipe))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs = 0: allowed 1 to 100000"),
        ({"epochs": 2.5}, "epochs = 2.5: a whole number is needed"),
        ({"epochs": True}, "epochs = True: a whole number"),
        ({"batch_size": 1}, "batch_size = 1: allowed 2 to"),
        ({"seed": -1}, "seed = -1: allowed 0 to"),
        ({"learning_rate": "fast"}, "learning_rate = 'fast': a number is needed"),
        ({"learning_rate": float("nan")}, "learning_rate = nan: allowed 0 to 100"),
        ({"warm_up": 1.5}, "warm_up = 1.5: allowed 0 to 1"),
        ({"shift": 0.6}, "shift = 0.6: allowed 0 to 0.5"),
        ({"method": "magic"}, "method = 'magic': allowed sandwich, progressive, alpha"),
        ({"sampler": "lucky"}, "sampler = 'lucky': allowed uniform, complexity, attentive"),
        ({"attention": "mean"}, "attention = 'mean': allowed best, worst"),
        ({"device": "tpu"}, "device = 'tpu': allowed auto, cpu, cuda"),
        ({"phases": (0.5, 0.5, 0.5, 0.5)}, "allowed four shares that sum to 1"),
        ({"phases": (0.5, 0.5)}, "allowed four shares"),
        ({"phases": (1.5, -0.5, 0, 0)}, "allowed four shares"),
        ({"workers": 0}, "workers = 0: allowed 1 to 64"),
        ({"ends_every": 0}, "ends_every = 0: allowed 1 to 10000"),
    ],
)
def test_bad_settings_give_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"^recipe: .*{message}") as caught:
        Recipe(**settings)
    assert "\n" not in str(caught.value)
