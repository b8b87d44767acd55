"""Briefs: what is read, and the exact line for each way to get one wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archwright.brief import PROMOTION_SHARE, ROLES, Brief, Constraint, load_brief, parse_brief
from archwright.errors import BriefError
from archwright.measurement import METRICS

ROOT = Path(__file__).resolve().parents[1]
ALL_METRICS = ", ".join(METRICS)
GOOD: dict[str, Any] = {
    "name": "toy",
    "task": {"data": "digits"},
    "objectives": {"accuracy": "maximise", "latency_ms": "minimise"},
    "budget": {"evaluations": 8},
}
MISSING = object()


def changed(**change: Any) -> dict[str, Any]:
    """The good brief with other values; MISSING takes a key out."""
    return {key: value for key, value in {**GOOD, **change}.items() if value is not MISSING}


def complaint(table: dict[str, Any]) -> str:
    with pytest.raises(BriefError) as caught:
        parse_brief(table)
    return str(caught.value)


def test_the_example_is_read() -> None:
    brief = load_brief(ROOT / "examples" / "digits.toml")
    assert brief.task.data == "digits"
    assert "accuracy" in brief.objectives


def test_a_small_brief_gets_the_defaults() -> None:
    brief = parse_brief(GOOD)
    assert (brief.seed, brief.supernet.epochs, brief.budget.hours) == (0, 30, 24.0)
    assert brief.network.choices == brief.hardware.choices == brief.models == {}
    assert brief.hardware.fixed is None
    search = brief.search
    assert (search.strategy, search.patience, search.committee) == ("surrogate", 0, 1)


def test_promotion_keeps_its_share_of_the_time() -> None:
    brief = parse_brief(changed(budget={"evaluations": 8, "hours": 2}))
    assert brief.search_seconds == pytest.approx((1 - PROMOTION_SHARE) * 2 * 3600)
    alone = parse_brief(changed(budget={"evaluations": 8, "hours": 2}, promotion={"designs": 0}))
    assert alone.search_seconds == 2 * 3600


def test_a_whole_brief_is_read_and_survives_its_own_table() -> None:
    brief = parse_brief(
        changed(
            seed=7,
            task={"data": "digits", "validation": 0.25, "test": 0.1},
            constraints={"area_mm2": {"at_most": 2}, "accuracy": {"at_least": 0.7, "at_most": 1}},
            network={"space": "mbconv", "choices": {"bits": [8], "width_1": [4, 8]}},
            hardware={"fixed": {"rows": 8, "dram_gb_per_s": 1.0, "dataflow": "os"}},
            supernet={"epochs": 3},
            search={"strategy": "random", "patience": 4, "committee": 3},
            promotion={"designs": 2, "epochs": 16, "simulator": "zigzag"},
            budget={"evaluations": 8, "hours": 1, "tokens": 5, "dollars": 0},
            models={"planner": "local", "critic": "local"},
        )
    )
    assert brief.constraints["area_mm2"].at_most == 2.0
    assert brief.hardware.fixed == {"rows": 8, "dram_gb_per_s": 1.0, "dataflow": "os"}
    assert parse_brief(brief.model_dump(mode="json", exclude_none=True)) == brief


ALLOWED_AT_TOP = (
    "name, seed, task, objectives, constraints, network, hardware, supernet, search, promotion, "
    "budget, approval, models"
)
LONG = "'" + "x" * 76 + "..."
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": (changed(goal=1), f"goal: unknown key; allowed {ALLOWED_AT_TOP}"),
    "unknown key of the task": (
        changed(task={"data": "digits", "path": "x"}),
        "task.path: unknown key; allowed data, validation, test",
    ),
    "unknown key of a constraint": (
        changed(constraints={"area_mm2": {"max": 1}}),
        "constraints.area_mm2.max: unknown key; allowed at_most, at_least",
    ),
    "unknown key of the network": (
        changed(network={"width": 8}),
        "network.width: unknown key; allowed space, choices",
    ),
    "unknown key of the hardware": (
        changed(hardware={"rows": 8}),
        "hardware.rows: unknown key; allowed space, choices, fixed",
    ),
    "unknown key of the supernet": (
        changed(supernet={"checkpoint": "x.pt"}),
        "supernet.checkpoint: unknown key; allowed epochs",
    ),
    "unknown key of the search": (
        changed(search={"algorithm": "random"}),
        "search.algorithm: unknown key; allowed strategy, patience, committee",
    ),
    "negative patience": (
        changed(search={"patience": -1}),
        "search.patience = -1: should be greater than or equal to 0",
    ),
    "boundless patience": (
        changed(search={"patience": 10**6}),
        "search.patience = 1000000: should be less than or equal to 1000",
    ),
    "nobody in a committee": (
        changed(search={"committee": 0}),
        "search.committee = 0: should be greater than or equal to 1",
    ),
    "crowd for a committee": (
        changed(search={"committee": 6}),
        "search.committee = 6: should be less than or equal to 5",
    ),
    "number for a strategy": (
        changed(search={"strategy": 1}),
        "search.strategy = 1: allowed a text",
    ),
    "unknown key of promotion": (
        changed(promotion={"rungs": 2}),
        "promotion.rungs: unknown key; allowed designs, epochs, simulator",
    ),
    "too many designs promoted": (
        changed(promotion={"designs": 65}),
        "promotion.designs = 65: should be less than or equal to 64",
    ),
    "nothing to train for": (
        changed(promotion={"epochs": 0}),
        "promotion.epochs = 0: should be greater than or equal to 1",
    ),
    "unknown simulator": (
        changed(promotion={"simulator": "gem5"}),
        "promotion.simulator = 'gem5': should be 'none', 'zigzag' or 'scalesim'",
    ),
    "unknown key of the budget": (
        changed(budget={"evaluations": 8, "euros": 1}),
        "budget.euros: unknown key; allowed evaluations, hours, tokens, dollars, "
        "requests, model_hours, round",
    ),
    "unknown role": (
        changed(models={"boss": "local"}),
        "models.boss: unknown key; allowed 'planner', 'proposer', 'critic' or 'evaluator'",
    ),
    "missing key": (changed(name=MISSING), "name: missing"),
    "missing table": (changed(budget=MISSING), "budget: missing"),
    "missing key of a table": (changed(task={}), "task.data: missing"),
    "table expected": (changed(task="digits"), "task = 'digits': allowed a table"),
    "table of objectives expected": (
        changed(objectives=["a"]),
        "objectives = ['a']: allowed a table",
    ),
    "no table expected": (changed(name={"a": 1}), "name: allowed a text"),
    "text for a number": (
        changed(budget={"evaluations": "8"}),
        "budget.evaluations = '8': should be a valid integer",
    ),
    "boolean for an integer": (changed(seed=True), "seed = True: should be a valid integer"),
    "boolean for a number": (
        changed(budget={"evaluations": 8, "hours": True}),
        "budget.hours = True: should be a valid number",
    ),
    "fraction for an integer": (
        changed(budget={"evaluations": 8.5}),
        "budget.evaluations = 8.5: should be a valid integer",
    ),
    "nothing to evaluate": (
        changed(budget={"evaluations": 0}),
        "budget.evaluations = 0: should be greater than or equal to 1",
    ),
    "no time": (
        changed(budget={"evaluations": 8, "hours": 0}),
        "budget.hours = 0: should be greater than 0",
    ),
    "not a number": (
        changed(budget={"evaluations": 8, "hours": float("nan")}),
        "budget.hours = nan: should be a finite number",
    ),
    "infinite": (
        changed(budget={"evaluations": 8, "dollars": float("inf")}),
        "budget.dollars = inf: should be a finite number",
    ),
    "share too large": (
        changed(task={"data": "digits", "validation": 0.9}),
        "task.validation = 0.9: should be less than or equal to 0.4",
    ),
    "huge integer": (
        changed(seed=16**5000),
        "seed = (int): should be less than or equal to 2147483647",
    ),
    "name with a slash": (
        changed(name="../up"),
        "name = '../up': allowed 1 to 40 letters, digits, _ and -, the first a letter or digit",
    ),
    "name too long for a run's id": (
        changed(name="x" * 41),
        f"name = '{'x' * 41}': allowed 1 to 40 letters, digits, _ and -, "
        "the first a letter or digit",
    ),
    "very long name": (
        changed(name="x" * 5000),
        f"name = {LONG}: allowed 1 to 40 letters, digits, _ and -, the first a letter or digit",
    ),
    "no objectives": (
        changed(objectives={}),
        f"objectives: 0 of them; allowed 1 to 5 of {ALL_METRICS}",
    ),
    "too many objectives": (
        changed(objectives={m: "minimise" for m in METRICS if m != "accuracy"}),
        f"objectives: 7 of them; allowed 1 to 5 of {ALL_METRICS}",
    ),
    "unknown objective": (
        changed(objectives={"speed": "maximise"}),
        f"objectives.speed: unknown metric; allowed {ALL_METRICS}",
    ),
    "wrong direction": (
        changed(objectives={"accuracy": "minimise"}),
        "objectives.accuracy = 'minimise': allowed 'maximise'",
    ),
    "no direction": (
        changed(objectives={"accuracy": "max"}),
        "objectives.accuracy = 'max': should be 'maximise' or 'minimise'",
    ),
    "unknown metric in a constraint": (
        changed(constraints={"price": {"at_most": 1}}),
        f"constraints.price: unknown metric; allowed {ALL_METRICS}",
    ),
    "constraint without bound": (
        changed(constraints={"area_mm2": {}}),
        "constraints.area_mm2: needs at_most or at_least",
    ),
    "constraint that is a number": (
        changed(constraints={"area_mm2": 2}),
        "constraints.area_mm2 = 2: allowed a table",
    ),
    "bounds crossed": (
        changed(constraints={"area_mm2": {"at_least": 9, "at_most": 1.5}}),
        "constraints.area_mm2: at_least 9 is above at_most 1.5",
    ),
    "accuracy in percent": (
        changed(constraints={"accuracy": {"at_least": 90}}),
        "constraints.accuracy.at_least = 90: allowed above 0, up to 1",
    ),
    "bound of nought": (
        changed(constraints={"power_mw": {"at_most": 0}}),
        "constraints.power_mw.at_most = 0: allowed above 0",
    ),
    "negative bound": (
        changed(constraints={"power_mw": {"at_least": -3}}),
        "constraints.power_mw.at_least = -3: allowed above 0",
    ),
    "unknown space": (
        changed(network={"space": "resnet"}),
        "network.space = 'resnet': should be 'mbconv', 'universal', 'small' or 'mobile'",
    ),
    "one value for a list": (
        changed(network={"choices": {"bits": 8}}),
        "network.choices.bits = 8: allowed a list",
    ),
    "list without values": (
        changed(network={"choices": {"bits": []}}),
        "network.choices.bits = []: at least one value is needed",
    ),
    "boolean among values": (
        changed(network={"choices": {"bits": [8, True]}}),
        "network.choices.bits.1 = True: allowed a number or a word",
    ),
    "list among values": (
        changed(hardware={"choices": {"rows": [[8]]}}),
        "hardware.choices.rows.0 = [8]: allowed a number or a word",
    ),
    "boolean in a fixed hardware": (
        changed(hardware={"fixed": {"rows": True}}),
        "hardware.fixed.rows = True: allowed a number or a word",
    ),
    "nan in a fixed hardware": (
        changed(hardware={"fixed": {"rows": float("nan")}}),
        "hardware.fixed.rows = nan: allowed numbers up to 1e+09",
    ),
    "choices beside a fixed hardware": (
        changed(hardware={"fixed": {"rows": 8}, "choices": {"rows": [8]}}),
        "hardware: choices and fixed exclude each other: keep one of them",
    ),
    "a profile that is a table": (
        changed(models={"planner": {"base_url": "http://localhost"}}),
        "models.planner: allowed a text",
    ),
    "a line break in a key": (
        changed(**{"a\nb\x1b[2J": 1}),
        f"a\\nb\\x1b[2J: unknown key; allowed {ALLOWED_AT_TOP}",
    ),
}


@pytest.mark.parametrize(("table", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_brief_is_one_exact_line(table: dict[str, Any], message: str) -> None:
    assert complaint(table) == f"brief: {message}"


@pytest.mark.parametrize(
    "key", ["base_url", "key_variable", "allowed_folders", "endpoint", "api_key", "settings"]
)
@pytest.mark.parametrize(
    "table", ["", "models", "task", "network", "hardware", "supernet", "search", "budget"]
)
def test_a_brief_cannot_set_what_belongs_to_the_settings(key: str, table: str) -> None:
    inside = {**GOOD.get(table, {}), key: "http://evil.example"}
    message = complaint(changed(**{table: inside}) if table else changed(**{key: "x"}))
    assert message.startswith(f"brief: {table + '.' if table else ''}{key}: unknown key; allowed ")


def test_the_roles_are_those_of_the_models_table() -> None:
    brief = parse_brief(changed(models=dict.fromkeys(ROLES, "local")))
    assert set(brief.models) == {"planner", "proposer", "critic", "evaluator"}


@pytest.mark.parametrize(
    ("bound", "value", "holds"),
    [
        (Constraint(at_most=2.0), 2.0, True),
        (Constraint(at_most=2.0), 2.1, False),
        (Constraint(at_least=0.7), 0.7, True),
        (Constraint(at_least=0.7), 0.6, False),
        (Constraint(at_least=1.0, at_most=2.0), 1.5, True),
        (Constraint(at_most=2.0), float("nan"), False),
    ],
)
def test_a_bound_holds_up_to_its_edge(bound: Constraint, value: float, holds: bool) -> None:
    assert bound.holds(value) is holds


TOML = """
name = "toy"
task.data = {data}
objectives.accuracy = "maximise"
budget.evaluations = 8
"""


def written(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "brief.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_relative_path_starts_at_the_brief(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "briefs").mkdir()
    (tmp_path / "images").mkdir()
    path = written(tmp_path / "briefs", TOML.format(data='"../images"'))
    monkeypatch.chdir("/")
    assert load_brief(path).task.data == str((tmp_path / "images").resolve())


@pytest.mark.parametrize(
    "data",
    ["missing.npz", "a\\u0000b", "~no-such-user-here/x", "x" * 3000, "\\u001b[2J"],
    ids=["missing", "null byte", "nobody's home", "too long", "control characters"],
)
def test_data_that_is_not_there_is_one_line(tmp_path: Path, data: str) -> None:
    with pytest.raises(BriefError) as caught:
        load_brief(written(tmp_path, TOML.format(data=f'"{data}"')))
    message = str(caught.value)
    assert message.startswith("brief.toml: task.data = '")
    assert message.endswith(
        ": no such file or folder; allowed digits, openml:NAME, a path of an .npz file or of a "
        "folder of images"
    )
    assert message.isprintable()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "brief.toml: name: missing"),
        ("name = ", "{path}: not TOML: Invalid value (at end of document)"),
        (b"\xff\xfe\x00", "{path}: not TOML: 'utf-8' codec can't decode byte 0xff in position 0: "),
        (b"\x00" * 100, "{path}: not TOML: Invalid statement (at line 1, column 1)"),
        ("x = " + "[" * 5000, "{path}: not TOML that can be read: nested too deeply"),
        ("seed = " + "9" * 5000, "{path}: not TOML: Exceeds the limit (4300 digits)"),
        ("#" * 70_000, "{path}: larger than 65536 bytes, too large for a brief"),
        ("seed = 1\nseed = 2", "{path}: not TOML: Cannot overwrite a value (at end of document)"),
    ],
    ids=["empty", "cut short", "binary", "zeros", "deep", "digits", "huge", "twice"],
)
def test_a_file_that_is_no_brief_is_one_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BriefError) as caught:
        load_brief(path)
    assert str(caught.value).startswith(message.format(path=path))
    assert "\n" not in str(caught.value)


def test_a_deep_table_in_a_known_place_is_one_line(tmp_path: Path) -> None:
    deep = ".".join("a" * 4000)
    for place in ("network.choices", "constraints.area_mm2.at_most", "hardware.fixed"):
        path = written(tmp_path, TOML.format(data='"digits"') + f"{place}.{deep} = 1\n")
        with pytest.raises(BriefError) as caught:
            load_brief(path)
        assert str(caught.value).startswith(f"brief.toml: {place}")
        assert len(str(caught.value)) < 200


def test_a_brief_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    text = TOML.format(data='"digits"').replace("\n", "\r\n")
    assert isinstance(load_brief(written(tmp_path, b"\xef\xbb\xbf" + text.encode())), Brief)


@pytest.mark.parametrize("name", ["none.toml", "", "x" * 300])
def test_no_file_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(BriefError) as caught:
        load_brief(tmp_path / name)
    ending = ": cannot be read: File name too long" if len(name) > 255 else ": no such brief file"
    assert str(caught.value).endswith(ending)
