"""The drill: a backup that is in the store is restored where nobody sees it, and compared with what it should hold.

Of the platform's export nobody knows what it should hold; what it holds is found out.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from deploylib import archive, manifest, postgres, proof
from deploylib.archive import Progress
from deploylib.clock import Clock
from deploylib.contents import Contents
from deploylib.errors import BackupFailed
from deploylib.manifest import Restored
from deploylib.models import Backup
from deploylib.postgres import Facts
from deploylib.process import Runner
from deploylib.programs import Client
from deploylib.proof import HASHES_BELOW, PROVE_WITHIN, Copy, Place
from deploylib.snapshot import Exporter, exported
from deploylib.store import Store

__all__ = ["UNCOMPARED", "Explored", "copied", "explored", "prove"]

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
    runner: Runner,
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
    return manifest.record(backup, done, store=store)


def copied(
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: Runner,
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
    found = manifest.manifest(backup, store=store)
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
    return proof.restored(
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
    runner: Runner,
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
        with proof.loaded(
            sized, holds, store=store, client=client, place=place, runner=runner, within=within, folder=folder
        ) as (url, said):
            facts = postgres.facts(url)
            contents = proof.held(
                url, like=None, client=client, runner=runner, exporter=exported, hashes=facts.size < HASHES_BELOW
            )
            also(url)
    return Explored(msgspec.structs.replace(contents, locale={}), facts, tables, (UNCOMPARED, *said))
