"""Figures in a model's words: found wherever a metric is stated, kept where it was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import scripted
from hypothesis import assume, given
from hypothesis import strategies as st

from archwright.agents.claims import (
    NOTHING_KNOWN,
    bounds_of,
    checked,
    false_claims,
    known_values,
    values_in_result,
)
from archwright.agents.critic import ModelCritic
from archwright.agents.figures import figures, sentences
from archwright.agents.frontier import Pairings
from archwright.agents.hybrid.notebook import PlainNotebook
from archwright.agents.hybrid.proposer import ModelProposer
from archwright.agents.minds import ANSWERED_INSTEAD, Figures
from archwright.agents.planner import ModelPlanner, Progress
from archwright.brief import parse_brief
from archwright.events import EventLog, read_events
from archwright.measurement import METRICS
from archwright.memory.archive import Archive
from archwright.memory.records import Verdict

STATED = {
    "accuracy 0.93": ("accuracy", 0.93),
    "93% accurate": ("accuracy", 0.93),
    "93.2 percent accuracy": ("accuracy", 0.932),
    "an accuracy of about 93": ("accuracy", 0.93),
    "a top-1 of 93.2%": ("accuracy", 0.932),
    "its accuracy shall surely attain 0.93 then": ("accuracy", 0.93),
    "0.93 validation accuracy": ("accuracy", 0.93),
    "val_acc=0.93": ("accuracy", 0.93),
    "accuracy: 0,93": ("accuracy", 0.93),
    "accuracy ０.９３": ("accuracy", 0.93),
    "accuracy rises by far, to 0.93": ("accuracy", 0.93),
    "classifies 93% of the images correctly": ("accuracy", 0.93),
    "an error of 7%": ("accuracy", 0.93),
    "0.31 ms": ("latency_ms", 0.31),
    "latency of 310 us": ("latency_ms", 0.31),
    "310µs": ("latency_ms", 0.31),
    "latency 0.31": ("latency_ms", 0.31),
    "latency_us=310": ("latency_ms", 0.31),
    "a latency of 0.0003 s": ("latency_ms", 0.3),
    "1.2 mm2": ("area_mm2", 1.2),
    "1.2 mm²": ("area_mm2", 1.2),
    "1.2 square millimetres": ("area_mm2", 1.2),
    "energy below 3 uJ": ("energy_uj", 3.0),
    "3 nJ per inference": ("energy_uj", 0.003),
    "1.20×10⁻⁵ mJ": ("energy_uj", 0.012),
    "12 mW": ("power_mw", 12.0),
    "4,100 parameters": ("parameters", 4100.0),
    "a 4,100-parameter network": ("parameters", 4100.0),
    "4.1k parameters": ("parameters", 4100.0),
    "1.2 million MACs": ("macs", 1.2e6),
    "96 KiB of memory": ("memory_kib", 96.0),
}

NO_FIGURES = (
    "2x faster",
    "half the latency",
    "30% smaller at equal accuracy",
    "0.02 more accuracy",
    "raises accuracy by 0.013",
    "accuracy improves 2%",
    "saves 0.1 ms",
    "+0.1 ms",
    "0.1 ms faster",
    "0.2 pJ per MAC",
    "bits 8, kernel 5, 200 MHz, 16 rows, 8 KiB buffers",
    "accuracy is best with kernel_1=5 and 8 bits",
    "accuracy at width 0.75",
    "a 16x16 array of 256 MAC units",
    "3 networks and 14 evaluations",
    "4 GB/s keeps the latency low",
    "memory traffic is small with 8 KiB buffers",
    "a power of 2",
    "hypervolume 0.62 after 12 rounds",
    "dropout 0.25 improves accuracy",
    "a standard error of 0.006",
    "t = 4.1, p = 0.05",
)


@pytest.mark.parametrize("text", STATED)
def test_every_way_to_state_a_figure_is_found(text: str) -> None:
    metric, value = STATED[text]
    found = figures(text)
    assert [figure.metric for figure in found] == [metric]
    assert found[0].value == pytest.approx(value)
    assert false_claims(text, NOTHING_KNOWN)
    assert not false_claims(text, known_values([(metric, value)]))


@pytest.mark.parametrize("text", NO_FIGURES)
def test_choices_counts_ratios_and_differences_are_no_figures(text: str) -> None:
    assert figures(text) == []


def test_several_figures_of_one_sentence_are_found_each() -> None:
    found = figures("From 0.91 to 0.93 accuracy at 0.3 to 0.5 ms, with accuracies [0.88, 0.9].")
    assert [(f.metric, f.value) for f in found] == [
        *(("accuracy", 0.91), ("accuracy", 0.93)),
        *(("latency_ms", 0.3), ("latency_ms", 0.5)),
        *(("accuracy", 0.88), ("accuracy", 0.9)),
    ]


def test_only_the_sentences_with_false_claims_are_left_out() -> None:
    known = known_values([("accuracy", 0.9312), ("latency_ms", 0.3104)])
    text = "Wide kernels help. It has accuracy 0.99! It takes 310 us. It needs 9 mW."
    found = checked(text, known)
    assert found.text == (
        "Wide kernels help. (left out: it states accuracy 0.99, which nothing measured) "
        "It takes 310 us. (left out: it states power 9 mW, which nothing measured)"
    )
    assert [(c.words, c.nearest) for c in found.flagged] == [
        ("accuracy 0.99", 0.9312),
        ("power 9 mW", None),
    ]
    assert checked("It takes\t0.31 ms. ", known).text == "It takes\t0.31 ms. "


def test_a_brief_s_bounds_may_be_repeated() -> None:
    table = {"name": "b", "task": {"data": "digits"}, "objectives": {"accuracy": "maximise"}}
    bounds = {"power_mw": {"at_most": 800}, "accuracy": {"at_least": 0.9}}
    brief = parse_brief({**table, "constraints": bounds, "budget": {"evaluations": 4}})
    known = known_values([], bounds_of(brief.constraints))
    assert not false_claims("at most 800 mW and at least 90% accuracy", known)
    assert false_claims("at most 700 mW", known)[0].nearest is None


def test_a_perfect_accuracy_is_no_rounding() -> None:
    known = known_values([("accuracy", 0.97)])
    for text in ("an accuracy of 1", "accuracy 1.0", "100% accuracy", "100% correct"):
        assert false_claims(text, known), text
    assert not false_claims("accuracy 1.0", known_values([("accuracy", 0.998)]))


def test_values_of_a_tool_s_result_are_read_by_their_keys() -> None:
    result = {
        "designs": [{"metrics": {"accuracy_validation": {"value": 0.93, "unit": "1"}}}],
        "totals": {"latency_us": 310, "macs": 12_000, "clock_mhz": 200},
        "notes": ["the array takes 0.4 mm2", 7, None, True, 10**400],
        "accuracy_test": 10**400,
        "reason": "a model once said: accuracy 0.99",
    }
    expected = {"accuracy": [0.93], "latency_ms": [0.31], "macs": [12_000.0]}
    found = known_values(values_in_result(json.dumps(result))).measured
    assert {metric: values.tolist() for metric, values in found.items()} == expected
    cut = json.dumps(result)[:115] + " (cut: ask for less)"
    assert set(values_in_result(cut)) == {("accuracy", 0.93), ("latency_ms", 0.31)}
    assert values_in_result("[" * 100_000) == []
    assert values_in_result("error: accuracy 0.99") == []


METRIC = st.sampled_from(sorted(METRICS))
UNITS = {m: "" if METRICS[m].unit == "1" else f" {METRICS[m].unit}" for m in METRICS}
NAMES = {m: m.removesuffix(f"_{METRICS[m].unit.lower()}") for m in METRICS}


@st.composite
def measured(draw: st.DrawFn) -> tuple[str, float]:
    """A metric and a value that it may have."""
    metric = draw(METRIC)
    if metric == "accuracy":
        return metric, draw(st.floats(0.01, 0.999))
    if metric in ("parameters", "macs"):
        return metric, float(draw(st.integers(1, 10**10)))
    return metric, draw(st.floats(1e-6, 1e6))


def _rounded(value: float, digits: int) -> Decimal:
    """The value to so many significant digits."""
    exact = Decimal(value)
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() + 1 - digits), ROUND_HALF_EVEN)


def _stated(metric: str, number: str, form: int) -> str:
    name, unit = NAMES[metric], UNITS[metric]
    forms = (f"{name} {number}{unit}", f"It has a {name} of about {number}{unit}, so try it.")
    return forms[form]


@given(measured(), st.integers(1, 12), st.integers(0, 1), st.booleans())
def test_every_measured_value_passes_at_any_rounding(
    of: tuple[str, float], digits: int, form: int, plainly: bool
) -> None:
    metric, value = of
    number = _rounded(value, digits)
    assume(metric != "accuracy" or number < 1)
    whole = metric in ("parameters", "macs")
    text = f"{number:,f}" if plainly or whole else f"{number:e}"
    stated = _stated(metric, text, form)
    assert [figure.metric for figure in figures(stated)] == [metric], stated
    assert not false_claims(stated, known_values([(metric, value), (metric, 3 * value)])), stated


@given(measured(), st.integers(1, 9), st.sampled_from((-7, -3, -2, 2, 3, 40)))
def test_what_is_off_by_more_than_its_rounding_fails(
    of: tuple[str, float], digits: int, off: int
) -> None:
    metric, value = of
    number = _rounded(value, digits)
    other = number + off * Decimal(1).scaleb(number.adjusted() + 1 - digits)
    assume(0 < other < (1 if metric == "accuracy" else 10**12))
    text = f"{other:f}"
    last = Decimal(1).scaleb(-len(text.partition(".")[2]))
    assume("." in text and abs(other - Decimal(value)) > last)
    stated = _stated(metric, text, 0)
    found = false_claims(stated, known_values([(metric, value)]))
    assert [claim.nearest for claim in found] == [value], stated


PIECES = st.sampled_from(
    [
        "accuracy",
        "0.93",
        "%",
        " ",
        "ms",
        "1,000",
        "of",
        "to",
        ".",
        "-",
        "e9",
        "×10",
        "^",
        "[",
        "mm²",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join), st.lists(PIECES).map(" ".join)))
def test_no_text_raises_and_what_is_kept_is_true(text: str) -> None:
    found = checked(text, NOTHING_KNOWN)
    assert bool(found.flagged) == bool(figures(text))
    assert found.flagged or found.text == text
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    values_in_result(text)


@pytest.mark.parametrize(
    "piece",
    ["1", "9,", "1,000", "accuracy ", ". ", "\n", "0.9 to ", "a_", "-", "1e", "x 10^", "!)"],
)
def test_the_time_grows_no_faster_than_the_text(piece: str) -> None:
    def steps(times: int) -> int:
        """Function calls, which are counted where seconds would depend on the machine."""
        import sys

        count = 0

        def called(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(called)
        try:
            checked(piece * times, NOTHING_KNOWN)
        finally:
            sys.setprofile(None)
        return count

    assert steps(8000) < 16 * max(steps(800), 100)


def test_a_long_hostile_text_ends() -> None:
    # What backtracks in a pattern costs no calls: it would take hours, and the test with it.
    for piece in ("1,", "1,234", " ", ".\n ", "!) ", "9" * 50 + "e", "a^"):
        checked(piece * (60_000 // len(piece)), NOTHING_KNOWN)


@pytest.mark.usefixtures("little_evolution")
def test_a_model_s_words_are_kept_without_what_nothing_measured(
    small: SimpleNamespace, port_to: Callable[..., Any], tmp_path: Path
) -> None:
    """Through a whole search: rationale, reasons and decisions, and what the log keeps."""
    false = "Its accuracy is 0.999."

    def script(request: dict[str, Any], number: int) -> dict[str, Any]:
        if scripted.role_of(request) == "critic":
            doubt = {"position": 0, "action": "defer", "reason": f"Seen before. {false}"}
            return {"doubts": [doubt]}
        return scripted.fitting(request, number, f"{false} A wide kernel sees whole strokes.")

    port, _ = port_to(script)
    log = EventLog(tmp_path / "log.jsonl", lambda event: None)
    search = small.Search(tmp_path, small.Instrument(), budget={"evaluations": 12})
    archive = Archive(tmp_path / "archive.db")
    figures_of_run = Figures.of_run("run", archive, search.brief, log)
    minds = {
        "planner": lambda rules, problem, note: ModelPlanner(port, note, figures=figures_of_run),
        "proposer": lambda rules, problem, note: ModelProposer(
            rules, problem, Pairings(problem), port, note, PlainNotebook(), figures_of_run
        ),
        "critic": lambda rules, problem, note: ModelCritic(
            rules, problem, port, note, figures=figures_of_run
        ),
    }
    search.minds = minds
    result = search.go()
    rationales = {o.reason for _, o in result.designs if o.proposer.startswith("model/")}
    left_out = "(left out: it states accuracy 0.999, which nothing measured)"
    assert rationales
    assert all(why.endswith(f"{left_out} A wide kernel sees whole strokes.") for why in rationales)
    deferred = {p.review.reason for p in result.proposals if p.review.verdict is Verdict.DEFER}
    assert deferred
    assert all(left_out in reason for reason in deferred)
    assert all("is 0.999" not in word for note in search.notes for word in note[3:])
    events = read_events(tmp_path / "log.jsonl")
    assert {event["role"] for event in events} == {"planner", "proposer", "critic"}
    assert all(event["kind"] == "flagged" and false in event["text"] for event in events)
    assert events[0]["claim"] == "accuracy 0.999"
    assert events[0]["stated"] == 0.999
    assert any(event["nearest"] in result.values["accuracy"] for event in events)
    assert ANSWERED_INSTEAD not in {note[3] for note in search.notes}
    archive.close()


@pytest.mark.usefixtures("little_evolution")
def test_what_counts_as_measured_is_what_steps_before_measured(
    small: SimpleNamespace, tmp_path: Path
) -> None:
    search = small.Search(tmp_path, small.Instrument(), budget={"evaluations": 12})
    result = search.go()
    with Archive(tmp_path / "archive.db") as archive:
        assert archive.values("run", before_step=0) == []
        assert archive.values("another") == []
        everything = known_values(archive.values("run")).measured
        early = known_values(archive.values("run", before_step=1)).measured
        for metric in ("accuracy", "latency_ms", "energy_uj"):
            found = {v for v in result.values[metric] if v is not None}
            assert found <= set(everything[metric].tolist())
            first = [
                v
                for v, step in zip(result.values[metric], result.steps, strict=True)
                if step == 0 and v is not None
            ]
            assert set(first) <= set(early[metric].tolist())
            assert set(early[metric].tolist()) < set(everything[metric].tolist())
        design = next(iter(result.designs))[0]
        for measurement in archive.measurements_of(design):
            metric, value = measurement.metric, measurement.value
            assert any(value == known for known in everything[metric].tolist())


def test_without_an_archive_no_figure_stands(port_to: Callable[..., Any]) -> None:
    notes: list[tuple[Any, ...]] = []
    answer = {"phase": "refine", "designs": 3, "reason": "it has an accuracy of 0.93"}
    port, _ = port_to(lambda *_: answer)
    table = {"name": "b", "task": {"data": "digits"}, "objectives": {"accuracy": "maximise"}}
    brief = parse_brief({**table, "budget": {"evaluations": 24}})
    progress = Progress(
        step=3, phase="explore", rounds_in_phase=2, evaluations=10, seconds=1.0,
        empty_rounds=0, hypervolumes=(0.1, 0.2, 0.3), choices=14,
    )  # fmt: skip
    plan = ModelPlanner(port, lambda *words: notes.append(words)).next(brief, progress)
    assert plan.reason == "(left out: it states accuracy 0.93, which nothing measured)"
    assert "it has" not in str(notes)
