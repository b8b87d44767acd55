"""The user's settings: which models may be asked, and which folders outsiders may read.

A TOML file of the user's own: ``$ARCHWRIGHT_SETTINGS``, else ``settings.toml`` in the
platform's configuration folder. No file means defaults. Endpoints, the names of the key
variables and the allowed folders come from here only: neither a brief that arrives from
outside nor a model can set them. Keys themselves are never in the file::

    allowed_folders = ["~/datasets"]

    [models.local]
    base_url = "http://127.0.0.1:8080/v1"
    model = "qwen3-8b"

    [models.hosted]
    base_url = "https://api.openai.com/v1"
    model = "gpt-5-mini"
    key_variable = "OPENAI_API_KEY"
    dollars_per_million_tokens_in = 0.25
    dollars_per_million_tokens_out = 2.0
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from archwright.brief import EMBEDDED_DATA, Brief
from archwright.errors import BriefError, SettingsError

LARGEST_SETTINGS_BYTES = 1_000_000
_LOOKS_LIKE_KEY = re.compile(
    r"(^|[_-])(api_?key|key|token|secret|password|credentials?)$", re.IGNORECASE
)
_NEVER_SHOWN = ("key_variable", "base_url")  # what was pasted there may be or hold a key


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Profile(_Table):
    """How to reach one model. A local server may need no ``key_variable``.

    ``timeout_s`` bounds one request; ``max_retries`` counts repetitions after refused
    connections, HTTP 429 and 5xx. Prices are in dollars and come before those that Archwright
    knows of hosted models; a model without a price has an unknown cost. Tokens in from the
    server's prompt cache cost the price of tokens in where they have none of their own.
    """

    base_url: str = Field(min_length=1, max_length=2000)
    model: str = Field(min_length=1, max_length=200)
    key_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    max_retries: int = Field(default=1, ge=0, le=5)
    max_output_tokens: int = Field(default=2048, ge=16, le=32_768)
    dollars_per_million_tokens_in: float | None = Field(default=None, ge=0, le=10_000)
    dollars_per_million_tokens_cached: float | None = Field(default=None, ge=0, le=10_000)
    dollars_per_million_tokens_out: float | None = Field(default=None, ge=0, le=10_000)

    @field_validator("base_url")
    @classmethod
    def _is_plain_url(cls, url: str) -> str:
        allowed = "allowed http://HOST[:PORT]/PATH or https://..., without user, password or query"
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018 - raises ValueError where the port is no number
        except ValueError:
            raise ValueError(allowed) from None
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
            raise ValueError(allowed)
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError(allowed)
        return url

    @model_validator(mode="after")
    def _prices_go_together(self) -> Profile:
        prices = {
            name: getattr(self, f"dollars_per_million_tokens_{name}")
            for name in ("in", "cached", "out")
        }
        given = [name for name, price in prices.items() if price is not None]
        lacking = [name for name in ("in", "out") if given and prices[name] is None]
        if lacking:
            raise ValueError(
                f"dollars_per_million_tokens_{given[0]} needs "
                f"dollars_per_million_tokens_{lacking[0]} beside it"
            )
        return self


ProfileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class Settings(_Table):
    """The user's settings, whole. Build them with :func:`load_settings`."""

    models: dict[ProfileName, Profile] = Field(default_factory=dict)
    allowed_folders: tuple[str, ...] = ()

    @field_validator("allowed_folders")
    @classmethod
    def _are_absolute(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        for folder in folders:
            if not _expanded(folder).is_absolute():
                raise ValueError(f"{folder!r}: allowed absolute paths, or paths that begin with ~")
        return folders

    def profile(self, name: str) -> Profile:
        """The model profile called ``name``. Raises :class:`SettingsError` naming those known."""
        if name not in self.models:
            known = ", ".join(sorted(self.models)) or f"none, add [models.{name}] to the settings"
            raise SettingsError(f"models = {name!r}: no such model profile; known: {known}")
        return self.models[name]


def settings_path() -> Path:
    """Where the settings file is looked for."""
    named = os.environ.get("ARCHWRIGHT_SETTINGS")
    if named:
        return _expanded(named)
    import platformdirs

    return platformdirs.user_config_path("archwright", appauthor=False) / "settings.toml"


def load_settings(path: Path | None = None) -> Settings:
    """The settings at ``path`` (default :func:`settings_path`); defaults where no file is.

    Raises :class:`SettingsError`, one line, for anything wrong with the file.
    """
    path = path or settings_path()
    if not path.exists():
        return Settings()
    if not path.is_file() or path.stat().st_size > LARGEST_SETTINGS_BYTES:
        raise SettingsError(
            f"{path}: allowed a TOML file of at most {LARGEST_SETTINGS_BYTES} bytes"
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number too long
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_settings(table, path.name)


def parse_settings(table: Mapping[str, object], source: str = "settings") -> Settings:
    """Settings from a parsed TOML table. Raises :class:`SettingsError`, one line."""
    try:
        return Settings.model_validate(table)
    except ValidationError as error:
        raise SettingsError(_one_line(error, source)) from None


def _one_line(error: ValidationError, source: str) -> str:
    """The first complaint as `source: key = value: what is allowed`, without secrets."""
    first = error.errors(include_url=False)[0]
    location = [str(part) for part in first["loc"] if part != "[key]"]
    key, name = ".".join(location), location[-1]
    where = f"{source}: {key}"
    if first["type"] == "extra_forbidden":
        if _LOOKS_LIKE_KEY.search(name):
            return (
                f"{where}: keys are never kept in this file; set key_variable to the name "
                "of the environment variable that holds it"
            )
        fields = Settings if len(location) == 1 else Profile
        return f"{where}: unknown key; allowed {', '.join(fields.model_fields)}"
    if first["type"] == "missing":
        return f"{where}: missing"
    if name == "key_variable":
        return f"{where}: allowed the name of an environment variable, not the key itself"
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    message = message.replace("valid tuple", "list")
    if name in _NEVER_SHOWN or first["type"] == "value_error":
        return f"{where}: {message}"
    value = repr(first["input"])
    return f"{where} = {value if len(value) <= 80 else value[:77] + '...'}: {message}"


def check_outside_brief(brief: Brief, settings: Settings) -> Brief:
    """A brief that came from outside, with the data path it may read, resolved.

    Embedded data is always allowed; else the path must be absolute and lie, after
    following links, inside one of ``settings.allowed_folders``. The answer is the same
    whether or not a path outside exists. Raises :class:`BriefError`.
    """
    data = brief.task.data
    if data in EMBEDDED_DATA:
        return brief
    allowed = (
        ", ".join(settings.allowed_folders) or "no folder, see allowed_folders in the settings"
    )
    refusal = BriefError(
        f"task.data = {data!r}: a brief from outside may read {', '.join(EMBEDDED_DATA)}, "
        f"and files inside: {allowed}"
    )
    try:
        path = Path(data)
        real = path.resolve()
        folders = [_expanded(folder).resolve() for folder in settings.allowed_folders]
    except (OSError, RuntimeError, ValueError):  # a loop of links, a null byte
        raise refusal from None
    if not path.is_absolute() or not any(real.is_relative_to(folder) for folder in folders):
        raise refusal
    if not real.exists():
        raise BriefError(f"task.data = {data!r}: no such file or folder")
    return brief.model_copy(update={"task": brief.task.model_copy(update={"data": str(real)})})


def _expanded(path: str) -> Path:
    """The path with ~ replaced; as it is where the home folder is not known."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
