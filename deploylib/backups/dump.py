"""Dump a database into the store, and prove the dump.

It is proven against the very snapshot that it was made of.

The manifest is written last; without one there is no backup. Which programs fit is in `deploylib.postgres.binaries`, what is
kept in `deploylib.backups.repository`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing

import msgspec

from deploylib.backups import archive, repository, restore_mark, restore_test
from deploylib.backups.edges import Edges, edges_of
from deploylib.backups.fingerprint import Contents
from deploylib.backups.repository import Manifest
from deploylib.errors import BackupFailed, DeployError, Interrupted, SettingsError
from deploylib.models import Backup, Secret, remedies
from deploylib.models.database import BackupOrder
from deploylib.models.interruption import suppress_failure
from deploylib.models.units import count
from deploylib.postgres import connection, sqlstates
from deploylib.store import Store
from deploylib.system import process

__all__ = ["create"]


def create(url: Secret | str, store: Store | Edges, order: BackupOrder = BackupOrder()) -> Backup:  # noqa: B008 - frozen
    """Back a database up: dump it, prove that, write the manifest.

    Args:
        url: of a role that may read all of it.
        store: where it is kept, or all that it is made with.
        order: whose it is, and how strongly it is proven; by default as strongly as can be.

    Raises:
        BackupFailed: the dump failed, or the store holds other bytes; what was written of it is removed.
        Unproven: the dump could not be restored, or holds something else: it is kept, and marked so.
        Unreachable: the database does not answer.
        Held: the database is marked restoring.
        SettingsError: the store cannot be written, or the programs lack something.
    """
    url = url if isinstance(url, Secret) else Secret(url)
    facts = order.facts or connection.facts(url)
    edges = edges_of(store).for_server(facts.major)
    restore_mark.require_no_mark(restore_mark.parse_mark(facts), f" --environment {order.environment}")
    began = edges.clock.monotonic()
    manifest = repository.begin_manifest(
        order,
        edges,
        revision=facts.revision,
        server_version=facts.version,
        format=archive.form(edges),
        proof=order.proof,
        database_size=facts.size,
    )

    def dump(manifest: Manifest) -> Manifest:
        try:
            return _dumped(url, manifest, edges, order)
        except process.ProgramFailed as error:
            step = sqlstates.remedy(*sqlstates.recognize(error.details))
            details = (*sqlstates.without_rows(error.details), *(_lock_room(url) if step == sqlstates.LOCKS else ()))
            raise BackupFailed(
                f"the backup failed: {error.message}", details=details, remedy=f"{step} (inv backup)"
            ) from error

    return repository.keep(manifest, edges, began, dump, lambda manifest: _proven(manifest, edges, order))


def _lock_room(url: Secret) -> tuple[str, ...]:
    """Count the locks that are lacking, where the server says so."""
    try:
        taken, room = connection.lock_room(url)
    except Interrupted:
        raise
    except DeployError:
        return ()
    return (
        f"pg_dump locks {taken} tables and sequences at once; the server has room for some {room}, for all sessions",
    )


def _expected(manifest: Manifest, history: Sequence[Backup]) -> int:
    """Guess the dump's bytes by the last one of its kind.

    0: nobody knows.
    """
    known = (one for one in history if one.format == manifest.format and one.database_size)
    return next((round(one.size / one.database_size * manifest.database_size) for one in known), 0)


def _dumped(url: Secret, manifest: Manifest, edges: Edges, order: BackupOrder) -> Manifest:
    """Dump, and meanwhile count and hash what the same snapshot shows."""
    with edges.exporter(url) as snapshot, ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(snapshot.look, hashes=manifest.database_size < order.hashes_below)
        try:
            expected = _expected(manifest, order.history)
            dump = archive.dump(url, edges, form=manifest.format, snapshot=snapshot.id, expected=expected)
            with closing(dump) as pieces:  # ends pg_dump where the store gives up
                stored = edges.store.put(
                    manifest.key, _unless(looking, pieces), new=True, expected=manifest.database_size
                )
            contents = snapshot.reread_sequences(looking.result())
        except BaseException as error:
            # A snapshot ends with the first thing that its session is refused, and pg_dump only sees it end.
            ended = wait([looking], timeout=1).done if isinstance(error, process.ProgramFailed) else ()
            if ended and (reason := looking.exception()) is not None:
                raise reason from error
            with suppress_failure(Exception):  # the connection may be what broke
                snapshot.cancel()
            raise
        schema = archive.schema(url, edges, snapshot.id)
    return msgspec.structs.replace(
        manifest,
        size=stored.size,
        sha256=stored.sha256,
        tables=sum(not table.derived for table in contents.tables),
        contents=msgspec.structs.replace(contents, schema=schema, schema_by=edges.client.version),
    )


def _unless(looking: Future[Contents], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass the pieces on until the other thread fails.

    Then the rest would be for nothing.
    """
    for piece in pieces:
        if looking.done():
            looking.result()
        yield piece


def _proven(manifest: Manifest, edges: Edges, order: BackupOrder) -> Manifest:
    """Prove the dump as strongly as was wanted and can be."""
    if manifest.proof == "restored":
        try:
            notes = restore_test.restore_and_compare(manifest, manifest.contents, edges, order.also)
            return msgspec.structs.replace(manifest, notes=notes)
        except SettingsError as error:
            notes = (f"not restored: {error.message} ({remedies.about(manifest.environment, error.remedy)})",)
            manifest = msgspec.structs.replace(manifest, proof="decoded", notes=notes)
    if manifest.proof == "checksum":
        repository.read_back(manifest, store=edges.store, progress=edges.progress)
        return manifest
    archive.decode(manifest, edges)
    there = archive.count_tables(manifest, edges.without_progress())
    if there < manifest.tables:
        raise BackupFailed(
            f"the dump holds the rows of {count(there, 'table')}, the database has {manifest.tables}",
            remedy="inv backup, once more",
        )
    return manifest
