"""The edge to a Postgres server, and its programs here.

- `connect`: a connection; `alter_url`: the same URL with another database, role or password
- `connection`: the rest about a connection: facts, the lock of a database, refusals, a child's environment
- `Programs`: programs of one version; `binaries` finds those that fit a server
- `Grant`: a right that differs from a new object's; `grants` reads and gives them
- `sqlstates`: what to do about an error of the server
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.postgres import binaries, connection, grants, sqlstates
    from deploylib.postgres.binaries import Programs
    from deploylib.postgres.connection import alter_url, connect
    from deploylib.postgres.grants import Grant

__all__ = ["Grant", "Programs", "alter_url", "binaries", "connect", "connection", "grants", "sqlstates"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Programs": "binaries",
            "Grant": "grants",
            "alter_url": "connection",
            "binaries": "binaries",
            "connect": "connection",
            "connection": "connection",
            "grants": "grants",
            "sqlstates": "sqlstates",
        },
    )
