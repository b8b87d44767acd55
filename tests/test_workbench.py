"""What a brief makes of its instruments."""

from pathlib import Path

import pytest

from archwright.brief import parse_brief
from archwright.design import Design, Origin
from archwright.evaluators.supernet import smallest_network
from archwright.workbench import prepare, train_or_load


@pytest.mark.parametrize("asked", [{}, {"accuracy": {"at_least": 0.99}}], ids=["nothing", "99%"])
def test_a_network_without_hope_is_given_up_on_validation_only(asked, tmp_path: Path) -> None:
    brief = parse_brief(
        {
            "name": "hopeless",
            "task": {"data": "digits"},
            "objectives": {"accuracy": "maximise", "latency_ms": "minimise"},
            "constraints": asked,
            "supernet": {"epochs": 1},
            "budget": {"evaluations": 1},
        }
    )
    bench = prepare(brief, None)
    checkpoint = train_or_load(brief, bench.data, tmp_path, lambda _: None)
    weak = Design(smallest_network(bench.supernet_space), {}, Origin("user", "test"))
    for split in ("validation", "test"):
        with bench.accuracy(checkpoint, split, workers=0) as instrument:
            (outcome,) = instrument.measure([weak])
        seen = {m.metric: m.value for m in outcome.measurements}["images"]
        everything = len(bench.data.split(split))
        assert seen < everything if asked and split == "validation" else seen == everything
