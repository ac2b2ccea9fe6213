"""The databases of a local Render, as who uses them and as its superuser."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.localrender.product import Local


def url(local: Local, name: str) -> str:
    """The external connection string that the API gives."""
    found = {one["postgres"]["name"]: one["postgres"]["id"] for one in local.get("/postgres")}
    return str(local.get(f"/postgres/{found[name]}/connection-info")["externalConnectionString"])


def setting(local: Local) -> dict[str, str]:
    """What a state remembers by name."""
    with closing(sqlite3.connect(local.state / "state.sqlite3")) as store:
        return dict(store.execute("select name, value from setting").fetchall())


def superuser(local: Local) -> str:
    """The superuser's URL of a local Render's own cluster."""
    known = setting(local)
    return f"postgresql://postgres:{known['postgres_password_16']}@127.0.0.1:{known['postgres_port_16']}/postgres"
