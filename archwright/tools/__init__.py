"""The tool surface: each tool is declared once, for agents and every interface.

- ``tool``        what a tool is
- ``desk``        what tools work at, and what they need of a run
- ``archived``    what tools read of a run's archive
- ``images``      the images a network is for, as arguments
- every other module: the tools that its name says
"""

from __future__ import annotations

from typing import Any

from archwright.tools.tool import Tool


def all_tools() -> tuple[Tool[Any, Any], ...]:
    """Every tool, by the order in which a newcomer would use them."""
    from archwright.tools.check_brief import check_brief
    from archwright.tools.describe_space import describe_space
    from archwright.tools.explain_bottleneck import explain_bottleneck
    from archwright.tools.export_design import export_design
    from archwright.tools.fronts import compare_designs, explain_design, front
    from archwright.tools.networks import estimate_accuracy, evaluate_network, suggest_designs
    from archwright.tools.recall_designs import recall_designs
    from archwright.tools.searches import search_status, start_search, stop_search
    from archwright.tools.simulate_hardware import simulate_hardware

    return (
        describe_space,
        check_brief,
        simulate_hardware,
        explain_bottleneck,
        evaluate_network,
        estimate_accuracy,
        suggest_designs,
        start_search,
        search_status,
        stop_search,
        front,
        explain_design,
        compare_designs,
        recall_designs,
        export_design,
    )
