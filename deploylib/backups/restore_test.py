"""The full proof: a backup is restored into a scratch Postgres, and what that holds is compared."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from deploylib.backups import archive, repository, scratch_database, scratch_server
from deploylib.backups.archive import Progress
from deploylib.backups.fingerprint import Contents, differences, remarks
from deploylib.backups.repository import Restored
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.backups.snapshot import Exporter, exported
from deploylib.errors import BackupFailed
from deploylib.models import Backup, Facts, Secret
from deploylib.models.database import Copy
from deploylib.postgres import connection
from deploylib.postgres.binaries import Client, server_for
from deploylib.store import Store
from deploylib.system import Clock, process

__all__ = [
    "UNCOMPARED",
    "Explored",
    "Place",
    "Proof",
    "compared",
    "copied",
    "estimate",
    "explored",
    "held",
    "loaded",
    "prove",
    "restored",
    "strongest",
]

PROVE_WITHIN = 3600.0  # seconds that a restore may take
HASHES_BELOW = 20_000_000_000  # bytes; hashing 1.8 GB took 3.3 to 6.9 s, so this takes a minute
Proof = Literal["restored", "decoded", "checksum"]

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


class Place(msgspec.Struct, frozen=True):
    """Where backups are restored to prove them.

    Attributes:
        server: a URL of a server on which a database may be made; None: one of our own is started.
        folder: where our own one lies; None: the folder for temporary files.
    """

    server: Secret | None = None
    folder: Path | None = None


def restored(
    backup: Backup,
    expected: Contents,
    *,
    store: Store,
    client: Client,
    place: Place,
    runner: process.Runner,
    exporter: Exporter,
    within: float,
    progress: Progress = None,
    also: Callable[[Copy], None] = lambda _copy: None,
) -> tuple[str, ...]:
    """Restore a backup where nobody sees it, and compare it with *expected*; returns remarks.

    Args:
        within: seconds after which the restore is given up.
        progress: told the bytes of the dump that were restored.
        also: is given the address of the copy once it was found equal; it may do with it what it likes.

    Raises:
        BackupFailed: it cannot be restored, or holds something else, which is named.
        ScratchUnfit: there is no place to restore it; nothing was found out about it.
        SettingsError: there is no server for it on this machine.
    """
    with loaded(
        backup, expected, store=store, client=client, place=place, runner=runner, within=within, progress=progress
    ) as (url, said):
        found = held(url, like=expected, client=client, runner=runner, exporter=exporter)
        remarked = compared(backup, expected, found)
        also(url)
    return (*said, *remarked)


@contextmanager
def loaded(
    backup: Backup,
    holds: Contents,
    *,
    store: Store,
    client: Client,
    place: Place,
    runner: process.Runner,
    within: float,
    progress: Progress = None,
    folder: Path | None = None,
) -> Iterator[tuple[Copy, tuple[str, ...]]]:
    """A backup restored where nobody sees it, for as long as the block takes: the copy's address, and remarks.

    Args:
        holds: what the database for it must be able to hold.
        folder: where an export is unpacked already.

    Raises:
        BackupFailed: it cannot be restored.
        ScratchUnfit: there is no place to restore it; nothing was found out about it.
        SettingsError: there is no server for it on this machine.
    """
    with _server(backup, client, place, runner) as server, scratch_database.database(server, holds) as (url, said):
        try:
            archive.load(
                backup, url, store=store, client=client, runner=runner, within=within, progress=progress, folder=folder
            )
        except BackupFailed as error:
            if _is_full(place, error):
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
        yield Copy(url, server, own=place.server is None), said


def strongest(size: int, left_seconds: float, history: Sequence[Backup]) -> Proof:
    """The strongest proof that a backup has time for.

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
    """Seconds that a backup with that proof will take: by the slowest of the last five that had it, else by experience.

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


def held(
    url: Secret,
    *,
    like: Contents | None,
    client: Client,
    runner: process.Runner,
    exporter: Exporter,
    hashes: bool = True,
) -> Contents:
    """What a restored database holds, hashed in the way in which *like* was, where there is something to compare."""
    with exporter(url) as snapshot:
        found = snapshot.look(like=like, hashes=hashes)
    definitions = archive.schema(url, client=client, runner=runner)
    return msgspec.structs.replace(found, schema=definitions, schema_by=client.version)


def compared(backup: Backup, expected: Contents, found: Contents) -> tuple[str, ...]:
    """Remarks about a restored database that holds what it should.

    Raises:
        BackupFailed: it holds something else.
    """
    if wrong := differences(expected, found):
        raise BackupFailed(
            f"backup {backup.id} does not restore what was backed up: {wrong[0]}",
            details=wrong,
            remedy="make another backup (inv backup), and keep this one for whoever looks into it",
        )
    return remarks(expected, found)


def _is_full(place: Place, error: BackupFailed) -> bool:
    """Whether it was the disk; a server that cannot write its log dies, and the client only sees it go."""
    said = any("No space left on device" in line for line in error.details)
    return said or (place.server is None and shutil.disk_usage(place.folder or tempfile.gettempdir()).free < NOTHING)


@contextmanager
def _server(backup: Backup, client: Client, place: Place, runner: process.Runner) -> Iterator[Secret]:
    if place.server is not None:
        yield place.server
        return
    programs = server_for(backup.major, client, runner=runner)
    with scratch_server.server(programs, runner=runner, size=backup.database_size, folder=place.folder) as url:
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


def prove(
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    clock: Clock,
    place: Place = Place(),  # noqa: B008 - immutable
    within: float = PROVE_WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
) -> Backup:
    """Restore an existing backup into a scratch Postgres, compare it with its manifest, and record that.

    Args:
        backup: as `listing` gives it.
        client: of a version that fits the server that it was made of.
        place: where it is restored.
        within: seconds after which the restore is given up.
        progress: told the bytes of the dump that were restored.

    Returns:
        It, proven ``restored``.

    Raises:
        BackupFailed: its manifest or its dump is damaged, or it holds something else than its manifest says.
        SettingsError: there is no place to restore it on this machine.
    """
    began = clock.monotonic()
    notes = copied(
        backup,
        store=store,
        client=client,
        runner=runner,
        place=place,
        within=within,
        progress=progress,
        exporter=exporter,
    )
    done = Restored(at=clock.now(), seconds=round(clock.monotonic() - began, 3), notes=notes)
    return repository.record(backup, done, store=store)


def copied(
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    place: Place = Place(),  # noqa: B008 - immutable
    within: float = PROVE_WITHIN,
    progress: Progress = None,
    exporter: Exporter = exported,
    also: Callable[[Copy], None] = lambda _copy: None,
) -> tuple[str, ...]:
    """Restore an existing backup where nobody sees it, compare it with its manifest, and throw it away; writes nothing.

    Args:
        also: is given the address of the restored copy, once that was found equal.

    Returns:
        What was remarked.

    Raises:
        BackupFailed: its manifest or its dump is damaged, or it holds something else than its manifest says.
        SettingsError: there is no place to restore it on this machine.
    """
    found = repository.manifest(backup, store=store)
    if found.exported and not found.contents.schema_by:
        explored(
            found, store=store, client=client, place=place, runner=runner, within=within, progress=progress, also=also
        )
        return (UNCOMPARED,)
    if not found.contents.schema_by:
        raise BackupFailed(
            f"the manifest of backup {backup.id} does not say what it holds: it is of an older version",
            remedy="make a new backup (inv backup)",
        )
    return restored(
        found,
        found.contents,
        store=store,
        client=client,
        place=place,
        runner=runner,
        exporter=exporter,
        within=within,
        progress=progress,
        also=also,
    )


def explored(
    backup: Backup,
    *,
    store: Store,
    client: Client,
    place: Place,
    runner: process.Runner,
    within: float = PROVE_WITHIN,
    progress: Progress = None,
    also: Callable[[Copy], None] = lambda _copy: None,
) -> Explored:
    """Restore an export where nobody sees it, and look what it holds; it is read and unpacked once.

    Args:
        also: is given the address of the restored copy.

    Raises:
        BackupFailed: it is damaged, or cannot be restored.
        SettingsError: there is no place to restore it on this machine.
    """
    with archive.unpacked(backup, store=store, progress=progress) as folder:
        tables, holds = archive.needs(backup, folder, store=store, client=client, runner=runner)
        sized = msgspec.structs.replace(backup, database_size=backup.database_size or EXPANDS * backup.size)
        with loaded(
            sized, holds, store=store, client=client, place=place, runner=runner, within=within, folder=folder
        ) as (url, said):
            facts = connection.facts(url)
            contents = held(
                url, like=None, client=client, runner=runner, exporter=exported, hashes=facts.size < HASHES_BELOW
            )
            also(url)
    return Explored(msgspec.structs.replace(contents, locale={}), facts, tables, (UNCOMPARED, *said))
