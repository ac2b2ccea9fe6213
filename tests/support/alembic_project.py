"""Migrations as a product has them."""

from __future__ import annotations

ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
if context.is_offline_mode():
    context.configure(url=os.environ["DATABASE_URL"], literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""


def revision(number: int, body: str = "", below: int | None = None) -> str:
    """A migration that makes a table."""
    down = repr(f"{number - 1:04}") if number > 1 else None
    down = repr(f"{below:04}") if below else down
    statement = body or f'op.execute("create table t{number} (id integer)")'
    head = f'"""Make table {number}.\n\nMore.\n"""\nfrom alembic import op\nrevision = "{number:04}"\ndown_revision = {down}\n'
    return f"{head}\ndef upgrade():\n    {statement}\n"
