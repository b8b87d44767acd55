from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from archwright.errors import MeasurementFailed, RunError
from archwright.measurement import Failure, Fidelity, Outcome
from archwright.memory.archive import Archive
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import Review, Role, Verdict

RUN = "run"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "archive.db"


@pytest.fixture
def archive(file: Path) -> Iterator[Archive]:
    with Archive(file) as opened:
        yield opened


def everything(file: Path) -> dict[str, list[tuple]]:
    """All rows of all tables, as they are in the file."""
    with sqlite3.connect(file) as connection:
        names = [
            n for (n,) in connection.execute("select name from sqlite_master where type='table'")
        ]
        return {
            name: sorted(connection.execute(f"select * from {name}"), key=repr) for name in names
        }


def fill(archive: Archive, make) -> None:
    """One of everything that a step writes."""
    designs = [make.design(depth, 8) for depth in (1, 2, 3)]
    fixed = make.design(9, 8)
    archive.set_meta(RUN, "bounds", [1, 2])
    archive.add_proposals(RUN, 1, 0, designs)
    archive.review(
        RUN,
        1,
        0,
        [
            Review(0, Verdict.ACCEPT, "fits"),
            Review(1, Verdict.REPAIR, "bits", fixed),
            Review(2, Verdict.REJECT, "too large"),
        ],
    )
    failed = Outcome(failure=Failure(fixed.network_key, "supernet", "out of memory"))
    archive.record(
        RUN, 1, [designs[0], fixed], [make.judged(designs[0], 0.8, latency_ms=2), failed]
    )
    archive.add_workloads({designs[0].network_key: make.workload(1)})
    archive.freeze_recall(RUN, 1, lambda: [{"design": "x"}])


def test_writing_everything_twice_is_writing_it_once(archive: Archive, file: Path, make) -> None:
    fill(archive, make)
    once = everything(file)
    fill(archive, make)
    assert everything(file) == once
    assert all(once[table] for table in set(once) - {"lessons"})


def test_what_was_written_comes_back(archive: Archive, make) -> None:
    fill(archive, make)
    accepted, repaired, rejected = archive.proposals(RUN, 1)
    assert accepted.design == make.design(1, 8)
    assert accepted.design.origin == make.design(1, 8).origin
    assert accepted.review == Review(0, Verdict.ACCEPT, "fits")
    assert repaired.review.replacement == make.design(9, 8)
    assert rejected.review.verdict is Verdict.REJECT
    assert archive.rejections(RUN) == {"too large": 1}
    [evaluated] = archive.evaluated_networks(RUN)
    assert evaluated.network == make.design(1, 8).network
    assert evaluated.design == make.design(1, 8).key
    assert evaluated.accuracy == make.accuracy(make.design(1, 8), 0.8)
    [failure] = archive.failures(RUN)
    assert (failure.reason, failure.step) == ("out of memory", 1)
    assert archive.workload(evaluated.network_key) == make.workload(1)
    assert archive.design(RUN, make.design(9, 8).key) == make.design(9, 8)
    assert archive.measurements_of(make.design(1, 8).key) == [
        make.cost(make.design(1, 8), "latency_ms", 2)
    ]


def test_points_keep_their_types_so_that_keys_stay(archive: Archive, make) -> None:
    archive.add_proposals(RUN, 0, 0, [make.design(1, 8)])
    [proposal] = archive.proposals(RUN)
    assert proposal.design.key == make.design(1, 8).key


def test_the_first_writer_wins(archive: Archive, make) -> None:
    design = make.design(1, 8)
    assert archive.set_meta(RUN, "name", "first") == "first"
    assert archive.set_meta(RUN, "name", "second") == "first"
    archive.record(RUN, 1, [design], [make.judged(design, 0.8)])
    archive.record(RUN, 2, [make.design(1, 8, "late")], [make.judged(design, 0.3)])
    [evaluated] = archive.evaluated_networks(RUN)
    assert (evaluated.accuracy.value, evaluated.step) == (0.8, 1)
    assert archive.design(RUN, design.key).origin.proposer == "rules/test"
    archive.add_proposals(RUN, 1, 0, [design])
    archive.review(RUN, 1, 0, [Review(0, Verdict.ACCEPT, "first")])
    archive.review(RUN, 1, 0, [Review(0, Verdict.REJECT, "second")])
    assert archive.proposals(RUN, 1)[0].review.reason == "first"


def test_a_recall_is_computed_once(archive: Archive) -> None:
    assert archive.freeze_recall(RUN, 3, lambda: [1]) == [1]
    assert archive.freeze_recall(RUN, 3, lambda: pytest.fail("computed again")) == [1]
    assert archive.freeze_recall(RUN, 4, list) == []
    assert archive.freeze_recall(RUN, 4, lambda: [2]) == []


def test_order_is_that_of_proposals_not_of_arrival(archive: Archive, make) -> None:
    designs = [make.design(depth, 8) for depth in range(1, 7)]
    for step, position in [(2, 1), (1, 2), (2, 0), (1, 0), (1, 1)]:
        design = designs[3 * (step - 1) + position]
        archive.record(RUN, step, [design], [make.judged(design, 0.5)], position=position)
    depths = [e.network["depth"] for e in archive.evaluated_networks(RUN)]
    assert depths == [1, 2, 3, 4, 5]
    assert [d.network["depth"] for d in archive.designs(RUN).designs] == depths


def test_a_step_sees_only_earlier_steps(archive: Archive, make) -> None:
    for step in (1, 2, 3):
        design = make.design(step, 8)
        failed = Outcome(failure=Failure(f"subject{step}", "supernet", "no"))
        archive.add_proposals(RUN, step, 0, [design])
        archive.review(RUN, step, 0, [Review(0, Verdict.REJECT, "large")])
        archive.record(RUN, step, [design], [make.judged(design, 0.5)])
        archive.record(RUN, step, [make.design(step, 16)], [failed], position=1)
    assert len(archive.proposals(RUN, before_step=3)) == 2
    assert archive.rejections(RUN, before_step=3) == {"large": 2}
    assert [e.step for e in archive.evaluated_networks(RUN, before_step=3)] == [1, 2]
    assert archive.recorded_evaluations(RUN, before_step=3) == 2
    assert [f.step for f in archive.failures(RUN, before_step=3)] == [1, 2]
    assert archive.designs(RUN, before_step=3).steps.tolist() == [1, 1, 2, 2]
    assert archive.designs(RUN, before_step=1).designs == ()


def test_values_of_designs_join_costs_and_the_networks_accuracy(archive: Archive, make) -> None:
    measured, paired, failed = make.design(1, 8), make.design(1, 16, "pairing"), make.design(2, 8)
    archive.record(RUN, 1, [measured], [make.judged(measured, 0.8, latency_ms=2)])
    archive.record(
        RUN,
        1,
        [paired, failed],
        [
            Outcome((make.cost(paired, "latency_ms", math.inf),)),
            Outcome(failure=Failure(failed.network_key, "supernet", "no")),
        ],
        position=1,
    )
    table = archive.designs(RUN, ("accuracy", "latency_ms"))
    assert table.designs == (measured, paired, failed)
    np.testing.assert_array_equal(table.values["accuracy"], [0.8, 0.8, np.nan])
    np.testing.assert_array_equal(table.values["latency_ms"], [2, np.inf, np.nan])


def test_the_search_never_reads_the_baseline_or_the_test_split(archive: Archive, make) -> None:
    mine, theirs = make.design(1, 8), make.design(2, 8)
    archive.record(RUN, 1, [mine], [make.judged(mine, 0.8, latency_ms=2)])
    archive.record(RUN, 1, [theirs], [make.judged(theirs, 0.9, latency_ms=1)], role=Role.BASELINE)
    test = Outcome((make.accuracy(mine, 0.7, context="digits test"),))
    archive.record(RUN, 9, [mine], [test], role=Role.TEST)
    assert [e.accuracy.value for e in archive.evaluated_networks(RUN)] == [0.8]
    assert archive.designs(RUN).designs == (mine,)
    assert archive.recorded_evaluations(RUN) == 1
    assert archive.evaluated_networks(RUN, role=Role.BASELINE)[0].accuracy.value == 0.9
    assert archive.evaluated_networks(RUN, role=Role.TEST)[0].accuracy.value == 0.7
    assert archive.designs(RUN, ("accuracy",)).values["accuracy"].tolist() == [0.8]


def test_a_measurement_that_is_found_costs_nothing(archive: Archive, make) -> None:
    design = make.design(1, 8)
    archive.record("earlier", 5, [design], [make.judged(design, 0.8)])
    instrument = {"evaluator": "supernet", "version": "1", "fidelity": "supernet"}
    found = archive.measurement(design.network_key, "accuracy", **instrument, context="digits")
    assert found == make.accuracy(design, 0.8)
    archive.record(RUN, 1, [design], [Outcome((found,))])
    assert archive.recorded_evaluations(RUN) == 0
    assert archive.recorded_evaluations("earlier") == 1
    assert [e.step for e in archive.evaluated_networks(RUN)] == [1]
    assert archive.measurement(design.network_key, "accuracy", context="other") is None


def test_fidelities_and_contexts_stand_beside_each_other(archive: Archive, make) -> None:
    design = make.design(1, 8)
    for step, value, fidelity in [(1, 0.8, Fidelity.SUPERNET), (2, 0.9, Fidelity.TRAINED)]:
        archive.record(RUN, step, [design], [Outcome((make.accuracy(design, value, fidelity),))])
    assert [e.accuracy.value for e in archive.evaluated_networks(RUN)] == [0.8, 0.9]
    [trained] = archive.evaluated_networks(RUN, fidelity=Fidelity.TRAINED)
    assert trained.accuracy.value == 0.9
    assert archive.evaluated_networks(RUN, before_step=2, fidelity=Fidelity.TRAINED) == []
    assert archive.designs(RUN, ("accuracy",)).values["accuracy"].tolist() == [0.8]
    assert archive.recorded_evaluations(RUN) == 2


@pytest.mark.parametrize(
    ("field", "number"),
    [("value", math.nan), ("value", math.inf), ("value", -0.1), ("value", 1.5), ("low", -math.inf)],
)
def test_an_accuracy_is_a_share_or_nothing_is_written(
    archive: Archive, make, field: str, number: float
) -> None:
    good, bad = make.design(1, 8), make.design(2, 8)
    wrong = Outcome((replace(make.accuracy(bad, 0.5), **{field: number}),))
    with pytest.raises(MeasurementFailed, match="accuracy of"):
        archive.record(RUN, 1, [good, bad], [make.judged(good, 0.5), wrong])
    assert archive.evaluated_networks(RUN) == []
    assert archive.designs(RUN).designs == ()


def test_several_threads_write_and_read(archive: Archive, make) -> None:
    def work(thread: int) -> None:
        for i in range(10):
            design = make.design(100 * thread + i, 8)
            archive.record(RUN, i, [design], [make.judged(design, 0.5)], position=thread)
            archive.evaluated_networks(RUN)

    threads = [Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert archive.recorded_evaluations(RUN) == 40


def test_a_closed_archive_opens_again(file: Path, make) -> None:
    with Archive(file) as archive:
        archive.set_meta(RUN, "name", {"a": 1})
    with Archive(f"sqlite:///{file}") as archive:
        assert archive.meta(RUN, "name") == {"a": 1}
    with ArchiveReader(file) as reader:
        assert reader.meta(RUN, "name") == {"a": 1}
        assert reader.meta(RUN, "nothing") is None


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError), ArchiveReader(tmp_path / "none.db") as reader:
        reader.meta(RUN, "name")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["garbage", "truncated", "holes", "other tables"])
def test_a_damaged_archive_is_one_line(file: Path, make, damage: str) -> None:
    with Archive(file) as archive:
        for step in range(50):
            design = make.design(step, 8)
            archive.record(RUN, step, [design], [make.judged(design, 0.5, latency_ms=1)])
    content = file.read_bytes()
    if damage == "garbage":
        file.write_bytes(b"not a database" * 1000)
    elif damage == "truncated":
        file.write_bytes(content[: len(content) // 3])
    elif damage == "holes":
        file.write_bytes(content[:4096] + bytes(len(content) - 4096))
    else:
        file.unlink()
        with sqlite3.connect(file) as connection:
            connection.execute("create table considered (run text)")
    with pytest.raises(RunError) as error, Archive(file) as archive:
        archive.designs(RUN, ("accuracy", "latency_ms"))
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_row_that_makes_no_sense_is_one_line(archive: Archive, file: Path, make) -> None:
    archive.add_proposals(RUN, 0, 0, [make.design(1, 8)])
    with sqlite3.connect(file) as connection:
        connection.execute("update points set point = '[1, 2'")
    with pytest.raises(RunError, match="damaged row"):
        archive.proposals(RUN)


@pytest.mark.parametrize("url", ["mysql://host/db", "sqlite://", "://", "nothing://x"])
def test_a_database_that_cannot_be_used_is_one_line(url: str) -> None:
    with pytest.raises(RunError):
        Archive(url)


def test_a_password_is_not_shown() -> None:
    with pytest.raises(RunError) as error:
        Archive("mysql://user:secret@host/db")
    assert "secret" not in str(error.value)
