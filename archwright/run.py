"""A run: one search from brief to report, resumable by its id after any kill.

The archive and the graph's checkpoints are written as the run goes; what follows from
them (problem, team, report) is made anew by whoever works on the run.
"""

from __future__ import annotations

import os
import secrets
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.agents.graph import STOPPED_BY_USER, build_graph
from archwright.agents.model.limits import Spent
from archwright.agents.model.transports import Transports
from archwright.agents.state import State, first_state
from archwright.agents.team import Clock
from archwright.brief import Brief, parse_brief
from archwright.conclusion import Ending, conclude
from archwright.control import PROCESS_FILE, note_process, stop_on_signal
from archwright.errors import RunError, RunStopped, RunWaits
from archwright.events import Event, EventLog
from archwright.home import memory_folder, registry_file, runs_folder, supernet_cache
from archwright.memory.archive import ARCHIVE_FILE, Archive
from archwright.memory.registry import Registry, RunStatus
from archwright.progress import Progress
from archwright.promotion import WEIGHTS_FOLDER, epochs_of, promote
from archwright.result import RunResult
from archwright.settings import Settings
from archwright.team import assemble
from archwright.workbench import (
    Bench,
    bounds_from_plain,
    bounds_to_plain,
    prepare,
    train_or_load,
)

if TYPE_CHECKING:
    from archwright.evaluators.supernet import TrainingProgress

BRIEF_FILE = "brief.toml"
CHECKPOINT_FILE = "checkpoint.db"
EVENTS_FILE = "events.jsonl"


@dataclass(frozen=True)
class Options:
    """How a run is worked on, beside what its brief says. ``run`` is the id of a new one.

    ``record`` and ``replay`` are transcripts of what its models are asked: one to write, or one
    to answer from. They hold for the whole run: a resumed one goes on with its own.
    """

    with_baseline: bool = True
    workers: int = 2
    run: str | None = None
    record: Path | None = None
    replay: Path | None = None


@dataclass(frozen=True)
class Finished:
    """A run that has come to its end: its result, and the folder with its files."""

    result: RunResult
    folder: Path


def start_run(
    brief: Brief, settings: Settings, progress: Progress, folder: Path | None, options: Options
) -> Finished:
    """Begin a search in ``folder`` (made; default: the home's runs folder) and finish it.

    Everything that can be wrong with the brief is found before anything is written.
    Raises :class:`RunError` when the folder holds something already.
    """
    transports = Transports(settings, brief.models.values(), options.record, options.replay)
    bench = prepare(brief, None)
    run = options.run or new_run_id(brief)
    folder = (folder or runs_folder() / run).absolute()
    if folder.exists() and (not folder.is_dir() or any(_content(folder))):
        raise RunError(f"{folder}: is there already; resume its run, or name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_brief(brief, folder / BRIEF_FILE)
    return _work(run, folder, brief, bench, transports, progress, options)


def new_run_id(brief: Brief) -> str:
    """The brief's name, the time in UTC and four random digits."""
    return f"{brief.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _content(folder: Path) -> list[Path]:
    """What a folder holds beside the note of the process that is about to begin there."""
    return [path for path in folder.iterdir() if not path.name.startswith(PROCESS_FILE)]


def resume_run(run: str, settings: Settings, progress: Progress, options: Options) -> Finished:
    """Go on with a run where it was left, by its id or the beginning of it."""
    with Registry(registry_file()) as registry:
        entry = registry.find(run)
    if entry.status is RunStatus.MISSING:
        raise RunError(f"run {entry.run}: its folder {entry.folder} is gone")
    with Archive(entry.folder / ARCHIVE_FILE) as archive:
        table, bounds = archive.meta(entry.run, "brief"), archive.meta(entry.run, "bounds")
        digest = archive.meta(entry.run, "data_digest")
        transcripts = archive.meta(entry.run, "transcripts") or {}
    if table is None or bounds is None:
        table = tomllib.loads((entry.folder / BRIEF_FILE).read_text(encoding="utf-8"))
    brief = parse_brief(table, f"{entry.run}/{BRIEF_FILE}")
    record, replay = (
        Path(path) if (path := transcripts.get(option)) else None for option in ("record", "replay")
    )
    transports = Transports(settings, brief.models.values(), record, replay, goes_on=True)
    bench = prepare(brief, None if bounds is None else bounds_from_plain(bounds))
    if digest is not None and digest != bench.data.digest:
        raise RunError(
            f"run {entry.run}: task.data = {brief.task.data!r}: is not what it was when the run "
            "began; a run can only go on with the same images"
        )
    return _work(entry.run, entry.folder, brief, bench, transports, progress, options)


def rebuild_report(run: str, settings: Settings, progress: Progress, options: Options) -> Finished:
    """Conclude a finished run again: nothing that its archive holds is measured again.

    Raises :class:`RunError` for a run whose front is not frozen yet.
    """
    with Registry(registry_file()) as registry:
        entry = registry.find(run)
    if entry.status is not RunStatus.FINISHED:
        raise RunError(
            f"run {entry.run}: is {entry.status.value}, so its front is not frozen; "
            f"finish it: archwright resume {entry.run}"
        )
    return resume_run(entry.run, settings, progress, options)


def write_brief(brief: Brief, path: Path) -> None:
    """The brief as TOML, whole: defaults included."""
    import tomli_w

    path.write_text(tomli_w.dumps(brief_table(brief)), encoding="utf-8")


def brief_table(brief: Brief) -> dict[str, Any]:
    """The brief as plain values, without what is not set."""
    table: dict[str, Any] = brief.model_dump(mode="json", exclude_none=True)
    return table


def _work(
    run: str,
    folder: Path,
    brief: Brief,
    bench: Bench,
    transports: Transports,
    progress: Progress,
    options: Options,
) -> Finished:
    """Train, search, conclude, report; the folder is this process's while it works."""
    with ExitStack() as held:
        held.enter_context(_only_process(run, folder))
        note_process(folder, os.getpid())
        stopping = held.enter_context(stop_on_signal())
        registry = held.enter_context(Registry(registry_file()))
        registry.register(run, folder, brief.name)
        registry.set_status(run, RunStatus.RUNNING)
        archive = held.enter_context(Archive(folder / ARCHIVE_FILE))
        events = EventLog(folder / EVENTS_FILE, progress)
        held.enter_context(progress)
        try:
            result = _search_and_conclude(
                run, folder, brief, bench, transports, registry, archive, events, options, stopping
            )
        except RunWaits:
            registry.set_status(run, RunStatus.WAITING)
            raise
        except BaseException as error:
            asked_to = isinstance(error, KeyboardInterrupt | SystemExit | RunStopped)
            registry.set_status(run, RunStatus.STOPPED if asked_to else RunStatus.FAILED)
            raise
        stopped = result.stopped == STOPPED_BY_USER
        registry.set_status(run, RunStatus.STOPPED if stopped else RunStatus.FINISHED)
        return Finished(result, folder)


def _search_and_conclude(
    run: str,
    folder: Path,
    brief: Brief,
    bench: Bench,
    transports: Transports,
    registry: Registry,
    archive: Archive,
    events: EventLog,
    options: Options,
    stopping: Callable[[], bool],
) -> RunResult:
    from archwright.memory.recall import DesignMemory
    from archwright.report.html import write_html
    from archwright.report.markdown import write_markdown
    from archwright.report.table import write_front_csv

    created = datetime.now(UTC).isoformat(timespec="seconds")
    created = archive.set_meta(run, "created", created)
    archive.set_meta(run, "brief", brief_table(brief))
    archive.set_meta(run, "data_digest", bench.data.digest)
    archive.set_meta(run, "transcripts", transports.paths)
    with_baseline = archive.set_meta(run, "with_baseline", options.with_baseline)
    archive.set_meta(run, "bounds", bounds_to_plain(bench.problem.score.bounds))
    bench.data.splits.save(folder / "splits.npz")
    events.record(
        Event(
            "part",
            label="begin",
            data={
                "run": run,
                "part": "training the supernet",
                "evaluations": brief.budget.evaluations,
            },
        )
    )
    began = time.monotonic()

    def show_epoch(epoch: TrainingProgress) -> None:
        events.show(_epoch(epoch))
        if stopping():
            raise RunStopped(f"run {run}: stopped while its supernet was training; resume goes on")

    checkpoint = train_or_load(brief, bench.data, supernet_cache(), show_epoch)
    trained = archive.set_meta(run, "training_seconds", time.monotonic() - began)
    archive.set_meta(run, "checkpoint", checkpoint.digest)
    memory = DesignMemory(memory_folder(), registry)
    with ExitStack() as held:
        saver = held.enter_context(_checkpoints(folder / CHECKPOINT_FILE))
        config = {"configurable": {"thread_id": run}, "recursion_limit": 1_000_000}
        before = _saved_state(saver, config)
        accuracy = held.enter_context(bench.accuracy(checkpoint, "validation", options.workers))
        team = assemble(
            run,
            brief,
            bench,
            transports,
            registry,
            memory,
            archive,
            events,
            accuracy,
            Clock(before.get("seconds", 0.0), began),
            Spent(**before.get("spent", {})),
            stopping,
        )
        app = build_graph(team).compile(checkpointer=saver)
        if before.get("stop") == STOPPED_BY_USER:  # go on from where the user stopped it
            node = "approval" if before["unfinished"] else "lessons"
            app.update_state(config, {"stop": "", "unfinished": False}, as_node=node)
        for _ in app.stream(None if before else first_state(), config, durability="sync"):
            pass
        state: State = app.get_state(config).values
        if not state["stop"]:
            raise RunWaits(f"run {run}: proposed designs wait for your word: archwright chat")
        by_user = state["stop"] == STOPPED_BY_USER
        searched = max(state["seconds"] - trained, 0.0)
        parts = {"training": trained, "search": searched}
        step = state["step"] + state["unfinished"]  # a round cut short counts with what it has
        training = partial(bench.further_training, checkpoint, folder / WEIGHTS_FOLDER)
        promotion = None if by_user else promote(team, bench, training, step, options.workers)
        by_user = by_user or stopping()
        ending = Ending(step, STOPPED_BY_USER if by_user else state["stop"], created, parts)
        with bench.accuracy(checkpoint, "test", options.workers) as test:
            result = conclude(
                team, bench, test, ending, promotion, with_baseline=with_baseline and not by_user
            )
    events.show(Event("part", data={"part": "writing", "detail": "report and best design"}))
    if result.best is not None:
        from archwright.delivery import deliver

        best = result.best
        epochs = epochs_of(best.design, promotion)
        trained = training(epochs) if epochs else None
        deliver(best.design, bench, checkpoint, folder / "best", best.accuracy_test, trained)
    write_front_csv(result, folder / "front.csv")
    write_markdown(result, folder / "report.md")
    write_html(result, folder / "report.html")
    memory.sync()
    events.record(
        Event(
            "part",
            label="end",
            data={
                "part": "finished",
                "detail": result.stopped,
                "hypervolume": result.hypervolume,
                "seconds_left": 0.0,
            },
        )
    )
    return result


def _epoch(progress: TrainingProgress) -> Event:
    detail = f"epoch {progress.epoch} of {progress.epochs}, loss {progress.loss:.3f}"
    return Event("training", data={"detail": detail, "seconds_left": progress.seconds_left})


@contextmanager
def _only_process(run: str, folder: Path) -> Iterator[None]:
    """Hold the run's folder. Raises :class:`RunError` when another process does."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout:
        raise RunError(f"run {run}: another process works on it") from None


@contextmanager
def _checkpoints(path: Path) -> Iterator[Any]:
    """LangGraph's checkpoints. A damaged file is put aside: the archive holds all results."""
    import sqlite3

    from langgraph.checkpoint.sqlite import SqliteSaver

    try:
        with sqlite3.connect(path) as connection:
            damaged = connection.execute("PRAGMA quick_check").fetchone() != ("ok",)
        connection.close()
    except sqlite3.DatabaseError:
        damaged = True
    if damaged:
        path.replace(path.with_suffix(".damaged"))
        for leftover in ("-wal", "-shm"):
            path.with_name(path.name + leftover).unlink(missing_ok=True)
    with SqliteSaver.from_conn_string(str(path)) as saver:
        yield saver


def _saved_state(saver: Any, config: Any) -> dict[str, Any]:
    """The graph's state at its last checkpoint; empty when there is none."""
    saved = saver.get_tuple(config)
    return {} if saved is None else dict(saved.checkpoint["channel_values"])
