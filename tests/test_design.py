"""Designs: their names, and what makes two of them one."""

from __future__ import annotations

from archwright.design import Design, Origin
from archwright.space import point_hash

NETWORK = {"width": 8, "bits": 8}
HARDWARE = {"rows": 4, "dram_gb_per_s": 1.0}
RULES = Origin("rules/spread", "the opening")


def test_a_design_is_its_network_and_hardware_whoever_proposed_it() -> None:
    one = Design(NETWORK, HARDWARE, RULES)
    other = Design(dict(reversed(NETWORK.items())), HARDWARE, Origin("model/m", "why not"))
    assert one == other
    assert one.key == other.key
    assert len({one, other}) == 1


def test_equal_designs_have_equal_keys_also_where_numbers_changed_type() -> None:
    """What went through JSON or a user's TOML is the same design: no second measurement."""
    one = Design(NETWORK, HARDWARE, RULES)
    other = Design({"width": 8.0, "bits": 8}, {"rows": 4, "dram_gb_per_s": 1}, RULES)
    assert one == other
    assert (one.key, one.network_key) == (other.key, other.network_key)
    assert len({one, other}) == 1


def test_either_part_makes_another_design() -> None:
    one = Design(NETWORK, HARDWARE, RULES)
    wider = Design({**NETWORK, "width": 16}, HARDWARE, RULES)
    larger = Design(NETWORK, {**HARDWARE, "rows": 8}, RULES)
    swapped = Design(HARDWARE, NETWORK, RULES)
    assert (
        len({one, wider, larger, swapped})
        == len({d.key for d in (one, wider, larger, swapped)})
        == 4
    )
    assert one.network_key == larger.network_key != wider.network_key
    assert one.network_key == point_hash(NETWORK)
    assert len(one.key) == len(one.network_key) == 16
