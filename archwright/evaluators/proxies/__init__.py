"""Zero-cost proxies: numbers of an untrained network that are to rank as its accuracy does.

- ``proxy``      what a proxy is
- ``table``      many networks scored, each from initial weights drawn by seed
- ``gradients``  from one backward pass: synflow, grad_norm, GradSign
- ``activity``   from what images do to it: jacob_cov, NASWOT
- ``zen``        from what noise does to it: Zen-NAS

A score is no accuracy: it has no unit, and only its order means something.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archwright.evaluators.proxies.activity import JacobianCovariance, Naswot
    from archwright.evaluators.proxies.gradients import GradientNorm, GradSign, SynFlow
    from archwright.evaluators.proxies.proxy import Proxy
    from archwright.evaluators.proxies.table import all_proxies, score_networks
    from archwright.evaluators.proxies.zen import Zen

_HOME_OF = {
    "JacobianCovariance": "activity",
    "Naswot": "activity",
    "GradientNorm": "gradients",
    "GradSign": "gradients",
    "SynFlow": "gradients",
    "Proxy": "proxy",
    "all_proxies": "table",
    "score_networks": "table",
    "Zen": "zen",
}

__all__ = [
    "GradSign",
    "GradientNorm",
    "JacobianCovariance",
    "Naswot",
    "Proxy",
    "SynFlow",
    "Zen",
    "all_proxies",
    "score_networks",
]


def __getattr__(name: str) -> object:
    """Load the module of a public name when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
