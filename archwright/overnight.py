"""Runs that go on without a terminal: started, watched and stopped from the command line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from archwright.agents.model.ledger import Asked, recorded
from archwright.agents.model.transports import Transports
from archwright.brief import Brief
from archwright.desk import LocalRuns, open_desk
from archwright.errors import UserError, printable
from archwright.events import read_events
from archwright.memory.registry import Registry
from archwright.progress import clock
from archwright.report.text import clean, dollars
from archwright.run import EVENTS_FILE
from archwright.settings import load_settings
from archwright.tools import all_tools
from archwright.tools.desk import RunState
from archwright.tools.searches import search_status, stop_search

FOLLOW_S = 0.5
LOG_WIDTH = 80


def detached(brief: Brief, transports: Transports, folder: Path | None, as_json: bool) -> None:
    """Start a search that survives this terminal, and print its id."""
    from archwright.home import registry_file

    with Registry(registry_file()) as registry:
        runs = LocalRuns(registry)
        run = runs.start(brief, folder=folder, transcripts=transports.paths)
        where = runs.status(run).folder
    if as_json:
        print(json.dumps({"run": run, "folder": where}))
        return
    print(f"{run}\nwatch it:  archwright status {run}\nstop it:   archwright stop {run}")


def show_status(run: str | None, as_json: bool) -> None:
    """How one run or every run stands."""
    with open_desk(load_settings(), trusted=True) as desk:
        wanted = [run] if run is not None else [entry.run for entry in desk.registry.list()]
        states = [search_status.call({"run": each}, desk) for each in wanted]
    if as_json:
        plain = [state.model_dump(mode="json") for state in states]
        print(json.dumps(plain[0] if run is not None else {"runs": plain}))
    elif run is not None:
        _print_state(states[0])
    else:
        _print_states(states)


def _print_state(state: RunState) -> None:
    from rich.console import Console
    from rich.text import Text

    left = "-" if state.seconds_left is None else clock(state.seconds_left)
    rows = {
        "run": state.run,
        "status": f"{state.status}{': ' + state.stopped if state.stopped else ''}",
        "phase": f"{state.part}{': ' + state.detail if state.detail else ''}",
        "evaluated": f"{state.evaluations} of {state.budget}",
        "rejected / failed": f"{state.rejected} / {state.failed}",
        "best so far": state.best,
        "hypervolume": f"{state.hypervolume:.4f}",
        "time / left": f"{clock(state.seconds)} / {left}",
        "folder": state.folder,
    }
    console = Console()
    for name, value in rows.items():
        console.print(Text(f"{name:18} {printable(value)}"), soft_wrap=name == "folder")


def _print_states(states: list[RunState]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "status", "evaluated", "hypervolume", box=box.SIMPLE, pad_edge=False)
    table.columns[0].overflow = "fold"
    for state in states:
        table.add_row(
            state.run,
            state.status,
            f"{state.evaluations}/{state.budget}",
            f"{state.hypervolume:.4f}",
        )
    Console().print(table if states else "no runs yet: archwright search examples/digits.toml")


def print_log(run: str, *, follow: bool) -> None:
    """A run's events as lines; with ``follow`` until no process works on it."""
    with open_desk(load_settings(), trusted=True) as desk:
        entry = desk.registry.find(run)
        shown = 0
        while True:
            working = desk.runs.status(entry.run).status == "running"
            events = read_events(entry.folder / EVENTS_FILE)
            for event in events[shown:]:
                print(_line(event), flush=True)
            shown = len(events)
            if not (follow and working):
                return
            time.sleep(FOLLOW_S)


def _line(event: dict[str, Any]) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(float(event["time"])))
    step = f" step {event['step']}" if event["step"] >= 0 else ""
    if asks := recorded([event]):
        return clean(f"{at} model{step} {_ask_in_words(asks[0])}", LOG_WIDTH)
    rest = " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in event.items()
        if name not in ("time", "kind", "step", "label") and value not in (None, "")
    )
    return printable(f"{at} {event['kind']}{step} {rest}")


def _ask_in_words(asked: Asked) -> str:
    """An ask of a model: who asked, what it took, what came of it."""
    cost = "cost unknown" if asked.dollars is None else dollars(asked.dollars)
    tokens = f"{asked.tokens_in}+{asked.tokens_out} tokens"
    return f"{asked.role}: {tokens}, {asked.seconds:.1f} s, {cost}: {asked.outcome}"


def stop_run(run: str, as_json: bool) -> None:
    """Stop a run and say how it stands."""
    with open_desk(load_settings(), trusted=True) as desk:
        state = stop_search.call({"run": run}, desk)
    if as_json:
        print(state.model_dump_json())
    else:
        _print_state(state)


def call_tool(name: str | None, arguments: str) -> None:
    """List the tools with their schemas, or call one; JSON either way."""
    tools = {tool.name: tool for tool in all_tools()}
    if name is None:
        listed = [
            {
                "name": tool.name,
                "description": tool.description,
                "arguments": tool.arguments.model_json_schema(),
                "result": tool.result.model_json_schema(),
            }
            for tool in tools.values()
        ]
        print(json.dumps({"tools": listed}))
        return
    if name not in tools:
        raise UserError(f"tool = {name!r}: allowed {', '.join(tools)}")
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise UserError(f"arguments: not JSON: {error}") from None
    if not isinstance(given, dict):
        raise UserError("arguments: allowed a JSON object")
    with open_desk(load_settings(), trusted=True) as desk:
        print(tools[name].call(given, desk).model_dump_json())
