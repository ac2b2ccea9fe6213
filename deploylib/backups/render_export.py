"""Backups of a database that cannot be reached from here: the platform's own export, downloaded and restored.

Facts from Render's API document and https://render.com/docs/postgresql-backups: an export is asked for without an
answer, one at a time, and kept for seven days; none on the free plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import msgspec

from deploylib.backups import archive, repository, restore_test
from deploylib.backups.archive import Progress
from deploylib.backups.repository import Manifest, Unproven
from deploylib.backups.restore_test import PROVE_WITHIN, Place
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.errors import BackupFailed, DeployError, SettingsError
from deploylib.models import EXPORTED, Backup, Database, Export, remedies
from deploylib.postgres import binaries
from deploylib.postgres.binaries import Client
from deploylib.render import Ambiguous, Forbidden, Refused
from deploylib.render import Client as RenderClient
from deploylib.store import Store
from deploylib.system import Clock, Deadline, http, process

__all__ = ["create"]

TRIES, BETWEEN = 3, 2.0


def create(
    name: str,
    *,
    render: RenderClient,
    store: Store,
    environment: str,
    run: str,
    commit: str,
    runner: process.Runner,
    clock: Clock,
    deadline: Deadline,
    configured: str = "",
    place: Place = Place(),  # noqa: B008 - immutable
    every: float = 5.0,
    session: http.Session | None = None,
    progress: Progress = None,
) -> Backup:
    """Have the platform export a database, download that into the store, restore it, and write down what it holds.

    Args:
        name: the platform's, of the database.
        deadline: for the export to be made.
        configured: a folder with the programs of Postgres, from the settings.
        place: where it is restored.
        every: seconds between two looks at whether it is made.
        session: for the download; None: one of its own.
        progress: told the bytes of each piece that was downloaded, and then read back.

    Raises:
        BackupFailed: it was not made in time, not given, or is damaged; what was written of it is removed.
        Unproven: it cannot be restored: it is kept, and marked so.
        SettingsError: the platform makes none of this database, or there are no programs for it.
        Unreachable: the platform or the store does not answer.
    """
    began, now = clock.monotonic(), clock.now()
    database = render.database(name)
    client = binaries.client_for(_major(database), configured, runner=runner)
    found = _made(render, database, clock, deadline, every)
    made = Manifest(
        id=f"{now:%Y%m%dT%H%M%SZ}-{run}",
        key=f"backups/{environment}/{now:%Y%m%dT%H%M%SZ}-{run}/dump",
        environment=environment,
        run=run,
        commit=commit,
        created_at=found.created_at,
        revision="",
        server_version=database.version,
        client_version=client.version,
        format=EXPORTED,
        size=0,
        sha256="",
        proof="decoded",
        tables=0,
        seconds=0.0,
    )
    failed: DeployError | None = None
    with repository.all_or_nothing(store, made.key):
        with nullcontext(session) if session else http.Session(timeout=60.0) as own:
            made = _downloaded(made, found, store, own, clock, progress)
        dumped = clock.monotonic()
        try:
            made = _proven(made, store, client, place, runner, progress)
        except archive.Damaged:
            raise
        except (BackupFailed, process.ProgramFailed) as error:
            failed, made = error, repository.unproven(made, error)
        kept = repository.write(repository.timed(made, began, dumped, clock.monotonic()), store=store)
    if failed is not None:
        raise Unproven(kept, failed) from failed
    return kept


def _major(database: Database) -> int:
    if not database.version.isdigit():
        raise SettingsError(
            f"the platform does not say which Postgres {database.name} is ({database.version or 'nothing'})",
            remedy="back it up from a machine that can open it",
        )
    return int(database.version)


def _made(render: RenderClient, database: Database, clock: Clock, deadline: Deadline, every: float) -> Export:
    """An export that was begun after we asked for it, and is finished."""
    before = {one.id for one in render.exports(database.id)}
    try:
        render.ask_for_export(database.id)
    except Ambiguous:
        """It may have begun: then it is listed."""
    except (Forbidden, Refused) as error:
        raise SettingsError(
            f"the platform makes no export of {database.name}: {error.message}",
            remedy='wait for the export that is at work; on the free plan there is none: backups = "none" says that its data may be lost',
        ) from error
    while not deadline.has_passed():
        found = [one for one in render.exports(database.id) if one.id not in before and one.url is not None]
        if found:
            return max(found, key=lambda one: one.created_at)
        clock.sleep(min(every, max(0.1, deadline.left())))
    raise BackupFailed(
        f"the platform has not finished the export of {database.name} in time",
        remedy="see the database's page → Recovery; deadline in the settings is what a run may take",
    )


def _downloaded(
    made: Manifest, found: Export, store: Store, session: http.Session, clock: Clock, progress: Progress
) -> Manifest:
    """Into the store; without a key of ours, as whoever has the address needs none."""
    address = found.url.reveal() if found.url else ""
    for left in reversed(range(TRIES)):
        try:
            stored = store.put(made.key, _told(session.pieces(address), progress), new=True)
        except http.HttpError as error:
            if left:
                clock.sleep(BETWEEN * (TRIES - left))
            else:
                message = f"the export was made, and could not be downloaded: {error}"
                raise BackupFailed(message, remedy="inv backup, once more") from error
        else:
            return msgspec.structs.replace(made, size=stored.size, sha256=stored.sha256)
    raise AssertionError("the last try returns or raises")


def _told(pieces: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    for piece in pieces:
        if progress is not None:
            progress(len(piece), 0)
        yield piece


def _proven(
    made: Manifest, store: Store, client: Client, place: Place, runner: process.Runner, progress: Progress
) -> Manifest:
    """What it holds, from a copy; where there is no place for one, it is decoded, and the notes say why."""
    try:
        found = restore_test.explored(made, store=store, client=client, place=place, runner=runner, progress=progress)
        return msgspec.structs.replace(
            made, proof="restored", revision=found.facts.revision, database_size=found.facts.size, tables=found.tables,
            contents=found.contents, notes=found.notes,
        )  # fmt: skip
    except SettingsError as error:
        step = remedies.about(made.environment, error.remedy)
        notes = (f"the platform's export, not restored: {error.message} ({step})",)
    try:
        archive.decode(made, store=store, client=client, runner=runner, within=PROVE_WITHIN, progress=progress)
        tables = archive.table_count(made, store=store, client=client, runner=runner)
    except ScratchUnfit:  # not even unpacked: what is known is that it lies there as it was downloaded
        for _ in archive.verified(made, store=store, progress=progress):
            """Reading it is the proof."""
        return msgspec.structs.replace(made, proof="checksum", notes=notes)
    return msgspec.structs.replace(made, tables=tables, notes=notes)
