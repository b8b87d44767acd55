"""Which simulators are installed, without importing them."""

from __future__ import annotations

import importlib.metadata

INSTALL = "pip install 'archwright[simulators]'"


def installed_version(package: str) -> str:
    """The version of an installed package, "absent" for one that is not."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def missing_package(package: str, title: str) -> str | None:
    """How to install a package that is not there; None for one that is."""
    absent = installed_version(package) == "absent"
    return f"{title} is not installed: {INSTALL}" if absent else None
