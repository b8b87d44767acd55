"""The set-up of a fresh machine: which Python is taken, what is said, what is left behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TESTED = [
    minor for minor in range(8, 40) if f"3.{minor}" in SpecifierSet(PROJECT["requires-python"])
]
NEEDED = " or ".join(f"3.{minor}" for minor in TESTED)
ADVICE = f"install Python {NEEDED} or choose it: make search PYTHON=/path/to/python3.{TESTED[-1]}"
GOOD = f"3.{TESTED[0]}"
TOO_NEW = f"3.{TESTED[-1] + 1}"

# A Python as the set-up sees one: it has a version, it may lack venv, it makes a .venv
# with another such Python in it, whose pip writes down that it was called.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) echo {version} ;;
    *ensurepip*) exit {venv_status} ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp {archwright} "$3/bin" ;;
    *"pip install"*) echo "$*" >>pip.log; [ ! -e pip.fails ] ;;
esac
"""

Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """Puts a fake interpreter into ``tmp_path/bin``, the only folder on the PATH of a test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "make", "mkdir", "cp", "mv", "rm", "cat", "dirname"):
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not on PATH")
        (folder / program).symlink_to(found)
    archwright = tmp_path / "archwright"
    archwright.write_text('#!/bin/sh\necho "archwright $*"\n', encoding="utf-8")
    archwright.chmod(0o755)

    def make_fake(name: str, version: str, *, venv: bool = True) -> Path:
        path = folder / name
        text = FAKE_PYTHON.format(
            version=version, venv_status=0 if venv else 1, archwright=archwright
        )
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        return path

    return make_fake


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that the set-up consists of."""
    folder = tmp_path / "check out"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run with only the folder of the fakes beside ``folder`` on PATH."""
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": str(folder.parent / "bin")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def find_python(checkout: Path, *chosen: str) -> subprocess.CompletedProcess[str]:
    return run(checkout, "sh", "scripts/find_python.sh", *chosen)


def test_the_real_interpreter_is_found() -> None:
    found = subprocess.run(
        ["sh", "scripts/find_python.sh", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip() == sys.executable, found.stderr


def test_python3_is_taken_where_it_suits(fake: Fake, checkout: Path) -> None:
    python3 = fake("python3", GOOD)
    fake(f"python3.{TESTED[-1]}", f"3.{TESTED[-1]}")
    assert find_python(checkout).stdout.strip() == str(python3)


@pytest.mark.parametrize("version", ["3.9", TOO_NEW])
def test_a_named_version_stands_in_for_an_unsuitable_python3(
    fake: Fake, checkout: Path, version: str
) -> None:
    fake("python3", version)
    suitable = fake(f"python{GOOD}", GOOD)
    assert find_python(checkout).stdout.strip() == str(suitable)


def test_python_is_the_last_resort(fake: Fake, checkout: Path) -> None:
    suitable = fake("python", GOOD)
    assert find_python(checkout).stdout.strip() == str(suitable)


@pytest.mark.parametrize(
    ("version", "venv", "message"),
    [
        ("2.7", True, f"python3 is Python 2.7, too old: {ADVICE}"),
        ("3.10", True, f"python3 is Python 3.10, too old: {ADVICE}"),
        (
            TOO_NEW,
            True,
            f"python3 is Python {TOO_NEW}, too new for the tested dependencies: {ADVICE}",
        ),
        (
            GOOD,
            False,
            f"python3 (Python {GOOD}) has no venv: on Debian and Ubuntu "
            f"apt install python{GOOD}-venv; else {ADVICE}",
        ),
        (None, True, f"python3: no such program; {ADVICE}"),
    ],
    ids=["python 2", "too old", "too new", "without venv", "missing"],
)
@pytest.mark.parametrize("target", ["search", "test", "lint"])
def test_an_unsuitable_python_is_one_line_and_leaves_nothing(
    fake: Fake, checkout: Path, target: str, version: str | None, venv: bool, message: str
) -> None:
    if version is not None:
        fake("python3", version, venv=venv)
    before = sorted(checkout.rglob("*"))
    outcome = run(checkout, "make", target)
    assert outcome.returncode != 0
    lines = (outcome.stdout + outcome.stderr).splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(checkout.rglob("*")) == before


def test_a_chosen_python_is_judged_by_its_own_name(fake: Fake, checkout: Path) -> None:
    fake("python3", GOOD)
    old = fake("old", "3.8")
    assert f"{old} is Python 3.8, too old" in find_python(checkout, str(old)).stderr
    assert "/nowhere: no such program" in find_python(checkout, "/nowhere").stderr
    outcome = run(checkout, "make", "search", "PYTHON=/nowhere")
    assert outcome.returncode != 0
    assert "/nowhere: no such program" in outcome.stderr


def test_a_python_that_does_not_run_is_passed_over(fake: Fake, checkout: Path) -> None:
    broken = fake("python3", "")
    assert f"{broken}: not a Python that runs" in find_python(checkout, str(broken)).stderr
    suitable = fake(f"python{GOOD}", GOOD)
    assert find_python(checkout).stdout.strip() == str(suitable)


def test_lack_of_venv_is_named_before_another_version(fake: Fake, checkout: Path) -> None:
    fake("python3", TOO_NEW)
    fake(f"python{GOOD}", GOOD, venv=False)
    assert f"python{GOOD} (Python {GOOD}) has no venv" in find_python(checkout).stderr


def installs(checkout: Path) -> list[str]:
    """The calls of pip so far."""
    log = checkout / "pip.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def test_search_installs_once_and_passes_its_arguments_on(fake: Fake, checkout: Path) -> None:
    fake("python3", GOOD)
    first = run(checkout, "make", "search")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1] == "archwright search examples/digits.toml"
    assert installs(checkout) == [
        "-m pip install --disable-pip-version-check -c constraints.txt -e ."
    ]
    second = run(checkout, "make", "search", "BRIEF=my brief.toml", "ARGS=--json --run-dir D")
    assert second.stdout.splitlines() == ["archwright search my brief.toml --json --run-dir D"]
    assert len(installs(checkout)) == 1


def test_the_tools_of_the_tests_are_installed_for_tests_only(fake: Fake, checkout: Path) -> None:
    fake("python3", GOOD)
    run(checkout, "make", "search")
    assert run(checkout, "make", "test").returncode == 0
    assert [call.rsplit(" ", 1)[-1] for call in installs(checkout)] == [".", ".[dev]"]
    run(checkout, "make", "search")
    run(checkout, "make", "test")
    assert len(installs(checkout)) == 2


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_is_installed(fake: Fake, checkout: Path, name: str) -> None:
    fake("python3", GOOD)
    run(checkout, "make", "search")
    later = (checkout / ".venv/installed").stat().st_mtime + 10
    os.utime(checkout / name, (later, later))
    run(checkout, "make", "search")
    assert len(installs(checkout)) == 2


def test_an_interrupted_install_is_redone_from_nothing(fake: Fake, checkout: Path) -> None:
    fake("python3", GOOD)
    (checkout / "pip.fails").touch()
    assert run(checkout, "make", "search").returncode != 0
    left = checkout / ".venv/half-written"
    left.touch()
    (checkout / "pip.fails").unlink()
    assert run(checkout, "make", "search").returncode == 0
    assert not left.exists()
    assert len(installs(checkout)) == 2


def test_an_install_under_way_is_not_disturbed(fake: Fake, checkout: Path) -> None:
    fake("python3", GOOD)
    (checkout / ".venv").mkdir()
    (checkout / ".venv/unfinished").write_text(str(os.getpid()), encoding="utf-8")
    outcome = run(checkout, "make", "search")
    assert outcome.returncode != 0
    assert f"process {os.getpid()} is installing" in outcome.stderr
    assert installs(checkout) == []


def test_an_environment_whose_python_has_gone_is_made_again(fake: Fake, checkout: Path) -> None:
    fake("python3", GOOD)
    run(checkout, "make", "search")
    python = checkout / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/nowhere")
    assert run(checkout, "make", "search").returncode == 0
    assert len(installs(checkout)) == 2


PIN = re.compile(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*")


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    pairs = [line.split("==") for line in lines]
    pinned = {str(canonicalize_name(name)): Version(version) for name, version in pairs}
    assert len(pinned) == len(pairs)
    return pinned


def test_every_dependency_is_pinned_inside_its_range() -> None:
    pinned = pins()
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= set(PROJECT["optional-dependencies"]), text
            continue  # an extra that brings others along
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_the_tests_bring_the_simulators() -> None:
    wanted = [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]
    assert any(r.name == PROJECT["name"] and "simulators" in r.extras for r in wanted)
