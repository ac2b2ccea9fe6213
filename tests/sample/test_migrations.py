"""The migrations: as a deployment runs them, and by hand."""

import io
import os
import subprocess
import sys

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from tests.sample.product import ROOT, execute, migrate, settings_in_code

COLUMNS = "select column_name::text from information_schema.columns where table_name = 'entries' order by 1"


def test_an_empty_database_reaches_the_newest_revision(empty: str) -> None:
    """With settings in code and no alembic.ini the schema is made from nothing."""
    migrate(empty, "head")

    assert execute(empty, "select version_num from alembic_version") == [("0002",)]
    assert [row[0] for row in execute(empty, COLUMNS)] == ["created_at", "id", "message", "mood", "name"]


def test_the_second_revision_keeps_what_was_written(empty: str) -> None:
    """From 0001 to 0002 every row stays as it was, with no mood."""
    migrate(empty, "0001")
    execute(empty, "insert into entries (name, message) values ('Ada', 'hello')")

    migrate(empty, "0002")

    assert execute(empty, "select name, message, mood from entries") == [("Ada", "hello", None)]


def test_each_revision_commits_on_its_own(empty: str) -> None:
    """When the second revision fails the first stays, stamped, and a second try goes on from there."""
    execute(empty, "create function no() returns event_trigger language plpgsql as $$begin raise 'no'; end$$")
    execute(empty, "create event trigger no on ddl_command_start when tag in ('ALTER TABLE') execute function no()")

    with pytest.raises(Exception, match="no"):
        migrate(empty, "head")

    assert execute(empty, "select version_num from alembic_version") == [("0001",)]
    execute(empty, "drop event trigger no")
    migrate(empty, "head")
    assert execute(empty, "select version_num from alembic_version") == [("0002",)]


def test_the_sql_can_be_read_without_a_database() -> None:
    """Offline mode writes one transaction for each revision, and connects to nothing."""
    config = settings_in_code("postgresql://nobody@database.invalid/book")
    config.output_buffer = written = io.StringIO()

    command.upgrade(config, "0001:0002", sql=True)

    assert "ALTER TABLE entries ADD COLUMN mood TEXT;" in written.getvalue()
    assert written.getvalue().count("BEGIN;") == written.getvalue().count("COMMIT;") == 1
    assert "CREATE TABLE" not in written.getvalue()


def test_an_old_scheme_and_an_encoded_password_are_understood(database: str) -> None:
    """A postgres:// URL and a percent-encoded password reach the same database."""
    migrate(database.replace("postgresql://", "postgres://").replace("not-a", "%6eot-a"), "head")

    assert execute(database, "select version_num from alembic_version") == [("0002",)]


def test_it_runs_by_hand(empty: str) -> None:
    """The small alembic.ini and DATABASE_URL are all that a person needs, up and down."""
    for arguments in ("upgrade head", "downgrade base", "upgrade head"):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", *arguments.split()],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": empty},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    assert execute(empty, "select version_num from alembic_version") == [("0002",)]


def test_without_a_url_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option and without DATABASE_URL the message names both."""
    monkeypatch.delenv("DATABASE_URL", raising=False)

    with pytest.raises(SystemExit, match="set DATABASE_URL, or the alembic option"):
        migrate("", "head")


def test_the_revisions_are_one_line() -> None:
    """There is one head, and revision ids are the numbers the files carry."""
    revisions = ScriptDirectory(str(ROOT / "migrations")).walk_revisions()

    assert [(step.revision, step.down_revision) for step in revisions] == [("0002", "0001"), ("0001", None)]


def test_rows_hold_what_the_table_asks_for(database: str) -> None:
    """A row without a name or a message is refused by the table itself."""
    with pytest.raises(psycopg.errors.NotNullViolation):
        execute(database, "insert into entries (name) values ('Ada')")
