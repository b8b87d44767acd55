"""Commands that read, compare, vary, export and recall designs."""

from __future__ import annotations

from functools import lru_cache

from archwright.brief import Task
from archwright.errors import UserError
from archwright.evaluators.supernet import InputShape, load_data
from archwright.session import tables
from archwright.session.changes import applied, parse_changes, said
from archwright.session.chat import Chat
from archwright.space import Point
from archwright.tools.archived import archived
from archwright.tools.export_design import export_design
from archwright.tools.fronts import compare_designs, explain_design
from archwright.tools.fronts import front as front_tool
from archwright.tools.networks import evaluate_network
from archwright.tools.recall_designs import recall_designs
from archwright.tools.simulate_hardware import simulate_hardware


def front(chat: Chat, rest: str) -> None:
    """The last run's front, best first by a metric."""
    by = rest or "accuracy"
    found = front_tool.call({"run": chat.run, "by": by}, chat.desk)
    chat.remember([design.key for design in found.designs])
    if not found.designs:
        chat.line("no design on the front yet: none is measured, or none meets every bound")
        return
    chat.show(tables.front_table(found, by))


def why(chat: Chat, rest: str) -> None:
    """A design explained: its layers, what bounds it, where it came from, the evidence."""
    key = rest or chat.design(None).key
    found = explain_design.call({"run": chat.run, "design": key}, chat.desk)
    chat.remember([found.design.key])
    for part in tables.explained(found):
        chat.show(part)


def what_if(chat: Chat, rest: str) -> None:
    """A design with other choices: hardware costs at once, accuracy where a supernet is there."""
    changes, keys = parse_changes(rest)
    if not changes or len(keys) > 1:
        raise UserError("allowed: /what-if choice=value ... [DESIGN]")
    design = chat.design(keys[0] if keys else None)
    network, hardware = applied(design.network, design.hardware, changes)
    before = tables.costs_of(design)
    after = simulated(chat, chat.run, network, hardware)
    chat.remember([design.key])
    if "accuracy_validation" in before:
        accuracy = before["accuracy_validation"]
        if network != design.network:
            measured = _accuracy(chat, network)
            after = after if measured is None else {"accuracy_validation": measured, **after}
        else:
            after = {"accuracy_validation": accuracy, **after}
    chat.show(tables.varied(before, after, f"{said(changes)} in {tables.short(design.key)}"))


def _accuracy(chat: Chat, network: Point) -> float | None:
    """The accuracy that the run's supernet gives a network; None, and why, without one."""
    chat.line("measuring the network's accuracy with the run's supernet ...")
    try:
        found = evaluate_network.call({"run": chat.run, "network": dict(network)}, chat.desk)
    except UserError as error:
        chat.line(f"accuracy not measured: {error}")
        return None
    return found.accuracy_validation.value


def simulated(chat: Chat, run: str, network: Point, hardware: Point) -> dict[str, float]:
    """The free costs of a design for the images of a run. Raises :class:`UserError`."""
    with archived(run, chat.desk) as found:
        shape = _images(found.brief.task, found.brief.seed)
        family = found.brief.network.space
    arguments = {
        "network": dict(network),
        "hardware": dict(hardware),
        "channels": shape.channels,
        "side": shape.side,
        "classes": shape.classes,
        "family": family,
    }
    return simulate_hardware.call(arguments, chat.desk).totals


@lru_cache(maxsize=4)
def _images(task: Task, seed: int) -> InputShape:
    """The images that networks of a run are for."""
    return load_data(task, seed).shape


def compare(chat: Chat, rest: str) -> None:
    """Two to five designs side by side."""
    found = compare_designs.call({"run": chat.run, "designs": rest.split()}, chat.desk)
    chat.remember([design.key for design in found.designs])
    chat.show(tables.compared(found))


def export(chat: Chat, rest: str) -> None:
    """Write a design's weights, ONNX, hardware and simulator inputs."""
    key = rest or chat.design(None).key
    found = export_design.call({"run": chat.run, "design": key}, chat.desk)
    chat.line(f"written: {', '.join(found.files)}")
    chat.path(found.folder)


def recall(chat: Chat, rest: str) -> None:
    """Designs of past runs that are similar to what the brief asks for."""
    found = recall_designs.call({"brief": chat.session.state.brief}, chat.desk)
    for reason in found.skipped:
        chat.line(f"skipped: {reason}")
    if not found.designs:
        chat.line("nothing to recall: no finished run of this home is similar")
        return
    chat.show(tables.recalled(found))
