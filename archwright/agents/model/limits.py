"""What bounds the asking of models: budgets for a run and its rounds, and a breaker.

A budget is a context manager around each request: it reserves what the request may need
at most, and the request's true cost takes the reservation's place when it is left::

    with limits.of_round(step).request(most_tokens, most_dollars) as charge:
        ...
        charge.used(tokens, dollars)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from archwright.brief import Budget
from archwright.errors import BudgetSpent, ModelFailure


@dataclass(frozen=True)
class Spent:
    """What was spent so far. ``unpriced`` counts requests whose cost is not known.

    ``seconds`` is the time in which at least one request was waited for: requests that
    wait together count once.
    """

    requests: int = 0
    tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.tokens + other.tokens,
            self.dollars + other.dollars,
            self.unpriced + other.unpriced,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Bounds:
    """What may be spent at most; None: no bound."""

    requests: int | None = None
    tokens: int | None = None
    dollars: float | None = None
    seconds: float | None = None


class Charge:
    """One request's part of a budget. Counted as reserved until told what was used."""

    def __init__(self, tokens: int, dollars: float | None) -> None:
        self.tokens = tokens
        self.dollars = dollars

    def used(self, tokens: int, dollars: float | None) -> None:
        """What the request really used; dollars None where the price is not known."""
        self.tokens = tokens
        self.dollars = dollars


@dataclass
class _Scope:
    """A run or a round: its bounds, what it has spent and what is in flight.

    Whoever calls holds the lock of the allowance.
    """

    name: str
    bounds: Bounds
    spent: Spent = field(default_factory=Spent)
    in_flight: Spent = field(default_factory=Spent)
    waiters: int = 0
    waiting_since: float = 0.0

    def check(self, asked: Spent) -> None:
        """Raise :class:`BudgetSpent` where a request would go beyond a bound."""
        committed = self.spent + self.in_flight
        seconds = self.seconds
        for limit, allowed, by_now, more in (
            ("requests", self.bounds.requests, committed.requests, asked.requests),
            ("tokens", self.bounds.tokens, committed.tokens, asked.tokens),
            ("dollars", self.bounds.dollars, committed.dollars, asked.dollars),
        ):
            if allowed is not None and by_now + more > allowed:
                raise BudgetSpent(limit, self.name, allowed, by_now, more)
        # How long a request takes nobody knows: one may begin while any time is left.
        if self.bounds.seconds is not None and seconds >= self.bounds.seconds:
            raise BudgetSpent("seconds", self.name, self.bounds.seconds, seconds, 0.0)

    @property
    def seconds(self) -> float:
        """Seconds waited so far, those of a wait that goes on included."""
        running = time.monotonic() - self.waiting_since if self.waiters else 0.0
        return self.spent.seconds + running

    def wait(self) -> None:
        """Somebody begins to wait."""
        if not self.waiters:
            self.waiting_since = time.monotonic()
        self.waiters += 1

    def waited(self) -> None:
        """Somebody waits no longer."""
        self.waiters -= 1
        if not self.waiters:
            seconds = time.monotonic() - self.waiting_since
            self.spent = replace(self.spent, seconds=self.spent.seconds + seconds)


class Allowance:
    """What may be spent within nested scopes, shared by threads and ports.

    Requests in flight count with what they may use at most, so that concurrent requests
    cannot overspend together. A request without a known price is bounded by all but dollars.
    """

    def __init__(self, scopes: Sequence[_Scope], lock: threading.Lock) -> None:
        self._scopes = tuple(scopes)  # the widest first
        self._lock = lock

    @property
    def spent(self) -> Spent:
        """What the narrowest scope has spent, without requests in flight."""
        with self._lock:
            return self._scopes[-1].spent

    @contextmanager
    def request(self, tokens: int, dollars: float | None) -> Iterator[Charge]:
        """Reserve for one request; on leaving, the charge takes the reservation's place.

        Raises :class:`BudgetSpent` when it could not be paid for.
        """
        reserved = Spent(1, tokens, dollars or 0.0)
        with self._lock:
            for scope in self._scopes:
                scope.check(reserved)
            for scope in self._scopes:
                scope.in_flight += reserved
        charge = Charge(tokens, dollars)
        try:
            with self.waiting():
                yield charge
        finally:
            back = Spent(-1, -tokens, -(dollars or 0.0))
            unpriced = charge.dollars is None
            paid = Spent(1, charge.tokens, charge.dollars or 0.0, int(unpriced))
            with self._lock:
                for scope in self._scopes:
                    scope.in_flight += back
                    scope.spent += paid

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around what the run waits for: requests, and pauses before one is sent again."""
        with self._lock:
            for scope in self._scopes:
                scope.wait()
        try:
            yield
        finally:
            with self._lock:
                for scope in self._scopes:
                    scope.waited()


class Limits(Allowance):
    """A run's budget: bounds of the whole run, and of each of its rounds within it.

    ``spent`` and ``spent_in_round`` (by step) are what a resumed run had spent before.
    ``scope`` is what the whole is called in messages.
    """

    def __init__(
        self,
        tokens: int | None = None,
        dollars: float | None = None,
        spent: Spent | None = None,
        *,
        requests: int | None = None,
        seconds: float | None = None,
        each_round: Bounds | None = None,
        spent_in_round: Mapping[int, Spent] | None = None,
        scope: str = "run",
    ) -> None:
        bounds = Bounds(requests, tokens, dollars, seconds)
        self._run = _Scope(scope, bounds, spent or Spent())
        super().__init__([self._run], threading.Lock())
        self._each_round = each_round or Bounds()
        self._rounds = {
            step: _Scope("round", self._each_round, before)
            for step, before in (spent_in_round or {}).items()
        }

    def of_round(self, step: int) -> Allowance:
        """The budget of one round, which lies within the run's."""
        with self._lock:
            own = self._rounds.setdefault(step, _Scope("round", self._each_round))
        return Allowance([self._run, own], self._lock)


def run_limits(
    budget: Budget,
    spent: Spent | None = None,
    spent_in_round: Mapping[int, Spent] | None = None,
    scope: str = "run",
) -> Limits:
    """The limits that a brief's budget sets, with what was spent of it before."""
    hours, each = budget.model_hours, budget.round
    return Limits(
        budget.tokens,
        budget.dollars,
        spent,
        requests=budget.requests,
        seconds=None if hours is None else 3600 * hours,
        each_round=Bounds(each.requests, each.tokens, each.dollars, each.seconds),
        spent_in_round=spent_in_round,
        scope=scope,
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
