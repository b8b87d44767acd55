"""The words of metric figures: units, names of metrics, and what tells other numbers apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What makes a number a figure: its metric, and how many of the metric's units one is.

    ``has_unit``: the unit is stated, and not only the metric.
    """

    metric: str
    factor: float = 1.0
    has_unit: bool = False


ACCURACY, ERROR = "accuracy", "error"
"""An error is checked as the accuracy that it leaves."""


def _these(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _units(metric: str, **factors: float) -> dict[str, Meaning]:
    return {name: Meaning(metric, factor, True) for name, factor in factors.items()}


def _words(metric: str, **factors: float) -> dict[str, Meaning]:
    """Units that have a plural."""
    return _units(metric, **factors, **{f"{name}s": factor for name, factor in factors.items()})


UNITS: dict[str, Meaning] = {
    **_units("latency_ms", ms=1, msec=1, us=1e-3, μs=1e-3, usec=1e-3, ns=1e-6, nsec=1e-6),
    **_words("latency_ms", millisecond=1, microsecond=1e-3, nanosecond=1e-6),
    **_units("energy_uj", pj=1e-6, nj=1e-3, uj=1, μj=1, mj=1e3, j=1e6),
    **_words("energy_uj", picojoule=1e-6, nanojoule=1e-3, microjoule=1, millijoule=1e3),
    **_words("energy_uj", joule=1e6),
    **dict.fromkeys(("mm2", "mm^2"), Meaning("area_mm2", 1, True)),
    **dict.fromkeys(("um2", "um^2", "μm2", "μm^2"), Meaning("area_mm2", 1e-6, True)),
    **dict.fromkeys(("cm2", "cm^2"), Meaning("area_mm2", 100, True)),
    **_units("power_mw", uw=1e-3, μw=1e-3, mw=1, w=1e3),
    **_words("power_mw", microwatt=1e-3, milliwatt=1, watt=1e3),
    **_words("parameters", parameter=1, param=1),
    **_units("parameters", weights=1),
    **_words("macs", mac=1, kmac=1e3, mmac=1e6, gmac=1e9),
    **_units("macs", multiply=1),  # 12,000 multiply-accumulates
}
"""Units that by themselves make a number a figure."""

WEAK_UNITS: dict[str, Meaning] = {
    **_units("latency_ms", s=1e3, sec=1e3, second=1e3, seconds=1e3),
    **_units("memory_kib", byte=1 / 1024, bytes=1 / 1024, kib=1, kb=1, mib=1024, mb=1024),
}
"""Units that do so only beside the metric's own name: buffers are in KiB too."""

NAMES: dict[str, Meaning] = {
    **dict.fromkeys(("accuracy", "accuracies", "acc", "accurate"), Meaning(ACCURACY)),
    **dict.fromkeys(("top1", "top-1", "top5", "top-5"), Meaning(ACCURACY)),
    **dict.fromkeys(("error", "errors", "misclassified", "misclassifies"), Meaning(ERROR)),
    **dict.fromkeys(("latency", "latencies", "delay"), Meaning("latency_ms")),
    **dict.fromkeys(("energy", "energies"), Meaning("energy_uj")),
    **dict.fromkeys(("area", "areas"), Meaning("area_mm2")),
    "power": Meaning("power_mw"),
    **dict.fromkeys(("memory", "footprint"), Meaning("memory_kib")),
    **dict.fromkeys(("parameters", "params"), Meaning("parameters")),
    "macs": Meaning("macs"),
}
"""Words that name a metric."""

NEEDS_A_UNIT = ("power_mw", "memory_kib")
"""Of these a number alone says nothing: "a power of 2"."""

MULTIPLIERS = {"k": 1e3, "m": 1e6, "g": 1e9, "thousand": 1e3, "million": 1e6, "billion": 1e9}
OTHER_QUANTITIES = _these(
    "kernel kernels width widths depth depths expansion expansions resolution bit bits row rows "
    "column columns buffer buffers bandwidth clock frequency stride channel channels layer layers "
    "dropout learning momentum temperature ratio factor multiplier utilisation utilization "
    "occupancy sparsity hypervolume probability confidence similarity correlation tau seed step "
    "round rounds version budget epochs evaluations position share t dram choice choices "
    "threshold weight"
)
"""Nouns whose number is their own, whatever metric was named before."""
DIFFERENCES = _these(
    "by gain gains gained improvement increase decrease loss difference delta margin saves save "
    "saving saved adds plus minus extra another within"
)
CHANGES = _these(
    "drops drop dropped falls fell rises rose loses lost improves improved increases increased "
    "decreases decreased raises lowers"
)
"""Right before a number: it says by how much, where "to" would say what."""
COMPARED = _these(
    "more less fewer lower higher smaller larger faster slower better worse shorter longer bigger "
    "greater extra"
)
"""After a number: it says by how much."""
FOREIGN_UNITS = _these(
    "x hz khz mhz ghz gb tb gbps bit bits nm v volt volts epochs hours hour h minutes minute min "
    "days percentage dollars cents tokens point points times"
)
JOINING = _these(
    "of is was are were be being equals equal reaches reached reaching hits gets got at about "
    "around roughly approximately nearly almost only just exactly under below over above than "
    "least most up to from validation test"
)
"""Words that may stand between a metric's name and a number without a point."""
QUALIFIERS = _these(
    "validation test training top classification overall mean average measured expected in of final"
)
"""Words that may stand between a number and the metric's name."""
GOES_ON = _these("and with at on in for while but is as which than or to , . ; : )")
"""After a number without a point: it counts nothing."""
RIGHT = _these("correct correctly right classifies classified recognises recognised recognizes")
"""Beside a percentage of images: it is an accuracy."""
ONE_INFERENCE = _these("inference image input sample frame classification prediction picture")


def meaning_of(name: str) -> Meaning | None:
    """What a name says of its value ("latency_ms", "validation_accuracy"); None: no metric."""
    parts = [part for part in name.lower().split("_") if part]
    named = next((NAMES[part] for part in parts if part in NAMES), None)
    if named is None:
        return None
    unit = UNITS.get(parts[-1]) or WEAK_UNITS.get(parts[-1])
    return unit if unit is not None and unit.metric == named.metric else named
