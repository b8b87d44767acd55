"""How model profiles are reached: endpoints, endpoints that are recorded, or a transcript.

The one place where ``--record`` and ``--replay`` become transports, for runs and benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from archwright.agents.model.abilities import kept_abilities
from archwright.agents.model.endpoint import Endpoint, Transport
from archwright.agents.model.recording import RecordingTransport, ReplayTransport
from archwright.agents.model.transcript import (
    Found,
    Recalled,
    RecordedModel,
    Recorder,
    Transcript,
    read_transcript,
)
from archwright.errors import UserError
from archwright.settings import Profile, Settings

Plain = Mapping[str, Any]
"""What an endpoint can do, as plain values."""


def _kept(profile: Profile) -> Plain | None:
    """What is known of an endpoint from earlier runs."""
    known = kept_abilities(profile)
    return None if known is None else known.to_plain()


class Transports:
    """Transports to the profiles ``names``, one each: all asks of a run or benchmark share them.

    ``record`` and ``replay`` are paths of transcripts, at most one of the two; ``goes_on`` lets
    a resumed run append to its own. ``known`` says what is known of an endpoint's abilities
    before it is asked.

    Everything that can be wrong is found here, before anything is written or sent. Raises
    :class:`UserError`, one line: an unknown profile, a transcript that cannot be read or does
    not hold one, a file to record to that is there already.
    """

    def __init__(
        self,
        settings: Settings,
        names: Iterable[str],
        record: Path | None = None,
        replay: Path | None = None,
        *,
        goes_on: bool = False,
        known: Callable[[Profile], Plain | None] = _kept,
    ) -> None:
        self.record = None if record is None else record.absolute()
        self.replay = None if replay is None else replay.absolute()
        wanted = list(dict.fromkeys(names))
        if record is not None and replay is not None:
            raise UserError("--record and --replay exclude each other: give one of them")
        if not wanted and (record or replay):
            option = "--record" if record else "--replay"
            raise UserError(
                f"{option} {record or replay}: no models: name who answers a role in the brief's "
                "[models]"
            )
        self._transcript: Transcript | None = None
        self._recorder: Recorder | None = None
        if replay is not None:
            self._transcript = read_transcript(replay)
            self._models = _held(self._transcript, wanted)
        else:
            profiles = {name: settings.profile(name) for name in wanted}
            self._models = {
                name: RecordedModel(profile=profile, abilities=_plain(known(profile)))
                for name, profile in profiles.items()
            }
        if record is not None:
            _check_new(record, goes_on)
            self._recorder = Recorder(record.absolute(), self._models, goes_on=goes_on)
        self._made: dict[str, Transport] = {}

    @property
    def paths(self) -> dict[str, str]:
        """The transcripts' absolute paths by option, as plain values."""
        paths = {"record": self.record, "replay": self.replay}
        return {option: str(path) for option, path in paths.items() if path is not None}

    def of(self, name: str) -> Transport:
        """The transport to a profile; the same one each time."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def abilities(self, name: str) -> Plain | None:
        """What was known of the endpoint's abilities when asking began, now or in the record.

        None: nothing. Where they are then found out through the transport, a replay finds them
        in the same way.
        """
        return self._models[name].abilities

    def found(self, name: str, abilities: Plain) -> None:
        """Record abilities that were found out by other requests than the transport's."""
        if self._recorder is not None:
            self._recorder.write(Found(model=name, abilities=dict(abilities)))

    def recalled(
        self, recall: Callable[[], tuple[list[Any], tuple[str, ...]]]
    ) -> tuple[list[Any], tuple[str, ...]]:
        """What a run recalls of other runs, and why some of those could not be read.

        Recorded and replayed with what models answered: it is part of what they are asked, and
        a home holds other runs at a replay, the recorded one first of all.
        """
        if self._transcript is not None and self._transcript.recalled is not None:
            there = self._transcript.recalled
            return there.content, tuple(there.skipped)
        content, skipped = recall()
        if self._recorder is not None:
            self._recorder.write(Recalled(content=content, skipped=list(skipped)))
        return content, skipped

    def _make(self, name: str) -> Transport:
        if self._transcript is not None:
            return ReplayTransport(name, self._models[name].profile, self._transcript.exchanges)
        endpoint = Endpoint(self._models[name].profile)
        if self._recorder is None:
            return endpoint
        return RecordingTransport(name, endpoint, self._recorder)


def _held(transcript: Transcript, names: Iterable[str]) -> dict[str, RecordedModel]:
    """The models of a transcript that are wanted."""
    for name in names:
        if name not in transcript.models:
            allowed = ", ".join(transcript.models)
            raise UserError(f"{transcript.path}: models = {name!r}: not in it; allowed {allowed}")
    held = {name: transcript.models[name] for name in names}
    unlocked = {"key_variable": None}  # no file names a variable of this machine
    return {
        name: model.model_copy(update={"profile": model.profile.model_copy(update=unlocked)})
        for name, model in held.items()
    }


def _check_new(path: Path, goes_on: bool) -> None:
    """Whether a transcript can be begun, or gone on with."""
    if not path.parent.is_dir():
        raise UserError(f"--record {path}: no such folder: {path.parent}")
    if path.exists():
        if not goes_on:
            raise UserError(f"--record {path}: is there already; name another file")
        read_transcript(path)


def _plain(abilities: Plain | None) -> dict[str, Any] | None:
    return None if abilities is None else dict(abilities)
