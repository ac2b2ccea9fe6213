"""Migrations of another tool: by its own commands, and with a word on what cannot be promised then."""

from __future__ import annotations

import sys

import pytest

from deploylib import catalog, lint, migrate, rehearsal
from deploylib.config import MigrationSettings
from deploylib.errors import MigrationFailed
from deploylib.process import SYSTEM, ReadOnlyRunner
from tests.migrations.world import World
from tests.unit.fakes import write

TOOL = """
import os, pathlib, sys, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute("create table if not exists done (name text)")
    done = {name for (name,) in connection.execute("select name from done")}
    for folder in sorted(pathlib.Path("prisma/migrations").iterdir()):
        if folder.name in done:
            continue
        if sys.argv[1] == "pending":
            print(folder.name)
        elif sys.argv[1] == "apply":
            connection.execute((folder / "migration.sql").read_text())
            connection.execute("insert into done values (%s)", (folder.name,))
    if sys.argv[1] == "apply":
        assert connection.execute("show lock_timeout").fetchone() == ("1s",)
"""


@pytest.fixture
def tool(world: World) -> World:
    """Two migrations of such a tool."""
    write(
        world.files,
        {
            "tool.py": TOOL,
            "prisma/migrations/20260101_one/migration.sql": "create table one (id integer);\n",
            "prisma/migrations/20260102_two/migration.sql": (
                "-- deploylib: allow ban-drop-column: nobody reads it\nalter table small drop column n;\n"
                "alter table people alter column age set not null;\n"
            ),
        },
    )
    python = sys.executable
    world.settings |= {
        "command": f"{python} tool.py apply",
        "pending": f"{python} tool.py pending",
        "files": "prisma/migrations/*/migration.sql",
    }
    return world


def test_what_is_pending_is_what_the_command_prints(tool: World) -> None:
    """Each with its SQL, for the linter; and what nobody can promise is said."""
    found = migrate.status(tool.config, tool.files, tool.url, runner=ReadOnlyRunner(SYSTEM))

    assert [one.id for one in found.pending] == ["20260101_one", "20260102_two"]
    assert (found.target, found.current) == ("20260102_two", "")
    assert "create table one" in found.sql
    assert ["target" in found.unchecked[0], "transaction" in found.unchecked[1]] == [True, True]
    linted = lint.examine(found.pending, catalog.read(tool.url), runner=SYSTEM)
    assert [one.rule for one in linted.blocking] == ["adding-not-nullable-field"]
    assert [line.rpartition(": ")[2] for line in linted.accepted] == ["nobody reads it"]


def test_the_command_brings_the_schema_to_where_nothing_is_pending(tool: World) -> None:
    """With our limits, where its driver reads them as libpq does."""
    assert [one.id for one in tool.upgrade("20260102_two")] == ["20260101_one", "20260102_two"]
    assert tool.status().pending == ()
    assert tool.upgrade("") == ()


def test_a_command_that_leaves_something_is_a_failure(tool: World) -> None:
    """It ended well, and did not do it."""
    tool.settings["command"] = f"{sys.executable} -c pass"

    with pytest.raises(MigrationFailed, match="20260101_one is still pending"):
        tool.upgrade("")


def test_a_command_that_fails_is_told_by_its_last_words_without_the_password(tool: World) -> None:
    """As with alembic."""
    tool.settings["command"] = f"{sys.executable} -c \"import os, sys; sys.exit(os.environ['DATABASE_URL'] + ' no')\""

    with pytest.raises(MigrationFailed, match="ended with code 1") as raised:
        tool.upgrade("")

    assert raised.value.details == ("••• no",)


def test_it_is_not_rehearsed_and_that_is_said(tool: World) -> None:
    """A gap, and no refusal."""
    report = rehearsal.rehearse(tool.config, tool.files, tool.url, tool.status(), runner=SYSTEM)

    found = rehearsal.verdict(report, tool.status().pending, tool.config.settings.migrations)

    assert (found.verdict, found.blocking) == ("not examined", ())


def test_whether_there_are_migrations(tool: World) -> None:
    """Of whatever tool; a command without the other is refused."""
    assert migrate.present(tool.config, tool.files)
    tool.settings.clear()
    assert not migrate.present(tool.config, tool.files)
    with pytest.raises(ValueError, match="need each other"):
        MigrationSettings(command="x")
