"""How alembic reaches the database: used by the deployment and by hand.

The deployment has no alembic.ini: it sets `script_location` and `sqlalchemy.url` in code. By hand,
`alembic -c migrations/alembic.ini …` reads the URL from DATABASE_URL.
"""

import os

from alembic import context
from sqlalchemy import create_engine, pool


def database_url() -> str:
    """Give the URL of the database, with the driver that is installed."""
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("migrations: set DATABASE_URL, or the alembic option sqlalchemy.url.")
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        scheme = "postgresql+psycopg"
    return scheme + separator + rest


def run_offline() -> None:
    """Write the SQL without a connection (`--sql`)."""
    context.configure(
        url=database_url(), literal_binds=True, dialect_opts={"paramstyle": "named"}, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Change the database: each revision commits on its own, so what is done stays done."""
    engine = create_engine(database_url(), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
