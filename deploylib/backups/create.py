"""Backups: a dump streamed into the store, proven against the very snapshot that it was made of.

The manifest is written last; without one there is no backup. Which programs fit is in `deploylib.postgres.binaries`, what is
kept in `deploylib.backups.repository`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress

import msgspec

from deploylib.backups import archive, repository, restore_mark, restore_test
from deploylib.backups.archive import Progress
from deploylib.backups.fingerprint import Contents
from deploylib.backups.repository import Manifest, Unproven
from deploylib.backups.restore_test import HASHES_BELOW, PROVE_WITHIN, Place, Proof
from deploylib.backups.snapshot import Exporter, exported
from deploylib.errors import BackupFailed, DeployError, SettingsError, Unreachable
from deploylib.models import Backup, Facts, Secret, remedies
from deploylib.models.database import Copy
from deploylib.postgres import connection, sqlstates
from deploylib.postgres.binaries import Client
from deploylib.store import Store
from deploylib.system import Clock, process

__all__ = ["create", "read_back"]


def create(
    url: Secret,
    *,
    facts: Facts,
    client: Client,
    store: Store,
    environment: str,
    run: str,
    commit: str,
    runner: process.Runner,
    clock: Clock,
    wanted: Proof = "decoded",
    place: Place = Place(),  # noqa: B008 - immutable
    hashes_below: int = HASHES_BELOW,
    history: Sequence[Backup] = (),
    progress: Progress = None,
    exporter: Exporter = exported,
    also: Callable[[Copy], None] = lambda _copy: None,
) -> Backup:
    """Dump a database into the store, prove the dump, and write its manifest.

    Args:
        url: of a role that may read all of it.
        facts: what was found of it just now.
        client: of a version that fits its server; see `binaries.client_for`.
        wanted: the strongest proof to try; see `strongest`. Where there is no place to restore, the proof is
            ``decoded``, and the backup's notes say why.
        place: where it is restored.
        hashes_below: bytes; in a larger database rows are only counted.
        history: earlier ones, newest first: by them it is estimated how large this one becomes.
        progress: told the bytes of each piece that was done: dumped, and then read back.
        exporter: how a snapshot is taken.
        also: is given the address of the restored copy, once that was found equal and before it is thrown away.

    Raises:
        BackupFailed: the dump failed, or the store holds other bytes; what was written of it is removed.
        Unproven: the dump could not be restored, or holds something else: it is kept, and marked so.
        Unreachable: the database does not answer.
        Held: the database is marked restoring.
        SettingsError: the store cannot be written, or the programs lack something.
    """
    restore_mark.require_none(restore_mark.of(facts), f" --environment {environment}")
    began, now = clock.monotonic(), clock.now()
    name = f"{now:%Y%m%dT%H%M%SZ}-{run}"
    key = f"backups/{environment}/{name}/dump"
    made = Manifest(
        id=name,
        key=key,
        environment=environment,
        run=run,
        commit=commit,
        created_at=now,
        revision=facts.revision,
        server_version=facts.version,
        client_version=client.version,
        format=archive.form(client, runner),
        size=0,
        sha256="",
        proof=wanted,
        tables=0,
        seconds=0.0,
        database_size=facts.size,
    )
    failed: DeployError | None = None
    with repository.all_or_nothing(store, key):
        hashes = facts.size < hashes_below
        expected = _expected(made, history)
        try:
            made = _dumped(url, made, client, store, runner, exporter, progress, hashes=hashes, expected=expected)
        except process.ProgramFailed as error:
            step = sqlstates.remedy(*sqlstates.spoken(error.details))
            details = (*sqlstates.shown(error.details), *(_lock_room(url) if step == sqlstates.LOCKS else ()))
            raise BackupFailed(
                f"the backup failed: {error.message}", details=details, remedy=f"{step} (inv backup)"
            ) from error
        dumped = clock.monotonic()
        try:
            made = _proven(made, store, client, place, runner, exporter, progress, also)
        except archive.Damaged:
            raise
        except (BackupFailed, process.ProgramFailed) as error:
            failed, made = error, repository.unproven(made, error)
        kept = repository.write(repository.timed(made, began, dumped, clock.monotonic()), store=store)
    if failed is not None:
        raise Unproven(kept, failed) from failed
    return kept


def read_back(made: Backup, *, store: Store, progress: Progress = None) -> None:
    """Read a dump to its last byte.

    Raises:
        BackupFailed: it is missing, or damaged.
    """
    for _ in archive.verified(made, store=store, progress=progress):
        """Reading it is the proof."""


def _lock_room(url: Secret) -> tuple[str, ...]:
    """How many locks there are too few, where the server still says so."""
    try:
        taken, room = connection.lock_room(url)
    except (SettingsError, Unreachable):
        return ()
    return (
        f"pg_dump locks {taken} tables and sequences at once; the server has room for some {room}, for all sessions",
    )


def _expected(made: Manifest, history: Sequence[Backup]) -> int:
    """Bytes of the dump, by the last one of its kind; 0: nobody knows."""
    known = (one for one in history if one.format == made.format and one.database_size)
    return next((round(one.size / one.database_size * made.database_size) for one in known), 0)


def _dumped(
    url: Secret,
    made: Manifest,
    client: Client,
    store: Store,
    runner: process.Runner,
    exporter: Exporter,
    progress: Progress,
    *,
    hashes: bool,
    expected: int,
) -> Manifest:
    """Dump, and meanwhile count and hash what the same snapshot shows."""
    with exporter(url) as snapshot, ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(snapshot.look, hashes=hashes)
        try:
            dump = archive.dump(
                url,
                client=client,
                form=made.format,
                snapshot=snapshot.id,
                runner=runner,
                progress=progress,
                expected=expected,
            )
            with closing(dump) as pieces:  # ends pg_dump where the store gives up
                stored = store.put(made.key, _unless(looking, pieces), new=True, expected=made.database_size)
            contents = snapshot.settled(looking.result())
        except BaseException as error:
            # A snapshot ends with the first thing that its session is refused, and pg_dump only sees it end.
            ended = wait([looking], timeout=1).done if isinstance(error, process.ProgramFailed) else ()
            if ended and (reason := looking.exception()) is not None:
                raise reason from error
            with suppress(Exception):  # the connection may be what broke
                snapshot.cancel()
            raise
        schema = archive.schema(url, client=client, runner=runner, snapshot=snapshot.id)
    return msgspec.structs.replace(
        made,
        size=stored.size,
        sha256=stored.sha256,
        tables=sum(not table.derived for table in contents.tables),
        contents=msgspec.structs.replace(contents, schema=schema, schema_by=client.version),
    )


def _unless(looking: Future[Contents], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, unless the other thread has failed: then the rest would be for nothing."""
    for piece in pieces:
        if looking.done():
            looking.result()
        yield piece


def _proven(
    made: Manifest,
    store: Store,
    client: Client,
    place: Place,
    runner: process.Runner,
    exporter: Exporter,
    progress: Progress,
    also: Callable[[Copy], None],
) -> Manifest:
    """The strongest proof that was wanted and can be had."""
    notes: tuple[str, ...] = ()
    if made.proof == "restored":
        try:
            notes = restore_test.restored(
                made,
                made.contents,
                store=store,
                client=client,
                place=place,
                runner=runner,
                exporter=exporter,
                within=PROVE_WITHIN,
                progress=progress,
                also=also,
            )
            return msgspec.structs.replace(made, notes=notes)
        except SettingsError as error:
            notes = (f"not restored: {error.message} ({remedies.about(made.environment, error.remedy)})",)
            made = msgspec.structs.replace(made, proof="decoded", notes=notes)
    if made.proof == "checksum":
        read_back(made, store=store, progress=progress)
        return made
    archive.decode(made, store=store, client=client, runner=runner, within=PROVE_WITHIN, progress=progress)
    there = archive.table_count(made, store=store, client=client, runner=runner)
    if there < made.tables:
        raise BackupFailed(
            f"the dump holds the rows of {there} tables, the database has {made.tables}", remedy="inv backup, once more"
        )
    return made
