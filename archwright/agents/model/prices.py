"""What asking a model costs: the user's own prices, else a table with dates and sources.

A price that nobody knows is None, never zero: a model on the user's own machine has a cost
too. The table is ``prices.toml`` beside this file.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from archwright.settings import Profile

YOUR_SETTINGS = "your settings"


@dataclass(frozen=True)
class Price:
    """Dollars per million tokens. ``source`` and ``date`` (ISO, "" where unknown) say whose.

    ``cached``: of tokens in that the server had in its prompt cache.
    """

    tokens_in: float
    cached: float
    tokens_out: float
    source: str
    date: str = ""

    def dollars(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """What a request costs; ``tokens_cached`` of its tokens in came from a cache."""
        fresh = tokens_in - tokens_cached
        total = fresh * self.tokens_in + tokens_cached * self.cached + tokens_out * self.tokens_out
        return total / 1e6


class _Entry(BaseModel):
    """One price of the table; where no price of cached tokens is known they cost the full one."""

    model_config = ConfigDict(extra="forbid")

    host: str
    model: str
    price_in: float = Field(alias="in", ge=0)
    cached: float | None = Field(default=None, ge=0)
    out: float = Field(ge=0)
    date: date
    source: str

    def price(self) -> Price:
        cached = self.price_in if self.cached is None else self.cached
        return Price(self.price_in, cached, self.out, self.source, self.date.isoformat())


def price_of(profile: Profile) -> Price | None:
    """What a profile's model costs; None where neither the settings nor the table say."""
    own_in = profile.dollars_per_million_tokens_in
    own_out = profile.dollars_per_million_tokens_out
    if own_in is not None and own_out is not None:
        cached = profile.dollars_per_million_tokens_cached
        return Price(own_in, own_in if cached is None else cached, own_out, YOUR_SETTINGS)
    return price_table().get((urlsplit(profile.base_url).hostname or "", profile.model))


def cost(
    price: Price | None, tokens_in: int, tokens_out: int, tokens_cached: int = 0
) -> float | None:
    """What a request costs in dollars; None where the price is not known."""
    return None if price is None else price.dollars(tokens_in, tokens_out, tokens_cached)


def price_table() -> dict[tuple[str, str], Price]:
    """The table's prices by host and model."""
    text = files(__package__).joinpath("prices.toml").read_text(encoding="utf-8")
    entries = [_Entry.model_validate(entry) for entry in tomllib.loads(text)["price"]]
    return {(entry.host, entry.model): entry.price() for entry in entries}


def unknown_price(model: str) -> str:
    """What is said of a model whose price is not known."""
    return f"cost unknown: no price for {model}"


def price_line(profile: Profile) -> str:
    """A profile's price and where it is from on one line, for ``archwright doctor``."""
    price = price_of(profile)
    if price is None:
        keys = "dollars_per_million_tokens_in and _out in the settings give one"
        return f"{unknown_price(profile.model)}; {keys}"
    figures = f"{price.tokens_in:g} in, {price.cached:g} cached, {price.tokens_out:g} out"
    where = f"{price.source}, {price.date}" if price.date else price.source
    return f"dollars per million tokens: {figures} ({where})"
