"""Migrations: linted, rehearsed on a copy, applied.

`upgrade` brings a database to the newest revision of a folder, and `Tool` is what does it: alembic, or another tool by its
commands, with the files of one commit. `lint_revisions` reads the SQL of what is pending beside the database's `Catalog`,
which `read_catalog` reads. `rehearsal` applies it to a copy, with roles and rights as they are, and measures the locks. Both
find hazards of one table, and `rules` tells which of them a revision allows. `compatibility` judges which code goes with
which schema. `discovery` finds migrations that others run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.migrations import compatibility, discovery, rehearsal, rules
    from deploylib.migrations.catalog import read_catalog
    from deploylib.migrations.lint import lint_revisions
    from deploylib.migrations.tool import Tool, upgrade

__all__ = ["Tool", "compatibility", "discovery", "lint_revisions", "read_catalog", "rehearsal", "rules", "upgrade"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Tool": "tool",
            "compatibility": "compatibility",
            "discovery": "discovery",
            "lint_revisions": "lint",
            "read_catalog": "catalog",
            "rehearsal": "rehearsal",
            "rules": "rules",
            "upgrade": "tool",
        },
    )
