"""Render: its API, its Blueprint, its deploys.

`Client` asks the API of one account, and `Refused`, `Forbidden` and `Ambiguous` are what a request may come to beside an
answer; `deploy_and_wait` deploys one service; `rollout` brings many services to a commit, or back, at once; `blueprints`
reads ``render.yaml``; `local` starts and asks the local Render, which needs no account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.render import blueprints, local, rollout
    from deploylib.render.client import Ambiguous, Client, Forbidden, Refused
    from deploylib.render.rollout import deploy_and_wait

__all__ = ["Ambiguous", "Client", "Forbidden", "Refused", "blueprints", "deploy_and_wait", "local", "rollout"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Ambiguous": "client",
            "Client": "client",
            "Forbidden": "client",
            "Refused": "client",
            "blueprints": "blueprints",
            "deploy_and_wait": "rollout",
            "local": "local",
            "rollout": "rollout",
        },
    )
