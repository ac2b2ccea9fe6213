"""Backups of a Postgres database: made, proven, kept in a store, restored.

- `create`: dumps a database into a store and proves the dump; `export`: has the platform do it
- `prove`: restores a backup where nobody sees it, and compares; `restore`: puts one into a database
- `Edges`: what all of these work with; where a store is given in its place, those of this machine
- `repository`: the backups in a store; `restore_mark`: the mark of a database that is half restored
- `restore_test`: the proofs one by one, and what they cost
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.backups import repository, restore_mark, restore_test
    from deploylib.backups.dump import create
    from deploylib.backups.edges import Edges
    from deploylib.backups.render_export import export
    from deploylib.backups.restore_database import restore
    from deploylib.backups.restore_test import prove

__all__ = ["Edges", "create", "export", "prove", "repository", "restore", "restore_mark", "restore_test"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Edges": "edges",
            "create": "dump",
            "export": "render_export",
            "prove": "restore_test",
            "repository": "repository",
            "restore": "restore_database",
            "restore_mark": "restore_mark",
            "restore_test": "restore_test",
        },
    )
