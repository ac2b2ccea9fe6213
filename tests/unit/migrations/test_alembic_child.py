"""The program that runs alembic: what it answers for every shape of history."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploylib.migrations.alembic_child import __main__ as child
from deploylib.migrations.alembic_child.__main__ import main, reversible
from tests.support.alembic_project import ENV, revision
from tests.support.fakes import write

LOCKED = """
    class Orig(Exception):
        sqlstate = "{state}"
    error = RuntimeError("wrapped")
    error.orig = Orig("canceling statement due to lock timeout")
    raise error"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two migrations, and the address of an empty database."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/100%25.sqlite")
    write(tmp_path, {"env.py": ENV, "versions/one.py": revision(1), "versions/two.py": revision(2)})
    return tmp_path


def ask(root: Path, command: str = "status", target: str = "0002", within: float = 0) -> dict[str, Any]:
    """One request."""
    return main({"command": command, "path": str(root), "config": "", "target": target, "within": within})


def test_several_heads_are_an_error_with_their_names(root: Path) -> None:
    """Which of them is wanted cannot be known."""
    write(root, {"versions/three.py": revision(3, below=1)})

    found = ask(root)

    assert "2 heads, of which 0002 and 0003 go on from the same one" in found["error"]
    assert [True, True] == [name in found["error"] for name in ("0002", "0003")]


def test_a_commit_without_revisions_wants_nothing(root: Path) -> None:
    """No target, nothing pending."""
    for name in ("one", "two"):
        (root / f"versions/{name}.py").unlink()

    assert ask(root) == {
        "target": "",
        "pending": [],
        "ahead": False,
        "applied": [],
        "current": "",
        "versions": '"alembic_version"',
        "had": [],
        "sql": "",
    }


def test_a_database_that_knows_more_is_ahead(root: Path) -> None:
    """The code is older than the schema: nothing is pending and nothing is applied, also when asked to."""
    ask(root, "upgrade")
    (root / "versions/two.py").unlink()

    for command in ("status", "upgrade"):
        found = ask(root, command, "0001")
        assert (True, "0002", "0001", [], []) == (
            found["ahead"], found["current"], found["target"], found["pending"], found["applied"]
        )  # fmt: skip


def test_only_what_the_database_lacks_is_pending(root: Path) -> None:
    """From where it is."""
    ask(root, "upgrade")
    write(root, {"versions/three.py": revision(3), "versions/four.py": revision(4)})

    found = ask(root)

    assert ["0003", "0004"] == [one["id"] for one in found["pending"]]
    assert ("create table t4" in found["sql"], "create table t2" in found["sql"]) == (True, False)


def test_sql_that_depends_on_the_data_is_empty(root: Path) -> None:
    """It cannot be said without running it, and that is no failure."""
    write(root, {"versions/two.py": revision(2, 'op.get_bind().execute("select 1").fetchall()')})

    assert (ask(root)["sql"], len(ask(root)["pending"])) == ("", 2)


def test_another_target_than_the_head_is_refused(root: Path) -> None:
    """The plan was made for another commit."""
    found = ask(root, "upgrade", "0001")

    assert (found["error"], found["applied"]) == ("the migrations end at 0002, not at 0001", [])


@pytest.mark.parametrize("state", ["55P03", "40P01", "42P07"], ids=["lock", "deadlock", "anything else"])
def test_a_revision_that_fails_says_where_the_schema_is(root: Path, state: str) -> None:
    """With the database's own words and its state, and those before it stay applied."""
    write(root, {"versions/two.py": revision(2, LOCKED.format(state=state))})

    found = ask(root, "upgrade")

    assert ("0002", "0001", state, 1) == (found["failed"], found["current"], found["sqlstate"], found["tries"])
    assert found["error"] == "canceling statement due to lock timeout"
    assert ["0001"] == [one["id"] for one in found["applied"]]
    with sqlite3.connect(root / "100%.sqlite") as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [("0001",)]
    connection.close()


@pytest.mark.parametrize(
    ("body", "does"),
    [
        ("    op.drop_column('a', 'b')", True),
        ("    '''Undo.'''\n    op.drop_table('a')", True),
        ("    pass", False),
        ("    ...", False),
        ("    '''Nothing to do.'''", False),
        ("    raise NotImplementedError('no')", False),
        ("    return", False),
    ],
)
def test_a_downgrade_that_does_nothing_is_none(body: str, *, does: bool) -> None:
    """As alembic's template writes it, and as people leave it."""
    assert reversible(f"def upgrade():\n    pass\n\n\ndef downgrade():\n{body}\n") is does
    assert not reversible("def upgrade():\n    pass\n")


def test_what_is_compiled_of_alembic_is_kept_and_nothing_of_the_commit(root: Path, tmp_path: Path) -> None:
    """The next child need not compile it; a folder of somebody's gets no files of ours."""
    kept = tmp_path / "kept"
    request = {"command": "status", "path": str(root), "config": "", "target": "0002", "within": 0}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        [sys.executable, child.__file__, str(tmp_path / "answer.json")],
        input=json.dumps(request),
        env={**environment, "PYTHONPYCACHEPREFIX": str(kept)},
        check=True,
        text=True,
    )

    compiled = [path.relative_to(kept).as_posix() for path in kept.rglob("*.pyc")]
    assert json.loads((tmp_path / "answer.json").read_text())["target"] == "0002"
    for package in ("alembic/script/", "sqlalchemy/dialects/postgresql/"):
        assert [name for name in compiled if f"site-packages/{package}" in name]
    assert [name for name in compiled if root.as_posix().lstrip("/") in name] == []
