"""A backup goes back: beside, into a new database; or into one, once that was proven beside.

Into one that is not empty it goes in one transaction, which a damaged dump never ends: killed at any moment, the database
holds the old content or the new. Where the server has not the room for as many locks, each piece is a transaction of its own
and the database is marked *restoring* as long as that takes (`deploylib.backups.restore_mark`): old, new, or marked, never neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import msgspec

from deploylib.backups import archive, empty_database, fill_database, repository, restore_mark
from deploylib.backups.archive import Progress
from deploylib.backups.fill_database import IN_PLACE, Edges, Filled, NotBeside
from deploylib.backups.repository import Manifest
from deploylib.backups.restore_mark import Mark
from deploylib.backups.snapshot import Exporter, exported
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Secret
from deploylib.models.redaction import MARK
from deploylib.postgres import sqlstates
from deploylib.postgres.binaries import Client
from deploylib.postgres.connection import altered, connected, lock_room, refusals
from deploylib.store import Store
from deploylib.system import Clock, process

__all__ = ["Done", "beside", "into"]

WITHIN = 6 * 3600.0
BESIDE = f"a role that may make databases (on Render the database's own may); or {IN_PLACE}"
LIKE_IT = r"""
select format('create database %%I template template0 encoding %%L lc_collate %%L lc_ctype %%L%%s', %s::text,
  pg_encoding_to_char(encoding), datcollate, datctype,
  case to_jsonb(d) ->> 'datlocprovider' when 'i' then format(' locale_provider icu icu_locale %%L',
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) else '' end)
from pg_database d where datname = current_database()
"""
UNSEEN = "could not be read, so that it was compared "


class Done(msgspec.Struct, frozen=True):
    """A restore; where it was compared with the backup, it was found equal.

    Attributes:
        seconds: from the first look to the comparison.
        tables: how many were restored.
        notes: what should be known, for example that an extension has another version.
        compared: with what the backup says it holds; not where it does not say.
        database: the name of the new one, where it was restored beside.
        address: of it, without the password.
    """

    backup: Backup
    seconds: float
    tables: int
    notes: tuple[str, ...] = ()
    compared: bool = True
    database: str = ""
    address: str = ""


def into(
    url: Secret,
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    clock: Clock,
    force: bool = False,
    unproven: bool = False,
    begun: Mark | None = None,
    fence: Callable[[], None] = lambda: None,
    within: float = WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
) -> Done:
    """Restore a backup into a database, and compare what is there then with the backup.

    Owners are not restored: all belongs to the URL's role. Grants, default privileges and settings are, where the roles
    are there and the role may; what lacks is told. What cannot belong to it is left out and told:
    extensions that are there already and their comments, and for a role that is no superuser publications,
    subscriptions and event triggers. Statistics are gathered at the end.

    A database that is not empty is first restored *beside*, by the same role, which proves that this very restore can be
    done; then it is emptied and filled, in one transaction where that may take so many locks, else piece by piece under a
    mark. A database that is marked already is started over.

    Args:
        url: of a role that is allowed to make what the backup holds.
        backup: as `backup.listing` gives it.
        client: of a version that fits the database's server and the one that the backup was made of.
        force: empty the database first, of what the role owns, where it is not empty.
        unproven: leave out the proof beside, where the role may not make a database.
        begun: what the mark shall say, and the store where it names an environment.
        fence: is asked right before anything is removed: whether the environment is still held.
        within: seconds after which the restore is given up.
        progress: told the bytes of the dump that have been read (twice as many with *force*).

    Raises:
        SettingsError: the database is not empty, and nobody insisted; or the programs cannot read the dump.
        NotBeside: the proof beside cannot be made.
        LeaseHeld: by the *fence*.
        BackupFailed: the backup is damaged, cannot be restored, or the database holds something else than it should,
            which is named. A database that was not empty is as it was then, or marked.
        Unreachable: the database does not answer.
    """
    began = clock.monotonic()
    found = repository.manifest(backup, store=store)
    something, marked = empty_database.something(url), restore_mark.read(url)
    if something is not None and not force:
        own = begun.environment if begun is not None else ""
        insist = f"inv backup.restore --backup {backup.id} --into database --force --confirm {own}"
        raise SettingsError(
            f"the database is not empty: it has {something}",
            remedy=f"inv backup.restore --backup {backup.id} (beside it, in a new database); or "
            f"{insist if own else 'the same with --force'}, which removes everything of yours first",
        )
    edges = Edges(store, client, runner, exporter, within, progress)
    whole = marked is None and _fits(url, found)
    proven = something is not None and marked is None and not unproven
    if proven:
        with _made(url, f"proof_{backup.id}"[:50], clock) as proof:
            _filled_new(proof, found, edges, whole=whole)
    fence()
    notes = _at_once(url, found, edges, empty=something is not None, proven=proven) if whole else None
    if notes is None:
        if not proven:  # a damaged dump must not be found out when the old content is gone
            archive.decode(found, store=store, client=client, runner=runner, within=within, progress=None)
        fence()
        said = msgspec.structs.replace(begun or marked or Mark(), at=clock.now(), backup=backup.id)
        notes = _piece_by_piece(url, found, edges, said, proven=proven)
    if begun is not None and begun.environment:
        restore_mark.end(store, begun.environment, clock=clock, backup=backup.id)
    with connected(url, 10, statements="0") as connection:
        connection.execute("analyze")
    took = round(clock.monotonic() - began, 3)
    compared = bool(found.contents.schema_by) and not any(UNSEEN in note for note in notes)
    return Done(backup, took, found.tables, tuple(dict.fromkeys(notes)), compared=compared)


def beside(
    url: Secret,
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    clock: Clock,
    within: float = WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
) -> Done:
    """Restore a backup into a new database on the same server, by the same role, and compare it.

    What is there now is not touched, and neither is the environment: so nobody holds it for that. The new database stays; nobody uses it until the product's URL names it.

    Raises:
        NotBeside: the role may not make a database.
        BackupFailed: the backup is damaged, cannot be restored, or holds something else; the new database is gone then.
    """
    began = clock.monotonic()
    found = repository.manifest(backup, store=store)
    edges = Edges(store, client, runner, exporter, within, progress)
    name = f"restored_{clock.now():%Y%m%d_%H%M%S}"
    with _made(url, name, clock, keep=True) as new:
        notes = _filled_new(new, found, edges, whole=_fits(new, found))
        with connected(new, 10, statements="0") as connection:
            connection.execute("analyze")
    return Done(
        backup,
        round(clock.monotonic() - began, 3),
        found.tables,
        tuple(dict.fromkeys(notes)),
        compared=bool(found.contents.schema_by),
        database=name,
        address=_shown(new),
    )


def _fits(url: Secret, found: Manifest) -> bool:
    """Whether one transaction may take all the locks of emptying a database and filling it; a guess."""
    _, room = lock_room(url)
    return empty_database.locks(url) + fill_database.locks(found) <= room


def _filled_new(url: Secret, found: Manifest, edges: Edges, *, whole: bool) -> tuple[str, ...]:
    """Fill a new database and compare it; returns what should be known. What hides rows comes after the comparison."""
    made = _tried(url, found, edges, first="", hold_back=True) if whole else None
    if made is None:
        return _piece_by_piece(url, found, edges, Mark(backup=found.id), proven=False)
    notes = (*made.notes, *fill_database.compared(url, found, made, edges), *made.lacking)
    _hide(url, made)
    return notes


def _at_once(url: Secret, found: Manifest, edges: Edges, *, empty: bool, proven: bool) -> tuple[str, ...] | None:
    """Empty and fill a database in one transaction, and compare it; None: the server had not the room after all."""
    made = _tried(url, found, edges, first=empty_database.AT_ONCE if empty else "", hold_back=False)
    if made is None:
        return None
    hidden = "is hidden from its owner (FORCE ROW LEVEL SECURITY)" if made.later else ""
    return (*made.notes, *_compared(url, found, made, edges, hidden, proven=proven), *made.lacking)


def _tried(url: Secret, found: Manifest, edges: Edges, *, first: str, hold_back: bool) -> Filled | None:
    """Fill a database in one transaction; None: the server has not the room for its locks, and nothing has happened."""
    try:
        return fill_database.fill(url, found, edges, first=first, hold_back=hold_back)
    except BackupFailed as error:
        if error.remedy != sqlstates.LOCKS:
            raise
        return None


def _piece_by_piece(url: Secret, found: Manifest, edges: Edges, said: Mark, *, proven: bool) -> tuple[str, ...]:
    """Empty and fill a database, each statement in a transaction of its own, while it is marked.

    What fails leaves it marked, and the next one starts over.
    """
    if said.environment:
        restore_mark.begin(edges.store, said)
    restore_mark.place(url, said)
    try:
        made = fill_database.fill(url, found, edges, first=empty_database.one_by_one(url), whole=False, hold_back=True)
        notes = (*made.notes, *_compared(url, found, made, edges, "", proven=proven), *made.lacking)
    except BackupFailed as error:
        if not said.environment:
            raise
        flag = f" --environment {said.environment}"
        raise BackupFailed(
            f"{error.message}; the database is marked restoring",
            details=error.details,
            remedy=f"{error.remedy}; then inv finish{flag}, or inv finish{flag} --database back, what was there before",
        ) from error
    _hide(url, made)
    restore_mark.remove(url)
    return notes


def _compared(
    url: Secret, found: Manifest, made: Filled, edges: Edges, hidden: str, *, proven: bool
) -> tuple[str, ...]:
    """Compare what can be read of a database with the backup.

    Args:
        hidden: why rows cannot be read; empty: they can.
        proven: they were compared beside.
    """
    if found.contents.schema_by and (why := "belongs to others" if made.others else hidden):
        return (f"what {why} {UNSEEN}{'beside only, ' if proven else ''}not here",)
    return fill_database.compared(url, found, made, edges)


def _hide(url: Secret, made: Filled) -> None:
    """Run the statements that hide rows from their owner."""
    with connected(url, 10, statements="0") as connection:
        for statement in made.later:
            connection.execute(statement)


@contextmanager
def _made(url: Secret, name: str, clock: Clock, *, keep: bool = False) -> Iterator[Secret]:
    """A new, empty database on the same server, by the same role; gone after the block, or kept when that ends well.

    Raises:
        NotBeside: the role may not.
    """
    name = f"{name}_{clock.now():%f}" if not keep else name
    refused = refusals(NotBeside, f"no database can be made beside this one ({name})", BESIDE)
    with connected(url, 10, statements="0") as connection:
        statement = connection.execute(LIKE_IT, (name,)).fetchone()[0]
        with refused:
            connection.execute(statement)
    well = False
    try:
        yield altered(url, dbname=name)
        well = True
    finally:
        if not (keep and well):
            with connected(url, 10, statements="60s") as connection:
                connection.execute(f'drop database if exists "{name}" with (force)')


def _shown(url: Secret) -> str:
    """An address as a person may read and copy it, with a mark in place of each password."""
    more = {"sslpassword": MARK} if "sslpassword=" in url.reveal() else {}
    return altered(url, password=MARK, **more).reveal().replace(quote(MARK), MARK)
