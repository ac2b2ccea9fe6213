"""The connections that Render allows a database, by plan.

Facts: Render, "Connection limits and pooling" (tutorial *Postgres on Render: a deep dive*): 100 below 8 GB of memory, 200 below
16, 400 below 32, else 500, of which some ten are Postgres' own; 97, 197 and 397 of the plans before those.
"""

from __future__ import annotations

import re

__all__ = ["connection_limit"]

RESERVED = 10
BY_MEMORY = ((8, 100), (16, 200), (32, 400))  # below so many GB
MOST = 500
LEGACY = {"starter": 97, "standard": 97, "pro": 197, "pro plus": 397}
DEFAULT, FREE = "basic-256mb", "free"  # what a Blueprint without a plan gets (its reference, `plan` of a database)
MEMORY = re.compile(r"-(\d+)(mb|gb)$")


def connection_limit(plan: str) -> int | None:
    """Tell how many connections the services may hold together.

    None for a plan that is not known.

    Args:
        plan: as the Blueprint writes it; empty: none.
    """
    name = (plan or DEFAULT).lower()
    match = MEMORY.search(name)
    if match is not None:
        memory = int(match[1]) / (1000 if match[2] == "mb" else 1)
        return next((most for below, most in BY_MEMORY if memory < below), MOST) - RESERVED
    limit = BY_MEMORY[0][1] if name == FREE else LEGACY.get(name)
    return None if limit is None else limit - RESERVED
