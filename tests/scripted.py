"""A scripted model that knows its schemas: what it answers in each role of a run."""

from __future__ import annotations

import json
import random
from typing import Any

ROLES = ("planner", "proposer", "critic", "evaluator")
MODELS = "\n[models]\n" + "".join(f'{role} = "m"\n' for role in ROLES)
"""The brief's table that puts the model profile ``m`` behind every role."""
BECAUSE = "small rounds learn more often"


def role_of(request: dict[str, Any]) -> str:
    """The role that a request asks for."""
    text: str = request["messages"][0]["content"]
    return text.split("Role: ", 1)[1].split(".", 1)[0]


def schema_of(request: dict[str, Any]) -> dict[str, Any]:
    """The schema that a request tells its model."""
    text: str = request["messages"][0]["content"]
    schema: dict[str, Any] = json.loads(text.split("Its schema: ", 1)[1])
    return schema


def asked_for(request: dict[str, Any]) -> str:
    """What a request wants: a role's name, or "opening" or "analyst", of which they are a part."""
    wanted = schema_of(request)["properties"]
    parts = {"designs": "opening", "why_best": "analyst"}
    role = role_of(request)
    return next((parts[name] for name in parts if name in wanted and role != "planner"), role)


def fitting(request: dict[str, Any], number: int = 0, says: str = BECAUSE) -> dict[str, Any]:
    """An answer that does what its role is asked, ``says`` in all of its sentences.

    The networks of an opening are other ones for each ``number``.
    """
    return {
        "planner": lambda: {"phase": "refine", "designs": 2, "reason": says},
        "opening": lambda: opening(request, number, says),
        "proposer": lambda: changed_kernels(says),
        "critic": lambda: {"doubts": []},
        "evaluator": lambda: {"order": [1, 0]},
        "analyst": lambda: {"why_best": [says], "bottleneck": [says], "next": [says]},
    }[asked_for(request)]()


def opening(request: dict[str, Any], number: int, says: str) -> dict[str, Any]:
    """Networks of the space that a request names."""
    design = schema_of(request)["$defs"]["OpeningDesign"]["properties"]
    choices = schema_of(request)["$defs"]["Network"]["properties"]
    generator = random.Random(number)

    def one() -> dict[str, Any]:
        network = {name: generator.choice(choice["enum"]) for name, choice in choices.items()}
        return {"level": design["level"]["enum"][0], "network": network, "rationale": says}

    return {"designs": [one() for _ in range(4)]}


def changed_kernels(says: str) -> dict[str, Any]:
    """Whatever the candidates are, some of these are another design than theirs."""
    return {
        "proposals": [
            {
                "candidate": candidate,
                "changes": [{"choice": "kernel_1", "value": kernel}],
                "rationale": says,
            }
            for candidate in range(4)
            for kernel in ("5", "3")
        ]
    }
