"""A load test that judges itself before it judges a release.

`assess` has a child process send what a `Workload` says, by the team's own locustfile, and says in an `Assessment` what that
is worth: nothing where the sender did not keep up, else how the `Subject` compares with its `Records` and `Objectives`.
`measure` only sends, for a pair of before and after; `report` tells it all in lines.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.loadtest import report
    from deploylib.loadtest.assessment import Assessment, Subject, assess
    from deploylib.loadtest.degradation import Objectives
    from deploylib.loadtest.measurement import Workload, measure
    from deploylib.loadtest.records import Records

_FACE = {
    "Assessment": "assessment",
    "Objectives": "degradation",
    "Workload": "measurement",
    "Records": "records",
    "Subject": "assessment",
    "assess": "assessment",
    "measure": "measurement",
}

__all__ = ["Assessment", "Objectives", "Records", "Subject", "Workload", "assess", "measure", "report"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_FACE.get(name, name)}")
    return getattr(module, name) if name in _FACE else module
