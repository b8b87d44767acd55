"""Commands that approve, reject and edit the designs a run waits with.

Each word is recorded as it is given; when every design has one, all go to the run, which
goes on. Steering notes go with them to the proposer.
"""

from __future__ import annotations

from archwright.design import Design, Origin
from archwright.errors import UserError, shown
from archwright.measurement import COSTS
from archwright.session import tables
from archwright.session.changes import applied, parse_changes, said
from archwright.session.chat import Chat
from archwright.session.exploring import simulated
from archwright.session.store import Decision

SHOWN_COSTS = ("latency_ms", "energy_uj", "area_mm2", "power_mw")
LONGEST_REASON = 200


def show_pending(chat: Chat, run: str) -> None:
    """The designs that a run waits with, and what was said to them already."""
    pending = chat.approvals.pending(run)
    costs = {}
    for design in pending:
        totals = simulated(chat, run, design.network, design.hardware)
        costs[design.key] = {m: totals[m] for m in SHOWN_COSTS if m in COSTS}
    chat.remember([design.key for design in pending])
    chat.show(tables.pending_table(pending, costs))
    for decision in _said(chat, run, pending).values():
        chat.line(f"{tables.short(decision.key)}: {decision.verdict} {decision.reason}".rstrip())
    chat.line("/approve [KEYS], /reject KEY REASON, /edit KEY choice=value ..., /steer TEXT")


def approve(chat: Chat, rest: str) -> None:
    """Approve the designs with these keys, or all that are not rejected or edited."""
    run, pending = _waiting(chat)
    keys = [] if rest == "all" else rest.split()
    for key in keys:
        _record(chat, Decision(run, _find(pending, key).key, "approved"))
    if not keys:
        decided = _said(chat, run, pending)
        for design in pending:
            if design.key not in decided:
                _record(chat, Decision(run, design.key, "approved"))
    _send(chat, run, pending)


def reject(chat: Chat, rest: str) -> None:
    """Reject a design; the proposer sees the reason."""
    key, _, reason = rest.partition(" ")
    reason = reason.strip()[:LONGEST_REASON]
    if not key or not reason:
        raise UserError("allowed: /reject KEY REASON")
    run, pending = _waiting(chat)
    _record(chat, Decision(run, _find(pending, key).key, "rejected", reason))
    _send(chat, run, pending)


def edit(chat: Chat, rest: str) -> None:
    """Evaluate a design with other choices in its place."""
    changes, keys = parse_changes(rest)
    if len(keys) != 1 or not changes:
        raise UserError("allowed: /edit KEY choice=value ...")
    run, pending = _waiting(chat)
    design = _find(pending, keys[0])
    edited = _edited(design, changes)
    simulated(chat, run, edited.network, edited.hardware)  # its spaces and limits hold
    _record(chat, Decision(run, design.key, "edited", said(changes), changes))
    _send(chat, run, pending)


def steer(chat: Chat, rest: str) -> None:
    """Keep a note for the proposer; it goes with the next decision."""
    if not rest:
        raise UserError("allowed: /steer TEXT")
    chat.session.add("note", text=rest[:LONGEST_REASON])
    chat.line("noted; the proposer gets it with the next decision (brief: approval = true)")


def _record(chat: Chat, decision: Decision) -> None:
    chat.session.add("decision", **vars(decision))


def _waiting(chat: Chat) -> tuple[str, list[Design]]:
    """The last run and the designs it waits with. Raises :class:`UserError` without any."""
    run = chat.run
    pending = chat.approvals.pending(run)
    if not pending:
        raise UserError(f"run {run}: no design waits for approval; /status says how it stands")
    return run, pending


def _find(pending: list[Design], key: str) -> Design:
    found = [design for design in pending if design.key.startswith(key)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(tables.short(design.key) for design in pending)
    raise UserError(f"design = {shown(key)}: not one design that waits; they are {known}")


def _said(chat: Chat, run: str, pending: list[Design]) -> dict[str, Decision]:
    """What was said to the designs that wait, and not handed over yet, by key."""
    keys = {design.key for design in pending}
    decisions = chat.session.state.open_decisions
    return {k: d for k, d in decisions.items() if d.run == run and k in keys}


def _send(chat: Chat, run: str, pending: list[Design]) -> None:
    """Hand the decisions to the run and watch it, once every design has one."""
    from archwright.session.searching import watch

    decided = _said(chat, run, pending)
    left = [tables.short(design.key) for design in pending if design.key not in decided]
    if left:
        chat.line(f"recorded; still to decide: {', '.join(left)} (/approve takes all of them)")
        return
    designs = {design.key: design for design in pending}
    rejected = {k: d.reason for k, d in decided.items() if d.verdict == "rejected"}
    edited = {k: _edited(designs[k], d.changes) for k, d in decided.items() if d.changes}
    chat.approvals.decide(run, rejected, edited, "; ".join(chat.session.state.notes))
    chat.session.add("decided", run=run)
    approved = len(pending) - len(rejected) - len(edited)
    chat.line(f"{approved} approved, {len(rejected)} rejected, {len(edited)} edited: {run} goes on")
    watch(chat, run)


def _edited(design: Design, changes: object) -> Design:
    """The design with the changes made, as the user's."""
    assert isinstance(changes, dict)
    network, hardware = applied(design.network, design.hardware, changes)
    reason = f"edited by the user: {said(changes)}"
    return Design(network, hardware, Origin("user", reason, (design.key,)))
