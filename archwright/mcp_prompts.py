"""The three commonest requests, as prompts of the Model Context Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mcp_types as types

from archwright.errors import UserError, shown

LONGEST_ARGUMENT = 2000


@dataclass(frozen=True)
class _Prompt:
    """A request; ``text`` has a place for each argument, which are all needed."""

    name: str
    description: str
    arguments: Mapping[str, str]
    text: str


_PROMPTS = (
    _Prompt(
        "design_for_task",
        "Design a network and its accelerator for a task",
        {
            "data": "digits, or a data file in an allowed folder",
            "objectives": "what counts and what is bounded, in plain words",
        },
        """\
Design a neural network and the accelerator it runs on with Archwright.
Data: {data}
Wanted: {objectives}
Look at describe_space, write a brief, and check it with check_brief. Show me the brief as it was \
understood, and wait for my word before start_search. Poll search_status until the run has \
finished, then show its front and say which design you would take, and why.""",
    ),
    _Prompt(
        "explain_best",
        "Explain the best design of a run",
        {"run": "a run's id"},
        """\
Explain the best design of Archwright's run {run}. Take the first design of front, call \
explain_design, and say: what it chooses, its numbers with units, intervals and fidelity, which \
layer limits it and why, where the design came from, and what would be worth trying next.""",
    ),
    _Prompt(
        "compare_with_constraint",
        "Ask what another constraint would change",
        {"run": "a run's id", "what_if": "the constraint, such as power at most 300 mW"},
        """\
In Archwright's run {run}: what would change with this constraint: {what_if}?
Read the whole front, keep the designs that hold it, and compare the best of them with the run's \
best by compare_designs: what is given up, what is won, which choices differ. If no design holds \
it, say so, and offer a search with that constraint.""",
    ),
)


def list_prompts() -> list[types.Prompt]:
    """The prompts with their arguments."""
    return [
        types.Prompt(
            name=prompt.name,
            description=prompt.description,
            arguments=[
                types.PromptArgument(name=name, description=meaning, required=True)
                for name, meaning in prompt.arguments.items()
            ],
        )
        for prompt in _PROMPTS
    ]


def get_prompt(name: str, arguments: Mapping[str, str]) -> types.GetPromptResult:
    """A prompt with its arguments filled in. Raises :class:`UserError`."""
    prompt = next((prompt for prompt in _PROMPTS if prompt.name == name), None)
    if prompt is None:
        known = ", ".join(prompt.name for prompt in _PROMPTS)
        raise UserError(f"prompt = {shown(name)}: no such prompt; allowed {known}")
    for key in [*prompt.arguments, *arguments]:
        if key not in prompt.arguments:
            allowed = ", ".join(prompt.arguments)
            raise UserError(f"{name}: {key}: unknown argument; allowed {allowed}")
        if not 0 < len(arguments.get(key, "")) <= LONGEST_ARGUMENT:
            raise UserError(f"{name}: {key}: allowed 1 to {LONGEST_ARGUMENT} characters")
    text = prompt.text.format(**arguments)
    return types.GetPromptResult(
        description=prompt.description,
        messages=[types.PromptMessage(role="user", content=types.TextContent(text=text))],
    )
