"""The tool surface: each tool is declared once, for agents and every interface.

tool.py              what a tool is
images.py            arguments that several tools have
describe_space.py    the choices of a space, in words
simulate_hardware.py one network on one hardware, layer by layer
"""

from __future__ import annotations

from typing import Any

from archwright.tools.tool import Tool


def all_tools() -> tuple[Tool[Any, Any], ...]:
    """Every tool, by the order in which a newcomer would use them."""
    from archwright.tools.describe_space import describe_space
    from archwright.tools.simulate_hardware import simulate_hardware

    return (describe_space, simulate_hardware)
