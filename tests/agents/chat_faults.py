"""Faults on demand: a script for the chat server that spoils a share of another's answers.

Test files get it through the fixture ``with_faults`` of the conftest, which loads this file
after chat_server.py, under the names below.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from dataclasses import replace
from typing import Any

from archwright_tests_chat_server import Reply, Script

FAULTS = (
    "time-out",
    "429",
    "500",
    "dropped",
    "cut JSON",
    "length",
    "empty",
    "refusal",
    "prose",
    "enormous",
    "invalid values",
)


class Faulty:
    """A script around another one that spoils a ``share`` of its answers, evenly in FAULTS.

    Which ones hangs on the seed, on what the request says and on how often it came, not on
    the order of threads. ``dealt`` counts the faults. A time-out is an answer ``delay_s``
    late: clients wait less.
    """

    def __init__(self, script: Script, share: float, seed: int, delay_s: float = 1.0) -> None:
        self.script, self.share, self.seed, self.delay_s = script, share, seed, delay_s
        self.dealt: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, Any], number: int) -> object:
        """The script's answer, or a fault in its place."""
        text = json.dumps(request, sort_keys=True)
        with self._lock:
            self._seen[text] += 1
            chance = random.Random(f"{self.seed} {self._seen[text]} {text}")
            fault = chance.choice(FAULTS) if chance.random() < self.share else ""
            self.dealt.update([fault] if fault else [])
        said = self.script(request, number)
        return self._spoilt(fault, said if isinstance(said, Reply) else Reply(said))

    def _spoilt(self, fault: str, good: Reply) -> Reply:
        text = good.content if isinstance(good.content, str) else json.dumps(good.content)
        half = text[: len(text) // 2]
        values = good.content if isinstance(good.content, dict) else {}
        return {
            "": good,
            "time-out": replace(good, delay_s=self.delay_s),
            "429": Reply("slow down", status=429, headers={"retry-after": "0"}),
            "500": Reply("out of memory", status=500),
            "dropped": Reply(drop=True),
            "cut JSON": replace(good, content=half),
            "length": replace(good, content=half, finish_reason="length"),
            "empty": Reply(""),
            "refusal": Reply(refusal="I cannot help with that."),
            "prose": Reply("I would rather write a poem."),
            "enormous": Reply("x" * 150_000),
            "invalid values": Reply(dict.fromkeys(values, 10**15)),
        }[fault]


def with_faults(script: Script, share: float, seed: int, delay_s: float = 1.0) -> Faulty:
    """``script`` with a share of its answers spoilt; see Faulty."""
    return Faulty(script, share, seed, delay_s)
