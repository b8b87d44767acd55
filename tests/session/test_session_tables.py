"""Commands as they are typed, what Tab offers, and tables that fit 80 columns at their widest."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from archwright.design import Design, Origin
from archwright.desk import open_desk
from archwright.errors import UserError
from archwright.evaluators.hardware import hardware_space
from archwright.evaluators.supernet import InputShape, network_space
from archwright.measurement import COSTS, METRICS
from archwright.session import tables
from archwright.session.changes import applied, parse_changes
from archwright.session.chat import Chat
from archwright.session.commands import COMMANDS, parse
from archwright.session.completion import candidates
from archwright.session.store import Session
from archwright.session.talk import _history
from archwright.settings import Settings
from archwright.tools.archived import ShownDesign, ShownMetric
from archwright.tools.fronts import ComparedDesigns, ExplainedDesign, ShownFront
from archwright.tools.simulate_hardware import CostedLayer

HARDWARE = {c.name: c.values[-1] for c in hardware_space().choices}
NETWORK = {c.name: c.values[-1] for c in network_space(InputShape(3, 256, 10)).choices}
LONG = "a reason that goes on and on [red]with markup[/red] " * 12


def shown_design(key: str) -> ShownDesign:
    """A design with every metric, each as wide as it gets."""
    metric = ShownMetric(value=1.234e-5, unit="ms", low=1e-6, high=2e-5, fidelity="analytical")
    share = ShownMetric(value=0.9773, unit="1", low=0.9771, high=0.9779, fidelity="supernet")
    metrics = {**dict.fromkeys(COSTS, metric), "accuracy_validation": share, "accuracy_test": share}
    return ShownDesign(
        key=key * 16, network=NETWORK, hardware=HARDWARE, metrics=metrics,
        proposer="rules/surrogate", reason=LONG, parents=["f" * 16] * 4, recalled=[],
    )  # fmt: skip


def printed(what: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=False).print(what, markup=False)
    return stream.getvalue()


def every_table() -> dict[str, Any]:
    designs = [shown_design(key) for key in "abcde"]
    objectives = dict.fromkeys(list(METRICS)[:5], "minimise")
    layer = CostedLayer(
        name="stage3.block3.depthwise", macs=10**9, cycles=10**9, stall_cycles=10**9,
        utilisation=0.00123, dram_bytes=1e9, energy_uj=1e-5, latency_us=1.2e-5,
        bound="weight_buffer",
    )  # fmt: skip
    explained = ExplainedDesign(
        design=designs[0], layers=[layer] * 40, area_mm2={"weight_buffer": 1.0}, bottleneck=LONG,
        evidence=LONG,
    )  # fmt: skip
    choices = {f"hardware.{name}": ["some_value"] * 5 for name in HARDWARE}
    compared = ComparedDesigns(designs=designs, differences=choices, best={"macs": "a" * 16})
    front = ShownFront(run="r", objectives=objectives, size=9999, designs=designs)
    pending = Design(NETWORK, HARDWARE, Origin("rules", LONG))
    numbers = dict.fromkeys(COSTS, 1.234e-5)
    facts, layers = tables.explained(explained)
    return {
        "front": tables.front_table(front, "power_mw"),
        "facts": facts,
        "layers": layers,
        "compared": tables.compared(compared),
        "varied": tables.varied(numbers, numbers, "a=1 " * 20),
        "pending": tables.pending_table([pending], {pending.key: numbers}),
    }


@pytest.mark.parametrize("name", every_table())
def test_a_table_fits_80_columns_and_cuts_nothing(name: str) -> None:
    text = printed(every_table()[name])
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text.replace(LONG[:20], "") or name in ("facts", "pending")
    assert "\x1b" not in text


def test_an_accuracy_s_difference_is_in_points() -> None:
    before, after = {"accuracy_validation": 0.9, "macs": 100.0}, {"accuracy_validation": 0.85}
    assert "-5.0 points" in printed(tables.varied(before, {**after, "macs": 150.0}, "x=1"))


def test_commands_are_found_by_their_beginning() -> None:
    assert parse("/what-if rows=4 ab") == (COMMANDS["what-if"], "rows=4 ab")
    assert parse("/wha rows=4") == (COMMANDS["what-if"], "rows=4")
    assert parse("/reject ab it's too large")[1] == "ab it's too large"
    with pytest.raises(UserError, match=r"allowed /search, /status, /stop, /steer, /sessions$"):
        parse("/s")
    with pytest.raises(UserError, match="no such command; allowed /brief"):
        parse("/\x1b[2J")


def test_the_tab_key_offers_what_may_stand_there(home: Path) -> None:
    with open_desk(Settings(), trusted=True) as desk, Session.open(None) as session:
        session.add("run", run="small-1")
        chat = Chat(desk, session, Console(), keys=["ab12" * 4])
        assert candidates("/w", chat) == ["/watch", "/what-if", "/why"]
        assert candidates("/status ", chat) == ["small-1"]
        assert candidates("/why ", chat) == candidates("/compare a", chat) == ["ab12ab12"]
        assert candidates("/what-if ro", chat) == ["rows="]
        assert "network.bits=" in candidates("/edit ab12 ", chat)
        assert candidates("/brief set budget.e", chat) == ["budget.evaluations"]
        assert candidates("/front la", chat) == ["latency_ms"]
        assert candidates("plain words", chat) == []


def test_changes_name_a_choice_of_one_side() -> None:
    changes, keys = parse_changes("rows=4 network.bits=8 ab12")
    assert (changes, keys) == ({"rows": 4, "network.bits": 8}, ["ab12"])
    network, hardware = applied(NETWORK, HARDWARE, changes)
    assert (network["bits"], hardware["bits"], hardware["rows"]) == (8, HARDWARE["bits"], 4)
    for wrong, message in (
        ("bits", "allowed network.bits or hardware.bits"),
        ("speed", "no choice; allowed depth_1"),
        ("network.rows", "no choice"),
    ):
        with pytest.raises(UserError, match=message):
            applied(NETWORK, HARDWARE, {wrong: 8})
    with pytest.raises(UserError, match="allowed choice=value"):
        parse_changes("rows=")


def test_a_call_that_a_kill_cut_gets_an_answer() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "front", "arguments": "{}"}}
    cut = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "user", "content": "b"},
    ]
    assert [m["role"] for m in _history(cut)] == ["user", "assistant", "tool", "user"]
    long = [{"role": "user", "content": "x" * 40_000} for _ in range(5)]
    assert len(_history(long)) == 1
