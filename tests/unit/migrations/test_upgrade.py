"""Migrations: alembic in a child process, on the files of the commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploylib.errors import DeployError, MigrationFailed, SettingsError, Unreachable
from deploylib.migrations import Tool
from deploylib.migrations.alembic_settings import locate
from deploylib.migrations.tool import Applied
from deploylib.models import Secret
from deploylib.settings import Config, EnvironmentSettings, MigrationSettings, Settings
from deploylib.system import process
from tests.support.alembic_project import ENV, revision
from tests.support.fakes import RecordingRunner, write

URL = Secret("postgresql://book:p4ss@db.example/book")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a commit with two migrations."""
    root = tmp_path / "files"
    write(
        root,
        {
            "migrations/env.py": ENV,
            "migrations/versions/one.py": revision(1),
            "migrations/versions/two.py": revision(2),
        },
    )
    return root


@pytest.fixture
def url(tmp_path: Path) -> Secret:
    """A database that needs no server."""
    return Secret(f"sqlite:///{tmp_path}/book.sqlite")


def config(root: Path, **migrations: Any) -> Config:
    """Settings without a file."""
    return Config(
        root=root,
        name="staging",
        settings=Settings(migrations=MigrationSettings(**migrations)),
        environment=EnvironmentSettings(),
        environ={},
    )


def tables(url: Secret) -> list[str]:
    """The tables that there are."""
    with sqlite3.connect(url.reveal().removeprefix("sqlite:///")) as connection:
        rows = connection.execute("select name from sqlite_master where type = 'table' order by name")
        found = [name for (name,) in rows]
    connection.close()
    return found


def test_looking_says_what_is_pending_and_changes_nothing(files: Path, url: Secret) -> None:
    """Oldest first, with the first line of each and the SQL; allowed in a dry run."""
    found = Tool(files, config(files), process.ReadOnlyRunner(process.SYSTEM)).read_status(url)

    pending = [
        ("0001", "Make table 1", "migrations/versions/one.py"),
        ("0002", "Make table 2", "migrations/versions/two.py"),
    ]
    assert pending == [(one.id, one.title, one.path) for one in found.pending]
    assert ("", "0002", False) == (found.current, found.target, found.ahead)
    assert ["create table t1" in one.sql for one in found.pending] == [True, False]
    assert ["create table t2" in one.sql for one in found.pending] == [False, True]
    assert "create table t1" in found.sql
    assert tables(url) == []


def test_the_schema_is_brought_to_the_target(files: Path, url: Secret) -> None:
    """Every pending revision, once; a second time there is nothing to do."""
    applied = Tool(files, config(files), process.SYSTEM).upgrade(url, "0002", within=5)

    assert [("0001", 1), ("0002", 1)] == [(one.id, one.tries) for one in applied]
    assert tables(url) == ["alembic_version", "t1", "t2"]
    assert Tool(files, config(files), process.SYSTEM).upgrade(url, "0002", within=5) == ()


def test_a_revision_that_fails_leaves_those_before_it(files: Path, url: Secret) -> None:
    """The schema stays between two revisions; the failure is told in the database's words."""
    write(files, {"migrations/versions/two.py": revision(2, 'op.execute("create table t1 (id integer)")')})

    with pytest.raises(MigrationFailed, match="migration 0002 failed; the schema is at 0001") as raised:
        Tool(files, config(files), process.SYSTEM).upgrade(url, "0002", within=5)

    assert "table t1 already exists" in "\n".join(raised.value.details)
    assert raised.value.exit_code == 6
    assert tables(url) == ["alembic_version", "t1"]


def test_a_dry_run_migrates_nothing(files: Path, url: Secret) -> None:
    """The upgrade is marked as a program that writes."""
    with pytest.raises(RuntimeError, match="a dry run must not start"):
        Tool(files, config(files), process.ReadOnlyRunner(process.SYSTEM)).upgrade(url, "0002", within=5)

    assert tables(url) == []


def test_code_that_does_not_run_is_told_without_the_password(files: Path) -> None:
    """Its last words, with the secrets struck out."""
    write(files, {"migrations/env.py": 'import os, sys\nsys.exit(os.environ["DATABASE_URL"] + " and p4ss")\n'})

    with pytest.raises(MigrationFailed, match="alembic could not run") as raised:
        Tool(files, config(files), process.SYSTEM).read_status(URL)

    assert raised.value.details == ("••• and •••",)


def test_secrets_are_in_no_argument(files: Path) -> None:
    """The address travels in the environment; the limits of each session do, too."""
    runner = RecordingRunner(
        answers={"alembic_child": _writes('{"current": "", "target": "", "pending": [], "ahead": false}')}
    )

    Tool(files, config(files, lock_timeout="2s", statement_timeout="90s"), runner).read_status(URL)

    [command] = runner.commands
    assert "p4ss" not in f"{command.args} {command!r}"
    assert URL.reveal() == command.env["DATABASE_URL"]
    assert command.env["PGOPTIONS"] == "-c lock_timeout=2000 -c statement_timeout=90000"
    assert {URL, Secret("p4ss")} == set(command.secrets)
    assert (str(files), files) == (command.env["PYTHONPATH"], command.cwd)


def _writes(text: str) -> Callable[[process.Command], process.Completed]:
    """A child that leaves this answer."""

    def answer(command: process.Command) -> process.Completed:
        Path(command.args[-1]).write_text(text)
        return process.Completed(tuple(command.args), 0, b"")

    return answer


@pytest.mark.parametrize(
    ("answer", "said", "remedy"),
    [
        ('{"error": "the migrations have 2 heads (a, b)"}', "2 heads", "commit"),
        ('{"failed": "0002", "error": "e", "tries": 4, "sqlstate": "55P03", "current": "0001"}',
         "migration 0002 did not get its lock in 4 tries; the schema is at 0001", "pg_stat_activity"),
        ('{"failed": "0002", "error": "e", "tries": 4, "sqlstate": "55P03", "current": "1", "waited_for": ["pid 7 (x), idle"]}',
         r"did not get its lock in 4 tries, held by pid 7 \(x\), idle; the schema is at 1", "pg_stat"),
        ('{"failed": "0002", "error": "e", "tries": 1, "sqlstate": "55P03", "current": "0001", "half": ["create table x ()"]}',
         "migration 0002 failed half way; the schema is at 0001", "twice"),
        ('{"failed": "0002", "error": "e", "tries": 1, "sqlstate": "42P07", "current": ""}',
         "migration 0002 failed; the schema is at nothing", "correct the migration"),
        ('{"failed": "0002", "error": "e", "tries": 1, "sqlstate": "53100", "current": "0001"}',
         "migration 0002 failed; the schema is at 0001", "disk is full"),
        ('{"current": "0001", "applied": [], "ahead": false}', "the schema is at 0001, not at 0002", "env.py"),
    ],
    ids=["heads", "lock", "blocker", "half", "failure", "disk", "elsewhere"],
)  # fmt: skip
def test_what_the_child_answers_becomes_an_outcome(files: Path, answer: str, said: str, remedy: str) -> None:
    """Each with its own next step."""
    runner = RecordingRunner(answers={"alembic_child": _writes(answer)})

    with pytest.raises(MigrationFailed, match=said) as raised:
        Tool(files, config(files), runner).upgrade(URL, "0002", within=5)

    assert remedy in raised.value.remedy


def test_a_revision_that_waited_for_its_lock_says_how_often(files: Path) -> None:
    """Its tries come back."""
    answer = (
        '{"current": "0002", "ahead": false, "applied": [{"id": "0002", "title": "t", "seconds": 1.5, "tries": 3}]}'
    )
    runner = RecordingRunner(answers={"alembic_child": _writes(answer)})

    found = Tool(files, config(files), runner).upgrade(URL, "0002", within=5)

    assert found == (Applied(id="0002", title="t", seconds=1.5, tries=3),)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"ModuleNotFoundError: No module named 'alembic'", SettingsError),
        (b"psycopg.OperationalError: connection failed: refused", Unreachable),
        (b"ImportError: cannot import name 'x'", MigrationFailed),
    ],
    ids=["no alembic", "no database", "anything else"],
)
def test_a_child_that_dies_is_told_by_its_last_words(files: Path, said: bytes, kind: type[DeployError]) -> None:
    """What to install, where to look, or what it said."""
    runner = RecordingRunner(
        answers={"alembic_child": lambda command: process.Completed(tuple(command.args), 1, b"", said)}
    )

    with pytest.raises(kind):
        Tool(files, config(files), runner).read_status(URL)


@pytest.mark.parametrize(("lacks", "helps"), [("app", "prepend_sys_path = ."), ("flask", "must be installed")])
def test_a_module_that_is_a_file_of_the_commit_needs_no_installation(tmp_path: Path, lacks: str, helps: str) -> None:
    """Alembic looks beside its ini only where that says so."""
    write(tmp_path, {"back/alembic.ini": "[alembic]\nscript_location = %(here)s/scripts\n", "back/app.py": ""})
    said = f"ModuleNotFoundError: No module named '{lacks}'".encode()
    runner = RecordingRunner(
        answers={"alembic_child": lambda command: process.Completed(tuple(command.args), 1, b"", said)}
    )

    with pytest.raises(MigrationFailed) as raised:
        Tool(tmp_path, config(tmp_path, config="back/alembic.ini"), runner).read_status(URL)

    assert helps in raised.value.remedy


@pytest.mark.parametrize(
    ("there", "chosen", "expected"),
    [
        ([], {}, ("", "")),
        (["migrations/readme"], {}, ("", "")),
        (["migrations/env.py"], {}, ("migrations", "")),
        (["alembic.ini", "migrations/env.py"], {}, ("", "alembic.ini")),
        (["alembic.ini", "db/env.py"], {"path": "db"}, ("db", "")),
        (["db/alembic.ini"], {"config": "db/alembic.ini"}, ("", "db/alembic.ini")),
    ],
    ids=["none", "no env", "folder", "ini", "chosen folder", "chosen ini"],
)
def test_where_the_migrations_are(
    tmp_path: Path, there: list[str], chosen: dict[str, str], expected: tuple[str, str]
) -> None:
    """What the settings say, else what alembic's own habits say."""
    write(tmp_path, dict.fromkeys(there, ""))

    assert expected == locate(config(tmp_path, **chosen).settings.migrations, tmp_path)


@pytest.mark.parametrize("key", ["path", "config"])
def test_a_chosen_place_that_is_not_there_is_refused(tmp_path: Path, key: str) -> None:
    """A wrong setting is not taken for "no migrations"."""
    with pytest.raises(SettingsError, match=f"migrations.{key} is 'gone'"):
        locate(config(tmp_path, **{key: "gone"}).settings.migrations, tmp_path)


@pytest.mark.parametrize(
    ("ini", "chosen", "folder"),
    [
        ("", {"path": "db/migrations/"}, "db/migrations"),
        ("", {"path": "./db"}, "db"),
        ("[alembic]\nscript_location = %(here)s\n", {"config": "db/alembic.ini"}, "db"),
        ("[alembic]\nscript_location = %(here)s/../db/scripts\n", {"config": "db/alembic.ini"}, "db/scripts"),
        ("[alembic]\nscript_location = .hidden/alembic\n", {"config": "db/alembic.ini"}, "db/.hidden/alembic"),
        ("[alembic]\nscript_location = app:migrations\n", {"config": "db/alembic.ini"}, ""),
        ("[alembic]\nscript_location = db\nversion_locations = a b\n", {"config": "db/alembic.ini"}, ""),
        ("[alembic]\nscript_location = .\n", {"config": "db/alembic.ini"}, "db"),
        ("[alembic]\nscript_location = migrations\n", {"config": "db/alembic.ini"}, "db/migrations"),
        ("[alembic]\nscript_location = db/migrations\n", {"config": "db/alembic.ini"}, "db/migrations"),
        ("[alembic]\n", {"config": "db/alembic.ini"}, ""),
        ("", {"command": "x", "pending": "y"}, ""),
        ("", {"command": "x", "pending": "y", "files": "*.sql"}, ""),
        ("", {"command": "x", "pending": "y", "files": "prisma/migrations/*/migration.sql"}, "prisma/migrations"),
    ],
)
def test_where_migrations_are_is_told_by_files_or_not_at_all(
    tmp_path: Path, ini: str, chosen: dict[str, str], folder: str
) -> None:
    """Whoever cannot ask the database goes by it; a wrong folder would be worse than none."""
    write(tmp_path, {"db/alembic.ini": ini, "db/migrations/env.py": "", "db/env.py": ""})

    assert Tool(tmp_path, config(tmp_path, **chosen)).folder == folder


HERE = '[tool.alembic]\nscript_location = "%(here)s/db/scripts"\n'


@pytest.mark.parametrize(
    ("there", "chosen", "place", "folder"),
    [
        ({"pyproject.toml": HERE}, {}, "pyproject.toml", "db/scripts"),
        ({"pyproject.toml": HERE, "alembic.ini": "[alembic]\n"}, {}, "pyproject.toml", "db/scripts"),
        ({"pyproject.toml": HERE, "alembic.ini": "[alembic]\nscript_location = a\n"}, {}, "alembic.ini", "a"),
        ({"pyproject.toml": HERE, "migrations/env.py": ""}, {}, "pyproject.toml", "db/scripts"),
        ({"pyproject.toml": "[tool.alembic]\nfile_template = 'x'\n"}, {}, "", ""),
        ({"pyproject.toml": "[tool.other]\nscript_location = 'x'\n"}, {}, "", ""),
        ({"back/pyproject.toml": HERE}, {"config": "back/pyproject.toml"}, "back/pyproject.toml", "back/db/scripts"),
        ({"pyproject.toml": f"{HERE}version_locations = ['a', 'b']\n"}, {}, "pyproject.toml", ""),
    ],
)
def test_alembic_is_found_by_its_table_in_pyproject(
    tmp_path: Path, there: dict[str, str], chosen: dict[str, str], place: str, folder: str
) -> None:
    """As alembic does since 1.16: beside an ini, which goes before it."""
    write(tmp_path, there)
    settings = config(tmp_path, **chosen)

    assert (locate(settings.settings.migrations, tmp_path), Tool(tmp_path, settings).folder) == (("", place), folder)


def test_a_pyproject_that_cannot_be_read_has_no_table_of_alembic(tmp_path: Path) -> None:
    """Of a table that is chosen, alembic itself says what is wrong with it."""
    for text in ("[tool.alembic", "tool = 3\n", "[tool]\nalembic = 3\n"):
        write(tmp_path, {"pyproject.toml": text})
        assert locate(config(tmp_path).settings.migrations, tmp_path) == ("", "")


@pytest.mark.parametrize("ini", ["", "[alembic]\nfile_template = x\n"], ids=["alone", "beside an ini"])
def test_alembic_runs_by_its_table_in_pyproject(files: Path, url: Secret, ini: str) -> None:
    """With its paths, from its folder; what is pending is read and applied."""
    (files / "back").mkdir()
    (files / "migrations").rename(files / "back/migrations")
    table = '[tool.alembic]\nscript_location = "%(here)s/migrations"\nprepend_sys_path = ["."]\n'
    write(
        files, {"back/pyproject.toml": table, "back/models.py": "", "back/migrations/env.py": f"import models\n{ENV}"}
    )
    if ini:
        write(files, {"back/alembic.ini": ini})
    chosen = config(files, config="back/pyproject.toml")

    found = Tool(files, chosen, process.SYSTEM).read_status(url)
    applied = Tool(files, chosen, process.SYSTEM).upgrade(url, found.target, within=30)

    assert [one.path for one in found.pending] == ["back/migrations/versions/one.py", "back/migrations/versions/two.py"]
    assert [one.id for one in applied] == [one.id for one in found.pending]


@pytest.mark.parametrize("where", ["migrations", "%(here)s/migrations", "back/migrations"])
def test_alembic_runs_in_the_folder_of_its_ini(files: Path, url: Secret, where: str) -> None:
    """So that what its paths are meant from is found: scripts, and modules by a relative ``prepend_sys_path``."""
    (files / "back").mkdir()
    (files / "migrations").rename(files / "back/migrations")
    models = "" if where.startswith("back") else "import models\n"
    ini = f"[alembic]\nscript_location = {where}\nprepend_sys_path = .\n"
    write(files, {"back/alembic.ini": ini, "back/models.py": "", "back/migrations/env.py": models + ENV})

    found = Tool(files, config(files, config="back/alembic.ini"), process.SYSTEM).read_status(url)

    assert [one.path for one in found.pending] == ["back/migrations/versions/one.py", "back/migrations/versions/two.py"]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (("Traceback (most recent call last):\n  File x\n    y\npsycopg.errors.UndefinedTable: no table\nLINE 1: x\n\nThe above "
         "exception was the direct cause\n\nTraceback (most recent call last):\n  z\nsqlalchemy.exc.ProgrammingError: (…)"),
         "psycopg.errors.UndefinedTable: no table"),
        (('file:///tmp/migrate.js:9\n    throw e\n    ^\n\nerror: column "x" does not exist\n    at Parser (a.js:1)\n'
         "    at b\n  length: 1\n}\n\nNode.js v20"), 'error: column "x" does not exist'),
        ("npm warn old\n(node:7) Warning: x\nError: P3018\n\nA migration failed\nDatabase error:\nERROR: column gone\n", "ERROR: column gone"),
        ("psql:a.sql:3: ERROR:  relation exists", "psql:a.sql:3: ERROR:  relation exists"),
        ("npm error code 127\nsh: prisma: not found", "sh: prisma: not found"),
        ("warning: old\nno config", "no config"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_first_line_of_the_cause_is_told(tmp_path: Path, said: str, line: str) -> None:
    """Not the last line of a trace, nor what a package manager says of it."""
    write(tmp_path, {"said": said})
    chosen = config(tmp_path, command="x", pending="sh -c 'cat said >&2; exit 3'")

    with pytest.raises(MigrationFailed) as raised:
        Tool(tmp_path, chosen, process.SYSTEM).read_status(URL)

    assert raised.value.message.partition("ended with code 3")[2] == (f": {line}" if line else "")


@pytest.mark.parametrize(
    ("said", "helps"),
    [
        ("Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'pg' imported from /tmp/x/api/migrate.js", "npm ci"),
        ("Error: Cannot find module 'pg'", "npm ci"),
        ("ModuleNotFoundError: No module named 'django'", "activate the environment"),
        ("pending.sh: 3: python: not found", "activate the environment"),
        ("ERROR: column gone", "correct the migrations"),
    ],
)
def test_a_tool_that_lacks_a_package_is_told_to_install_it(tmp_path: Path, said: str, helps: str) -> None:
    """A checkout has none; Python's are the machine's. That is not the migrations' fault."""
    write(tmp_path, {"said": said})
    chosen = config(tmp_path, command="x", pending="sh -c 'cat said >&2; exit 1'")

    with pytest.raises(MigrationFailed) as raised:
        Tool(tmp_path, chosen, process.SYSTEM).read_status(URL)

    assert helps in raised.value.remedy


def test_in_a_dry_run_a_list_only_reads_or_is_said_to_write(tmp_path: Path) -> None:
    """It is asked by a session that may not write first, and told where it needs to."""
    refused = 'case "$PGOPTIONS" in *read_only*) echo "cannot execute CREATE TABLE in a read-only transaction" >&2; exit 1; esac; '
    for script, notes in ((f"{refused} echo a", 1), ("echo a", 0)):
        write(tmp_path, {"list.sh": script})
        chosen = config(tmp_path, command="x", pending="sh list.sh")
        found = Tool(tmp_path, chosen, process.ReadOnlyRunner(process.SYSTEM)).read_status(URL, dry=True)
        assert ([one.id for one in found.pending], len(found.notes)) == (["a"], notes)
    assert (
        Tool(tmp_path, config(tmp_path, command="x", pending="sh list.sh"), process.SYSTEM).read_status(URL).notes == ()
    )
