"""The desk that tools work at on this machine: detached runs, the memory, the settings.

A run that a tool starts is a process of its own: it outlives whoever started it, is watched
through its event log, and is stopped by a signal.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archwright.agents.approval import give_word, make_word, waiting_batch
from archwright.brief import Brief, parse_brief
from archwright.control import note_process, working_process
from archwright.design import Design
from archwright.errors import RunError, SpaceError, UserError
from archwright.events import read_events
from archwright.home import home, memory_folder, registry_file, runs_folder
from archwright.measurement import Fidelity, Measurement
from archwright.memory.archive import Archive
from archwright.memory.past import archive_file
from archwright.memory.reader import ArchiveReader
from archwright.memory.recall import DesignMemory
from archwright.memory.records import Role
from archwright.memory.registry import Registry, RunEntry, RunStatus
from archwright.progress import Board
from archwright.promotion import WEIGHTS_FOLDER, archived_epochs
from archwright.run import EVENTS_FILE, new_run_id, write_brief
from archwright.settings import Settings
from archwright.space import Point
from archwright.tools.archived import ArchivedRun
from archwright.tools.desk import Desk, EstimatedAccuracies, RunState

if TYPE_CHECKING:
    from archwright.evaluators.supernet import Checkpoint
    from archwright.workbench import Bench

STOP_PATIENCE_S = 30.0


@contextmanager
def open_desk(settings: Settings, *, trusted: bool) -> Iterator[Desk]:
    """The desk over this home; closes the registry on leaving."""
    with ExitStack() as held:
        registry = held.enter_context(Registry(registry_file()))
        memory = DesignMemory(memory_folder(), registry)
        yield Desk(registry, memory, settings, LocalRuns(registry), trusted)


class LocalRuns:
    """Runs of this home, each worked on by a process of its own."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def check(self, brief: Brief) -> None:
        """Raise :class:`UserError` for what would keep a search from beginning."""
        from archwright.workbench import prepare

        prepare(brief, None)

    def start(
        self,
        brief: Brief,
        hours: float | None = None,
        folder: Path | None = None,
        transcripts: Mapping[str, str] | None = None,
    ) -> str:
        """Begin a search in a process of its own; its id at once.

        ``transcripts`` is the absolute path of one to ``record`` or to ``replay``.
        What is wrong with the brief is found before. Raises :class:`UserError`.
        """
        if hours is not None:
            budget = brief.budget.model_copy(update={"hours": hours})
            brief = brief.model_copy(update={"budget": budget})
        self.check(brief)
        run = new_run_id(brief)
        folder = (folder or runs_folder() / run).absolute()
        if folder.exists() and any(folder.iterdir()):
            raise RunError(f"{folder}: is there already; name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        wanted = home() / "briefs"
        wanted.mkdir(exist_ok=True)
        write_brief(brief, wanted / f"{run}.toml")
        self._registry.register(run, folder, brief.name)
        arguments = ["search", wanted / f"{run}.toml", "--run-dir", folder, "--run-id", run]
        options = [(f"--{option}", path) for option, path in (transcripts or {}).items()]
        self._spawn(run, folder, [*arguments, *chain.from_iterable(options)])
        return run

    def resume(self, run: str) -> str:
        """Go on with a run in a process of its own."""
        entry = self._registry.find(run)
        if entry.status is RunStatus.MISSING:
            raise RunError(f"run {entry.run}: its folder {entry.folder} is gone")
        pid = working_process(entry.folder)
        waits = entry.status is RunStatus.WAITING  # its process is about to end, or has ended
        if pid is not None and not (waits and _ended(pid)):
            raise RunError(f"run {entry.run}: another process works on it")
        self._registry.set_status(entry.run, RunStatus.RUNNING)
        self._spawn(entry.run, entry.folder, ["resume", entry.run])
        return entry.run

    def status(self, run: str) -> RunState:
        """How a run stands, from its registry entry, its process and its events."""
        entry = self._registry.find(run)
        status = self._status(entry)
        board = Board()
        events = [] if status == "missing" else read_events(entry.folder / EVENTS_FILE)
        stopped, first = "", None
        for row in events:
            board.take_row(row)
            first = row["time"] if first is None else first
            if row["kind"] == "decision" and row.get("decision") == "stop":
                stopped = str(row["reason"])
        if entry.status is RunStatus.STOPPED and not stopped:
            stopped = "stopped by the user"
        working = status == "running"
        return RunState(
            run=entry.run,
            name=entry.name,
            status=status,
            part=board.part,
            detail=board.detail,
            evaluations=board.evaluated,
            budget=board.evaluations,
            rejected=board.rejected,
            failed=board.failed,
            hypervolume=board.hypervolume,
            best=board.best,
            seconds=_span(events, working),
            seconds_left=board.seconds_left if working else None,
            stopped="" if working else stopped,
            folder=str(entry.folder),
        )

    def stop(self, run: str) -> RunState:
        """Send SIGTERM and wait for the end: the run writes its report first.

        A run that nobody works on stays as it is, unless it waits for the user: then it stops
        waiting, and asks again when it is resumed.
        """
        entry = self._registry.find(run)
        pid = working_process(entry.folder)
        if pid is not None and not _ended(pid, terminate=True):
            return self.status(entry.run)  # it has its signal, and is still writing its report
        left = self._registry.find(entry.run).status
        died = left is RunStatus.RUNNING and pid is not None  # before it could take the signal
        if died or left is RunStatus.WAITING:
            self._registry.set_status(entry.run, RunStatus.STOPPED)
        return self.status(entry.run)

    def evaluate(self, run: str, network: Point) -> Measurement:
        """Accuracy of a network on validation, with the run's supernet; kept nowhere."""
        from archwright.design import Origin
        from archwright.evaluators.supernet import SupernetEvaluator

        bench, checkpoint = self._trained(run)
        space = bench.supernet_space
        try:
            point = space.decode(space.encode([network]))[0]
        except SpaceError as error:
            raise SpaceError(f"network.{error}") from None
        with SupernetEvaluator(checkpoint, space, bench.data, "validation", workers=0) as judge:
            outcome = judge.measure([Design(point, {}, Origin("user", "asked for"))])[0]
        if outcome.failure is not None:
            raise UserError(f"network: {outcome.failure.reason}")
        return outcome.measurements[0]

    def estimate(self, run: str, networks: Sequence[Point]) -> EstimatedAccuracies:
        """Accuracies that the run's measurements let expect of networks of its space."""
        from archwright.suggestions import estimate

        entry = self._registry.find(run)
        bench = self._bench(entry)
        with _reader(entry) as archive:
            return estimate(entry.run, bench, archive, networks)

    def suggest(self, run: str, designs: int, excluded: tuple[str, ...]) -> list[Design]:
        """What the surrogate strategy would evaluate next, from what the run has measured."""
        from archwright.suggestions import suggest

        entry = self._registry.find(run)
        bench = self._bench(entry)
        with _reader(entry) as archive:
            return suggest(entry.run, bench, archive, designs, excluded)

    def export(self, run: str, design: str) -> Path:
        """Write a design's files into the run's folder, under designs/KEY."""
        from archwright.delivery import deliver

        entry = self._registry.find(run)
        bench = self._bench(entry)
        with _reader(entry) as archive:
            found = ArchivedRun(entry.run, bench.brief, archive).design(design)
            epochs = archived_epochs(archive, entry.run, bench.brief, found.network_key)
            weights = Fidelity.TRAINED if epochs else Fidelity.SUPERNET
            tested = archive.evaluated_networks(entry.run, role=Role.TEST, fidelity=weights)
        test = {network.network_key: network.accuracy for network in tested}
        bench, checkpoint = self._trained(run)
        promoted = entry.folder / WEIGHTS_FOLDER
        trained = bench.further_training(checkpoint, promoted, epochs) if epochs else None
        folder = entry.folder / "designs" / found.key
        deliver(found, bench, checkpoint, folder, test.get(found.network_key), trained)
        return folder

    def pending(self, run: str) -> list[Design]:
        """The designs that wait for the user's word; none when the run does not wait."""
        entry = self._registry.find(run)
        if entry.status is not RunStatus.WAITING:
            return []
        with _reader(entry) as archive:
            waiting = waiting_batch(archive, entry.run)
        return [] if waiting is None else waiting[2]

    def decide(
        self, run: str, rejected: Mapping[str, str], edited: Mapping[str, Design], note: str = ""
    ) -> None:
        """Give the user's word on the pending designs, and let the run go on by itself.

        Raises :class:`UserError` when nothing waits, or for a design that does not.
        """
        entry = self._registry.find(run)
        if entry.status is not RunStatus.WAITING:
            raise UserError(f"run {entry.run}: no design waits for your word")
        with Archive(archive_file(entry)) as archive:
            waiting = waiting_batch(archive, entry.run)
            if waiting is None:  # killed after the word was kept, before the run went on
                self.resume(entry.run)
                raise UserError(
                    f"run {entry.run}: had your word on these designs already; it goes on with it"
                )
            step, attempt, designs = waiting
            known = {design.key for design in designs}
            for key in (*rejected, *edited):
                if key not in known:
                    raise UserError(
                        f"design = {key!r}: does not wait; {', '.join(sorted(known))} do"
                    )
                if key in rejected and key in edited:
                    raise UserError(f"design = {key!r}: allowed rejected or edited, not both")
            give_word(archive, entry.run, step, attempt, make_word(rejected, edited, note))
        self.resume(entry.run)

    def _status(self, entry: RunEntry) -> str:
        """The registry's word, held against the process: a killed run is interrupted."""
        if working_process(entry.folder) is not None:
            return entry.status.value
        entry = self._registry.find(entry.run)  # it may have ended between the two looks
        killed = entry.status is RunStatus.RUNNING
        # Killed between the user's word and going on: nothing waits any more.
        answered = entry.status is RunStatus.WAITING and not self.pending(entry.run)
        return "interrupted" if killed or answered else entry.status.value

    def _spawn(self, run: str, folder: Path, arguments: list[Any]) -> None:
        """A process that no terminal, no parent and no signal of theirs ends."""
        logs = home() / "logs"
        logs.mkdir(exist_ok=True)
        with (logs / f"{run}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "archwright", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        note_process(folder, process.pid)

    def _bench(self, entry: RunEntry) -> Bench:
        """Data and problem of a run, as it began."""
        from archwright.workbench import bounds_from_plain, prepare

        with _reader(entry) as archive:
            table, bounds = archive.meta(entry.run, "brief"), archive.meta(entry.run, "bounds")
            digest = archive.meta(entry.run, "data_digest")
        if table is None or bounds is None:
            raise RunError(f"run {entry.run}: has not begun yet; ask again in a moment")
        bench = prepare(parse_brief(table, entry.run), bounds_from_plain(bounds))
        if digest != bench.data.digest:
            raise RunError(f"run {entry.run}: its data is not what it was when the run began")
        return bench

    def _trained(self, run: str) -> tuple[Bench, Checkpoint]:
        """Bench and supernet of a run. Raises :class:`RunError` while the supernet is training."""
        from archwright.home import supernet_cache
        from archwright.workbench import train_or_load

        entry = self._registry.find(run)
        bench = self._bench(entry)
        with _reader(entry) as archive:
            if archive.meta(entry.run, "checkpoint") is None:
                raise RunError(f"run {entry.run}: its supernet is not trained yet")
        return bench, train_or_load(bench.brief, bench.data, supernet_cache(), lambda _: None)


@contextmanager
def _reader(entry: RunEntry) -> Iterator[ArchiveReader]:
    if not archive_file(entry).is_file():
        raise RunError(f"run {entry.run}: has no archive yet; ask again in a moment")
    with ArchiveReader(archive_file(entry)) as archive:
        yield archive


def _ended(pid: int, *, terminate: bool = False) -> bool:
    """Whether a process ends within some seconds; ``terminate`` asks it to."""
    import psutil

    try:
        process = psutil.Process(pid)
        if terminate:
            process.terminate()
        process.wait(timeout=STOP_PATIENCE_S)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def _span(events: list[dict[str, Any]], working: bool) -> float:
    """Seconds from the first recorded event to the last, or to now."""
    if not events:
        return 0.0
    end = time.time() if working else float(events[-1]["time"])
    return round(max(end - float(events[0]["time"]), 0.0), 1)
