"""Changes of training images that do not change what they show."""

from __future__ import annotations

import numpy as np

from archwright.evaluators.supernet.data import Images
from archwright.evaluators.supernet.recipe import Recipe


def augmented(recipe: Recipe, images: Images, rng: np.random.Generator) -> Images:
    """The images (batch, channels, side, side) as the recipe wants them changed."""
    if recipe.shift:
        images = shifted(images, rng, recipe.shift)
    return flipped(images, rng) if recipe.flip else images


def shifted(images: Images, rng: np.random.Generator, share: float) -> Images:
    """Each image moved by up to ``share`` of its side, its edge repeated behind it."""
    count, _, side, _ = images.shape
    reach = int(side * share)
    moves = rng.integers(-reach, reach + 1, size=(2, count, 1))
    rows, columns = np.clip(np.arange(side) + moves, 0, side - 1)
    return images[
        np.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]
    ].transpose(0, 3, 1, 2)


def flipped(images: Images, rng: np.random.Generator) -> Images:
    """Each image mirrored left to right, or not, with equal chance."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[..., ::-1], images)
