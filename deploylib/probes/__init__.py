"""Requests to the public addresses: the proof of a deploy, and the downtime that visitors meet.

`verify` proves that one address serves a commit, without a platform; `verify_service` proves a service of a release, with
what is `Expected` of it, at a `Pace`, by a `Probe` that also asks the platform. `address` tells where a service is asked, and
what it answers now; `DowntimeWatch` counts what visitors meet while traffic is switched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.probes import address
    from deploylib.probes.downtime import DowntimeWatch
    from deploylib.probes.verification import Expected, Pace, Probe, verify, verify_service

_VERIFICATION = "verification"
_FACE = {
    "DowntimeWatch": "downtime",
    "Expected": _VERIFICATION,
    "Pace": _VERIFICATION,
    "Probe": _VERIFICATION,
    "verify": _VERIFICATION,
    "verify_service": _VERIFICATION,
}

__all__ = ["DowntimeWatch", "Expected", "Pace", "Probe", "address", "verify", "verify_service"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_FACE.get(name, name)}")
    return getattr(module, name) if name in _FACE else module
