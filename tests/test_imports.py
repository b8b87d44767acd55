"""The house's own rules, read from the code: which way imports point, what stays late and small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "archwright"

# types <- evaluators, memory <- tools <- agents <- what a run is made of, report, session
# <- cli, web.
# A module directly under archwright that is not named here is a type, rank 0.
RANKS = {
    "onnx_network": 0,
    "evaluators": 1,
    "memory": 1,
    "tools": 2,
    "agents": 3,
    "workbench": 4,
    "team": 4,
    "control": 4,
    "desk": 4,
    "suggestions": 4,
    "overnight": 4,
    "mcp_server": 4,
    "mcp_resources": 4,
    "conclusion": 4,
    "delivery": 4,
    "promotion": 4,
    "summary": 4,
    "simulation": 4,
    "comparison": 4,
    "supernet_commands": 4,
    "bench_commands": 4,
    "tabular": 4,
    "supernet_folder": 4,
    "checkup": 4,
    "run": 4,
    "result": 4,
    "report": 4,
    "session": 4,
    "cli": 5,
    "web": 5,
    "__main__": 5,
}
# Siblings that do not know each other, although they share a rank.
STRANGERS = {"evaluators", "memory"}

HEAVY = {
    "chromadb",
    "langgraph",
    "moocore",
    "onnx",
    "onnxruntime",
    "openai",
    "optuna",
    "plotly",
    "pymoo",
    "sklearn",
    "torch",
}
TORCH_MODULES = {PACKAGE / "evaluators" / "supernet", PACKAGE / "evaluators" / "proxies"}
LONGEST = 450

LINKS = ("agents", "evaluators", "memory", "tools")

MACHINE_NAMES = {
    "an absolute path of one machine": re.compile(rb"(?<![\w.~-])/(?:work|root|home|Users)/\w"),
    "a registry host": re.compile(rb"(?i)https?://[^/\s]*(?:pypi|pythonhosted|devpi|artifactory)"),
    "an index setting": re.compile(rb"(?i)(?:index[-_]url|find[-_]links)[\s=:\"']+\w+://"),
}


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part(path: Path) -> str:
    """The module or folder directly under archwright that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(node: ast.stmt, path: Path) -> list[str]:
    """The full names that an import statement asks for; relative ones are resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = path.relative_to(ROOT).parent.parts
        above = package[: len(package) - node.level + 1]
        base = ".".join([*above, *([base] if base else [])])
    return [f"{base}.{alias.name}" for alias in node.names]


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported: not functions', not for typing only."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from at_import(node.orelse)
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            yield from at_import(getattr(node, inner, []))
        for handler in getattr(node, "handlers", []):
            yield from at_import(handler.body)


def wrong_arrow(source: str, target: str) -> bool:
    rank, other = RANKS.get(source, 0), RANKS.get(target, 0)
    return other > rank or (source != target and {source, target} <= STRANGERS)


def test_imports_point_one_way() -> None:
    wrong = []
    for path in modules("archwright"):
        source = part(path)
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            for name in imported(node, path):
                parts = name.split(".")
                if parts[0] != "archwright" or len(parts) == 1:
                    continue
                if wrong_arrow(source, parts[1]):
                    wrong.append(
                        f"{place(path)}:{node.lineno}: {source} (rank {RANKS.get(source, 0)}) "
                        f"imports {name} (rank {RANKS.get(parts[1], 0)})"
                    )
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_every_folder_has_a_rank() -> None:
    folders = {part(path) for path in modules("archwright") if path.parent != PACKAGE}
    assert folders <= set(RANKS), "a new folder of archwright/ needs a place among the ranks"


def test_nothing_imports_through_the_links() -> None:
    wrong = [
        f"{place(path)}:{node.lineno}: {name}"
        for path in modules("archwright", "tests", "benchmarks")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported(node, path)
        if name.split(".")[0] in LINKS
    ]
    assert not wrong, "\n".join(wrong)


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    wrong = []
    for path in modules("archwright"):
        allowed = {"torch"} if TORCH_MODULES & set(path.parents) else set()
        for node in at_import(parse(path).body):
            roots = {name.split(".")[0] for name in imported(node, path)}
            wrong += [
                f"{place(path)}:{node.lineno}: {name} at the top of the module"
                for name in sorted(roots & HEAVY - allowed)
            ]
    assert not wrong, "\n".join(wrong)


def test_help_imports_no_heavy_package() -> None:
    if not (PACKAGE / "cli.py").is_file() and not (PACKAGE / "cli").is_dir():
        pytest.skip("archwright.cli is not there")
    call = "from archwright.cli import main; main()"
    outcome = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", call, "--help"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    assert "search" in outcome.stdout
    names = re.findall(r"^import time:.*\|\s*(\S+)$", outcome.stderr, re.MULTILINE)
    assert "archwright" in names
    assert not {name.split(".")[0] for name in names} & HEAVY


def test_modules_stay_short() -> None:
    lengths = {
        place(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules("archwright", "tests", "benchmarks")
    }
    long = [f"{name}: {lines} lines" for name, lines in lengths.items() if lines > LONGEST]
    assert not long, f"over {LONGEST} lines: " + ", ".join(long)


def test_every_public_module_says_what_it_is_for() -> None:
    silent = [
        place(path)
        for path in modules("archwright", "benchmarks")
        if (not path.stem.startswith("_") or path.stem in ("__init__", "__main__"))
        and not ast.get_docstring(parse(path))
    ]
    assert not silent, ", ".join(silent)


@pytest.mark.parametrize("name", LINKS)
def test_the_root_links_point_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("archwright") / name
    assert link.is_dir()


def test_no_file_names_a_machine_or_a_registry() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    wrong = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if not path.is_file() or path.is_symlink():
            continue
        for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
            wrong += [
                f"{name}:{number}: {what}"
                for what, pattern in MACHINE_NAMES.items()
                if pattern.search(line)
            ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("brief", "evaluators"),
        ("evaluators", "agents"),
        ("evaluators", "memory"),
        ("memory", "tools"),
        ("tools", "run"),
        ("agents", "report"),
        ("session", "cli"),
    ],
)
def test_a_wrong_arrow_is_seen(source: str, target: str) -> None:
    assert wrong_arrow(source, target)
    assert not wrong_arrow(target, source) or {source, target} == STRANGERS


def test_what_runs_at_import_is_told_from_what_does_not() -> None:
    text = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
try:
    import chromadb
except ImportError:
    import openai
class Late:
    import plotly
    def method(self):
        import sklearn
"""
    path = PACKAGE / "memory" / "example.py"
    body = list(at_import(ast.parse(text).body))
    names = {name.split(".")[0] for node in body for name in imported(node, path)}
    assert names & HEAVY == {"chromadb", "openai", "plotly"}


def test_relative_imports_are_resolved() -> None:
    path = PACKAGE / "memory" / "example.py"
    node = ast.parse("from ..agents import graph\nfrom . import recall").body
    assert imported(node[0], path) == ["archwright.agents.graph"]
    assert imported(node[1], path) == ["archwright.memory.recall"]
