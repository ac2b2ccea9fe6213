"""Prove a backup in full: restore it, and compare.

It is restored into a scratch Postgres.

A copy that a migration was rehearsed on is dumped and restored once more, so that there is a backup after it, too.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from deploylib.backups import archive, repository, scratch_database, scratch_server
from deploylib.backups.edges import Edges, Place, edges_of
from deploylib.backups.fingerprint import Contents, differences, remarks
from deploylib.backups.repository import RestoreProof
from deploylib.backups.scratch_server import ScratchDied, ScratchUnfit
from deploylib.backups.snapshot import take_snapshot
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Facts, Secret, Value
from deploylib.models.database import BackupOrder, Copy, ProofKind
from deploylib.postgres import binaries, connection, sqlstates
from deploylib.store import Store
from deploylib.system import process

__all__ = [
    "IN_PLACE",
    "UNCOMPARED",
    "Explored",
    "NotBeside",
    "Restorable",
    "ScratchDied",
    "choose_proof",
    "compare_contents",
    "estimate",
    "explore",
    "load_copy",
    "look_at",
    "prove",
    "restore_and_compare",
    "try_again",
    "try_copy",
]

HASHES_BELOW = BackupOrder().hashes_below

# Bytes of a database per second and seconds before the first, where there is no history. Guesses on the safe side: on
# two busy cores 634 MB took 37 to 41 s with a restore (15 to 17 MB/s), and 8 to 10 s with a decoding, all on one
# machine; a database far away was not measured.
PACE = {"restored": (12_000_000.0, 8.0), "decoded": (30_000_000.0, 1.0)}
MARGIN = 1.5  # for a machine that has other things to do
NOTHING = 32_000_000  # bytes: two segments of the write-ahead log
# What the place refuses, which says nothing of the dump.
REFUSED = re.compile(
    r"permission denied|must be superuser|must be owner|must be a superuser|is not available|could not access file"
)


# What a remedy says of doing it all the same; who knows the environment says it as it is typed.
IN_PLACE = "--into database --force --unproven --confirm ENVIRONMENT"


class NotBeside(SettingsError):
    """Nothing can be restored beside the database.

    The role may not make a database, or not what is in it.
    """


def restore_and_compare(
    backup: Backup, expected: Contents, edges: Edges, also: Callable[[Copy], None] = lambda _copy: None
) -> tuple[str, ...]:
    """Restore a backup where nobody sees it, and compare it with *expected*.

    Returns remarks.

    Args:
        also: given the address of the copy once it was found equal; it may do with it what it likes.

    Raises:
        BackupFailed: it cannot be restored, or holds something else, which is named.
        ScratchUnfit: there is no place to restore it; nothing was found out about it.
        SettingsError: there is no server for it on this machine.
    """
    with load_copy(backup, expected, edges) as (url, remarks):
        remarked = compare_contents(backup, expected, look_at(url, edges, like=expected))
        also(url)
    return (*remarks, *remarked)


@contextmanager
def load_copy(
    backup: Backup, content: Contents, edges: Edges, folder: Path | None = None
) -> Iterator[tuple[Copy, tuple[str, ...]]]:
    """Restore a backup where nobody sees it, for this block.

    It gives the copy's address, and remarks.

    Args:
        content: what the database for it must be able to take.
        folder: where an export is unpacked already.

    Raises:
        BackupFailed: it cannot be restored.
        ScratchUnfit: there is no place to restore it; nothing was found out about it.
        SettingsError: there is no server for it on this machine.
    """
    with _server(backup, edges) as server, scratch_database.database(server, content) as (url, remarks):
        try:
            archive.load_dump(backup, url, edges, folder)
        except BackupFailed as error:
            if _is_full(edges.place, error):
                raise ScratchUnfit(
                    "the disk of the scratch Postgres is full",
                    details=error.details,
                    remedy="make room there, or set TMPDIR to a folder on another disk",
                ) from error
            if any(REFUSED.search(line) for line in error.details):
                raise ScratchUnfit(
                    "the scratch Postgres may not hold all of it",
                    details=error.details,
                    remedy="name a server that may do what yours does",
                ) from error
            raise
        own = edges.place.server is None
        yield Copy(url, server, own=own, listens=own and edges.place.listens), remarks


def choose_proof(size: int, left_seconds: float, history: Sequence[Backup]) -> ProofKind:
    """Choose the strongest proof that a backup has time for.

    Args:
        size: bytes of the database.
        left_seconds: what the backup may take, proof included.
        history: earlier backups of it, newest first; with what they took it is estimated.
    """
    for kind in ("restored", "decoded"):
        if estimate(size, kind, history) <= left_seconds:
            return "restored" if kind == "restored" else "decoded"
    return "checksum"


def estimate(size: int, kind: str, history: Sequence[Backup]) -> float:
    """Estimate how many seconds a backup with that proof takes.

    By the slowest of the last five that had it, else by experience.

    Args:
        size: bytes of the database.
        kind: ``restored`` or ``decoded``.
        history: earlier backups, newest first.
    """
    rate, start = PACE[kind]
    known = [backup for backup in history if backup.proof == kind and backup.database_size and not backup.proven_at][:5]
    if not known:
        return start + size / rate
    # What did not grow with the size is taken once, what did as often as the database is larger now.
    return MARGIN * max(one.seconds * max(1.0, size / one.database_size) for one in known)


def look_at(url: Secret, edges: Edges, *, like: Contents | None = None, hashes: bool = True) -> Contents:
    """Describe a restored database, to compare it with a backup.

    It is hashed in the way in which *like* was, where there is something to compare.
    """
    with edges.exporter(url) as snapshot:
        contents = snapshot.look(like=like, hashes=hashes)
    definitions = archive.schema(url, edges)
    return msgspec.structs.replace(contents, schema=definitions, schema_by=edges.client.version)


def compare_contents(backup: Backup, expected: Contents, contents: Contents) -> tuple[str, ...]:
    """Compare a restored database with what it should hold, and list remarks.

    Raises:
        BackupFailed: it holds something else.
    """
    if wrong := differences(expected, contents):
        raise BackupFailed(
            f"backup {backup.id} does not restore what was backed up: {wrong[0]}",
            details=wrong,
            remedy="make another backup (inv backup), and keep this one for whoever looks into it",
        )
    return remarks(expected, contents)


def _is_full(place: Place, error: BackupFailed) -> bool:
    """Tell whether it was the disk.

    A server that cannot write its log dies, and the client only sees it go.
    """
    is_full = any("No space left on device" in line for line in error.details)
    return is_full or (place.server is None and shutil.disk_usage(place.folder or tempfile.gettempdir()).free < NOTHING)


@contextmanager
def _server(backup: Backup, edges: Edges) -> Iterator[Secret]:
    if edges.place.server is not None:
        yield edges.place.server
        return
    programs = binaries.server_for(backup.major, edges.client, runner=edges.runner)
    place, size = edges.place, backup.database_size
    with scratch_server.server(
        programs, runner=edges.runner, size=size, folder=place.folder, listens=place.listens
    ) as url:
        yield url


UNCOMPARED = (
    "the platform's export: restored, and compared with nothing, as its database is not opened from here; "
    "its locale is not known"
)


EXPANDS = 5  # times: what gzip makes of a dump, and its indexes, in a database


class Explored(msgspec.Struct, frozen=True):
    """What an export turned out to hold, and what was remarked."""

    contents: Contents
    facts: Facts
    tables: int
    notes: tuple[str, ...]


def prove(backup: Backup, store: Store | Edges) -> Backup:
    """Restore a backup into a scratch Postgres, compare, and record.

    Args:
        backup: as `repository.listing` gives it.
        store: that it is in, or all that it is proven with.

    Returns:
        It, proven ``restored``.

    Raises:
        BackupFailed: its manifest or its dump is damaged, or it holds something else than its manifest says.
        SettingsError: there is no place to restore it on this machine.
    """
    edges = edges_of(store)
    began = edges.clock.monotonic()
    notes = try_copy(backup, edges)
    done = RestoreProof(at=edges.clock.now(), seconds=round(edges.clock.monotonic() - began, 3), notes=notes)
    return repository.record(backup, done, store=edges.store)


def try_copy(backup: Backup, edges: Edges, also: Callable[[Copy], None] = lambda _copy: None) -> tuple[str, ...]:
    """Restore a backup where nobody sees it, and compare.

    The copy is thrown away, and nothing is written.

    Args:
        also: given the address of the restored copy, once that was found equal to the manifest.

    Returns:
        What was remarked.

    Raises:
        BackupFailed: its manifest or its dump is damaged, or it holds something else than its manifest says.
        SettingsError: there is no place to restore it on this machine.
    """
    edges = edges.for_server(backup.major)
    manifest = repository.read_manifest(backup, store=edges.store)
    if manifest.exported and not manifest.contents.schema_by:
        explore(manifest, edges, also)
        return (UNCOMPARED,)
    if not manifest.contents.schema_by:
        raise BackupFailed(
            f"the manifest of backup {backup.id} does not say what it holds: it is of an older version",
            remedy="make a new backup (inv backup)",
        )
    return restore_and_compare(manifest, manifest.contents, edges, also)


def explore(backup: Backup, edges: Edges, also: Callable[[Copy], None] = lambda _copy: None) -> Explored:
    """Restore an export where nobody sees it, and look what it holds.

    It is read and unpacked once.

    Args:
        also: given the address of the restored copy.

    Raises:
        BackupFailed: it is damaged, or cannot be restored.
        SettingsError: there is no place to restore it on this machine.
    """
    with archive.unpack_dump(backup, edges) as folder:
        tables, content = archive.read_needs(backup, edges, folder)
        sized = msgspec.structs.replace(backup, database_size=backup.database_size or EXPANDS * backup.size)
        with load_copy(sized, content, edges.without_progress(), folder) as (url, remarks):
            facts = connection.facts(url)
            contents = look_at(url, edges, hashes=facts.size < HASHES_BELOW)
            also(url)
    return Explored(msgspec.structs.replace(contents, locale={}), facts, tables, (UNCOMPARED, *remarks))


class Restorable(Value, frozen=True):
    """What came of a second restore.

    Attributes:
        whole: with the rows; otherwise of the definitions alone.
        size: bytes of the database.
        cause: what it failed with; empty: it did not.
        details: what the program said.
        remedy: the next step, where it failed.
        unknown: why it could not be tried; empty: it was.
    """

    whole: bool
    size: int
    cause: str = ""
    details: tuple[str, ...] = ()
    remedy: str = ""
    unknown: str = ""


def try_again(copy: Copy, edges: Edges, *, whole_below: int) -> Restorable:
    """Dump and restore a copy that was migrated.

    A dump is restored with an empty search_path, table by table: a CHECK by a function that reads another table, or a name
    without its schema in a function that an index uses, works every day and fails then.

    Args:
        whole_below: bytes; of a larger database only the definitions are dumped.

    Raises:
        Unreachable: the copy does not answer.
    """
    facts = connection.facts(copy)
    size, edges = facts.size, edges.for_server(facts.major)
    whole = size < whole_below
    try:
        with take_snapshot(copy) as snapshot:
            content = snapshot.around()
        with scratch_database.database(copy.server, content) as (beside, _):
            archive.through(copy, beside, edges, whole=whole, within=archive.PROVE_WITHIN)
    except ScratchUnfit as error:
        return Restorable(whole=whole, size=size, unknown=error.message)
    except process.ProgramFailed as error:
        state, line = sqlstates.recognize(error.details)
        if REFUSED.search(line) or state in {"53100", "53200"}:
            return Restorable(whole=whole, size=size, unknown=line)
        return Restorable(
            whole=whole,
            size=size,
            cause=line or error.message,
            details=sqlstates.without_rows(error.details),
            remedy=sqlstates.restoring(state, line),
        )
    return Restorable(whole=whole, size=size)
