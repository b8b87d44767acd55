"""Archwright's home: where the registry of runs, trained supernets and the memory live.

The home is `$ARCHWRIGHT_HOME`, else the platform's folder for user data. Chats, detached
runs and servers share one home; what is in it:

- ``registry.db``: which runs exist, and where their folders are;
- ``supernets/``: trained supernets, a cache;
- ``abilities/``: what each model endpoint can do, a cache;
- ``memory/``: the vector index over the archives of all runs, rebuilt when it is deleted.
"""

from __future__ import annotations

import os
from pathlib import Path

from archwright.errors import SettingsError

VARIABLE = "ARCHWRIGHT_HOME"


def home() -> Path:
    """The home folder, absolute; made when it is not there.

    Raises :class:`SettingsError` where no folder can be there.
    """
    return _folder(_place())


def registry_file() -> Path:
    """Where the registry of runs lives."""
    return home() / "registry.db"


def runs_folder() -> Path:
    """The folder of runs that were given no folder of their own; made when it is not there."""
    return _folder(home() / "runs")


def supernet_cache() -> Path:
    """The folder of trained supernets; made when it is not there."""
    return _folder(home() / "supernets")


def abilities_folder() -> Path:
    """The folder of what model endpoints can do; made when it is not there."""
    return _folder(home() / "abilities")


def memory_folder() -> Path:
    """The folder of the vector index; made when it is not there."""
    return _folder(home() / "memory")


def _place() -> Path:
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("archwright", appauthor=False))


def _folder(path: Path) -> Path:
    """``path`` as a folder that exists."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{VARIABLE}: {path}: {reason}; it must be a folder that can be written"
        ) from None
    return path
