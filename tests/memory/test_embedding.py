from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archwright.brief import parse_brief
from archwright.evaluators.supernet import InputShape, network_space, workload_of
from archwright.memory.embedding import DIMENSION, as_query, embed, similarity
from archwright.workload import Layer, LayerKind, Workload

names = st.text(min_size=1, max_size=12)
values = st.one_of(
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
points = st.dictionaries(names, values, max_size=12)
sides = st.integers(1, 512)
layers = st.builds(
    Layer,
    name=st.just("layer"),
    kind=st.sampled_from([kind for kind in LayerKind if kind is not LayerKind.DEPTHWISE]),
    in_channels=sides.map(lambda side: 4 * side),
    out_channels=sides.map(lambda side: 4 * side),
    groups=st.sampled_from([1, 2, 4]),
    kernel_width=st.none() | st.integers(1, 11),
    in_height=sides,
    in_width=sides,
    out_height=sides,
    out_width=sides,
    kernel=st.integers(1, 11),
)
workloads = st.builds(
    Workload,
    name=st.just("any"),
    layers=st.lists(layers, min_size=1, max_size=6).map(tuple),
    bits=st.sampled_from([1, 4, 8, 16]),
    batch=st.integers(1, 64),
)


@given(points, points, workloads)
def test_any_design_of_any_space_has_finite_numbers(network, hardware, workload) -> None:
    vector = embed(network, hardware, workload)
    assert len(vector) == DIMENSION
    assert np.all(np.isfinite(vector))
    assert vector == embed(dict(network), dict(hardware), workload)


@given(points, points, workloads, points, points, workloads)
def test_nothing_is_nearer_to_a_design_than_itself(n, h, w, other_n, other_h, other_w) -> None:
    mine, other = embed(n, h, w), embed(other_n, other_h, other_w)
    assert abs(similarity(mine, mine) - 1) < 1e-9
    assert similarity(mine, other) <= 1 + 1e-9


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_designs_of_a_space_are_told_apart(seed: int) -> None:
    """In single precision, as the index keeps them."""
    rng = np.random.default_rng(seed)
    allowed = {
        "depth": [1, 2, 3, 4],
        "kernel": [3, 5],
        "rows": [4, 8, 16, 32],
        "dataflow": ["os", "ws"],
    }
    rows = {tuple(rng.choice(range(len(v))) for v in allowed.values()) for _ in range(40)}
    choices = [{k: v[i] for (k, v), i in zip(allowed.items(), row, strict=True)} for row in rows]
    vectors = np.array([embed(choice, {}, None) for choice in choices], np.float32)
    queries = np.array([as_query(v) for v in vectors.tolist()], np.float32)
    assert np.argmax(queries @ vectors.T, axis=1).tolist() == list(range(len(choices)))


def test_likeness_follows_what_is_alike(make) -> None:
    small, wide = make.brief(at_most=1.0), make.brief(metric="energy_uj", at_most=1000.0)
    query = embed(brief=small)
    same = embed(make.design(1, 8).network, make.design(1, 8).hardware, make.workload(1), small)
    other = embed(make.design(1, 8).network, make.design(1, 8).hardware, make.workload(1), wide)
    assert abs(similarity(query, same) - 1) < 1e-9
    assert similarity(query, same) > similarity(query, other)
    near, far = embed(workload=make.workload(2)), embed(workload=make.workload(40))
    assert similarity(embed(workload=make.workload(1)), near) > similarity(
        embed(workload=make.workload(1)), far
    )
    rows = [embed(hardware={"rows": rows}) for rows in (8, 16, 64)]
    assert similarity(rows[0], rows[1]) > similarity(rows[0], rows[2])


def wanting(hardware, rng, data="digits"):
    """A brief that allows ``hardware``, with bounds that vary a little."""
    bound = {"latency_ms": {"at_most": float(rng.uniform(5, 20))}}
    return parse_brief(
        {
            "name": "any",
            "task": {"data": data},
            "objectives": {"accuracy": "maximise", "latency_ms": "minimise"},
            "constraints": bound,
            "hardware": hardware,
            "budget": {"evaluations": 10},
        }
    )


def middle_workload(side: int) -> Workload:
    """Of the network in the middle of the space for images of that side."""
    shape = InputShape(channels=1, side=side, classes=10)
    space = network_space(shape)
    [point] = space.decode(np.array([space.shape]) // 2)
    return workload_of(point, shape=shape)


def test_between_data_of_other_names_the_workload_decides() -> None:
    """By the brief alone it was a coin that was tossed."""
    small, large = middle_workload(8), middle_workload(28)
    briefs = [wanting({}, np.random.default_rng(1), f"data {k}") for k in range(60)]
    for mine, one, other in zip(briefs[::3], briefs[1::3], briefs[2::3], strict=True):
        query = embed(brief=mine, workload=small)
        like, unlike = embed(brief=one, workload=small), embed(brief=other, workload=large)
        assert similarity(query, like) > similarity(query, unlike)


def test_the_hardware_that_was_allowed_tells_runs_apart() -> None:
    """Without a part of its own every second of these triples came out wrong."""
    rng = np.random.default_rng(3)
    for _ in range(100):
        rows, buffer = 2 ** int(rng.integers(2, 4)), 2 ** int(rng.integers(1, 4))
        small = {"rows": [rows, 2 * rows], "weight_buffer_kib": [buffer, 2 * buffer]}
        large = {"rows": [8 * rows, 16 * rows], "weight_buffer_kib": [16 * buffer]}
        mine = embed(brief=wanting({"choices": {**small, "dataflow": ["os"]}}, rng))
        like = embed(brief=wanting({"choices": small}, rng))
        unlike = embed(brief=wanting({"choices": {**large, "dataflow": ["ws"]}}, rng))
        assert similarity(mine, like) > similarity(mine, unlike)


def test_a_fixed_hardware_is_like_a_space_around_it() -> None:
    rng = np.random.default_rng(3)
    fixed = embed(brief=wanting({"fixed": {"rows": 8, "columns": 8}}, rng))
    around = embed(brief=wanting({"choices": {"rows": [4, 8, 16], "columns": [8]}}, rng))
    far = embed(brief=wanting({"choices": {"rows": [128], "columns": [128, 256]}}, rng))
    other = embed(brief=wanting({"space": "row_stationary"}, rng))
    assert similarity(fixed, around) > similarity(fixed, far)
    assert similarity(fixed, around) > similarity(fixed, other)


def test_nothing_known_is_like_nothing() -> None:
    assert similarity(embed(), embed({"a": 1}, {}, None)) == 0


def test_every_process_computes_the_same() -> None:
    script = "from archwright.memory.embedding import embed; import json;"
    script += "print(json.dumps(embed({'a': 3, 'b': 'x'}, {'rows': 8}, None)))"
    found = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert json.loads(found[0]) == json.loads(found[1])
    assert json.loads(found[0]) == embed({"a": 3, "b": "x"}, {"rows": 8}, None)
