"""What every test gets: a home of its own, no real endpoint, and a scripted one on request."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_sessionstart() -> None:
    """Heed Ctrl-C: a shell's background job is born deaf to it, and so were its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure() -> None:
    """No model but on this machine: for fixtures of a whole session, too, and all processes."""
    os.environ["ARCHWRIGHT_LOOPBACK_ONLY"] = "1"
    for variable in [name for name in os.environ if name.startswith("OPENAI_")]:
        del os.environ[variable]


@dataclass(frozen=True)
class TinyRun:
    """A finished run: its home, its folder, what ``--json`` printed."""

    home: Path
    folder: Path
    result: dict[str, Any]


@pytest.fixture(autouse=True)
def _own_world(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary home and settings file."""
    world = tmp_path_factory.mktemp("world")
    monkeypatch.setenv("ARCHWRIGHT_HOME", str(world / "home"))
    monkeypatch.setenv("ARCHWRIGHT_SETTINGS", str(world / "settings.toml"))


@pytest.fixture
def home() -> Path:
    """The temporary $ARCHWRIGHT_HOME of this test; it exists."""
    path = Path(os.environ["ARCHWRIGHT_HOME"])
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def settings_file() -> Path:
    """Where this test's settings file is read from; it does not exist yet."""
    return Path(os.environ["ARCHWRIGHT_SETTINGS"])


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data; skips the test where there is none."""
    folder = Path(os.environ.get("ARCHWRIGHT_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is not there, set ARCHWRIGHT_SHARED")
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    """A whole search of the tiny brief that nothing disturbed; for reading only.

    The workers of one pytest share it: the first that needs it makes it, others wait.
    """
    import runs
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    world = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny"
    world.mkdir(exist_ok=True)
    made = world / "result.json"
    with FileLock(world / "lock"), pytest.MonkeyPatch.context() as patch:
        if not made.exists():
            patch.setenv("ARCHWRIGHT_HOME", str(world / "home"))
            patch.setenv("ARCHWRIGHT_SETTINGS", str(world / "settings.toml"))
            result = runs.search(runs.write_brief(world), "--run-dir", world / "run")
            made.write_text(json.dumps(result), encoding="utf-8")
    return TinyRun(world / "home", world / "run", json.loads(made.read_text(encoding="utf-8")))


def _loaded(name: str) -> Any:
    """A module of tests/agents, loaded by path: tests are not a package."""
    known = f"archwright_tests_{name}"
    path = REPOSITORY / "tests" / "agents" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(known, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def _chat_module() -> Any:
    """tests/agents/chat_server.py."""
    return _loaded("chat_server")


@pytest.fixture(scope="session")
def reply(_chat_module: Any) -> Any:
    """The class Reply: what a script returns for anything but a plain good answer."""
    return _chat_module.Reply


@pytest.fixture(scope="session")
def with_faults(_chat_module: Any) -> Any:
    """``with_faults(script, share, seed)``: a script that spoils a share of the answers."""
    return _loaded("chat_faults").with_faults


@pytest.fixture
def start_chat_server(_chat_module: Any) -> Iterator[Callable[..., Any]]:
    """``start_chat_server(script, kind="full") -> ChatServer``, running until the test ends."""
    with ExitStack() as running:
        yield lambda script, kind="full": running.enter_context(
            _chat_module.ChatServer(script, kind)
        )


@pytest.fixture
def chat_server(start_chat_server: Callable[..., Any]) -> Any:
    """A running server that answers ``{}``; set its ``script`` for more."""
    return start_chat_server(lambda request, number: {})


@pytest.fixture
def port_to(
    start_chat_server: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """``port_to(script, limits=None, kind="full", ...)`` to (a ModelPort, its ChatServer).

    ``abilities`` and ``learn`` go to the port, other keywords to the profile. Retries of
    the port hardly wait.
    """
    from archwright.agents.model.limits import Limits
    from archwright.agents.model.port import ModelPort
    from archwright.settings import Profile

    monkeypatch.setattr("archwright.agents.model.port.FIRST_WAIT_S", 0.01)

    def build(
        script: Any,
        limits: Limits | None = None,
        kind: str = "full",
        abilities: Any = None,
        learn: Any = None,
        **fields: Any,
    ) -> tuple[ModelPort, Any]:
        server = start_chat_server(script, kind)
        fields = {"base_url": server.base_url, "model": "scripted", "timeout_s": 5.0, **fields}
        profile, limits = Profile(**fields), limits or Limits(10**6, 1.0)
        return ModelPort(profile, limits, abilities=abilities, learn=learn), server

    return build


@pytest.fixture
def archwright_(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in this process, in an empty folder: status, stdout, stderr."""
    from archwright.cli import main

    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["archwright", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A network file and a hardware file, as a run's folder best/ has them."""
    import numpy as np

    from archwright.evaluators.hardware import dump_hardware, hardware_space
    from archwright.evaluators.supernet import InputShape, network_space

    network = network_space(InputShape(1, 8, 10)).decode(np.zeros((1, 14), dtype=np.int64))[0]
    lines = [f"{name} = {value}" for name, value in network.items()]
    text = "\n".join(["[input]", "channels = 1\nside = 8\nclasses = 10", "[network]", *lines])
    (tmp_path / "network.toml").write_text(text, encoding="utf-8")
    hardware = hardware_space().decode(np.array([[1, 1, 0, 1, 1, 1, 1, 1, 0]]))[0]
    dump_hardware(hardware, tmp_path / "hardware.toml")
    return tmp_path / "network.toml", tmp_path / "hardware.toml"


class OpenChat:
    """A session in this process: what it is asked, and the user's answers to its questions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, held: ExitStack) -> None:
        import io

        from rich.console import Console

        from archwright.desk import open_desk
        from archwright.session.chat import Chat
        from archwright.session.store import Session
        from archwright.settings import load_settings

        self._screen = io.StringIO()
        self.asked: list[str] = []
        self.answer: str | list[str] = "n"
        desk = held.enter_context(open_desk(load_settings(), trusted=True))
        session = held.enter_context(Session.open(None))
        self.chat = Chat(desk, session, Console(file=self._screen, width=80, highlight=False))
        self.close = held.close

        def asks(question: str) -> str:
            self.asked.append(question)
            return self.answer if isinstance(self.answer, str) else self.answer.pop(0)

        monkeypatch.setattr("builtins.input", asks)

    def says(self, line: str) -> str:
        """What is shown after the user has said a line; a failure is a line too."""
        from archwright.errors import ArchwrightError
        from archwright.session.commands import parse
        from archwright.session.talk import talk

        before = len(self._screen.getvalue())
        try:
            if line.startswith("/"):
                command, rest = parse(line)
                command(self.chat, rest)
            else:
                talk(self.chat, line)
        except ArchwrightError as error:
            self.chat.line(str(error))
        return self._screen.getvalue()[before:]


@pytest.fixture
def open_chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], OpenChat]]:
    """``open_chat() -> OpenChat``, whose user says no to every question; closed in the end."""
    with ExitStack() as held:
        yield lambda: OpenChat(monkeypatch, held)
