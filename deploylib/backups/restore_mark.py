"""The mark of a database that is half restored.

A backup is put into it piece by piece: it is *restoring*, and holds neither content.

In the database it is an empty schema whose comment says what goes in: whoever may connect can read it, and what kills the
command or the server leaves it there. Beside it the store keeps ``restores/<environment>/<id>/{begun,ended}.json`` of an
environment's own database, so that whoever has no reason to open the database knows when to look. The schema alone decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from deploylib.backups import empty_database
from deploylib.errors import Held, SettingsError
from deploylib.models import Backup, Facts, Moment, Secret, Value, decoding
from deploylib.postgres import connect
from deploylib.postgres import connection as postgres
from deploylib.store import Damaged, Store, read_document
from deploylib.system import Clock

__all__ = [
    "Ended",
    "Mark",
    "find_mark",
    "leave_out_mark",
    "list_open",
    "parse_mark",
    "place_mark",
    "record_begin",
    "record_end",
    "remove_mark",
    "require_empty",
    "require_no_mark",
]


class Mark(Value, frozen=True):
    """What is being put into a database.

    Attributes:
        id: by which the store knows it.
        environment: whose own database it is; empty: another one, which only its URL tells.
        backup: what is put in; empty where nobody can read that.
        saved: the backup of what was there before; empty: nothing was.
    """

    id: str = ""
    at: Moment | None = None
    environment: str = ""
    backup: str = ""
    saved: str = ""
    author: str = ""

    @property
    def line(self) -> str:
        """The mark as a person reads it."""
        since = f", since {self.at:%Y-%m-%d %H:%M} UTC" if self.at else ""
        by = f", by {self.author}" if self.author else ""
        what = f"backup {self.backup}" if self.backup else "a backup that its mark does not name"
        return f"{what} is being put into it{since}{by}, and that has not ended"


class Ended(Value, frozen=True):
    """The end of a restore, and what the database holds since."""

    at: Moment
    backup: str = ""


def find_mark(url: Secret) -> Mark | None:
    """Find the mark of a database; None: it has none.

    Raises:
        Unreachable: the database does not answer.
    """
    return _parsed(postgres.read_mark(url))


def parse_mark(facts: Facts) -> Mark | None:
    """Read the mark of a database that was looked at just now.

    None: it has none.
    """
    return _parsed(facts.restoring)


def require_no_mark(mark: Mark | None, flag: str) -> None:
    """See that a database is not marked, before it is used.

    Args:
        flag: what a command needs so that it is about this environment.

    Raises:
        Held: it is.
    """
    if mark is None:
        return
    raise Held(
        f"the database is marked restoring: {mark.line}",
        remedy=f"inv finish{flag}, which completes it (--database back: puts back what was there before)"
        if mark.environment
        else "the same restore once more, with --force, which starts it over",
    )


def require_empty(url: Secret, backup: Backup, own: str = "") -> None:
    """See that a database has nothing that a restore would remove.

    Args:
        own: the environment whose own database it is.

    Raises:
        SettingsError: something is.
    """
    if (something := empty_database.something(url)) is None:
        return
    insist = f"inv backup.restore --backup {backup.id} --into database --force --confirm {own}"
    raise SettingsError(
        f"the database is not empty: it has {something}",
        remedy=f"inv backup.restore --backup {backup.id} (beside it, in a new database); or "
        f"{insist if own else 'the same with --force'}, which removes everything of yours first",
    )


def place_mark(url: Secret, mark: Mark) -> None:
    """Mark a database, or have its mark say something else.

    Raises:
        SettingsError: the role may not.
    """
    comment = msgspec.json.encode(mark).decode().replace("'", "''")
    refused = postgres.refusals(
        SettingsError, "the database cannot be marked as one that is being restored", "inv backup.restore (beside it)"
    )
    with connect(url, 10) as connection, refused, connection.transaction():
        connection.execute("set local synchronous_commit = on; set local standard_conforming_strings = on")
        connection.execute(f"create schema if not exists {postgres.RESTORING}")
        connection.execute(f"comment on schema {postgres.RESTORING} is '{comment}'")


def remove_mark(url: Secret) -> None:
    """Take the mark away: what the database holds is whole.

    All that was written before is on its disk then, too.
    """
    with connect(url, 10) as connection, connection.transaction():
        connection.execute("set local synchronous_commit = on")
        connection.execute(f"drop schema if exists {postgres.RESTORING}")


def record_begin(store: Store, mark: Mark) -> None:
    """Write down that an environment's own database is about to be marked."""
    store.put_if_absent(f"{_place(mark.environment)}{mark.id}/begun.json", msgspec.json.encode(mark))


def list_open(store: Store, environment: str) -> tuple[Mark, ...]:
    """List the restores of an environment's database that have not ended.

    Oldest first; mostly there are none.

    One whose record cannot be read is told without what it says: the database knows.
    """
    keys = set(store.list(_place(environment)))
    return tuple(
        _recorded(store, key)
        for key in sorted(keys)
        if key.endswith("/begun.json") and key.replace("/begun.json", "/ended.json") not in keys
    )


def record_end(store: Store, environment: str, *, clock: Clock, backup: str = "") -> None:
    """Write down that the database is whole, which ends whatever was begun."""
    done = msgspec.json.encode(Ended(at=clock.now(), backup=backup))
    for mark in list_open(store, environment):
        store.put_if_absent(f"{_place(environment)}{mark.id}/ended.json", done)


def leave_out_mark(labels: Iterable[str]) -> Iterator[str]:
    """Leave the mark's own names out of those of definitions."""
    return (label for label in labels if not label.lower().endswith(f"schema {postgres.RESTORING}"))


def _parsed(comment: str) -> Mark | None:
    if not comment:
        return None
    try:
        return decoding.json(comment.encode(errors="replace"), Mark)
    except decoding.Undecodable:
        return Mark()


def _recorded(store: Store, key: str) -> Mark:
    name = key.split("/")[-2]
    try:
        return msgspec.structs.replace(read_document(store, key, Mark), id=name)
    except (KeyError, Damaged):
        return Mark(id=name)


def _place(environment: str) -> str:
    return f"restores/{environment}/"
