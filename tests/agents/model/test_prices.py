"""What a model costs: the user's prices first, then the table, else unknown and never zero."""

import json

import pytest
from asking import ask, say
from hypothesis import given
from hypothesis import strategies as st

from archwright.agents.model.prices import (
    YOUR_SETTINGS,
    Price,
    cost,
    price_line,
    price_of,
    price_table,
)
from archwright.settings import Profile

HOSTED = "https://api.openai.com/v1"


def profile(base_url: str = HOSTED, model: str = "gpt-5-mini", **prices: float) -> Profile:
    fields = {f"dollars_per_million_tokens_{name}": price for name, price in prices.items()}
    return Profile(base_url=base_url, model=model, **fields)


def test_every_price_of_the_table_has_a_date_and_a_source():
    table = price_table()
    assert table
    for (host, model), price in table.items():
        assert price.source.startswith("https://"), model
        assert price.date[:2] == "20"
        assert len(price.date) == 10
        assert 0 < price.cached <= price.tokens_in < price.tokens_out, (host, model)


def test_a_hosted_model_costs_what_the_table_says():
    price = price_of(profile())
    assert price is not None
    assert (price.tokens_in, price.cached, price.tokens_out) == (0.25, 0.025, 2.0)
    assert cost(price, 1_000_000, 100_000) == pytest.approx(0.45)
    assert cost(price, 1_000_000, 100_000, 600_000) == pytest.approx(0.315)


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (HOSTED, "gpt-9-imaginary"),
        ("http://127.0.0.1:8080/v1", "gpt-5-mini"),
        ("http://localhost:8080/v1", "qwen3-8b"),
        ("https://proxy.example/v1", "gpt-5-mini"),
        ("https://api.openai.com.evil.example/v1", "gpt-5-mini"),
    ],
)
def test_elsewhere_a_price_is_unknown_and_not_zero(base_url: str, model: str):
    assert price_of(profile(base_url, model)) is None
    assert cost(None, 10**6, 10**6) is None
    assert price_line(profile(base_url, model)).startswith(f"cost unknown: no price for {model};")


def test_the_settings_come_first_and_may_say_that_it_is_free():
    own = price_of(profile(**{"in": 1.0, "out": 3.0}))
    assert own == Price(1.0, 1.0, 3.0, YOUR_SETTINGS)
    cached = price_of(profile(**{"in": 1.0, "cached": 0.5, "out": 3.0}))
    assert cached == Price(1.0, 0.5, 3.0, YOUR_SETTINGS)
    free = price_of(profile("http://localhost:1/v1", "mine", **{"in": 0.0, "out": 0.0}))
    assert cost(free, 10**6, 10**6) == 0.0


@given(tokens_in=st.integers(0, 10**9), tokens_out=st.integers(0, 10**9), price=st.floats(0, 5_000))
def test_a_cost_is_tokens_times_prices(tokens_in: int, tokens_out: int, price: float):
    known = price_of(profile(**{"in": price, "out": 2 * price}))
    expected = (tokens_in + 2 * tokens_out) * price / 1e6
    assert cost(known, tokens_in, tokens_out) == pytest.approx(expected)
    assert cost(known, tokens_in, tokens_out, tokens_in) == pytest.approx(expected)


def test_the_line_for_doctor_names_the_price_and_where_it_is_from():
    assert price_line(profile()) == (
        "dollars per million tokens: 0.25 in, 0.025 cached, 2 out "
        "(https://openai.com/index/introducing-gpt-5-for-developers/, 2025-08-07)"
    )
    assert price_line(profile(**{"in": 1.5, "out": 2.5})) == (
        "dollars per million tokens: 1.5 in, 1.5 cached, 2.5 out (your settings)"
    )


@pytest.mark.parametrize(
    ("cached", "dollars"), [(800, 0.00028), (0, 0.001), (-1, 0.001), (1001, 0.001), ("x", 0.001)]
)
def test_tokens_from_a_cache_cost_less_where_that_is_credible(port_to, reply, cached, dollars):
    body = {
        "choices": [{"message": {"content": '{"bits": 8}'}}],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 0,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
    }
    port, _ = port_to(
        say(reply(raw=json.dumps(body).encode())),
        dollars_per_million_tokens_in=1.0,
        dollars_per_million_tokens_cached=0.1,
        dollars_per_million_tokens_out=1.0,
    )
    assert ask(port).dollars == pytest.approx(dollars)
