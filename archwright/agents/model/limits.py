"""What bounds the asking of models: a budget for a run, and a breaker for each endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from archwright.errors import BudgetSpent, ModelFailure


@dataclass(frozen=True)
class Spent:
    """What was spent so far. ``unpriced`` counts requests whose cost is not known."""

    requests: int = 0
    tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0


class Charge:
    """One request's part of a budget. Counted as reserved until told what was used."""

    def __init__(self, tokens: int, dollars: float | None) -> None:
        self.tokens = tokens
        self.dollars = dollars

    def used(self, tokens: int, dollars: float | None) -> None:
        """What the request really used; dollars None where the price is not known."""
        self.tokens = tokens
        self.dollars = dollars


class Limits:
    """A run's budget of tokens and dollars, shared by all its ports and threads.

    Requests in flight count with what they may use at most, so that concurrent requests
    cannot overspend together. A request without a known price is bounded by tokens only.
    ``spent`` is what the run had spent before it was resumed.
    """

    def __init__(self, tokens: int, dollars: float, spent: Spent | None = None) -> None:
        self.tokens = tokens
        self.dollars = dollars
        self._spent = spent or Spent()
        self._tokens_in_flight = 0
        self._dollars_in_flight = 0.0
        self._lock = threading.Lock()

    @property
    def spent(self) -> Spent:
        """What is spent, without requests in flight."""
        with self._lock:
            return self._spent

    @contextmanager
    def request(self, tokens: int, dollars: float | None) -> Iterator[Charge]:
        """Reserve for one request; on leaving, the charge takes the reservation's place.

        Raises :class:`BudgetSpent` when it could not be paid for.
        """
        reserved_dollars = dollars or 0.0
        with self._lock:
            committed = self._spent.tokens + self._tokens_in_flight
            if committed + tokens > self.tokens:
                raise BudgetSpent(
                    f"tokens: {committed} of {self.tokens} are spent or in flight, "
                    f"a request may need {tokens}"
                )
            paid = self._spent.dollars + self._dollars_in_flight
            if paid + reserved_dollars > self.dollars:
                raise BudgetSpent(
                    f"dollars: {paid:.4f} of {self.dollars:.4f} are spent or in flight, "
                    f"a request may need {reserved_dollars:.4f}"
                )
            self._tokens_in_flight += tokens
            self._dollars_in_flight += reserved_dollars
        charge = Charge(tokens, dollars)
        try:
            yield charge
        finally:
            with self._lock:
                self._tokens_in_flight -= tokens
                self._dollars_in_flight -= reserved_dollars
                self._spent = Spent(
                    self._spent.requests + 1,
                    self._spent.tokens + charge.tokens,
                    self._spent.dollars + (charge.dollars or 0.0),
                    self._spent.unpriced + (charge.dollars is None),
                )


class Breaker:
    """Lets a failing endpoint rest, so that it does not cost a time-out at every step.

    After ``failures`` failures in a row the next ``rest`` asks are refused at once; then
    a single ask goes through as a probe, and its outcome closes or reopens the breaker.
    """

    def __init__(self, failures: int = 3, rest: int = 5) -> None:
        self._limit = failures
        self._rest = rest
        self._failures = 0
        self._refusals_left = 0
        self._probing = False
        self._lock = threading.Lock()

    @contextmanager
    def ask(self) -> Iterator[None]:
        """Around one ask. Raises :class:`ModelFailure` when the endpoint rests.

        A ModelFailure from inside counts as the endpoint's; other errors (a spent
        budget, an interrupt) say nothing about it.
        """
        self._admit()
        try:
            yield
        except ModelFailure:
            with self._lock:
                self._failures += 1
                self._probing = False
                if self._failures >= self._limit:
                    self._refusals_left = self._rest
            raise
        except BaseException:  # an interrupt or a spent budget says nothing of the endpoint
            with self._lock:
                self._probing = False
            raise
        with self._lock:
            self._failures, self._refusals_left, self._probing = 0, 0, False

    def _admit(self) -> None:
        with self._lock:
            if self._failures < self._limit:
                return
            if self._refusals_left > 0 or self._probing:
                self._refusals_left = max(self._refusals_left - 1, 0)
                raise ModelFailure(
                    f"not asked: it failed {self._failures} times in a row and rests for "
                    f"{self._refusals_left} more asks"
                )
            self._probing = True
