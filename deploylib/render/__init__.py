"""Render: its API, its Blueprint, its deploys. All that the library knows of the platform is here.

`Client` asks the API of one account, and `Refused`, `Forbidden` and `Ambiguous` are what a request may come to beside an
answer; `deploy_and_wait` deploys one service; `rollout` brings many services to a commit, or back, at once; `blueprints`
reads ``render.yaml``; `local` starts and asks the local Render, which needs no account.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.render import blueprints, local, rollout
    from deploylib.render.client import Ambiguous, Client, Forbidden, Refused
    from deploylib.render.rollout import deploy_and_wait

_FACE = {
    "Ambiguous": "client",
    "Client": "client",
    "Forbidden": "client",
    "Refused": "client",
    "deploy_and_wait": "rollout",
}

__all__ = ["Ambiguous", "Client", "Forbidden", "Refused", "blueprints", "deploy_and_wait", "local", "rollout"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_FACE.get(name, name)}")
    return getattr(module, name) if name in _FACE else module
