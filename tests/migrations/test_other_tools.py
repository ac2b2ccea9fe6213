"""Migrations of another tool: by its own commands, and with a word on what cannot be promised then."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from deploylib.backups import scratch_server
from deploylib.errors import MigrationFailed
from deploylib.migrations import Tool, lint_revisions, read_catalog, rehearsal
from deploylib.models import Secret
from deploylib.models.database import Copy
from deploylib.postgres import alter_url, connection
from deploylib.settings import MigrationSettings
from deploylib.system import process
from tests.migrations.world import World
from tests.support.fakes import write
from tests.support.servers import programs_of

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
# As dj-database-url, Prisma and many others read it: no more than what stands before the path, and the path.
BY_ITSELF = TOOL.replace(
    'with psycopg.connect(os.environ["DATABASE_URL"], ',
    """
import urllib.parse
at = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
place = {"host": at.hostname, "port": at.port, "user": at.username, "password": at.password, "dbname": at.path[1:]}
with psycopg.connect(**place, """,
)


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
    found = Tool(tool.files, tool.config, process.ReadOnlyRunner(process.SYSTEM)).read_status(tool.url)

    assert [one.id for one in found.pending] == ["20260101_one", "20260102_two"]
    assert (found.target, found.current) == ("20260102_two", "")
    assert "create table one" in found.sql
    assert ["target" in found.unchecked[0], "transaction" in found.unchecked[1]] == [True, True]
    linted = lint_revisions(found.pending, read_catalog(tool.url), runner=process.SYSTEM)
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


def looking(tool: World) -> Tool:
    """What migrates it, and may not write."""
    return Tool(tool.files, tool.config, process.ReadOnlyRunner(process.SYSTEM))


def rehearsed(tool: World, copy: str) -> rehearsal.RehearsalReport:
    """What a rehearsal on this copy tells."""
    return rehearsal.rehearse(looking(tool), Secret(copy), tool.status())


def migration(tool: World, *statements: str) -> None:
    """The only migration that the tool has."""
    shutil.rmtree(tool.files / "prisma")
    write(tool.files, {"prisma/migrations/20260103_three/migration.sql": "\n".join(statements)})


def test_it_is_rehearsed_on_the_copy_and_looked_at_from_outside(tool: World, fresh: Callable[[], str]) -> None:
    """All of them together, with the exceptions of each; nothing is done to the database."""
    report = rehearsed(tool, fresh())

    [both] = report.revisions
    assert (both.id, both.heard, report.failed) == ("20260101_one, 20260102_two", False, "")
    assert both.gone == ("public.small.n",)
    found = rehearsal.judge(report, tool.status().pending, tool.config.settings.migrations)
    assert {one.rule for one in found.findings} <= {"several-tables"}, "if anybody has seen them at the same moment"
    assert (found.verdict, found.counted) == ("not examined", {"migration": 2})
    assert [line.rpartition(": ")[2] for line in found.accepted] == ["nobody reads it"]
    assert "20 ms" in found.gaps[0].reason
    assert len(tool.status().pending) == 2


@pytest.mark.parametrize(
    ("statements", "rule", "level"),
    [
        (("alter table people alter column age type bigint;",), "rewrite", "refuse"),
        (("truncate priced;",), "emptied", "refuse"),
        pytest.param(("delete from priced;",), "emptied", "refuse", marks=pytest.mark.load),
        (("update priced set worth = worth + 1;",), "bulk-change", "warn"),
        (("begin;", "lock table people;", "select pg_sleep(1.5);", "commit;"), "long-lock", "refuse"),
        pytest.param(
            ("begin;", "lock table people in share mode;", "select pg_sleep(1.5);", "commit;"),
            *("long-lock", "refuse"),
            marks=pytest.mark.load,
        ),
        (("alter table small drop column n;",), "contract-step", "refuse"),
        (("alter table nowhere add column n integer;",), "rehearsal-failed", "refuse"),
    ],
)
def test_what_it_does_to_others_is_found(
    tool: World, fresh: Callable[[], str], statements: tuple[str, ...], rule: str, level: str
) -> None:
    """As with alembic, but for what only each statement by itself would show."""
    migration(tool, *statements)

    found = rehearsal.judge(rehearsed(tool, fresh()), tool.status().pending, tool.config.settings.migrations)

    assert [(one.rule, one.level) for one in found.findings] == [(rule, level)]


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(("alter table people add column x text;",), marks=pytest.mark.load),
        ("create index concurrently i on people (age);",),
        ("alter table people add constraint c check (age >= 0) not valid;", "update small set n = 1;"),
        pytest.param(("insert into priced select n, n from generate_series(20001, 40000) n;",), marks=pytest.mark.load),
    ],
)
def test_what_hurts_nobody_is_let_through(tool: World, fresh: Callable[[], str], statements: tuple[str, ...]) -> None:
    """No finding at all."""
    for number, statement in enumerate(statements):
        write(tool.files, {f"prisma/migrations/2027010{number}_x/migration.sql": statement})
    shutil.rmtree(tool.files / "prisma/migrations/20260102_two")

    found = rehearsal.judge(rehearsed(tool, fresh()), tool.status().pending, tool.config.settings.migrations)

    assert [(one.rule, one.text) for one in found.findings] == []


def test_a_tool_that_does_not_open_the_copy_is_not_let_loose(tool: World, fresh: Callable[[], str]) -> None:
    """It has an address of its own somewhere: a rehearsal would migrate in earnest."""
    write(tool.files, {"tool.py": TOOL.replace('os.environ["DATABASE_URL"]', repr(tool.url.reveal()))})

    report = rehearsed(tool, fresh())

    assert "did not open the copy" in report.unchecked[0]
    assert (report.revisions, len(tool.status().pending)) == ((), 2)


def test_a_command_that_goes_elsewhere_is_no_rehearsal(tool: World, fresh: Callable[[], str]) -> None:
    """Although the other one takes the address as it should; it cannot be undone, so it is said at once and loudly."""
    elsewhere = fresh()
    write(tool.files, {"other.py": TOOL.replace('os.environ["DATABASE_URL"]', repr(elsewhere))})
    tool.settings["command"] = f"{sys.executable} other.py apply"

    with pytest.raises(MigrationFailed, match="it may have migrated another database") as raised:
        rehearsed(tool, fresh())

    assert "DATABASE_URL" in raised.value.remedy


def test_a_tool_that_reads_the_address_by_itself_comes_to_the_copy_and_nowhere_else(
    tool: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this machine another Postgres has such a role, such a password and such a database, and variables lead there."""
    migration(tool, "create table three (id integer);")
    write(tool.files, {"tool.py": BY_ITSELF})
    at = psycopg.conninfo.conninfo_to_dict(tool.url.reveal())
    name, pending = str(at["dbname"]), tool.status()
    twin = f"create role twin_{name} login superuser password 'x'"
    tool.query(twin)
    with scratch_server.server(programs_of(16), runner=process.SYSTEM, listens=True) as server:
        with psycopg.connect(server.reveal(), autocommit=True) as session:
            session.execute(twin.encode())
            session.execute(f"create database {name}".encode())
        url = alter_url(server, dbname=name, user=f"twin_{name}", password="x")
        with monkeypatch.context() as patch:
            for variable, value in {"PGPORT": at["port"], "PGSSLMODE": "require"}.items():
                patch.setenv(variable, str(value))
            report = rehearsal.rehearse(looking(tool), Copy(url, server, own=True, listens=True), pending)
        with psycopg.connect(url.reveal()) as session:
            there = session.execute("select to_regclass('three')::text").fetchone()

    assert ([one.id for one in report.revisions], report.failed, there) == (["20260103_three"], "", ("three",))
    assert tool.query("select to_regclass('three')") == [(None,)]


def test_what_leads_elsewhere_does_not_go_along_to_a_copy(tool: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that goes before the address, or asks for TLS, is meant for the database, and stays with it."""
    for name in (*connection.MISLEADING, *connection.OF_TLS):
        monkeypatch.setenv(name, "x")
    shown = f"{sys.executable} -c 'import os; print(*sorted(name for name in os.environ if name[:2] == \"PG\"))'"
    ours = {"PGAPPNAME", "PGCONNECT_TIMEOUT", "PGOPTIONS"}

    def given(url: Secret) -> set[str]:
        return set(looking(tool).run_command(url, shown, writes=False).split())

    assert given(Copy(tool.url, tool.url, own=True)) == ours
    assert given(tool.url) >= {*ours, *connection.MISLEADING, *connection.OF_TLS}


def test_an_address_that_each_tool_reads_otherwise_is_given_to_none(tool: World) -> None:
    """The path of a socket: to some tools it means a Postgres at this machine's usual port."""
    pending = tool.status()
    with scratch_server.server(programs_of(16), runner=process.SYSTEM) as server:
        for copy in (server, Copy(server, server, own=True)):
            report = rehearsal.rehearse(looking(tool), copy, pending)
            assert (report.revisions, report.failed) == ((), "")
            assert "no single host and port" in report.unchecked[0]
        with psycopg.connect(server.reveal()) as session:
            assert session.execute("select to_regclass('done')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("goes", "remedy"), [("port=1", "must take host, port"), ("sslmode='require'", "speaks no TLS")]
)
def test_a_tool_that_does_not_reach_the_copy_is_told_of_the_copy(
    tool: World, fresh: Callable[[], str], goes: str, remedy: str
) -> None:
    """And not of the database, which it reaches."""
    pending, copy = tool.status(), fresh()
    write(tool.files, {"tool.py": TOOL.replace("autocommit=True", f"autocommit=True, {goes}")})

    with pytest.raises(MigrationFailed, match=r"in the rehearsal, on a copy of the database: .*code 1: ") as raised:
        rehearsal.rehearse(looking(tool), Secret(copy), pending)

    assert remedy in raised.value.remedy
    assert copy not in str(raised.value)


def test_a_command_that_leaves_something_was_not_rehearsed(tool: World, fresh: Callable[[], str]) -> None:
    """As when it runs in earnest."""
    write(tool.files, {"idle.py": "import os, psycopg\npsycopg.connect(os.environ['DATABASE_URL']).close()\n"})
    tool.settings["command"] = f"{sys.executable} idle.py"

    found = rehearsal.judge(rehearsed(tool, fresh()), tool.status().pending, tool.config.settings.migrations)

    assert [(one.rule, one.blocks) for one in found.findings] == [("rehearsal-failed", True)]
    assert "20260101_one is still pending" in found.findings[0].where


def test_a_copy_at_another_revision_is_refused(tool: World, fresh: Callable[[], str]) -> None:
    """What is rehearsed must be what is pending."""
    copy = fresh()
    World(Secret(copy), tool.files).query("create table done as select text '20260101_one' as name")

    with pytest.raises(MigrationFailed, match="at another revision"):
        rehearsed(tool, copy)


def test_whether_there_are_migrations(tool: World) -> None:
    """Of whatever tool; a command without the other is refused."""
    commanded = tool.tool
    tool.settings.clear()
    assert (commanded.has_migrations, tool.tool.has_migrations) == (True, False)
    with pytest.raises(ValueError, match="need each other"):
        MigrationSettings(command="x")


def documented() -> dict[str, str]:
    """The programs that the page shows, by name."""
    text = (Path(__file__).resolve().parents[2] / "docs/migrations.md").read_text()
    return dict(re.findall(r"^```\w+ (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def test_the_programs_of_the_page_do_what_it_says(world: World) -> None:
    """A list that only reads, also before there is its table; and plain SQL that is applied once."""
    shutil.rmtree(world.files / "migrations", ignore_errors=True)
    write(
        world.files, {**documented(), "migrations/001_a.sql": "create table a ();", "migrations/002_b.sql": "select 1;"}
    )
    world.settings |= {
        "command": f"{sys.executable} apply.py",
        "pending": f"{sys.executable} pending.py schema_migrations name migrations",
        "files": "migrations/*.sql",
    }

    found = looking(world).read_status(world.url, dry=True)

    assert ([one.id for one in found.pending], found.notes) == (["001_a.sql", "002_b.sql"], ())
    assert [one.rendered for one in found.pending] == [True, True]
    world.upgrade("002_b.sql")
    assert world.status().pending == ()


def test_a_list_that_cannot_tell_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's list for Django fails where Django does, and prints only what is not applied."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    write(world.files, {**documented(), "manage.py": "print('[X]  a.0001_initial\\n[ ]  a.0002_b')\n"})
    world.settings |= {"command": "true", "pending": "sh pending.sh"}

    assert [one.id for one in world.status().pending] == ["a.0002_b"]
    write(world.files, {"manage.py": "raise SystemExit('no database')\n"})
    with pytest.raises(MigrationFailed, match="ended with code 1: no database"):
        world.status()


def test_a_list_that_writes_is_said_to(tool: World) -> None:
    """In a dry run; it makes its table all the same, because what is pending could not be known otherwise."""
    found = Tool(tool.files, tool.config, process.ReadOnlyRunner(process.SYSTEM)).read_status(tool.url, dry=True)

    assert len(found.pending) == 2
    assert "writes to the database, also in a dry run" in found.notes[0]
