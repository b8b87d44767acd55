"""The sentences of a report: what was asked, what was found, what it cost.

The page and its Markdown twin both print these. Every function returns plain text;
whoever prints it escapes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from archwright.brief import Brief, Constraint
from archwright.design import Design
from archwright.measurement import Measurement
from archwright.report.layers import LayerRow
from archwright.report.text import (
    clean,
    component_words,
    dollars,
    duration,
    in_words,
    interval,
    listed,
    metric_value,
    metric_words,
    number,
)
from archwright.result import JudgedDesign, RunResult

CURVE_MEANING = (
    "Hypervolume is the share of the space between the worst and the best corner that the "
    "front dominates: 0 to 1, larger is better. The corners were fixed before the first "
    "evaluation."
)
TEST_MISSING = (
    "Not scored on the test split: the search has not frozen, or stopped before that pass."
)


def data_name(brief: Brief) -> str:
    """The data set in a word or two: its name, or the last part of its path."""
    return clean(Path(brief.task.data).name or brief.task.data, 80)


def asked(brief: Brief) -> str:
    """What the brief wants, as one sentence."""
    aims = [
        f"{listed(metric_words(metric) for metric in names)} as {size} as possible"
        for size, names in (
            ("high", [m for m, d in brief.objectives.items() if d == "maximise"]),
            ("low", [m for m, d in brief.objectives.items() if d == "minimise"]),
        )
        if names
    ]
    limits = [
        f"{metric_words(metric)} {limit(metric, constraint)}"
        for metric, constraint in brief.constraints.items()
    ]
    where = f", with {listed(limits)}" if limits else ""
    hardware = (
        "a network for a given accelerator"
        if brief.hardware.fixed
        else ("a network and an accelerator")
    )
    return f"Asked for {hardware} for {data_name(brief)}: {listed(aims)}{where}."


def limit(metric: str, constraint: Constraint) -> str:
    """A constraint in words: "at most 5.00 mm²"."""
    bounds = []
    if constraint.at_least is not None:
        bounds.append(f"at least {metric_value(metric, constraint.at_least)}")
    if constraint.at_most is not None:
        bounds.append(f"at most {metric_value(metric, constraint.at_most)}")
    return listed(bounds)


def found(result: RunResult) -> str:
    """What the search found, as one or two sentences."""
    size = len(result.front)
    if result.best is None:
        if size:
            return f"Found a front of {_many(size, 'design')}, none of them chosen."
        return "No design met the constraints." if result.brief.constraints else "No design found."
    chosen = result.best
    metrics = [m for m in result.brief.objectives if m != "accuracy"]
    costs = [f"{metric_words(m)} {metric_value(m, chosen.value(m))}" for m in metrics]
    accuracy = chosen.accuracy_test or chosen.accuracy_validation
    split = "test" if chosen.accuracy_test else "validation"
    reached = [f"{metric_value('accuracy', accuracy.value)} accuracy on {split}", *costs]
    return (
        f"Found a front of {_many(size, 'design')} with hypervolume "
        f"{number(result.hypervolume)}; the chosen one reaches {listed(reached)}."
    )


def spent(result: RunResult) -> str:
    """What the search cost, as one or two sentences."""
    return (
        f"It took {duration(result.seconds)} and {_many(result.evaluations, 'accuracy evaluation')}"
        f" of the {result.brief.budget.evaluations:,} allowed; of "
        f"{_many(result.proposed, 'proposed design')} the critic turned away "
        f"{result.rejected:,}. {models(result)}"
    )


def models(result: RunResult) -> str:
    """What the language models were asked, and what it took for each evaluated design."""
    use = result.model_use
    if not use.requests:
        return "No language model was asked: 0 tokens for each evaluated design."
    failed = "all answered" if not use.failures else f"{use.failures:,} asks failed"
    return (
        f"Language models took {_many(use.requests, 'request')} ({failed}) and "
        f"{use.tokens:,} tokens, {_tokens_per_design(result)}; {model_cost(result)}."
        f"{_left_out(result.flagged)}"
    )


def _left_out(claims: int) -> str:
    """What became of the figures that models made up."""
    if claims == 0:
        return ""
    return (
        f" {_many(claims, 'figure')} in their words came from no measurement: "
        "what stated them was left out, and is in events.jsonl."
    )


def model_line(result: RunResult) -> str:
    """The models' use on one line of a terminal."""
    use = result.model_use
    if not use.requests:
        return "no model asked: 0 tokens per evaluated design"
    return (
        f"models: {_many(use.requests, 'request')}, {use.tokens:,} tokens, "
        f"{_tokens_per_design(result)}; {model_cost(result)}"
    )


def _tokens_per_design(result: RunResult) -> str:
    each = result.tokens_per_design
    return "no design evaluated" if each is None else f"{each:,.0f} per evaluated design"


def model_cost(result: RunResult) -> str:
    """What the models cost, in dollars, or why that is not known."""
    use = result.model_use
    if use.dollars is not None:
        return dollars(use.dollars)
    if not use.unpriced:
        return "cost unknown"
    return f"cost unknown: no price for {listed(clean(model, 80) for model in use.unpriced)}"


MODEL_TABLE_MEANING = (
    "By role: an ask is one question with all its requests. Tokens are as the endpoint counted "
    "them, else estimated; a failed ask was answered by the rules."
)
MODEL_TABLE_HEADING = (
    "role",
    "model",
    "asks",
    "failed",
    "requests",
    "tokens in",
    "tokens out",
    "time",
    "cost",
)


def model_table(result: RunResult) -> list[tuple[str, ...]]:
    """A row for each role and model that was asked; its columns are the heading's."""
    return [
        (
            clean(use.role, 40),
            clean(use.model, 80),
            f"{use.asks:,}",
            f"{use.failures:,}",
            f"{use.requests:,}",
            f"{use.tokens_in:,}",
            f"{use.tokens_out:,}",
            duration(use.seconds),
            "unknown" if use.dollars is None else dollars(use.dollars),
        )
        for use in result.model_use.by_role
    ]


def validation_meaning(result: RunResult) -> str:
    """What the validation accuracy means."""
    images = result.images_by_split.get("validation")
    where = f"on {images:,} validation images" if images else "on the validation images"
    bound = result.brief.constraints.get("accuracy")
    asked_for = f"; the brief asks for {limit('accuracy', bound)}" if bound else ""
    return f"{where}; the search selected on it, hence optimistic{asked_for}"


def test_meaning(result: RunResult) -> str:
    """What the test accuracy means."""
    images = result.images_by_split.get("test")
    where = f"on {images:,} test images" if images else "on the test images"
    return f"{where}; scored once after the search froze, on the exported weights"


def accuracy_words(measurement: Measurement) -> str:
    """An accuracy with its interval: "97.3% (95% interval 96.1 to 98.2%)"."""
    value = metric_value("accuracy", measurement.value)
    bounds = interval(measurement)
    return f"{value} (95% interval {bounds})" if bounds else value


def against_random(result: RunResult) -> str:
    """The search beside random search, with both numbers, or that it was omitted."""
    baseline = result.baseline
    if baseline is None:
        return (
            f"The search reached hypervolume {number(result.hypervolume)}. Random search, the "
            "baseline, was omitted from this run."
        )
    evaluations = baseline.curve[-1].evaluations if baseline.curve else result.evaluations
    text = (
        f"The search reached hypervolume {number(result.hypervolume)} with "
        f"{_many(result.evaluations, 'evaluation')}; random search reached "
        f"{number(baseline.hypervolume)} with {evaluations:,}, the same supernet and the same "
        f"free costing, in {duration(baseline.seconds)} outside the budget."
    )
    gap = result.hypervolume - baseline.hypervolume
    if abs(gap) < 5e-4:
        return f"{text} The two are equal."
    return f"{text} The search is {number(abs(gap))} {'ahead' if gap > 0 else 'behind'}."


def nothing_found(result: RunResult) -> tuple[str, ...]:
    """Why there is no feasible design, and what to change: a paragraph per item."""
    brief = result.brief
    limits = listed(f"{metric_words(m)} {limit(m, c)}" for m, c in brief.constraints.items())
    failed = f"met the constraints of the brief ({limits})" if limits else "could be judged"
    text = [
        f"None of {_many(result.proposed, 'proposed design')} {failed}. "
        f"{_many(result.evaluations, 'network')} {'was' if result.evaluations == 1 else 'were'} "
        f"evaluated; {_many(result.rejected, 'design')} turned away before that."
    ]
    if result.nearest is not None:
        near = result.nearest
        reached = listed(
            f"{metric_words(m)} {metric_value(m, near.value(m))} against {limit(m, c)}"
            for m, c in brief.constraints.items()
        )
        text.append(f"The nearest was {design_words(near.design)}: {reached}.")
    if result.rejections:
        often = max(result.rejections, key=lambda rejection: rejection.count)
        text.append(
            f"The most common reason for turning one away, {_many(often.count, 'time')}: "
            f"{clean(often.reason)}. For example {design_words(often.example)}."
        )
    if result.failures:
        text.append(
            f"{_many(len(result.failures), 'measurement')} failed, the first because: "
            f"{clean(result.failures[0].reason)}."
        )
    text.append("Loosen the tightest constraint, widen the spaces or raise the budget.")
    return tuple(text)


def bottleneck(layers: Sequence[LayerRow]) -> str:
    """Where the chosen design's time and energy go, in two sentences."""
    time_us = sum(layer.time_us for layer in layers)
    slowest = max(layers, key=lambda layer: layer.time_us)
    stalled = sum(layer.stall_us for layer in layers)
    text = f"One input takes {number(time_us)} µs"
    if time_us:
        text += (
            f", {stalled / time_us:.0%} of it waiting for memory. The slowest of "
            f"{_many(len(layers), 'layer')} is {slowest.name} with "
            f"{slowest.time_us / time_us:.0%} of the time, bound by {slowest.bound}"
        )
    parts = energy_parts(layers)
    whole = sum(parts.values())
    if whole:
        largest = max(parts, key=lambda name: parts[name])
        text += (
            f". Of {number(whole)} µJ the largest part is {component_words(largest)} "
            f"with {parts[largest] / whole:.0%}"
        )
    return f"{text}."


def energy_parts(layers: Sequence[LayerRow]) -> dict[str, float]:
    """Energy by component over all layers, uJ."""
    parts: dict[str, float] = {}
    for layer in layers:
        for name, energy in layer.energy_uj.items():
            parts[name] = parts.get(name, 0.0) + energy
    return parts


def design_words(design: Design) -> str:
    """Network and hardware of a design, in words."""
    return f"{in_words(design.network)} on {in_words(design.hardware)}"


def explained(result: RunResult) -> tuple[str, str]:
    """What a language model made of the result, and whose words they are; "" where it said none."""
    said = result.explanation
    if said is None or not said.sentences:
        return "", ""
    words = " ".join(clean(sentence) for sentence in said.sentences)
    return words, f"The words of {clean(said.mind, 80)}, a language model: no measurement."


def proposed_by(judged: JudgedDesign) -> str:
    """Who proposed a design, when, why and from what."""
    origin = judged.design.origin
    text = f"{clean(origin.proposer, 80)} in step {judged.step}: {clean(origin.reason)}"
    if origin.parents:
        text += f"; parents {listed(clean(key, 16)[:8] for key in origin.parents[:8])}"
    if origin.recalled:
        text += f"; recalled {listed(clean(key, 16)[:8] for key in origin.recalled[:8])}"
    return text


def reproduce(result: RunResult) -> tuple[str, ...]:
    """The commands that repeat the run and that render this report again."""
    run = shlex.quote(result.run)
    return ("archwright search brief.toml --run-dir again", f"archwright report {run}")


def _many(number_of: int, noun: str) -> str:
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"
