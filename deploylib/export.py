"""Backups of a database that cannot be reached from here: the platform's own export, downloaded and restored.

Facts from Render's API document and https://render.com/docs/postgresql-backups: an export is asked for without an
answer, one at a time, and kept for seven days; none on the free plan.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from deploylib import archive, manifest, postgres, programs, proof
from deploylib.archive import Progress
from deploylib.clock import Clock, Deadline
from deploylib.contents import Contents
from deploylib.errors import BackupFailed, SettingsError
from deploylib.manifest import Manifest
from deploylib.models import EXPORTED, Backup, Database, Export
from deploylib.process import ProgramFailed, Runner
from deploylib.programs import Client
from deploylib.proof import Place
from deploylib.render import Ambiguous, Forbidden, Refused, Render
from deploylib.snapshot import exported
from deploylib.store import KeyTaken, Store
from deploylib.web import HttpError, Session

__all__ = ["create"]

WITHIN = 3600.0  # seconds that it may take to restore
TRIES = 3
UNCOMPARED = "the platform's export: restored, and compared with nothing, as its database is not opened from here"


def create(
    name: str,
    *,
    render: Render,
    store: Store,
    environment: str,
    run: str,
    commit: str,
    runner: Runner,
    clock: Clock,
    deadline: Deadline,
    configured: str = "",
    place: Place = Place(),  # noqa: B008 - immutable
    every: float = 5.0,
    session: Session | None = None,
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
        BackupFailed: it was not made in time, not given, or cannot be restored; what was written of it is removed.
        SettingsError: the platform makes none of this database, or there are no programs for it.
        Unreachable: the platform or the store does not answer.
    """
    began, now = clock.monotonic(), clock.now()
    database = render.database(name)
    client = programs.client_for(_major(database), configured, runner=runner)
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
    try:
        with session or Session(timeout=60.0) as open_session:
            made = _downloaded(made, found, store, open_session, progress)
        dumped = clock.monotonic()
        made = _proven(made, store, client, place, runner, progress)
        ended = clock.monotonic()
        made = msgspec.structs.replace(
            made,
            dump_seconds=round(dumped - began, 3),
            proof_seconds=round(ended - dumped, 3),
            seconds=round(ended - began, 3),
        )
        return manifest.write(made, store=store)
    except KeyTaken as error:
        raise BackupFailed(f"there is a backup {made.id} already", remedy="inv backup, once more") from error
    except BaseException:
        manifest.give_up(store, made.key)
        raise


def _major(database: Database) -> int:
    if not database.version.isdigit():
        raise SettingsError(
            f"the platform does not say which Postgres {database.name} is ({database.version or 'nothing'})",
            remedy="back it up from a machine that can open it",
        )
    return int(database.version)


def _made(render: Render, database: Database, clock: Clock, deadline: Deadline, every: float) -> Export:
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
    while not deadline.passed():
        found = [one for one in render.exports(database.id) if one.id not in before and one.url is not None]
        if found:
            return max(found, key=lambda one: one.created_at)
        clock.sleep(min(every, max(0.1, deadline.left())))
    raise BackupFailed(
        f"the platform has not finished the export of {database.name} in time",
        remedy="see the database's page → Recovery; deadline in the settings is what a run may take",
    )


def _downloaded(made: Manifest, found: Export, store: Store, session: Session, progress: Progress) -> Manifest:
    """Into the store; without a key of ours, as whoever has the address needs none."""
    address = found.url.reveal() if found.url else ""
    for left in reversed(range(TRIES)):
        try:
            stored = store.put(made.key, _told(session.pieces(address), progress), new=True)
        except HttpError as error:
            if not left:
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


def _proven(made: Manifest, store: Store, client: Client, place: Place, runner: Runner, progress: Progress) -> Manifest:
    """What it holds, from a copy; where there is no place for one, every byte of it is decoded."""
    tables = archive.table_count(made, store=store, client=client, runner=runner)
    made = msgspec.structs.replace(made, tables=tables)
    holds = Contents(extensions=dict.fromkeys(archive.extensions(made, store=store, client=client, runner=runner), ""))
    try:
        with proof.loaded(
            made, holds, store=store, client=client, place=place, runner=runner, within=WITHIN, progress=progress
        ) as (url, said):
            contents = proof.held(url, like=None, client=client, runner=runner, exporter=exported)
            facts = postgres.facts(url)
    except SettingsError as error:
        archive.decode(made, store=store, client=client, runner=runner, within=WITHIN, progress=progress)
        return msgspec.structs.replace(made, notes=(f"not restored: {error.message} ({error.remedy})",))
    except ProgramFailed as error:
        raise BackupFailed(error.message, details=error.details, remedy="see what it said, then inv backup") from error
    return msgspec.structs.replace(
        made, proof="restored", revision=facts.revision, database_size=facts.size, contents=contents,
        notes=(UNCOMPARED, *said),
    )  # fmt: skip
