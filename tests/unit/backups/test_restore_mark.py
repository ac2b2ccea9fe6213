"""The mark of a database that is being restored, and what the store knows of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploylib.backups import restore_mark
from deploylib.backups.restore_mark import Mark
from deploylib.errors import Held
from deploylib.models import Facts
from deploylib.store.folder import Folder
from tests.support.fakes import FakeClock


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """An empty store."""
    return Folder(tmp_path)


def marked(comment: str) -> Mark | None:
    """The mark of a database whose schema has that comment."""
    return restore_mark.parse_mark(Facts("16", 1, empty=True, revision="", restoring=comment))


def begun(store: Folder, name: str) -> Mark:
    """A restore that has begun."""
    left = Mark(id=name, at=FakeClock().now(), environment="staging", backup="good", author="Ann")
    restore_mark.record_begin(store, left)
    return left


def test_what_has_begun_is_open_until_the_database_is_whole(store: Folder) -> None:
    """Whatever was left before it ends with it; another environment's does not."""
    first, second = begun(store, "1"), begun(store, "2")

    assert restore_mark.list_open(store, "staging") == (first, second)
    assert restore_mark.list_open(store, "staging-2") == ()
    restore_mark.record_end(store, "staging", clock=FakeClock(), backup="good")
    assert restore_mark.list_open(store, "staging") == ()


def test_a_record_that_cannot_be_read_is_open_all_the_same(store: Folder) -> None:
    """The database knows what it is about."""
    begun(store, "1")
    path = store.root / "restores" / "staging" / "1" / "begun.json"
    path.chmod(0o644)
    path.write_text("{")

    assert restore_mark.list_open(store, "staging") == (Mark(id="1"),)


@pytest.mark.parametrize("comment", ["{}", "{", "by hand", '{"backup": 7}', "\udcff"])
def test_a_mark_that_nobody_can_read_is_one(comment: str) -> None:
    """What goes in is not known, and that it is half of something is."""
    found = marked(comment)

    assert found == Mark()
    with pytest.raises(Held, match="a backup that its mark does not name"):
        restore_mark.require_no_mark(found, " --environment staging")


def test_a_database_without_a_mark_is_let_through() -> None:
    """As almost all are."""
    restore_mark.require_no_mark(marked(""), "")


def test_the_refusal_names_the_backup_and_the_way_out(store: Folder) -> None:
    """Of another database than the environment's own, the same restore once more."""
    with pytest.raises(Held, match=r"backup good is being put into it, since .* UTC, by Ann") as refused:
        restore_mark.require_no_mark(begun(store, "1"), " --environment staging")
    assert refused.value.remedy.startswith("inv finish --environment staging")

    with pytest.raises(Held) as refused:
        restore_mark.require_no_mark(Mark(backup="good"), "")
    assert "--force" in refused.value.remedy
