"""A product of trivial services with a database, whose migrations are SQL files that a program of its own applies."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.trivial import Trivial

DATABASE = """
databases:
  - name: shop
    plan: basic-256mb
    postgresMajorVersion: "16"
    ipAllowList: []
"""
TOOL = """
import os, pathlib, sys, urllib.parse, psycopg
at = urllib.parse.urlsplit(os.environ["DATABASE_URL"])  # and no more of it, as tools do that are not libpq's
with psycopg.connect(
    host=at.hostname, port=at.port, user=at.username, password=at.password, dbname=at.path[1:], autocommit=True
) as connection:
    connection.execute("create table if not exists schema_migrations (name text primary key)")
    done = {name for (name,) in connection.execute("select name from schema_migrations")}
    for file in sorted(pathlib.Path("api/migrations").glob("*.sql")):
        if file.name in done:
            continue
        if sys.argv[1:] == ["--pending"]:
            print(file.name)
            continue
        connection.execute(file.read_text())
        connection.execute("insert into schema_migrations values (%s)", (file.name,))
"""
SETTINGS = f"""
[migrations]
command = "{sys.executable} api/migrate.py"
pending = "{sys.executable} api/migrate.py --pending"
files = "api/migrations/*.sql"
"""
FIRST = "create table products (id integer primary key, name text);\ninsert into products values (1, 'a cup');\n"


class Shop(Trivial):
    """Its repository."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        settings = self.read("pyproject.toml") + SETTINGS.replace("[migrations]", "[tool.deploylib.migrations]")
        files = {"api/migrate.py": TOOL, "pyproject.toml": settings, "render.yaml": self.read("render.yaml") + DATABASE}
        self.commit("A database", files)

    def migrate(self, name: str, sql: str) -> str:
        """A commit with a migration, and code that goes with it."""
        return self.commit(f"Add {name}", {f"api/migrations/{name}": sql, "api/schema.txt": name})
