"""Back up a database that cannot be reached from here.

The platform's own export is downloaded and restored.

Facts from Render's API document and https://render.com/docs/postgresql-backups: an export is asked for without an
answer, one at a time, and kept for seven days; none on the free plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import msgspec

from deploylib.backups import archive, repository, restore_test
from deploylib.backups.edges import Edges
from deploylib.backups.repository import Manifest
from deploylib.backups.scratch_server import ScratchUnfit
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import EXPORTED, Backup, Database, Export, remedies
from deploylib.models.database import BackupOrder
from deploylib.render import Ambiguous, Forbidden, Refused
from deploylib.render import Client as RenderClient
from deploylib.system import Clock, Deadline, http

__all__ = ["export"]

TRIES, BETWEEN = 3, 2.0


def export(
    name: str,
    render: RenderClient,
    edges: Edges,
    order: BackupOrder,
    deadline: Deadline,
    *,
    every: float = 5.0,
    session: http.Session | None = None,
) -> Backup:
    """Have the platform export a database, and store and restore that.

    What the export holds is written down.

    Args:
        name: the platform's, of the database.
        order: whose it is.
        deadline: for the export to be made.
        every: seconds between two looks at whether it is made.
        session: for the download; None: one of its own.

    Raises:
        BackupFailed: it was not made in time, not given, or is damaged; what was written of it is removed.
        Unproven: it cannot be restored: it is kept, and marked so.
        SettingsError: the platform makes none of this database, or there are no programs for it.
        Unreachable: the platform or the store does not answer.
    """
    began = edges.clock.monotonic()
    database = render.database(name)
    edges = edges.for_server(_major(database))
    manifest = repository.begin_manifest(
        order, edges, revision="", server_version=database.version, format=EXPORTED, proof="decoded"
    )
    export = _made(render, database, edges.clock, deadline, every)
    manifest = msgspec.structs.replace(manifest, created_at=export.created_at)

    def download(manifest: Manifest) -> Manifest:
        with nullcontext(session) if session else http.Session(timeout=60.0) as own:
            return _downloaded(manifest, export, edges, own)

    return repository.keep(manifest, edges, began, download, lambda manifest: _proven(manifest, edges))


def _major(database: Database) -> int:
    if not database.version.isdigit():
        raise SettingsError(
            f"the platform does not say which Postgres {database.name} is ({database.version or 'nothing'})",
            remedy="back it up from a machine that can open it",
        )
    return int(database.version)


def _made(render: RenderClient, database: Database, clock: Clock, deadline: Deadline, every: float) -> Export:
    """Find the finished export that was begun after we asked."""
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
        finished = [one for one in render.exports(database.id) if one.id not in before and one.url is not None]
        if finished:
            return max(finished, key=lambda one: one.created_at)
        clock.sleep(min(every, max(0.1, deadline.left)))
    raise BackupFailed(
        f"the platform has not finished the export of {database.name} in time",
        remedy="see the database's page → Recovery; deadline in the settings is what a run may take",
    )


def _downloaded(manifest: Manifest, export: Export, edges: Edges, session: http.Session) -> Manifest:
    """Download an export into the store.

    Without a key of ours, as whoever has the address needs none.
    """
    address = export.url.reveal() if export.url else ""
    for left in reversed(range(TRIES)):
        try:
            stored = edges.store.put(manifest.key, _told(session.pieces(address), edges), new=True)
        except http.HttpError as error:
            if left:
                edges.clock.sleep(BETWEEN * (TRIES - left))
            else:
                message = f"the export was made, and could not be downloaded: {error}"
                raise BackupFailed(message, remedy="inv backup, once more") from error
        else:
            return msgspec.structs.replace(manifest, size=stored.size, sha256=stored.sha256)
    raise AssertionError("the last try returns or raises")


def _told(pieces: Iterator[bytes], edges: Edges) -> Iterator[bytes]:
    for piece in pieces:
        if edges.progress is not None:
            edges.progress(len(piece), 0)
        yield piece


def _proven(manifest: Manifest, edges: Edges) -> Manifest:
    """Prove the export from a copy, and tell what it holds.

    Where there is no place for one, it is decoded, and the notes say why.
    """
    try:
        explored = restore_test.explore(manifest, edges)
        return msgspec.structs.replace(
            manifest, proof="restored", revision=explored.facts.revision, database_size=explored.facts.size, tables=explored.tables,
            contents=explored.contents, notes=explored.notes,
        )  # fmt: skip
    except SettingsError as error:
        step = remedies.about(manifest.environment, error.remedy)
        notes = (f"the platform's export, not restored: {error.message} ({step})",)
    try:
        archive.decode(manifest, edges)
        tables = archive.count_tables(manifest, edges)
    except ScratchUnfit:  # not even unpacked: what is known is that it lies there as it was downloaded
        repository.read_back(manifest, store=edges.store, progress=edges.progress)
        return msgspec.structs.replace(manifest, proof="checksum", notes=notes)
    return msgspec.structs.replace(manifest, tables=tables, notes=notes)
