"""One function for each command.

- `release`: a release, a part of one, an earlier one; `backups`: backups, their proof, a restore
- `status`: what is live, what has happened; `control`: the lease, and what is refused
- `health`: the copies of the health check in a product; `fitness`: whether a service can be released without downtime
- `dashboard`: the page that says what is live
- `init`: a repository that is made ready to be released
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.commands import backups, control, dashboard, fitness, health, init, release, status

__all__ = ["backups", "control", "dashboard", "fitness", "health", "init", "release", "status"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "backups": "backups",
            "control": "control",
            "dashboard": "dashboard",
            "fitness": "fitness",
            "health": "health",
            "init": "init",
            "release": "release",
            "status": "status",
        },
    )
