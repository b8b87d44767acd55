"""How a supernet is trained, as data. No torch: a recipe can be checked and hashed quickly."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

from archwright.errors import DataError, shown

TRAINER_VERSION = "4"
"""Part of every cache key: raise it when the same recipe would give other weights."""

Method = Literal["sandwich", "progressive", "alpha"]
Sampler = Literal["uniform", "complexity", "attentive"]
Attention = Literal["best", "worst"]
Device = Literal["auto", "cpu", "cuda"]

_WORDS = {
    "method": get_args(Method),
    "sampler": get_args(Sampler),
    "attention": get_args(Attention),
    "device": get_args(Device),
}
_BOUNDS = {
    "epochs": (1, 100_000),
    "seed": (0, 2**63 - 1),
    "batch_size": (2, 65536),
    "learning_rate": (0, 100),
    "weight_decay": (0, 100),
    "random_networks": (0, 64),
    "ends_every": (1, 10_000),
    "warm_up": (0, 1),
    "threads": (1, 1024),
    "candidates": (1, 64),
    "label_smoothing": (0, 0.9),
    "shift": (0, 0.5),
    "workers": (1, 64),
}


@dataclass(frozen=True)
class Recipe:
    """How a supernet is trained.

    Methods, all with the largest network on the labels and the others of its step on its
    answers (in-place distillation):

    - ``sandwich``: the smallest and ``random_networks`` random ones (BigNAS, arXiv 2003.11142);
    - ``alpha``: the same networks, and the adaptive alpha-divergence in place of the
      cross-entropy between the answers (AlphaNet, arXiv 2102.07954);
    - ``progressive``: random ones of a space that grows: the largest network alone, then
      elastic kernels, depths, widths and expansions, for shares ``phases`` of the epochs
      (Once-for-All, arXiv 1908.09791).

    Samplers of the random networks: ``uniform`` over the space; ``complexity``, uniform
    over the logarithm of the multiply-accumulates (as ShiftNAS asks, arXiv 2307.08300);
    ``attentive``, of ``candidates`` networks of about the same cost the ``attention``
    ("best" or "worst") one by its loss on the batch (AttentiveNAS, arXiv 2011.09011).

    ``shift`` moves each training image by up to that share of its side; ``flip`` mirrors
    every second one, which suits photographs and clothes but no digits or letters.

    With ``ends_every`` above 1 the largest network (with ``sandwich`` and ``alpha`` the
    smallest, too) trains in every so manyth step only. In the steps between, random ones
    learn from the labels: more of them for the same computing, since the largest costs as
    much as many others.

    ``threads`` inside an operation are part of what decides the weights, because sums
    depend on their order; layers of this size are slower on two than on one. ``workers``
    are networks of a step that are computed at once on a CPU: the weights do not depend
    on them. ``device`` "auto" is CUDA where there is one. ``mixed_precision`` computes
    in bfloat16 where that is safe.
    """

    epochs: int = 30
    seed: int = 0
    batch_size: int = 32
    learning_rate: float = 2e-2
    weight_decay: float = 1e-2
    random_networks: int = 2
    ends_every: int = 1
    warm_up: float = 0.05
    threads: int = 1
    method: Method = "sandwich"
    sampler: Sampler = "uniform"
    candidates: int = 3
    attention: Attention = "worst"
    phases: tuple[float, float, float, float] = (0.25, 0.25, 0.25, 0.25)
    label_smoothing: float = 0.0
    shift: float = 0.125
    flip: bool = False
    device: Device = "auto"
    mixed_precision: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (whole or (isinstance(value, float) and name not in _WHOLE)):
                kind = "a whole number" if name in _WHOLE else "a number"
                raise DataError(f"recipe: {name} = {shown(value)}: {kind} is needed")
            if not low <= value <= high:
                raise DataError(f"recipe: {name} = {value}: allowed {low} to {high}")
        for name, allowed in _WORDS.items():
            if getattr(self, name) not in allowed:
                raise DataError(
                    f"recipe: {name} = {shown(getattr(self, name))}: allowed {', '.join(allowed)}"
                )
        shares = self.phases
        if len(shares) != 4 or min(shares) < 0 or not math.isclose(sum(shares), 1):
            raise DataError(f"recipe: phases = {shown(shares)}: allowed four shares that sum to 1")

    @property
    def digest(self) -> str:
        """Hash over all settings that the weights depend on: 16 hex digits.

        ``device`` as it stands: resolve "auto" first.
        """
        settings = asdict(self)
        del settings["workers"]
        return digest_of(settings)

    def rate(self, share: float) -> float:
        """The learning rate once ``share`` of the training is done.

        Linear warm-up, then half a cosine down to zero (arXiv 1608.03983).
        """
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        rise = min(1.0, (share + 1e-3) / self.warm_up) if self.warm_up else 1.0
        return self.learning_rate * cosine * rise


_WHOLE = {field.name for field in fields(Recipe) if field.type == "int"}


def digest_of(content: object) -> str:
    """Hash over what JSON can say: 16 hex digits."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
