"""What ``archwright doctor`` looks at: packages, home, settings, model endpoints."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from archwright import __version__
from archwright.errors import ArchwrightError

if TYPE_CHECKING:
    from rich.console import Console

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
    return [*_packages(), *_places(), *_endpoints()]


def _packages() -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    found = [Finding("archwright", "ok", f"{__version__} on Python {version}")]
    for requirement in importlib.metadata.requires("archwright") or []:
        needed = re.match(r"[A-Za-z0-9._-]+", requirement)
        if needed is None:
            continue
        name = needed.group()
        extra = re.search(r"extra == ['\"]([^'\"]+)", requirement)
        try:
            found.append(Finding(name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            if extra is None:
                found.append(Finding(name, "missing", f"pip install {requirement!r}"))
            else:
                hint = f"extra [{extra[1]}]: pip install 'archwright[{extra[1]}]'"
                found.append(Finding(name, "absent", hint))
    return found


def _places() -> list[Finding]:
    from archwright.home import home
    from archwright.settings import settings_path

    try:
        place = home()
        state: State = "ok" if os.access(place, os.W_OK) else "missing"
        found = [Finding("home", state, str(place))]
    except ArchwrightError as error:
        found = [Finding("home", "missing", str(error))]
    path = settings_path()
    there = path.is_file()
    detail = str(path) if there else f"{path} (not there: defaults, no models)"
    return [*found, Finding("settings", "ok" if there else "absent", detail)]


def _endpoints() -> list[Finding]:
    from archwright.agents.model import check_endpoint
    from archwright.settings import load_settings

    try:
        settings = load_settings()
    except ArchwrightError as error:
        return [Finding("settings", "missing", str(error))]
    found = []
    for name, profile in settings.models.items():
        check = check_endpoint(profile)
        found.append(Finding(f"model {name}", "ok" if check.ok else "missing", check.detail))
    return found


def print_checkup(findings: list[Finding], console: Console) -> None:
    """One line each."""
    from rich.text import Text

    styles = {"ok": "green", "missing": "bold red", "absent": "yellow"}
    for finding in findings:
        line = Text(f"{finding.state:8}", style=styles[finding.state])
        line.append(f"{finding.name:30} {finding.detail}", style="default")
        console.print(line, soft_wrap=True)
