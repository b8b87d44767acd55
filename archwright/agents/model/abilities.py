"""What an endpoint and its model can do, and where that is kept.

Found out by :mod:`archwright.agents.model.probing`, kept in ``$ARCHWRIGHT_HOME/abilities``:
one JSON file for each address and model. Nothing needs it: without abilities the port
finds its way by what an endpoint refuses; with them it begins at the right form.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from archwright.errors import ArchwrightError
from archwright.home import abilities_folder
from archwright.settings import Profile

VERSION = 1
"""Of the file and of the probe: what an older one found is found anew."""
LONGEST_KEPT = timedelta(days=30)
LARGEST_FILE_BYTES = 10_000
LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Abilities:
    """What an endpoint can do. An option that it takes and ignores is no ability.

    ``json_schema``: it enforces a schema; ``schema_bounds``: the schema may hold bounds of
    numbers, texts and lists. ``json_object``: it enforces JSON of any form. ``forced_tools``:
    a tool can be demanded; ``parallel_tools``: several calls come in one answer. ``usage``:
    it counts tokens. ``seed`` and ``temperature``: it takes the option, whatever it makes
    of it. ``limit_field``: what the limit of an answer's tokens is called.
    """

    json_schema: bool = False
    schema_bounds: bool = False
    json_object: bool = False
    tools: bool = False
    forced_tools: bool = False
    parallel_tools: bool = False
    streaming: bool = False
    usage: bool = False
    seed: bool = False
    temperature: bool = False
    limit_field: str = LIMIT_FIELDS[0]

    def to_plain(self) -> dict[str, object]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: object) -> Abilities:
        """What :meth:`to_plain` gave. Raises ValueError for anything else."""
        names = [field.name for field in fields(cls)]
        if not isinstance(plain, Mapping) or sorted(map(str, plain)) != sorted(names):
            raise ValueError(f"abilities: allowed an object of {', '.join(names)}")
        for name in names:
            if name != "limit_field" and not isinstance(plain[name], bool):
                raise ValueError(f"abilities: {name}: allowed true and false")
        if plain["limit_field"] not in LIMIT_FIELDS:
            raise ValueError(f"abilities: limit_field: allowed {', '.join(LIMIT_FIELDS)}")
        return cls(**{name: plain[name] for name in names})

    def in_words(self) -> str:
        """One line for a person: what it can, what it cannot."""
        can = [words for field, words in _WORDS.items() if getattr(self, field)]
        cannot = [words for field, words in _WORDS.items() if not getattr(self, field)]
        parts = [f"can: {', '.join(can) or 'plain chat only'}"]
        if cannot:
            parts.append(f"cannot: {', '.join(cannot)}")
        return "; ".join([*parts, f"limit: {self.limit_field}"])


_WORDS = {
    "json_schema": "strict schema",
    "schema_bounds": "schema bounds",
    "json_object": "JSON object",
    "tools": "tools",
    "forced_tools": "forced tools",
    "parallel_tools": "parallel tools",
    "streaming": "streaming",
    "usage": "usage counts",
    "seed": "seed",
    "temperature": "temperature",
}


def kept_abilities(profile: Profile) -> Abilities | None:
    """What is known of a profile's endpoint; None where that is nothing, damaged or outdated."""
    try:
        path = _file(profile)
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            return None
        kept = json.loads(content)
        found = date.fromisoformat(kept["date"])
        same = (kept["version"], kept["base_url"], kept["model"]) == (VERSION, *_subject(profile))
        fresh = timedelta(0) <= _today() - found <= LONGEST_KEPT
        return Abilities.from_plain(kept["abilities"]) if same and fresh else None
    except (OSError, ArchwrightError, ValueError, KeyError, TypeError, RecursionError):
        return None  # whatever is wrong with the file: it is a cache


def keep_abilities(profile: Profile, abilities: Abilities) -> None:
    """Keep what was found, whole or not at all. Where that cannot be, it goes on without."""
    base_url, model = _subject(profile)
    row = {
        "version": VERSION,
        "date": _today().isoformat(),
        "base_url": base_url,
        "model": model,
        "abilities": abilities.to_plain(),
    }
    try:
        path = _file(profile)
        with NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False
        ) as file:
            file.write(json.dumps(row, indent=1) + "\n")
        Path(file.name).replace(path)
    except (OSError, ArchwrightError) as error:
        _log.warning("what endpoint %s can do is not kept: %s", base_url, error)


def _subject(profile: Profile) -> tuple[str, str]:
    return profile.base_url, profile.model


def _file(profile: Profile) -> Path:
    name = hashlib.sha256("\n".join(_subject(profile)).encode()).hexdigest()[:16]
    return abilities_folder() / f"{name}.json"


def _today() -> date:
    return datetime.now(UTC).date()
