"""What ``archwright doctor`` looks at: packages, simulators, home, settings, model endpoints."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archwright import __version__
from archwright.errors import ArchwrightError, printable

if TYPE_CHECKING:
    from rich.console import Console

SIMULATORS = "simulators"
"""The extra that installs them."""

State = Literal["ok", "missing", "absent"]
"""absent: an optional thing that is not there; missing: one that is needed."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at, how it stands, and what to do where something is missing."""

    name: str
    state: State
    detail: str


def check_up() -> list[Finding]:
    """Everything, in the order in which it matters."""
    return [*_packages(), *_simulators(), _home(), *_settings()]


def _packages() -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    found = [Finding("archwright", "ok", f"{__version__} on Python {version}")]
    try:
        requirements = importlib.metadata.requires("archwright") or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding("archwright", "missing", "it runs from a folder: pip install -e .")]
    for requirement in requirements:
        needed = re.match(r"[A-Za-z0-9._-]+", requirement)
        if needed is None:
            continue
        name = needed.group()
        extra = re.search(r"extra == ['\"]([^'\"]+)", requirement)
        if name == "archwright" or (extra is not None and extra[1] == SIMULATORS):
            continue  # an extra that names another one; looked at by themselves
        try:
            found.append(Finding(name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            if extra is None:
                found.append(Finding(name, "missing", f"pip install {requirement!r}"))
            else:
                hint = f"extra [{extra[1]}]: pip install 'archwright[{extra[1]}]'"
                found.append(Finding(name, "absent", hint))
    return found


def _simulators() -> list[Finding]:
    """What judges hardware beside the analytical model, which is always there."""
    from archwright.evaluators.hardware.simulators import simulators

    found = []
    for name, simulator in simulators().items():
        if name != "analytical":
            reason = simulator.missing()
            detail = reason or simulator.version.partition("+")[0]
            found.append(Finding(f"simulator {name}", "absent" if reason else "ok", detail))
    return found


def _home() -> Finding:
    from archwright.home import home

    try:
        place = home()
    except ArchwrightError as error:
        return Finding("home", "missing", str(error))
    if not os.access(place, os.W_OK):
        return Finding("home", "missing", f"{place}: it must be a folder that can be written")
    return Finding("home", "ok", str(place))


def _settings() -> list[Finding]:
    """The settings file, and each model that it names."""
    from archwright.agents.model.prices import price_line
    from archwright.agents.model.probing import check_endpoint
    from archwright.settings import load_settings, settings_path

    path = settings_path()
    try:
        settings = load_settings(path)
    except ArchwrightError as error:
        return [Finding("settings", "missing", str(error))]
    if not path.is_file():
        return [Finding("settings", "absent", f"{path} (not there: defaults, no models)")]
    found = [Finding("settings", "ok", str(path))]
    for name, profile in settings.models.items():
        check = check_endpoint(profile)
        detail = f"{check.detail}; {price_line(profile)}" if check.ok else check.detail
        found.append(Finding(f"model {name}", "ok" if check.ok else "missing", detail))
    return found


def print_checkup(findings: list[Finding], console: Console) -> None:
    """One row each; what a detail says is wrapped beside its name."""
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "green", "missing": "bold red", "absent": "yellow"}
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(max_width=30, overflow="fold")
    table.add_column(overflow="fold")
    for finding in findings:
        state = Text(finding.state, style=styles[finding.state])
        table.add_row(state, Text(finding.name), Text(printable(finding.detail)))
    console.print(table)
