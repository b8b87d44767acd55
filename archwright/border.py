"""What crosses the border from outside: TOML files, and tables checked by pydantic.

The brief, a network file and a tool's arguments are all read in this way, so that each
mistake in them is one line that names the key, the value and what is allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from archwright.errors import UserError, shown

LARGEST_TOML_BYTES = 65_536
"""A brief has about 1 kB. tomllib takes seconds over a few ten kB of hostile keys."""
LARGEST_NUMBER = 10**9
LONGEST_WORD = 64

_WORDING = {
    "missing": "missing",
    "model_type": "allowed a table",
    "dict_type": "allowed a table",
    "list_type": "allowed a list",
    "string_type": "allowed a text",
    "too_short": "at least one value is needed",
}
"""Where pydantic speaks of Python, by its type of error."""


class Table(BaseModel):
    """A table of known keys. Values have exactly their type: true is no number, "8" neither."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _has_only_known_keys(cls, table: object) -> object:
        """As ``extra="forbid"``, but the complaint says which keys there are."""
        for key in table if isinstance(table, Mapping) else ():
            if key not in cls.model_fields:
                detail = {"key": key, "allowed": ", ".join(cls.model_fields)}
                raise PydanticCustomError("unknown_key", "unknown key; allowed {allowed}", detail)
        return table


def _plain_value(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("allowed a number or a word")
    if isinstance(value, str) and len(value) > LONGEST_WORD:
        raise ValueError(f"allowed at most {LONGEST_WORD} characters")
    if not isinstance(value, str) and not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"allowed numbers up to {LARGEST_NUMBER:g}")
    return value


ChoiceValue = Annotated[
    Annotated[int, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
    | Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
    | Annotated[str, Field(max_length=LONGEST_WORD)],
    BeforeValidator(_plain_value),
]
"""The value of a choice of some space, which then says whether it knows the value.

The bounds in the type go into schemas; the validator in front of the union gives one
complaint instead of one per member.
"""


def complaint(error: ValidationError) -> str:
    """The first mistake as `key = value: what is allowed`, on one line."""
    first = error.errors(include_url=False)[0]
    context = first.get("ctx", {})
    location = [str(part) for part in first["loc"]]
    message = _WORDING.get(first["type"], first["msg"].removeprefix("Value error, "))
    message = message.replace("Input should be", "should be").replace("String should", "should")
    if first["type"] == "unknown_key":
        location.append(str(context["key"]))
    elif location[-1:] == ["[key]"]:  # of a dictionary whose keys are named in its type
        return f"{_name(location[:-1])}: unknown key; allowed {context.get('expected', '')}"
    if not location:  # a check across tables, which names its own keys
        return message
    value = first["input"]
    if isinstance(value, Mapping | BaseModel):
        return f"{_name(location)}: {message}"
    return f"{_name(location)} = {shown(value)}: {message}"


def _name(location: list[str]) -> str:
    """The dotted name of a key; each part at most 80 characters."""
    return ".".join(part if len(part) <= 80 else f"{part[:77]}..." for part in location)


def read_toml(path: Path, what: str, wrong: type[UserError]) -> dict[str, Any]:
    """The table in a TOML file. ``what`` names the kind of file in messages.

    Raises ``wrong``, one line, for a file that is missing, unreadable, too large or not TOML.
    """
    try:
        if not path.is_file():
            raise wrong(f"{path}: no such {what} file")
        with path.open("rb") as file:
            content = file.read(LARGEST_TOML_BYTES + 1)
        if len(content) > LARGEST_TOML_BYTES:
            raise wrong(f"{path}: larger than {LARGEST_TOML_BYTES} bytes, too large for a {what}")
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except OSError as error:
        raise wrong(f"{path}: cannot be read: {error.strerror}") from None
    except RecursionError:
        raise wrong(f"{path}: not TOML that can be read: nested too deeply") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number of over 4,300 digits
        raise wrong(f"{path}: not TOML: {error}") from None
