"""Strategies compared on a table: who covers how much of the true front after how many look-ups.

One search is one strategy with one seed. It goes on in batches; each batch the strategy is
made anew and told everything before, as in a run. The score after each look-up is the
hypervolume of the front so far, as a share of that of the true front.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from archwright.agents.frontier import Frontier, Pairings, hypervolume_curve
from archwright.agents.problem import Evaluated, History
from archwright.agents.strategies.common import network_keys
from archwright.errors import ArchwrightError
from archwright.front import Floats
from archwright.space import Indices
from archwright.tabular.advised import Account
from archwright.tabular.entrants import Entrant
from archwright.tabular.joint import JointProblem, joint
from archwright.tabular.problem import TabularProblem

SEARCH_LIMIT_S = 86_400.0
"""A search in a worker that takes longer than a day is given up."""
Listener = Callable[[str, int, int], None]
"""Hears which search it is, and how many of how many look-ups are done, over all searches."""


@dataclass(frozen=True)
class Terms:
    """What is the same for every search.

    ``failures`` is the share of look-ups that fail: they count, and reveal nothing.
    """

    evaluations: int
    batch: int = 5
    failures: float = 0.0


@dataclass(frozen=True)
class Search:
    """What one strategy with one seed came to.

    ``hypervolumes`` holds the front's after each look-up, shape (evaluations,); the last is
    carried on where the strategy found nothing more to propose. ``looked_up`` counts the
    look-ups, ``seconds`` what the strategy took to be made, told and asked. ``reported`` is
    the hypervolume of its last front on the column it did not see, where there is one;
    ``known`` is what the look-ups revealed, ``account`` a model's part, where one was asked.
    """

    hypervolumes: Floats
    looked_up: int
    seconds: float
    reported: float | None = None
    known: tuple[Evaluated, ...] = ()
    account: Account | None = None


@dataclass(frozen=True)
class Standing:
    """One strategy over all seeds: shares of the true hypervolume, each of shape (evaluations,).

    ``reported_*`` are shares of the true hypervolume of the reported column, at the end;
    ``accounts`` is a model's part in each search, where one was asked.
    """

    median: Floats
    worst: Floats
    seconds_per_design: float
    reported_median: float | None = None
    reported_worst: float | None = None
    accounts: tuple[Account, ...] = ()


@dataclass(frozen=True)
class Arena:
    """A problem in both views, with what is remembered of it from search to search.

    ``reported``: the same networks with another column's metrics, which no strategy sees.
    """

    tabular: TabularProblem
    reported: TabularProblem | None = None

    @cached_property
    def black_box(self) -> JointProblem:
        """The view in which an evaluation reveals one design."""
        return joint(self.tabular)

    @cached_property
    def costed_pairings(self) -> Pairings:
        """A pure function of the problem, so one for all searches."""
        return Pairings(self.tabular.problem)

    @cached_property
    def black_box_pairings(self) -> Pairings:
        """There one design is one network, on the hardware that stands for none."""
        return Pairings(self.black_box.problem)

    @cached_property
    def unseen(self) -> JointProblem | None:
        """Where a front's designs are looked up in the reported column."""
        return None if self.reported is None else joint(self.reported)

    @property
    def has_hardware(self) -> bool:
        """Whether anything is free and exact."""
        return bool(self.tabular.problem.cost_objectives)

    def view(self, entrant: Entrant) -> tuple[TabularProblem, Pairings]:
        """The problem as a strategy sees it."""
        if entrant.costed or not self.has_hardware:
            return self.tabular, self.costed_pairings
        return self.black_box, self.black_box_pairings

    def report(self, tabular: TabularProblem, front: Frontier) -> float | None:
        """The hypervolume that the designs of a front have on the reported column."""
        if self.unseen is None:
            return None
        points = front.points()
        width = len(self.unseen.problem.network_space.choices)
        designs = [
            p.evaluated.row if tabular is self.black_box
            else np.concatenate([p.evaluated.row, p.hardware])
            for p in points
        ]  # fmt: skip
        rows = np.array(designs, dtype=np.int64).reshape(-1, width)
        unseen = Frontier(self.unseen.problem, Pairings(self.unseen.problem))
        unseen.add(self.unseen.evaluate(rows, 0))
        return unseen.hypervolume


def search(
    arena: Arena,
    entrant: Entrant,
    seed: int,
    terms: Terms,
    done: Callable[[int], None] = lambda looked_up: None,
) -> Search:
    """One strategy with one seed; ``done`` hears the number of look-ups after each batch.

    All chance comes from the seed. On one thread sums are added up in one order, so that
    workers, too, come to the same.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    tabular, pairings = arena.view(entrant)
    asking = entrant.begin(tabular.problem, pairings, seed)
    outcomes: list[Evaluated | None] = []
    tried: frozenset[str] = frozenset()
    seconds, step = 0.0, 0
    with threadpool_limits(1):
        while len(outcomes) < terms.evaluations:
            wanted = min(terms.batch, terms.evaluations - len(outcomes))
            known = tuple(outcome for outcome in outcomes if outcome is not None)
            began = time.perf_counter()
            proposed = asking.ask(step, wanted, History(known, tried))[
                : terms.evaluations - len(outcomes)
            ]
            seconds += time.perf_counter() - began
            rows = np.array([p.network for p in proposed], dtype=np.int64)
            rows = rows[: terms.evaluations - len(outcomes)]  # an opening may be larger
            fresh, keys = _fresh(tabular, rows, tried)
            if not keys:
                break  # nothing is left to propose
            outcomes += _look_up(tabular, fresh, keys, seed, step, terms.failures)
            tried |= frozenset(keys)
            step += 1
            done(len(outcomes))
        known = tuple(outcome for outcome in outcomes if outcome is not None)
        curve = hypervolume_curve(tabular.problem, pairings, known)
        front = Frontier(tabular.problem, pairings)
        front.add(known)
        reported = arena.report(tabular, front)
    # How many look-ups had revealed something after each; where none is left, as at the end.
    revealed = np.full(terms.evaluations, len(known))
    revealed[: len(outcomes)] = np.cumsum([outcome is not None for outcome in outcomes])
    shares = np.array([0.0, *curve])[revealed]
    return Search(shares, len(outcomes), seconds, reported, known, asking.account)


def _fresh(
    tabular: TabularProblem, rows: Indices, tried: frozenset[str]
) -> tuple[Indices, list[str]]:
    """The proposals that are new, each once: nothing is paid for twice."""
    keys = network_keys(tabular.problem.network_space, rows)
    first = {key: k for k, key in reversed(list(enumerate(keys))) if key not in tried}
    kept = sorted(first.values())
    return rows[kept], [keys[k] for k in kept]


def _look_up(
    tabular: TabularProblem,
    rows: Indices,
    keys: Sequence[str],
    seed: int,
    step: int,
    failing: float,
) -> list[Evaluated | None]:
    """What each look-up reveals, None where it fails. What the table does not hold is none."""
    held = tabular.holds(rows)
    found = {e.key: e for e in tabular.evaluate(rows[held], step)}
    return [
        None if _fails(key, seed, failing) else found.get(key)
        for key, counts in zip(keys, held, strict=True)
        if counts
    ]


def _fails(key: str, seed: int, failing: float) -> bool:
    """Whether a look-up fails: the same design fails for every strategy of one seed."""
    return failing > 0 and np.random.default_rng((seed, int(key, 16))).random() < failing


@dataclass(frozen=True)
class Work:
    """Starts a worker's task: ``make`` (picklable) gives the arena, once in each process."""

    make: Callable[[], Arena]
    terms: Terms

    def __call__(self) -> Callable[[tuple[Entrant, int]], Search]:
        """What runs a task there: a strategy and a seed."""
        arena = self.make()

        def run(task: tuple[Entrant, int]) -> Search:
            task[0].prepare(arena.costed_pairings)
            return search(arena, *task, self.terms)

        return run


def compare(
    make: Callable[[], Arena],
    arena: Arena,
    entrants: Sequence[Entrant],
    seeds: int,
    terms: Terms,
    workers: int = 1,
    listener: Listener = lambda what, done, total: None,
) -> dict[str, Standing]:
    """Each strategy's standing over ``seeds`` seeds, by its label.

    With one worker the searches run here, in ``arena``; with more, in processes that make
    their own by ``make``. Both come to the same, but for the seconds.
    """
    tasks = [(entrant, seed) for entrant in entrants for seed in range(seeds)]
    if workers == 1:
        searches = _here(arena, tasks, terms, listener)
    else:
        searches = _in_workers(Work(make, terms), tasks, workers, listener)
    truth = arena.tabular.true_hypervolume
    unseen = None if arena.reported is None else arena.reported.true_hypervolume
    return {
        entrant.label: _standing(searches[k * seeds : (k + 1) * seeds], truth, unseen)
        for k, entrant in enumerate(entrants)
    }


def _here(
    arena: Arena, tasks: Sequence[tuple[Entrant, int]], terms: Terms, listener: Listener
) -> list[Search]:
    searches = []
    total = len(tasks) * terms.evaluations
    for number, (entrant, seed) in enumerate(tasks):
        before, what = number * terms.evaluations, f"{entrant.label}, seed {seed}"

        def done(looked_up: int, before: int = before, what: str = what) -> None:
            listener(what, before + looked_up, total)

        entrant.prepare(arena.costed_pairings)
        searches.append(search(arena, entrant, seed, terms, done))
    listener("all searches", total, total)
    return searches


def _in_workers(
    work: Work, tasks: Sequence[tuple[Entrant, int]], workers: int, listener: Listener
) -> list[Search]:
    from archwright.evaluators.pool import TaskFailed, WorkerPool

    found: dict[int, Search] = {}
    evaluations = work.terms.evaluations
    with WorkerPool(work, workers, SEARCH_LIMIT_S) as pool:
        for number, result in pool.run(tasks):
            entrant, seed = tasks[number]
            what = f"{entrant.label}, seed {seed}"
            if isinstance(result, TaskFailed):
                raise ArchwrightError(f"{what}: {result.reason}")
            found[number] = result
            listener(what, len(found) * evaluations, len(tasks) * evaluations)
    return [found[number] for number in range(len(tasks))]


def _standing(searches: Sequence[Search], truth: float, unseen: float | None) -> Standing:
    ratios = np.stack([s.hypervolumes for s in searches]) / truth
    looked_up = sum(s.looked_up for s in searches)
    standing = Standing(
        median=np.median(ratios, axis=0),
        worst=ratios.min(axis=0),
        seconds_per_design=sum(s.seconds for s in searches) / max(looked_up, 1),
        accounts=tuple(s.account for s in searches if s.account is not None),
    )
    reported = [s.reported / unseen for s in searches if s.reported is not None and unseen]
    if not reported:
        return standing
    return replace(
        standing, reported_median=float(np.median(reported)), reported_worst=min(reported)
    )
