"""Backups from a script: a URL and a place to keep them are enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploylib import backups, store
from deploylib.errors import SettingsError
from tests.support.documents import examples
from tests.support.edges import environment
from tests.support.servers import Servers

ROOT = Path(__file__).parents[2]
MOST = 10  # lines of a script


def test_the_example_of_the_page_makes_proves_and_restores(servers: Servers, tmp_path: Path) -> None:
    """It is short, needs no settings, and what it restores is what was there."""
    [script] = examples(ROOT / "docs" / "library.md", "Backups")
    assert len([line for line in script.splitlines() if line]) <= MOST
    base, other = servers.fresh(16), servers.fresh(16)
    base.run("create table guests (id int primary key)", "insert into guests values (1), (2)")
    urls = {"DATABASE_URL": base.url.reveal(), "OTHER_DATABASE_URL": other.url.reveal()}

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**environment(), **urls}, check=False, capture_output=True,
        text=True, timeout=170,
    )  # fmt: skip

    assert (done.returncode, done.stdout, done.stderr) == (0, "restored restored 1 True\n", "")
    assert other.one("select sum(id) from guests") == 3
    place = store.open(tmp_path / "backups")
    assert [key.partition("-")[0] for key in place.list("format/")] == ["format/1"]  # as a run names it
    kept = backups.repository.listing(place, "local")
    assert [(one.run, one.commit) for one in kept] == [("script", "")]


def test_a_script_does_not_restore_over_what_is_there(servers: Servers, tmp_path: Path) -> None:
    """The database is named, and stays as it is."""
    base = servers.fresh(16)
    base.run("create table guests (id int primary key)")
    place = store.open(tmp_path)
    made = backups.create(base.url.reveal(), place)

    with pytest.raises(SettingsError, match="is not empty"):
        backups.restore(base.url, made, place)

    assert base.one("select count(*) from guests") == 0
