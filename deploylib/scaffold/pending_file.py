"""The script that lists what Prisma has not applied.

Prisma itself tells that to people, and prints no list.
"""

from __future__ import annotations

from deploylib.scaffold.repository import Member, Proposal, Repository, Tree

__all__ = ["PENDING", "PendingFile"]

PENDING = "pending.py"
TEXT = '''"""pending.py TABLE COLUMN FOLDER [CONDITION]: what the folder has and the table has not. It only reads."""

import os
import pathlib
import sys

import psycopg

table, column, folder, *more = sys.argv[1:]
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    there = connection.execute("select to_regclass(%s)", [table]).fetchone()[0]
    query = f"select {column} from {table} where {more[0] if more else 'true'}"
    done = {name for (name,) in connection.execute(query)} if there else set()
for path in sorted(pathlib.Path(folder).iterdir()):
    if path.suffix != ".toml" and not done & {path.name, path.stem}:
        print(path.name)
'''


class PendingFile(Member):
    """Proposes ``pending.py``, which the settings of migrations name."""

    def propose(self, product: Repository, tree: Tree) -> tuple[Proposal, ...]:  # noqa: ARG002
        """Propose it where migrations are Prisma's."""
        return (Proposal(PENDING, TEXT),) if product.prisma is not None else ()
