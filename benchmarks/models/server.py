"""The tests' scripted chat-completions server, for benchmarks: real HTTP, any fault on demand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

AGENTS_TESTS = Path(__file__).parents[2] / "tests" / "agents"


def chat_module(name: str) -> ModuleType:
    """chat_server or chat_faults of tests/agents, under the names that they know each other by."""
    if name != "chat_server":
        chat_module("chat_server")
    full = f"archwright_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, AGENTS_TESTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module  # dataclasses look their module up there
        spec.loader.exec_module(module)
    return sys.modules[full]
