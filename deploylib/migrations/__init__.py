"""Migrations: linted, rehearsed on a copy, applied.

`upgrade` brings a database to the newest revision of a folder, and `Tool` is what does it: alembic, or another tool by its
commands, with the files of one commit. `lint_revisions` reads the SQL of what is pending beside the database's `Catalog`,
which `read_catalog` reads. `rehearsal` applies it to a copy and measures the locks; `server_roles` brings roles and rights
to that copy. Both find hazards of one table, and `rules` tells which of them a revision allows. `discovery` finds
migrations that others run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.migrations import discovery, rehearsal, rules, server_roles
    from deploylib.migrations.catalog import read_catalog
    from deploylib.migrations.lint import lint_revisions
    from deploylib.migrations.tool import Tool, upgrade

__all__ = ["Tool", "discovery", "lint_revisions", "read_catalog", "rehearsal", "rules", "server_roles", "upgrade"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Tool": "tool",
            "discovery": "discovery",
            "lint_revisions": "lint",
            "read_catalog": "catalog",
            "rehearsal": "rehearsal",
            "rules": "rules",
            "server_roles": "server_roles",
            "upgrade": "tool",
        },
    )
