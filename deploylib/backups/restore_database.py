"""Restore a backup into a database, or beside one.

Into one that holds something only once the same restore was proven beside.

Into one that is not empty it goes in one transaction, which a damaged dump never ends: killed at any moment, the database
holds the old content or the new. Where the server has not the room for as many locks, each piece is a transaction of its own
and the database is marked *restoring* as long as that takes (`deploylib.backups.restore_mark`): old, new, or marked, never neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import msgspec

from deploylib.backups import archive, empty_database, fill_database, repository, restore_mark
from deploylib.backups.edges import Edges, edges_of
from deploylib.backups.fill_database import Filled
from deploylib.backups.repository import Manifest
from deploylib.backups.restore_mark import Mark
from deploylib.backups.restore_test import IN_PLACE, NotBeside
from deploylib.errors import BackupFailed
from deploylib.models import Backup, Secret
from deploylib.models.database import Into, RestoreResult
from deploylib.models.redaction import MARK
from deploylib.postgres import alter_url, connect, connection, sqlstates
from deploylib.store import Store
from deploylib.system import Clock

__all__ = ["restore"]

BESIDE = f"a role that may make databases (on Render the database's own may); or {IN_PLACE}"
LIKE_IT = r"""
select format('create database %%I template template0 encoding %%L lc_collate %%L lc_ctype %%L%%s', %s::text,
  pg_encoding_to_char(encoding), datcollate, datctype,
  case to_jsonb(d) ->> 'datlocprovider' when 'i' then format(' locale_provider icu icu_locale %%L',
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')) else '' end)
from pg_database d where datname = current_database()
"""
UNSEEN = "could not be read, so that it was compared "


def restore(
    url: Secret | str, backup: Backup, store: Store | Edges, into: Into = "empty", begun: Mark | None = None
) -> RestoreResult:
    """Restore a backup, and compare what is there then with it.

    Owners are not restored: all belongs to the URL's role. Grants, default privileges and settings are, where the roles
    are there and the role may; what lacks is told. What cannot belong to it is left out and told:
    extensions that are there already and their comments, and for a role that is no superuser publications,
    subscriptions and event triggers. Statistics are gathered at the end.

    A database that is not empty is first restored *beside*, by the same role, which proves that this very restore can be
    done; then it is emptied and filled, in one transaction where that may take so many locks, else piece by piece under a
    mark. A database that is marked already is started over.

    Args:
        url: of a role that is allowed to make what the backup holds.
        backup: as `repository.listing` gives it.
        store: that it is in, or all that it is restored with.
        into: by default the database of the URL, which must be empty.
        begun: what the mark shall say, where it is an environment's own database.

    Raises:
        SettingsError: the database is not empty, and nobody insisted; or the programs cannot read the dump.
        NotBeside: the role may not make a database.
        LeaseHeld: by the fence.
        BackupFailed: the backup is damaged, cannot be restored, or the database holds something else than it should,
            which is named. A new database is gone then; one that was not empty is as it was, or marked.
        Unreachable: the database does not answer.
    """
    url = url if isinstance(url, Secret) else Secret(url)
    edges = edges_of(store).for_server(connection.facts(url).major)
    return _beside(url, backup, edges) if into == "beside" else _into(url, backup, edges, into, begun)


def _into(url: Secret, backup: Backup, edges: Edges, into: Into, begun: Mark | None) -> RestoreResult:
    began = edges.clock.monotonic()
    manifest = repository.read_manifest(backup, store=edges.store)
    if into == "empty":
        restore_mark.require_empty(url, backup, begun.environment if begun is not None else "")
    something = None if into == "empty" else empty_database.something(url)
    marked = restore_mark.find_mark(url)
    whole = marked is None and _fits(url, manifest)
    proven = something is not None and marked is None and into != "unproven"
    if proven:
        with _made(url, f"proof_{backup.id}"[:50], edges.clock) as proof:
            _filled_new(proof, manifest, edges, whole=whole)
    edges.fence()
    notes = _at_once(url, manifest, edges, empty=something is not None, proven=proven) if whole else None
    if notes is None:
        if not proven:  # a damaged dump must not be found out when the old content is gone
            archive.decode(manifest, edges.without_progress(), within=archive.RESTORE_WITHIN)
        edges.fence()
        mark = msgspec.structs.replace(begun or marked or Mark(), at=edges.clock.now(), backup=backup.id)
        notes = _piece_by_piece(url, manifest, edges, mark, proven=proven)
    if begun is not None and begun.environment:
        restore_mark.record_end(edges.store, begun.environment, clock=edges.clock, backup=backup.id)
    _analyze(url)
    took = round(edges.clock.monotonic() - began, 3)
    compared = bool(manifest.contents.schema_by) and not any(UNSEEN in note for note in notes)
    return RestoreResult(backup, took, manifest.tables, tuple(dict.fromkeys(notes)), compared=compared)


def _beside(url: Secret, backup: Backup, edges: Edges) -> RestoreResult:
    """Restore into a new database, which stays.

    Nobody uses it until the product's URL names it.

    What is there now is not touched, and neither is the environment: so nobody needs its lease for that.
    """
    began = edges.clock.monotonic()
    manifest = repository.read_manifest(backup, store=edges.store)
    name = f"restored_{edges.clock.now():%Y%m%d_%H%M%S}"
    with _made(url, name, edges.clock, keep=True) as new:
        notes = _filled_new(new, manifest, edges, whole=_fits(new, manifest))
        _analyze(new)
    return RestoreResult(
        backup,
        round(edges.clock.monotonic() - began, 3),
        manifest.tables,
        tuple(dict.fromkeys(notes)),
        compared=bool(manifest.contents.schema_by),
        database=name,
        address=_shown(new),
    )


def _analyze(url: Secret) -> None:
    """Gather statistics."""
    with connect(url, 10, statements="0") as session:
        session.execute("analyze")


def _fits(url: Secret, manifest: Manifest) -> bool:
    """Guess whether one transaction may empty and fill a database.

    It needs all the locks at once.
    """
    _, room = connection.lock_room(url)
    return empty_database.count_locks(url) + fill_database.estimate_locks(manifest) <= room


def _filled_new(url: Secret, manifest: Manifest, edges: Edges, *, whole: bool) -> tuple[str, ...]:
    """Fill a new database and compare it.

    Returns what should be known. What hides rows comes after the comparison.
    """
    filled = _tried(url, manifest, edges, first="", defer=True) if whole else None
    if filled is None:
        return _piece_by_piece(url, manifest, edges, Mark(backup=manifest.id), proven=False)
    notes = (*filled.notes, *fill_database.compare(url, manifest, filled, edges), *filled.lacking)
    _hide(url, filled)
    return notes


def _at_once(url: Secret, manifest: Manifest, edges: Edges, *, empty: bool, proven: bool) -> tuple[str, ...] | None:
    """Empty and fill a database in one transaction, and compare it.

    None: the server had not the room after all.
    """
    filled = _tried(url, manifest, edges, first=empty_database.AT_ONCE if empty else "", defer=False)
    if filled is None:
        return None
    hidden = "is hidden from its owner (FORCE ROW LEVEL SECURITY)" if filled.later else ""
    return (*filled.notes, *_compared(url, manifest, filled, edges, hidden, proven=proven), *filled.lacking)


def _tried(url: Secret, manifest: Manifest, edges: Edges, *, first: str, defer: bool) -> Filled | None:
    """Fill a database in one transaction.

    None: the server has not the room for its locks, and nothing has happened.
    """
    try:
        return fill_database.fill(url, manifest, edges, first=first, defer=defer)
    except BackupFailed as error:
        if error.remedy != sqlstates.LOCKS:
            raise
        return None


def _piece_by_piece(url: Secret, manifest: Manifest, edges: Edges, mark: Mark, *, proven: bool) -> tuple[str, ...]:
    """Empty and fill a marked database, statement by statement.

    Each runs in a transaction of its own.

    What fails leaves it marked, and the next one starts over.
    """
    if mark.environment:
        restore_mark.record_begin(edges.store, mark)
    restore_mark.place_mark(url, mark)
    try:
        filled = fill_database.fill(url, manifest, edges, first=empty_database.one_by_one(url), whole=False, defer=True)
        notes = (*filled.notes, *_compared(url, manifest, filled, edges, "", proven=proven), *filled.lacking)
    except BackupFailed as error:
        if not mark.environment:
            raise
        flag = f" --environment {mark.environment}"
        raise BackupFailed(
            f"{error.message}; the database is marked restoring",
            details=error.details,
            remedy=f"{error.remedy}; then inv finish{flag}, or inv finish{flag} --database back, what was there before",
        ) from error
    _hide(url, filled)
    restore_mark.remove_mark(url)
    return notes


def _compared(
    url: Secret, manifest: Manifest, filled: Filled, edges: Edges, hidden: str, *, proven: bool
) -> tuple[str, ...]:
    """Compare what can be read of a database with the backup.

    Args:
        hidden: why rows cannot be read; empty: they can.
        proven: they were compared beside.
    """
    if manifest.contents.schema_by and (why := "belongs to others" if filled.others else hidden):
        return (f"what {why} {UNSEEN}{'beside only, ' if proven else ''}not here",)
    return fill_database.compare(url, manifest, filled, edges)


def _hide(url: Secret, filled: Filled) -> None:
    """Run the statements that hide rows from their owner."""
    with connect(url, 10, statements="0") as session:
        for statement in filled.later:
            session.execute(statement)


@contextmanager
def _made(url: Secret, name: str, clock: Clock, *, keep: bool = False) -> Iterator[Secret]:
    """Make an empty database on the same server, by the same role.

    Gone after the block, or kept when that ends well.

    Raises:
        NotBeside: the role may not.
    """
    name = f"{name}_{clock.now():%f}" if not keep else name
    refused = connection.refusals(NotBeside, f"no database can be made beside this one ({name})", BESIDE)
    with connect(url, 10, statements="0") as session:
        statement = session.execute(LIKE_IT, (name,)).fetchone()[0]
        with refused:
            session.execute(statement)
    well = False
    try:
        yield alter_url(url, dbname=name)
        well = True
    finally:
        if not (keep and well):
            with connect(url, 10, statements="60s") as session:
                session.execute(f'drop database if exists "{name}" with (force)')


def _shown(url: Secret) -> str:
    """Show an address as a person may read it.

    A mark stands in place of each password.
    """
    more = {"sslpassword": MARK} if "sslpassword=" in url.reveal() else {}
    return alter_url(url, password=MARK, **more).reveal().replace(quote(MARK), MARK)
