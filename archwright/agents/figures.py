"""Finding the metric figures that a text states: "accuracy 0.93", "310 us", "4,100 parameters".

A figure is a number that a unit ("0.31 ms"), a noun ("4,100 parameters") or a word before
or after it ("accuracy of 0.93", "93% accurate") makes a value of one of the metrics. What is
none of that is no figure: choices of the spaces ("8 bits", "kernel 5", "200 MHz"), counts
("3 networks"), and whatever says how two values differ and not what they are: ratios
("2x faster", "30% smaller"), differences ("0.02 more accuracy", "saves 0.1 ms", "+0.1 ms")
and rates ("0.2 pJ per MAC"). Numbers written in words are not found.

The text is read once, token by token, and never more than some tokens around a number, so
that the time is linear in its length, whoever wrote it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archwright.agents.metric_words import (
    ACCURACY,
    CHANGES,
    COMPARED,
    DIFFERENCES,
    ERROR,
    FOREIGN_UNITS,
    GOES_ON,
    JOINING,
    MULTIPLIERS,
    NAMES,
    NEEDS_A_UNIT,
    ONE_INFERENCE,
    OTHER_QUANTITIES,
    QUALIFIERS,
    RIGHT,
    UNITS,
    WEAK_UNITS,
    Meaning,
    meaning_of,
)

FARTHEST = 10
"""Tokens between a number and the word before it that says what it is."""


@dataclass(frozen=True)
class Figure:
    """A figure of a metric: as written, and in the metric's unit.

    ``precision`` is half a unit of the last digit stated, in the same unit: what lies
    within it of ``value`` rounds to the figure.
    """

    metric: str
    text: str
    value: float
    precision: float


LINKS = frozenset(("to", "and", "or", "-", "–", "/"))

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?![\s\d])|(?<![:=,|])\n+")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_TOKEN = re.compile(
    r"(?P<number>(?:[1-9]\d{0,2}(?:[,_']\d{3})+(?:\.\d+)?(?!\d)|\d+,\d+(?![.,]?\d)|\d+(?:\.\d+)?"
    r"|(?<![\d.])\.\d+)(?:e[+-]?\d{1,2}(?!\w)|\s?[×x*]\s?10(?:\^[-+]?|-)\d{1,2}(?!\d))?)"
    r"|(?P<word>top-?[15](?!\w)|[^\W\d]\w*(?:\^\d)?)"
    r"|(?P<sign>\S)",
    re.IGNORECASE,
)
_POWER_OF_TEN = re.compile(r"\s?(?:e|[×x*]\s?10\^?)(?=[-+]?\d+$)")


@dataclass(frozen=True)
class _Token:
    """A number, a word or a sign, in lower case, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def sentences(text: str) -> list[str]:
    """The sentences of a text; joined by spaces they are the text, but for its white space."""
    found, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        quotes = len(end[0].rstrip())
        found.append(text[start : end.start() + quotes])
        start = end.end()
    return [sentence.strip() for sentence in (*found, text[start:]) if sentence.strip()]


def figures(text: str) -> list[Figure]:
    """Every figure of a metric that a text states, in order."""
    return [figure for sentence in sentences(text) for figure in _figures_in(sentence)]


def _figures_in(sentence: str) -> Iterator[Figure]:
    plain = _normalised(sentence)
    tokens = [_Token(m.lastgroup or "", m[0].lower(), *m.span()) for m in _TOKEN.finditer(plain)]
    found = {i: _meaning(tokens, i) for i, token in enumerate(tokens) if token.kind == "number"}
    for i in sorted(found, reverse=True):
        linked = found.get(i + 2) if _at(tokens, i + 1).text in LINKS else None
        # "0.3 to 0.5 ms": the first has the second's unit, whatever was named before.
        has_unit = linked is not None and linked.end > i + 2 and tokens[i + 1].text == "to"
        if linked is not None and (found[i] is None or has_unit):
            found[i] = None if _stands_alone(tokens, i) else linked
    for i, meaning in found.items():
        if meaning is not None:
            yield _figure(tokens, i, meaning, plain)


def _normalised(text: str) -> str:
    """Digits and units in their plain forms, nothing invisible."""
    text = _SUPERSCRIPTS.sub(lambda m: f"^{m[0].replace('⁻', '-')}", text)
    text = unicodedata.normalize("NFKC", text).replace("−", "-")
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cf")


@dataclass(frozen=True)
class _Stated:
    """A meaning as it applies to one number: times what, and up to which token it reaches."""

    metric: str
    factor: float
    end: int
    percent: bool = False


def _meaning(tokens: Sequence[_Token], i: int) -> _Stated | None:
    """What makes the number at ``i`` a figure; None where nothing does."""
    if _signed(tokens, i):
        return None
    number, after = tokens[i], _at(tokens, i + 1)
    attached = after.kind == "word" and after.start == number.end
    if after.text == "%" or after.text in ("percent", "pct"):
        return _percentage(tokens, i)
    times, j = 1.0, i + 1
    if after.text in MULTIPLIERS and (attached or _at(tokens, j + 1).text):
        times, j = MULTIPLIERS[after.text], i + 2
        after = _at(tokens, j)
    if after.text == "-":  # a 4,100-parameter network
        after, j = _at(tokens, j + 1), j + 1
    if after.text in ("square", "sq") and _at(tokens, j + 1).text.startswith(("mm", "millimet")):
        return _unless_compared(tokens, i, _Stated("area_mm2", times, j + 1))
    if after.text in UNITS:
        unit = UNITS[after.text]
        return _unless_compared(tokens, i, _Stated(unit.metric, times * unit.factor, j))
    if after.text in WEAK_UNITS:
        weak = WEAK_UNITS[after.text]
        named = _name_before(tokens, i, tight=True) or _name_after(tokens, j + 1)
        if named is None or named.metric != weak.metric:
            return None
        return _unless_compared(tokens, i, _Stated(weak.metric, times * weak.factor, j))
    if times != 1.0:
        named = _name_before(tokens, i, tight=False)
        counted = named is not None and named.metric in ("parameters", "macs")
        return _Stated(named.metric, times, i + 1) if named is not None and counted else None
    if attached or after.text in FOREIGN_UNITS or after.text == "×":
        return None
    return _bare(tokens, i)


def _bare(tokens: Sequence[_Token], i: int) -> _Stated | None:
    """A number without a unit: the metric is named before it, or right after it."""
    after = _at(tokens, i + 1).text
    if _names_another(after) or {after, _at(tokens, i + 2).text} & COMPARED:
        return None
    named = None
    if not tokens[i].text.isdigit():
        named = _name_after(tokens, i + 1) or _name_before(tokens, i, tight=False)
    elif _at(tokens, i + 1).kind != "word" or after in GOES_ON:
        named = _name_before(tokens, i, tight=True)
    if named is None or (named.metric in NEEDS_A_UNIT and not named.has_unit):
        return None
    return _Stated(named.metric, named.factor, i)


def _percentage(tokens: Sequence[_Token], i: int) -> _Stated | None:
    """A percentage is an accuracy where one is named, or where it is of images got right."""
    after = _at(tokens, i + 2).text
    if after in COMPARED:
        return None
    named = _name_after(tokens, i + 2) or _name_before(tokens, i, tight=after == "of")
    nearby = [token.text for token in tokens[max(0, i - FARTHEST) : i + FARTHEST]]
    if after in RIGHT or (named is None and after == "of" and not RIGHT.isdisjoint(nearby)):
        named = Meaning(ACCURACY)
    if named is None or named.metric not in (ACCURACY, ERROR):
        return None
    return _Stated(named.metric, 0.01, i + 1, percent=True)


def _name_before(tokens: Sequence[_Token], i: int, *, tight: bool) -> Meaning | None:
    """The metric that the words before a number name; ``tight``: only joining words between."""
    before = _at(tokens, i - 1).text
    if before in CHANGES:
        return None
    absolute = before in ("to", "from")
    for k in range(i - 1, max(-1, i - 1 - FARTHEST), -1):
        token = tokens[k]
        if token.text == ";" or (tight and (token.kind == "number" or token.text == ",")):
            return None
        if token.kind != "word":
            continue
        meaning = NAMES.get(token.text) or meaning_of(token.text)
        if meaning is not None:
            return None if _at(tokens, k - 1).text in ("buffer", "standard") else meaning
        if token.text in DIFFERENCES and not absolute:
            return None
        if _names_another(token.text) or (tight and token.text not in JOINING):
            return None
    return None


def _name_after(tokens: Sequence[_Token], j: int) -> Meaning | None:
    """The metric that a number's next words name: "0.93 validation accuracy"."""
    for k in range(j, j + 4):
        text = _at(tokens, k).text
        if text in NAMES:
            return NAMES[text]
        if text not in QUALIFIERS and text != "-":
            return None
    return None


def _unless_compared(tokens: Sequence[_Token], i: int, stated: _Stated) -> _Stated | None:
    """The figure, unless it is a difference or a rate."""
    before, after = _at(tokens, i - 1).text, _at(tokens, stated.end + 1).text
    difference = before in DIFFERENCES or before in CHANGES or after in COMPARED
    difference |= before == "of" and _at(tokens, i - 2).text in DIFFERENCES
    rate = after in ("per", "/") and _at(tokens, stated.end + 2).text not in ONE_INFERENCE
    part = stated.metric == "macs" and after in ("unit", "units", "array", "arrays")
    return None if difference or rate or part else stated


def _signed(tokens: Sequence[_Token], i: int) -> bool:
    """Whether a sign right before a number makes it a difference."""
    sign, before = _at(tokens, i - 1), _at(tokens, i - 2)
    if sign.text == "±":
        return True
    return sign.text in ("+", "-") and sign.end == tokens[i].start and before.end != sign.start


def _stands_alone(tokens: Sequence[_Token], i: int) -> bool:
    """Whether the word or sign before a number says what it is: no metric's value."""
    before = _at(tokens, i - 1).text
    return before in DIFFERENCES | CHANGES or _names_another(before) or _signed(tokens, i)


def _names_another(word: str) -> bool:
    return any(part in OTHER_QUANTITIES for part in word.split("_"))


def _at(tokens: Sequence[_Token], i: int) -> _Token:
    return tokens[i] if 0 <= i < len(tokens) else _Token("", "", -1, -2)


def _figure(tokens: Sequence[_Token], i: int, stated: _Stated, plain: str) -> Figure:
    """The number in its metric's unit, with half a unit of its last digit."""
    value, last = _read(tokens[i].text)
    text = plain[tokens[i].start : tokens[stated.end].end]
    if stated.metric not in (ACCURACY, ERROR):
        return Figure(stated.metric, text, value * stated.factor, last * stated.factor / 2)
    in_percent = stated.percent or 1.0 < value <= 100.0
    if in_percent:
        value, last = value / 100.0, min(last, 1.0) / 100.0
    if stated.metric == ERROR:
        value = 1.0 - value
    if value >= 1.0:  # a perfect one is a claim of its own, and no rounding
        last = min(last, 0.01)
    return Figure(ACCURACY, text, value, last / 2)


def _read(text: str) -> tuple[float, float]:
    """A number's value, and one unit of the last digit that it states.

    Zeros at the end of a whole number may only hold its place: 4,100 is 4,096 to the hundred.
    """
    digits, _, exponent = _POWER_OF_TEN.sub("e", text).partition("e")
    if re.fullmatch(r"[1-9]\d{0,2}(?:[,_']\d{3})+(?:\.\d+)?", digits):
        digits = re.sub("[,_']", "", digits)
    digits = digits.replace(",", ".")
    whole, _, fraction = digits.partition(".")
    place = -len(fraction)
    if not fraction and whole.strip("0"):
        place = len(whole) - len(whole.rstrip("0"))
    power = int(exponent or 0)
    value, last = float(f"{digits}e{power}"), float(f"1e{place + power}")
    return (value, last) if math.isfinite(value) else (math.inf, 1.0)
