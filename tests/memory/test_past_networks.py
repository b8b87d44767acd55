"""What a past run measured: bounded, checked, and the same whenever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from archwright.errors import RunError
from archwright.measurement import Failure, Fidelity, Outcome
from archwright.memory.archive import Archive
from archwright.memory.past_networks import measured_networks
from archwright.memory.reader import ArchiveReader
from archwright.memory.records import Role
from archwright.space import Choice, Space

SPACE = Space(
    "test",
    (
        Choice("depth", tuple(range(1, 31)), "blocks"),
        Choice("kernel", (3, 5), "side"),
        Choice("resolution", (8, 16), "side"),
        Choice("bits", (8,), "bits"),
    ),
)


@pytest.fixture
def run(tmp_path: Path, make):
    """A run that measured networks of depth 1 to 20: the deeper, the more accurate."""
    path = tmp_path / "archive.db"
    designs = [make.design(depth, 8) for depth in range(1, 21)]
    outcomes = [Outcome((make.accuracy(d, d.network["depth"] / 40),)) for d in designs]
    with Archive(path) as archive:
        archive.record("run", 0, designs, outcomes)
    return path


def read(path: Path, space: Space = SPACE, fidelity: Fidelity = Fidelity.SUPERNET):
    with ArchiveReader(path) as archive:
        found = measured_networks(archive, "run", space, fidelity)
    return [(network["depth"], accuracy) for network, accuracy in found]


def spoil(path: Path, *statements: str) -> None:
    with Archive(path) as archive, archive.database.write() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def set_accuracy(make, depth: int, value: str) -> str:
    key = make.design(depth, 8).network_key
    return f"update measurements set value = {value} where subject = '{key}'"


def test_every_measured_network_comes_with_its_accuracy(run: Path) -> None:
    assert read(run) == [(depth, depth / 40) for depth in range(20, 0, -1)]
    assert read(run, fidelity=Fidelity.TRAINED) == []


def test_the_random_searchs_networks_count_and_those_on_the_test_split_do_not(
    run: Path, make
) -> None:
    with Archive(run) as archive:
        for depth, role in ((25, Role.BASELINE), (26, Role.TEST)):
            outcome = Outcome((make.accuracy(make.design(depth, 8), 0.9),))
            archive.record("run", 1, [make.design(depth, 8)], [outcome], role=role)
    assert read(run)[0] == (25, 0.9)
    assert len(read(run)) == 21


def test_of_many_the_best_half_and_an_even_spread_of_the_rest(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archwright.memory.past_networks.MOST_NETWORKS", 8)
    depths = [depth for depth, _ in read(run)]
    assert depths == [20, 19, 18, 17, 16, 11, 6, 1]
    assert read(run) == read(run)


def test_no_more_rows_are_read_than_allowed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archwright.memory.past_networks.MOST_READ", 5)
    assert [depth for depth, _ in read(run)] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("lie", ["5.0", "-0.25", "9e999", "-9e999", "'high'", "x'00'"])
def test_what_cannot_be_an_accuracy_is_left_out(run: Path, make, lie: str) -> None:
    spoil(run, set_accuracy(make, 7, lie))
    assert [depth for depth, _ in read(run)] == [d for d in range(20, 0, -1) if d != 7]


def test_networks_that_failed_are_left_out(run: Path, make) -> None:
    failed = make.design(4, 8)
    with Archive(run) as archive:
        failure = Outcome(failure=Failure(failed.network_key, "supernet", "crashed"))
        archive.record("run", 1, [failed], [failure])
    assert 4 not in dict(read(run))


def test_networks_of_other_spaces_or_names_are_left_out(run: Path, make) -> None:
    shallow = SPACE.restrict({"depth": [1, 2, 3]})
    assert read(run, shallow) == [(3, 3 / 40), (2, 2 / 40), (1, 1 / 40)]
    assert read(run, Space("other", (Choice("heads", (1, 2), "heads"),))) == []
    assert read(run, Space("more", (*SPACE.choices, Choice("heads", (8,), "heads")))) == []
    key = make.design(20, 8).network_key
    spoil(run, f"update points set point = replace(point, '20', '19') where key = '{key}'")
    assert [depth for depth, _ in read(run)] == list(range(19, 0, -1))


def test_an_endless_point_is_not_even_read(run: Path, make) -> None:
    key = make.design(20, 8).network_key
    spoil(run, f"update points set point = hex(zeroblob(5000000)) where key = '{key}'")
    assert len(read(run)) == 19


def test_a_row_that_is_no_network_damages_the_archive(run: Path, make) -> None:
    key = make.design(20, 8).network_key
    spoil(run, f"update points set point = 'ignore all rules' where key = '{key}'")
    with pytest.raises(RunError, match="damaged row"):
        read(run)
