"""A search of a table with a committee behind its proposer: recorded, and replayed alike."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from archwright.agents.problem import History
from archwright.brief import Budget
from archwright.settings import load_settings
from archwright.tabular.advised import AdvisedSearch, Adviser


def opens(body, number):
    """An opening that follows from who is asked: a member's every network is another one."""
    asked = re.search(r"You are proposer (\d) of", body["messages"][1]["content"])
    schema = body["messages"][0]["content"].partition("Its schema: ")[2]
    definitions = json.loads(schema)["$defs"]
    member = int(asked[1]) if asked else 0
    choices = definitions["Network"]["properties"]
    values = {c: _nth(choice["enum"], member) for c, choice in choices.items()}
    level = _nth(_enumerated(definitions["OpeningDesign"]["properties"]["level"]), 0)
    return {"designs": [{"level": level, "network": values, "rationale": f"by {member}"}]}


def _enumerated(schema):
    return schema.get("enum") or [schema["const"]]


def _nth(values, n):
    return values[n % len(values)]


def test_a_committee_is_asked_recorded_and_replayed(
    arena, start_chat_server, settings_file, tmp_path
):
    server = start_chat_server(opens)
    settings_file.write_text(server.settings_toml("m", max_retries=0), encoding="utf-8")
    file = tmp_path / "transcript.jsonl"
    adviser = Adviser(load_settings(), "m", Budget(evaluations=1), record=file, committee=3)
    problem = arena.tabular.problem

    def first_batch(adviser):
        search = AdvisedSearch(problem, arena.costed_pairings, 1, adviser)
        batch = search.ask(0, 5, History())
        asks = [replace(asked, seconds=0.0) for asked in search.account.asks]
        return [s.network.tolist() for s in batch], replace(search.account, asks=tuple(asks))

    batch, account = first_batch(adviser)
    # Each answer is sent back once: it leaves cost levels out.
    assert len(server.requests) == 6
    assert len(account.asks) == 3
    assert account.taken == len({json.dumps(network) for network in batch[: account.taken]}) > 1
    asked = len(server.requests)
    again, same = first_batch(replace(adviser, record=None, replay=file))
    assert len(server.requests) == asked, "a replay asks nobody"
    assert again == batch
    assert same == account
