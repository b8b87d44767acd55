"""What docs/models.md, README.md and the example say about models is what the program takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from archwright.brief import Budget, load_brief, parse_brief
from archwright.settings import parse_settings

ROOT = Path(__file__).resolve().parents[1]
SERVERS = ("openai", "azure", "vllm", "local", "ollama")
EXAMPLES = ROOT / "examples"


def blocks(page: str) -> list[dict[str, Any]]:
    """The TOML blocks of a page, parsed."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL)]


def is_of_settings(block: dict[str, Any]) -> bool:
    """Whether a block is of the settings: its models are tables, a brief's are names."""
    return any(isinstance(model, dict) for model in block.get("models", {}).values())


@pytest.mark.parametrize("page", ["docs/models.md", "README.md"])
def test_the_settings_shown_are_taken(page: str) -> None:
    shown = [parse_settings(block) for block in blocks(page) if is_of_settings(block)]
    assert shown
    if page == "docs/models.md":
        assert {name for settings in shown for name in settings.models} == set(SERVERS)


def test_the_budgets_and_roles_shown_are_taken() -> None:
    [shown] = [block for block in blocks("docs/models.md") if "budget" in block]
    plain = tomllib.loads((EXAMPLES / "digits.toml").read_text(encoding="utf-8"))
    brief = parse_brief({**plain, **shown}, "docs/models.md")
    assert set(brief.models) == {"planner", "proposer", "critic", "evaluator"}
    defaults = Budget(evaluations=96)
    assert (brief.budget.tokens, brief.budget.dollars) == (defaults.tokens, defaults.dollars)


def test_the_example_is_the_other_one_with_a_model() -> None:
    plain, asking = (load_brief(EXAMPLES / f"{name}.toml") for name in ("digits", "digits-model"))
    assert asking.models == {"proposer": "local"}
    same = {"name": plain.name, "models": plain.models}
    assert asking.model_copy(update=same) == plain
