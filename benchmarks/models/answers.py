"""Three openings, written down without a look at the table: a good, a middling, a worthless one.

Of each kind there is a longer list, too, from which variants are drawn.

Each is the answer of a language model to the opening's prompt, eight cells. The good one
covers every cost level with residual cells; the middling one crowds in every edge and has no
identity; the cells of the worthless one reach their output on no path.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.models.scripts import EDGES

LARGE, SMALL, POOL, SKIP, NONE = (
    "nor_conv_3x3",
    "nor_conv_1x1",
    "avg_pool_3x3",
    "skip_connect",
    "none",
)


def _design(level: str, rationale: str, *operations: str) -> dict[str, Any]:
    network = dict(zip(EDGES, operations, strict=True))
    return {"level": level, "network": network, "rationale": rationale}


GOOD = {
    "designs": [
        _design("huge", "five 3x3 convolutions beside an identity: residual and wide",
                LARGE, LARGE, LARGE, SKIP, LARGE, LARGE),
        _design("large", "a residual block of two 3x3 convolutions",
                LARGE, NONE, NONE, SKIP, LARGE, NONE),
        _design("medium", "a residual block whose second convolution is 1x1",
                LARGE, NONE, NONE, SKIP, SMALL, NONE),
        _design("small", "a residual block of 1x1 convolutions only",
                SMALL, NONE, NONE, SKIP, SMALL, NONE),
        _design("tiny", "one 1x1 convolution beside an identity",
                SMALL, NONE, NONE, SKIP, SKIP, NONE),
        _design("huge", "a chain of three 3x3 convolutions around an identity",
                LARGE, NONE, LARGE, SKIP, NONE, LARGE),
        _design("small", "1x1 convolutions on all edges beside an identity",
                SMALL, SMALL, SMALL, SKIP, SMALL, SMALL),
        _design("medium", "one 3x3 convolution from input to output, identities beside it",
                SKIP, NONE, NONE, LARGE, SKIP, NONE),
    ]
}  # fmt: skip
MIDDLING = {
    "designs": [
        _design("huge", "3x3 convolutions everywhere",
                LARGE, LARGE, LARGE, LARGE, LARGE, LARGE),
        _design("large", "a mixture of kernels",
                LARGE, SMALL, SMALL, SMALL, SMALL, LARGE),
        _design("large", "a mixture of kernels and pooling",
                SMALL, LARGE, POOL, SMALL, LARGE, SMALL),
        _design("medium", "one large kernel in the middle",
                SMALL, SMALL, SMALL, LARGE, SMALL, SMALL),
        _design("medium", "1x1 convolutions everywhere",
                SMALL, SMALL, SMALL, SMALL, SMALL, SMALL),
        _design("small", "pooling in place of convolutions",
                SMALL, POOL, SMALL, POOL, SMALL, SMALL),
        _design("small", "mostly pooling",
                POOL, SMALL, SMALL, SMALL, POOL, POOL),
        _design("tiny", "one convolution, the rest pooling",
                POOL, POOL, SMALL, POOL, POOL, POOL),
    ]
}  # fmt: skip
WORTHLESS = {
    "designs": [
        _design("huge", "all its weights in front",
                LARGE, LARGE, LARGE, NONE, NONE, NONE),
        _design("large", "two large kernels",
                LARGE, LARGE, NONE, NONE, NONE, NONE),
        _design("large", "a chain of two",
                LARGE, NONE, LARGE, NONE, NONE, NONE),
        _design("large", "two branches",
                NONE, LARGE, NONE, NONE, LARGE, NONE),
        _design("medium", "one large kernel",
                LARGE, NONE, NONE, NONE, NONE, NONE),
        _design("medium", "one large kernel, late",
                NONE, NONE, NONE, NONE, LARGE, NONE),
        _design("small", "1x1 convolutions",
                SMALL, SMALL, SMALL, NONE, NONE, NONE),
        _design("tiny", "identities",
                SKIP, NONE, NONE, NONE, NONE, SKIP),
    ]
}  # fmt: skip

MORE = {
    "good": [
        _design("huge", "a residual cell", SKIP, LARGE, LARGE, SKIP, LARGE, LARGE),
        _design("huge", "a wide cell", LARGE, LARGE, LARGE, SMALL, LARGE, LARGE),
        _design("large", "a residual block", LARGE, NONE, SMALL, SKIP, LARGE, NONE),
        _design("large", "a projected block", LARGE, NONE, NONE, SMALL, LARGE, NONE),
        _design("medium", "a residual block", SMALL, NONE, NONE, SKIP, LARGE, NONE),
        _design("small", "a chain of 1x1", SMALL, NONE, SMALL, SKIP, NONE, SMALL),
        _design("small", "one 1x1", SMALL, NONE, NONE, SKIP, NONE, NONE),
        _design("tiny", "an identity", NONE, NONE, NONE, SKIP, NONE, NONE),
    ],
    "middling": [
        _design("large", "a mixture", LARGE, LARGE, SMALL, POOL, LARGE, SMALL),
        _design("medium", "a mixture", SMALL, SMALL, LARGE, POOL, SMALL, SMALL),
        _design("medium", "pooling", POOL, LARGE, POOL, SMALL, POOL, SMALL),
        _design("small", "pooling", SMALL, POOL, POOL, SMALL, POOL, POOL),
        _design("large", "a mixture", LARGE, SMALL, POOL, LARGE, SMALL, POOL),
        _design("tiny", "pooling", SKIP, POOL, SKIP, POOL, SKIP, POOL),
    ],
    "worthless": [
        _design("large", "weights in front", LARGE, SMALL, LARGE, NONE, NONE, NONE),
        _design("medium", "weights in front", SMALL, SMALL, LARGE, NONE, NONE, NONE),
        _design("medium", "branches", NONE, SMALL, NONE, NONE, LARGE, NONE),
        _design("small", "branches", NONE, NONE, LARGE, NONE, NONE, SMALL),
    ],
}  # fmt: skip
OPENINGS = {"good": GOOD, "middling": MIDDLING, "worthless": WORTHLESS}


def variant(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Eight designs of a kind, drawn, in any order."""
    every = [*OPENINGS[kind]["designs"], *MORE[kind]]
    return {"designs": [every[k] for k in rng.permutation(len(every))[:8]]}
