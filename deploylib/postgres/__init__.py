"""The edge to a Postgres server, and the programs of Postgres on this machine.

- `connect`: a connection; `alter_url`: the same URL with another database, role or password
- `connection`: the rest about a connection: facts, the lock of a database, refusals, a child's environment
- `Client`: programs of one version; `binaries` finds those that fit a server
- `Grant`: a right that differs from a new object's; `grants` reads and gives them
- `sqlstates`: what to do about an error of the server
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.postgres import binaries, connection, grants, sqlstates
    from deploylib.postgres.binaries import Client
    from deploylib.postgres.connection import alter_url, connect
    from deploylib.postgres.grants import Grant

_FACE = {"Client": "binaries", "Grant": "grants", "alter_url": "connection", "connect": "connection"}

__all__ = ["Client", "Grant", "alter_url", "binaries", "connect", "connection", "grants", "sqlstates"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_FACE.get(name, name)}")
    return getattr(module, name) if name in _FACE else module
