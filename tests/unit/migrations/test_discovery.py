"""What looks like a migration system that nobody has told us to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploylib.migrations import discovery
from deploylib.models import Elsewhere
from deploylib.render import blueprints
from deploylib.scanners import list_files
from tests.support.fakes import write

ENV = "from alembic import context\n"


def blueprint(**keys: str) -> blueprints.Blueprint:
    """A service ``api`` in the folder ``api``, with these keys as well."""
    more = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    head = "services:\n  - type: web\n    name: api\n    runtime: node\n    rootDir: api\n"
    return blueprints.parse(f"{head}{more}" + ("" if "startCommand" in keys else "    startCommand: node server.js\n"))


def found(
    root: Path, files: dict[str, str], described: blueprints.Blueprint | None = None, *ours: str
) -> list[Elsewhere]:
    """What is found in a tree with these files."""
    write(root, {"api/server.js": "", **files})
    return list(discovery.find_others(root, list_files(root), described or blueprint(), ours=ours))


@pytest.mark.parametrize(
    ("files", "what", "globs", "setting"),
    [
        ({"back/alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\n", "back/alembic/env.py": ENV},
         "alembic, by back/alembic.ini", "back/alembic/**", 'config = "back/alembic.ini"'),
        ({"back/pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/db"\n', "back/db/env.py": ENV},
         "alembic, by back/pyproject.toml", "back/db/**", 'config = "back/pyproject.toml"'),
        ({"back/alembic.ini": "[alembic]\nscript_location = app:scripts\n"}, "alembic, by back/alembic.ini", "back/**", "config"),
        ({"db/scripts/env.py": ENV}, "alembic in db/scripts", "db/scripts/**", 'path = "db/scripts"'),
        ({"api/prisma/migrations/2026_a/migration.sql": ""}, "Prisma in api/prisma/migrations", "api/prisma/migrations/**", "command"),
        ({"shop/orders/migrations/0001_initial.py": ""}, "Django in shop/orders/migrations", "shop/orders/migrations/**", "command"),
        ({"db/migrate/20260101_a.rb": ""}, "Rails in db/migrate", "db/migrate/**", "command"),
        ({"sql/V1__a.sql": ""}, "Flyway in sql", "sql/**", "command"),
        ({"api/migrations/001_a.sql": ""}, "migrations in api/migrations", "api/migrations/**", "command"),
        ({"api/migrations/1700000000000_a.js": ""}, "migrations in api/migrations", "api/migrations/**", "command"),
    ],
)  # fmt: skip
def test_a_system_is_named_with_the_setting_that_takes_it_over(
    tmp_path: Path, files: dict[str, str], what: str, globs: str, setting: str
) -> None:
    """By its files alone, in whatever folder."""
    [one] = found(tmp_path, files)

    assert (one.what, one.files) == (what, (globs,))
    assert setting in one.remedy


@pytest.mark.parametrize(
    "files",
    [
        {"env.py": "import os\n"},
        {"tests/migrations/0001_a.sql": ""},
        {"node_modules/x/migrations/0001_a.sql": ""},
        {"api/migrations/readme.md": ""},
        {"api/sql/query.sql": ""},
    ],
)
def test_what_only_looks_like_one_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    """A folder of tests, other people's code, plain SQL."""
    assert found(tmp_path, files) == []


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"preDeployCommand": "node migrate.js"}, "'node migrate.js', the preDeployCommand of api"),
        ({"preDeployCommand": "./release.sh"}, "'./release.sh', the preDeployCommand of api"),
        ({"startCommand": "npx prisma migrate deploy && node server.js"}, "the startCommand of api"),
        ({"startCommand": "npm start"}, "'npm start', the startCommand of api"),
        ({"buildCommand": "npm ci && npm run db"}, "the buildCommand of api"),
        ({"initialDeployHook": "npm run migrate"}, "the initialDeployHook of api"),
    ],
)
def test_a_command_that_migrates_is_named(tmp_path: Path, keys: dict[str, str], what: str) -> None:
    """Before a deploy whatever it is; elsewhere by its words, or by those of the script that it stands for."""
    scripts = '{"scripts": {"start": "knex migrate:latest && node .", "db": "drizzle-kit push"}}'

    [one] = found(tmp_path, {"api/package.json": scripts}, blueprint(**keys))

    assert what in one.what
    assert (one.files, one.service) == ((), "api")


@pytest.mark.parametrize("text", ["{", "[]", '{"scripts": 3}', "{}"])
def test_a_package_json_that_cannot_be_read_tells_of_no_script(tmp_path: Path, text: str) -> None:
    """The words of the line count then."""
    assert found(tmp_path, {"api/package.json": text}, blueprint(startCommand="npm start")) == []
    [one] = found(tmp_path, {"api/package.json": text}, blueprint(startCommand="npm run migrate"))
    assert one.service == "api"


@pytest.mark.parametrize(
    ("name", "command", "text"),
    [
        ("api/build.sh", "./build.sh", "set -e\npip install .\npython manage.py migrate\n"),
        ("api/bin/release", "npm ci && bash bin/release prod", "#!/usr/bin/env bash\nnpx prisma db push\n"),
        ("api/ops/build.bash", "cd ops && . ./build.bash", "cd .. && npm run db:update\n"),
    ],
)
def test_a_shell_script_that_a_command_runs_is_read(tmp_path: Path, name: str, command: str, text: str) -> None:
    """Many a build is a script of the repository, and what migrates stands there."""
    [one] = found(tmp_path, {name: text}, blueprint(buildCommand=command))

    assert one.what == f"{command!r}, the buildCommand of api"


@pytest.mark.parametrize(
    ("name", "command", "text"),
    [
        ("api/build.sh", "./build.sh", "# python manage.py migrate is for another day\npip install .\n"),
        ("api/other.sh", "./build.sh", "python manage.py migrate\n"),
        ("api/notes", "cat notes", "how we migrate\n"),
        ("api/build.js", "node build.js", "migrate()\n"),
        ("out.sh", "sh ../../out.sh", "python manage.py migrate\n"),
        ("api/build.sh", "./build.sh", "\0\xff"),
    ],
)
def test_a_script_that_does_not_migrate_is_none(tmp_path: Path, name: str, command: str, text: str) -> None:
    """Nor one that nothing runs, a remark, a note, a program, or what lies outside."""
    assert found(tmp_path, {name: text}, blueprint(buildCommand=command)) == []


def test_a_script_that_runs_our_alembic_is_ours(tmp_path: Path) -> None:
    """As a command is that does so itself."""
    files = {"alembic.ini": "[alembic]\nscript_location = migrations\n", "migrations/env.py": ENV}
    files["api/start.sh"] = "alembic upgrade head\nexec node server.js\n"

    assert found(tmp_path, files, blueprint(startCommand="sh start.sh"), "migrations") == []


def test_a_command_is_located_by_the_files_beside_it(tmp_path: Path) -> None:
    """So that a release which changes none of them needs no backup; and they are not named twice."""
    [one] = found(
        tmp_path, {"api/migrations/001_a.sql": "", "web/note.sql": ""}, blueprint(preDeployCommand="node migrate.js")
    )

    assert one.files == ("api/migrations/**",)


def test_a_command_of_alembic_is_taken_over_as_alembic(tmp_path: Path) -> None:
    """By the setting that names its ini, not by commands of another tool; with two of them nobody knows which."""
    ini = {"api/alembic.ini": "[alembic]\nscript_location = %(here)s/scripts\n", "api/scripts/env.py": ENV}
    described = blueprint(preDeployCommand="alembic upgrade head")

    [one] = found(tmp_path, ini, described)
    assert one.remedy == '[migrations] config = "api/alembic.ini"; then that preDeployCommand need not migrate'
    [one] = found(tmp_path, {"api/old/alembic.ini": ini["api/alembic.ini"], "api/old/scripts/env.py": ENV}, described)
    assert "[migrations] command" in one.remedy


def test_what_we_run_is_nobody_elses(tmp_path: Path) -> None:
    """Nor is the command that does the same by the same tool; another one is."""
    files = {"alembic.ini": "[alembic]\nscript_location = migrations\n", "migrations/env.py": ENV}

    assert found(tmp_path, files, blueprint(preDeployCommand="alembic upgrade head"), "migrations") == []
    assert found(tmp_path, files, blueprint(startCommand="node migrate.js"), "migrations") != []
    assert found(tmp_path, {"api/migrations/1.sql": ""}, None, "migrations") != []


def test_a_submodule_that_was_not_fetched_may_hold_migrations(tmp_path: Path) -> None:
    """By its name, or because the settings look for them there; one that has its files holds what they are."""
    for folder in ("migrations", "libs/shared", "db/schema"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path, {"here/migrations/env.py": ENV})
    every = dict.fromkeys(("migrations", "libs/shared", "here/migrations", "db/schema"), "1" * 40)

    assert discovery.find_unfetched(every, tmp_path, []) == ("migrations",)
    assert discovery.find_unfetched(every, tmp_path, ["db/schema/sql/*.sql"]) == ("db/schema",)
    assert discovery.find_unfetched({"libs/shared": "1" * 40}, tmp_path, []) == ()


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("requirements.txt", "flask\nalembic==1.18.3  # pinned\n", "1.18.3"),
        ("api/requirements-prod.txt", "alembic[tz]==1.19.1 \\\n    --hash=sha256:0\n", "1.19.1"),
        ("uv.lock", '[[package]]\nname = "alembic"\nversion = "1.19.0"\n', "1.19.0"),
        ("pyproject.toml", '[project]\ndependencies = ["alembic == 1.18.2"]\n', "1.18.2"),
    ],
)
def test_an_alembic_with_a_known_fault_is_named(name: str, text: str, version: str) -> None:
    """With the file that pins it, and the release to take; of this machine as well."""
    assert discovery.find_lists([name, "notes.txt", "a/b.py"]) == (name,)
    [told] = discovery.find_faulty_alembic({name: text})
    assert told.startswith(f"{name} has alembic {version}, and ")
    assert told.endswith(" or newer")
    [told] = discovery.find_faulty_alembic({}, version)
    assert told.startswith(f"this machine has alembic {version}")


@pytest.mark.parametrize(
    "text", ["alembic==1.18.4\n", "alembic>=1.18.2\n", "alembic==1.19.2\n", "my-alembic-x==1.19.0\n"]
)
def test_another_alembic_is_not_named(text: str) -> None:
    """One that was mended, or that nobody has pinned."""
    assert discovery.find_faulty_alembic({"requirements.txt": text}, "1.20.1") == ()
