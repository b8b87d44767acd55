import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet.space import InputShape, network_space
from archwright.report.text import clean, count, duration, in_words, listed, metric_value, number


@given(st.floats(min_value=1e-3, max_value=9.9e5))
def test_a_number_keeps_three_significant_digits(value: float) -> None:
    printed = number(value)
    assert float(printed.replace(",", "")) == float(f"{value:.2e}")
    assert len([sign for sign in printed.lstrip("0.") if sign.isdigit()]) >= 3


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.0, "0"),
        (1.5, "1.50"),
        (0.0123456, "0.0123"),
        (-2.0, "-2.00"),
        (12345.0, "12,300"),
        (999.6, "1,000"),
        (1.234e-5, "1.23×10⁻⁵"),
        (4.5e9, "4.50×10⁹"),
        (math.inf, "not finite"),
    ],
)
def test_numbers_as_printed(value: float, printed: str) -> None:
    assert number(value) == printed


def test_counts_metrics_and_durations_as_printed() -> None:
    assert [count(n) for n in (0, 812, 999, 12_345, 4.56e6)] == [
        "0", "812", "999", "12.3 k", "4.56 M",
    ]  # fmt: skip
    assert metric_value("accuracy", 0.9731) == "97.3%"
    assert metric_value("energy_uj", 0.774) == "0.774 µJ"
    assert metric_value("parameters", 12_345) == "12.3 k"
    assert [duration(s) for s in (0.21, 42, 59.7, 242, 11_100)] == [
        "0.210 s", "42 s", "1 min 0 s", "4 min 2 s", "3 h 5 min",
    ]  # fmt: skip
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip


@given(st.text(max_size=300), st.integers(1, 80))
def test_clean_text_is_one_bounded_visible_line(untrusted: str, longest: int) -> None:
    line = clean(untrusted, longest)
    assert len(line) <= longest
    assert not {unicodedata.category(sign) for sign in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_clean_text_drops_signs_that_reorder_or_hide() -> None:
    assert clean("a\u202eb\x1b[31m\u2066c\r\nd\0") == "ab [31mc d"


def test_designs_in_words_say_every_choice() -> None:
    networks = network_space(InputShape(channels=1, side=8, classes=10))
    network = {choice.name: choice.values[0] for choice in networks.choices}
    hardware = {choice.name: choice.values[-1] for choice in hardware_space().choices}
    assert in_words({**network, "kernel_2": 5}).startswith("depth 1/1/1, kernel 3/5/3")
    words = in_words(hardware)
    assert f"{hardware['rows']} × {hardware['columns']} array, input-stationary" in words
    assert "KiB" in words
    assert "GB/s" in words
    assert "MHz" in words
    assert in_words({"depth": 2, "new_choice": "x"}) == "depth 2, new choice x"
