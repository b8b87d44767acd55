"""The vector index: a Chroma folder that may be deleted or damaged at any time.

Chroma allows one process per folder, and a damaged file can end the process that reads
it. So every use is a session: it holds a lock, checks the folder against a manifest of
checksums, and writes the manifest anew at its end. A folder that does not match (deleted,
damaged, a writer that was killed) is thrown away; the archives fill it again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from archwright.errors import ArchwrightError
from archwright.memory.embedding import VERSION

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

LOCK_SECONDS = 30.0
"""How long a session waits for another process's."""
MOST_TIES = 4096

_COLLECTION = "designs"
_MANIFEST = "manifest.json"


class IndexDamaged(ArchwrightError):
    """The index cannot be used; it has to be thrown away."""


class IndexBusy(ArchwrightError):
    """Another process holds the index for too long."""


@dataclass(frozen=True)
class Entry:
    """One indexed thing: its vector, and a text that comes back with it."""

    vector: Sequence[float]
    record: str


@dataclass(frozen=True)
class Hit:
    """An entry found by a query, with the inner product of the two vectors."""

    run: str
    key: str
    record: str
    similarity: float


class OpenIndex:
    """An index within a session. ``indexed`` maps each run to what was indexed of it."""

    def __init__(self, client: ClientAPI, indexed: dict[str, str]) -> None:
        self.indexed = indexed
        self._most = int(client.get_max_batch_size())
        self._collection: Collection = client.get_or_create_collection(
            _COLLECTION, embedding_function=None, configuration={"hnsw": {"space": "ip"}}
        )

    def replace(self, run: str, entries: Mapping[str, Entry], fingerprint: str | None) -> None:
        """Make ``entries`` all that is indexed of a run; without fingerprint, forget the run."""
        with _damage():
            present = self._collection.get(include=[])["ids"] if run in self.indexed else []
            wanted = {f"{run}:{key}": entry for key, entry in entries.items()}
            gone = [i for i in present if i.startswith(f"{run}:") and i not in wanted]
            for ids in _chunks(gone, self._most):
                self._collection.delete(ids=ids)
            for ids in _chunks(sorted(wanted), self._most):
                self._collection.upsert(
                    ids=ids,
                    embeddings=np.array([wanted[i].vector for i in ids], np.float32),
                    metadatas=[{"record": wanted[i].record, "run": run} for i in ids],
                )
        self.indexed.pop(run, None)
        if fingerprint is not None:
            self.indexed[run] = fingerprint

    def query(self, vector: Sequence[float], n: int, exclude_run: str | None) -> list[Hit]:
        """At least ``n`` entries nearest to ``vector`` where there are so many, best first.

        All that tie with the last of them are asked for too (up to :data:`MOST_TIES`), so
        that ties go by run and key and not by the order in which the index was built.
        Entries of ``exclude_run`` are taken out afterwards: a filter inside Chroma is a
        hundred times slower.
        """
        with _damage():
            count = self._collection.count()
            asked = min(n, count)
            while asked:
                found = self._ask(vector, asked)
                hits = [hit for hit in found if hit.run != exclude_run]
                beyond_ties = len(hits) > n and hits[-1].similarity < hits[n - 1].similarity
                if asked == count or beyond_ties or (len(hits) >= n and asked >= MOST_TIES):
                    return hits
                asked = min(4 * asked, count)
        return []

    def nearest_runs(
        self, vector: Sequence[float], n: int, exclude_run: str | None
    ) -> dict[str, float]:
        """The ``n`` runs with the nearest entries, best first, and how near those are."""
        wanted = 64
        while True:
            hits = self.query(vector, wanted, exclude_run)
            nearest: dict[str, float] = {}
            for hit in hits:
                nearest.setdefault(hit.run, hit.similarity)
            if len(nearest) >= n or len(hits) < wanted:
                return dict(list(nearest.items())[:n])
            wanted = 4 * len(hits)

    def records(self, run: str, most: int) -> list[str]:
        """The texts that were indexed with a run's entries, at most ``most``, by key."""
        with _damage():
            found: Any = self._collection.get(where={"run": run}, limit=most, include=["metadatas"])
        named = zip(found["ids"], found["metadatas"], strict=True)
        return [str(metadata["record"]) for _, metadata in sorted(named, key=lambda it: it[0])]

    def _ask(self, vector: Sequence[float], n: int) -> list[Hit]:
        answer: Any = self._collection.query(
            query_embeddings=np.array([vector], np.float32),
            n_results=n,
            include=["metadatas", "distances"],
        )
        hits = []
        for name, metadata, distance in zip(
            answer["ids"][0], answer["metadatas"][0], answer["distances"][0], strict=True
        ):
            run, _, key = name.partition(":")
            # The distance of the inner-product space is 1 - product, in single precision.
            hits.append(Hit(run, key, str(metadata["record"]), round(1.0 - distance, 6)))
        return sorted(hits, key=lambda hit: (-hit.similarity, hit.run, hit.key))


class DesignIndex:
    """The index below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "chroma"
        self._lock_file = folder / "chroma.lock"

    @contextmanager
    def session(self) -> Iterator[OpenIndex]:
        """The index, for this process alone.

        Raises :class:`IndexBusy` after ``LOCK_SECONDS``, :class:`IndexDamaged` when Chroma
        fails; the next session then starts with an empty index.
        """
        import filelock

        try:
            with filelock.FileLock(self._lock_file, timeout=LOCK_SECONDS):
                indexed = self._checked()
                (self._folder / _MANIFEST).unlink(missing_ok=True)
                with _chroma(self._folder) as client:
                    with _damage():
                        index = OpenIndex(client, indexed)
                    yield index
                self._seal(index.indexed)
        except filelock.Timeout:
            raise IndexBusy(f"the memory is in use for more than {LOCK_SECONDS:.0f} s") from None
        except OSError as error:
            raise IndexDamaged(f"{self._folder}: {error.strerror or error}") from None

    def _checked(self) -> dict[str, str]:
        """What is indexed, if the folder is whole; else an empty folder, and nothing."""
        try:
            manifest = json.loads((self._folder / _MANIFEST).read_text(encoding="utf-8"))
            whole = manifest["version"] == VERSION and manifest["files"] == self._checksums()
            indexed = {str(run): str(mark) for run, mark in manifest["indexed"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if whole:
            return indexed
        if self._folder.is_dir() and not self._folder.is_symlink():
            shutil.rmtree(self._folder)
        else:
            self._folder.unlink(missing_ok=True)
        self._folder.mkdir(parents=True)
        return {}

    def _seal(self, indexed: Mapping[str, str]) -> None:
        manifest = {"version": VERSION, "files": self._checksums(), "indexed": dict(indexed)}
        draft = self._folder / f"{_MANIFEST}.new"
        draft.write_text(json.dumps(manifest), encoding="utf-8")
        draft.replace(self._folder / _MANIFEST)

    def _checksums(self) -> dict[str, str]:
        checksums = {}
        for path in sorted(self._folder.rglob("*")):
            if path.is_file() and not path.name.startswith(_MANIFEST):
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "blake2b").hexdigest()
                checksums[path.relative_to(self._folder).as_posix()] = digest
        return checksums


@contextmanager
def _chroma(folder: Path) -> Iterator[ClientAPI]:
    """A client that is closed at the end, so that the next one sees the folder afresh."""
    # Chroma warns through logging, which would reach the user's terminal.
    logging.getLogger("chromadb").setLevel(logging.CRITICAL)
    with _damage():
        import chromadb
        from chromadb.config import Settings

        # No telemetry, and no settings from an .env file that happens to lie around.
        settings = Settings(anonymized_telemetry=False, _env_file=None)
        client = chromadb.PersistentClient(path=str(folder), settings=settings)
    try:
        yield client
    finally:
        with _damage():
            client.close()  # type: ignore[attr-defined]


@contextmanager
def _damage() -> Iterator[None]:
    """Turn whatever Chroma throws into IndexDamaged; its Rust panics are BaseExceptions."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic is neither Exception nor documented
        raise IndexDamaged(f"the memory's index: {str(error)[:200]}") from None


def _chunks(names: Sequence[str], most: int) -> Iterator[list[str]]:
    remaining = iter(names)
    while chunk := list(islice(remaining, most)):
        yield chunk
