from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from archwright.brief import Task
from archwright.memory.archive import ARCHIVE_FILE, Archive
from archwright.memory.index import DesignIndex
from archwright.memory.recall import DesignMemory, Query, Recall, Recalled, Synced
from archwright.memory.registry import Registry

HERE = Path(__file__).parent


@pytest.fixture
def memory(tmp_path: Path, registry: Registry) -> DesignMemory:
    return DesignMemory(tmp_path, registry)


def found(recall: Recall) -> list[tuple[str, int, int]]:
    return [(r.run, r.design.network["depth"], r.design.hardware["rows"]) for r in recall.designs]


def test_an_empty_memory_recalls_nothing(memory: DesignMemory, make) -> None:
    assert memory.recall(Query(brief=make.brief()), 5) == Recall()


def test_the_fronts_of_like_runs_come_first(memory: DesignMemory, make_run, make) -> None:
    make_run("a", make.brief("a", "energy_uj", 2.5), depths=2)
    make_run("b", make.brief("b", "latency_ms", 10.0), depths=3)
    recall = memory.recall(Query(brief=make.brief("new", "latency_ms", 10.0)), 4)
    assert recall.skipped == ()
    assert {run for run, _, _ in found(recall)[:3]} == {"b"}
    assert found(recall)[3][0] == "a"
    assert all(rows == 8 for _, _, rows in found(recall))  # 16 rows are dominated
    assert [r.similarity for r in recall.designs[:3]] == [1.0, 1.0, 1.0]
    assert recall.designs[3].similarity < 1


def test_whole_runs_are_recalled_by_brief_and_workload(memory, make_run, make) -> None:
    """Of runs with one brief the one with the like workload; each with its whole front."""
    make_run("energy", make.brief("energy", "energy_uj", 2.5), depths=4)
    make_run("large", make.brief(), depths=90)
    make_run("small", make.brief(), depths=2)
    found = memory.recall_runs(Query(make.brief(), make.workload(1)), 2)
    assert [(run.run, len(run.front)) for run in found.runs] == [("large", 10), ("small", 2)]
    assert [run.similarity for run in found.runs] == [1.0, 1.0]
    assert [d.design.network["depth"] for d in found.runs[1].front] != []
    everything = memory.recall_runs(Query(make.brief(), make.workload(50)), 9, exclude_run="small")
    assert [run.run for run in everything.runs] == ["large", "energy"]
    assert everything.runs[0].similarity < 1
    assert memory.recall_runs(Query(make.brief()), 3, exclude_run="large").runs[0].run == "small"


def test_the_like_workload_decides_between_data_of_other_names(memory, make_run, make) -> None:
    for run, depths in (("small", 2), ("large", 8)):
        brief = make.brief().model_copy(update={"task": Task(data=f"data-of-{run}")})
        make_run(run, brief, depths=depths)
    [nearest] = memory.recall_runs(Query(make.brief(), make.workload(8)), 1).runs
    assert nearest.run == "large"


def test_an_accuracy_that_cannot_be_is_not_recalled(memory, make_run, make, tmp_path) -> None:
    folder = make_run("a", make.brief(), depths=3)
    with Archive(folder / ARCHIVE_FILE) as archive, archive.database.write() as connection:
        lie = "update measurements set value = 5.0 where metric = 'accuracy' and step = 1"
        connection.exec_driver_sql(lie)
    assert sorted(found(memory.recall(Query(brief=make.brief()), 9))) == [("a", 2, 8), ("a", 3, 8)]


def test_an_enormous_run_is_skipped(memory, make_run, make, monkeypatch) -> None:
    monkeypatch.setattr("archwright.memory.recall.MOST_JUDGED", 6)
    make_run("huge", make.brief(), depths=4)
    make_run("a", make.brief(), depths=3)
    recall = memory.recall_runs(Query(brief=make.brief()), 5)
    assert [run.run for run in recall.runs] == ["a"]
    assert recall.skipped == ("run huge: judged 8 designs; allowed 6",)


def test_a_recalled_design_says_where_its_numbers_hold(memory, make_run, make) -> None:
    make_run("a", make.brief("a"), depths=1)
    [recalled] = memory.recall(Query(brief=make.brief()), 1).designs
    assert recalled == Recalled(
        make.design(1, 8),
        "a",
        "a",
        {"accuracy": "maximise", "latency_ms": "minimise"},
        0.505,
        make.accuracy(make.design(1, 8), 0.5).fidelity,
        "digits-digest",
        {"latency_ms": 1.0, "energy_uj": 2.0},
        1.0,
    )
    assert recalled.design.origin == make.design(1, 8).origin
    assert Recalled.from_json(json.loads(json.dumps(recalled.to_json()))) == recalled
    assert Recalled.from_json(recalled.to_json()).design.key == make.design(1, 8).key


def test_a_design_recalls_itself_and_a_workload_its_like(memory, make_run, make) -> None:
    make_run("a", make.brief(), depths=6)
    for depth in (1, 4, 6):
        design = make.design(depth, 8)
        query = Query(make.brief(), make.workload(depth), design.network, design.hardware)
        first = memory.recall(query, 3).designs[0]
        assert (first.design, first.similarity) == (design, 1.0)
    nearest = memory.recall(Query(workload=make.workload(6)), 2)
    assert [depth for _, depth, _ in found(nearest)] == [6, 5]


def test_constraints_bound_what_is_recalled_where_anything_keeps_them(
    memory: DesignMemory, make_run, make
) -> None:
    make_run("tight", make.brief(at_most=2.0), depths=4)
    make_run("impossible", make.brief(at_most=0.1), depths=4)
    recall = memory.recall(Query(brief=make.brief()), 20)
    assert sorted(found(recall)) == [
        ("impossible", 1, 8),
        ("impossible", 2, 8),
        ("impossible", 3, 8),
        ("impossible", 4, 8),
        ("tight", 1, 8),
        ("tight", 2, 8),
    ]


def test_a_run_does_not_recall_itself(memory: DesignMemory, make_run, make) -> None:
    make_run("a", make.brief(), depths=3)
    make_run("mine", make.brief(), depths=90)
    memory.sync()
    recall = memory.recall(Query(brief=make.brief()), 4, exclude_run="mine")
    assert {run for run, _, _ in found(recall)} == {"a"}
    assert len(recall.designs) == 3


def test_a_sync_reads_only_what_changed(memory: DesignMemory, make_run, make) -> None:
    for run in "ab":
        make_run(run, make.brief())
    assert memory.sync() == Synced(read=2)
    assert memory.sync() == Synced(read=0)
    make_run("a", make.brief(), depths=5)
    assert memory.sync(exclude_run="a") == Synced(read=0)
    assert memory.sync() == Synced(read=1)
    assert len(memory.recall(Query(brief=make.brief()), 20).designs) == 5 + 3


def test_designs_that_leave_the_front_leave_the_memory(memory, make_run, make, tmp_path) -> None:
    make_run("a", make.brief(), depths=3)
    memory.sync()
    better = make.design(9, 8)
    with Archive(tmp_path / "a" / ARCHIVE_FILE) as archive:
        archive.record("a", 9, [better], [make.judged(better, 0.9, latency_ms=0.5)])
    assert found(memory.recall(Query(brief=make.brief()), 20)) == [("a", 9, 8)]


@pytest.mark.parametrize(
    "damage", ["delete", "empty", "garbage", "truncate", "lose", "file", "manifest"]
)
def test_the_index_is_made_anew_from_the_archives(
    memory: DesignMemory, make_run, make, tmp_path: Path, damage: str
) -> None:
    for run in "ab":
        make_run(run, make.brief(), depths=4)
    query = Query(brief=make.brief(), workload=make.workload(2))
    before = memory.recall(query, 5)
    assert len(before.designs) == 5
    folder = tmp_path / "chroma"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    if damage == "garbage":  # of a vector file, this alone would end the process
        for path in files:
            path.write_bytes(os.urandom(max(path.stat().st_size, 100)))
    elif damage == "truncate":
        for path in files:
            os.truncate(path, path.stat().st_size // 3)
    elif damage == "lose":
        max(files, key=lambda path: len(path.parts)).unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"files": []}')
    else:
        shutil.rmtree(folder)
        if damage == "empty":
            folder.mkdir()
        if damage == "file":
            folder.write_text("in the way")
    assert memory.recall(query, 5) == before


def test_a_damaged_record_is_not_believed(memory: DesignMemory, make_run, make, tmp_path) -> None:
    make_run("a", make.brief())
    before = memory.recall(Query(brief=make.brief()), 5)
    with DesignIndex(tmp_path).session() as index:
        index._collection.update(
            ids=[f"a:{before.designs[0].design.key}"], metadatas=[{"record": '{"accuracy": "NaN"}'}]
        )
    assert memory.recall(Query(brief=make.brief()), 5) == before


def test_damaged_runs_are_skipped_with_a_reason(memory, make_run, make, registry, tmp_path) -> None:
    make_run("good", make.brief())
    (make_run("broken", make.brief()) / ARCHIVE_FILE).write_bytes(b"garbage" * 1000)
    shutil.rmtree(make_run("deleted", make.brief()))
    for run, brief in (("odd", {"name": 3}), ("list", [1]), ("number", 7)):
        (tmp_path / run).mkdir()
        with Archive(tmp_path / run / ARCHIVE_FILE) as archive:
            archive.set_meta(run, "brief", brief)
        registry.register(run, tmp_path / run, "brief")
    (tmp_path / "fresh").mkdir()
    registry.register("fresh", tmp_path / "fresh", "brief")
    recall = memory.recall(Query(brief=make.brief()), 10)
    assert {run for run, _, _ in found(recall)} == {"good"}
    assert sorted(reason.split(":")[0] for reason in recall.skipped) == [
        "run broken",
        "run list",
        "run number",
        "run odd",
    ]
    assert not any("\n" in reason for reason in recall.skipped)


def test_a_run_that_is_deleted_is_forgotten(memory, make_run, make) -> None:
    make_run("a", make.brief())
    folder = make_run("b", make.brief())
    memory.sync()
    shutil.rmtree(folder)
    assert {run for run, _, _ in found(memory.recall(Query(brief=make.brief()), 10))} == {"a"}


def test_a_busy_index_is_a_reason_not_an_error(
    memory: DesignMemory, make_run, make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run("a", make.brief())
    monkeypatch.setattr("archwright.memory.index.LOCK_SECONDS", 0.1)
    with DesignIndex(tmp_path).session():
        assert "in use" in memory.recall(Query(brief=make.brief()), 5).skipped[0]
        assert "in use" in memory.sync().skipped[0]
    assert memory.recall(Query(brief=make.brief()), 5).designs


def run_script(script: str, *arguments: str) -> subprocess.Popen[str]:
    before = f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", before + script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


USER = """
from pathlib import Path
from conftest import fill_run, make_brief
from archwright.memory.recall import DesignMemory, Query
from archwright.memory.registry import Registry
home, name = Path(sys.argv[1]), sys.argv[2]
with Registry(home / "registry.db") as registry:
    memory = DesignMemory(home, registry)
    for depths in (2, 4, 6):
        fill_run(home, name, make_brief(), depths)
        assert memory.sync().skipped == ()
        assert memory.recall(Query(brief=make_brief()), 5).skipped == ()
"""


@pytest.mark.slow
def test_three_processes_write_sync_and_recall_at_once(tmp_path: Path, memory, make) -> None:
    processes = [run_script(USER, str(tmp_path), name) for name in "abc"]
    # Nothing of Chroma's may reach the terminal either.
    assert [process.communicate(timeout=120) for process in processes] == [("", "")] * 3
    assert [process.returncode for process in processes] == [0, 0, 0]
    everything = memory.recall(Query(brief=make.brief()), 50)
    assert sorted(found(everything)) == [(run, d, 8) for run in "abc" for d in range(1, 7)]
    shutil.rmtree(tmp_path / "chroma")
    assert memory.recall(Query(brief=make.brief()), 50) == everything


KILLED = """
from pathlib import Path
from conftest import make_brief
from archwright.memory.embedding import DIMENSION
from archwright.memory.index import DesignIndex, Entry
home = Path(sys.argv[1])
with DesignIndex(home).session() as index:
    for i in range(10**6):
        entries = {f"{i}-{j}": Entry([1.0] * DIMENSION, "half") for j in range(100)}
        index.replace("zombie", entries, "mark")
        print("written", flush=True)
"""


def test_a_writer_that_is_killed_leaves_nothing_half_done(tmp_path, memory, make_run, make) -> None:
    make_run("a", make.brief())
    before = memory.recall(Query(brief=make.brief()), 5)
    process = run_script(KILLED, str(tmp_path))
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.communicate()
    assert memory.recall(Query(brief=make.brief()), 5) == before


def test_the_memory_is_light_to_import() -> None:
    script = "import archwright.memory.recall, archwright.memory.lessons\n"
    script += "print({'chromadb', 'torch', 'moocore'} & set(sys.modules))"
    assert run_script(script).communicate(timeout=240) == ("set()\n", "")
