"""The backups in a store, and the records beside each dump.

It also knows which of them may be removed.

    backups/<environment>/<id>/dump             the dump
    backups/<environment>/<id>/manifest.json    written last; without it there is no backup
    backups/<environment>/<id>/restored.json    written by a later proof
    backups/<environment>/<id>/accepted.json    written by a person who goes on without a proof

No object is ever written twice. Only proven backups are counted, and the last of them always stay. A dump whose proof
failed is kept and marked; it is never the reason why a proven one goes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from deploylib.backups.edges import Edges
from deploylib.backups.fingerprint import Contents
from deploylib.errors import BackupFailed, DeployError, SettingsError
from deploylib.models import UNPROVEN, Backup, Moment, Value
from deploylib.models.database import BackupOrder
from deploylib.models.interruption import suppress_failure
from deploylib.postgres import sqlstates
from deploylib.store import Damaged, KeyTaken, Store, StoreRefused, read_document
from deploylib.system import process

__all__ = [
    "Accepted",
    "DumpDamaged",
    "Manifest",
    "RestoreProof",
    "Unproven",
    "accept",
    "all_or_nothing",
    "begin_manifest",
    "clear",
    "find",
    "find_accepted",
    "keep",
    "latest",
    "listing",
    "mark_unproven",
    "prune",
    "read_back",
    "read_dump",
    "read_manifest",
    "record",
    "remove_key",
    "unreadable",
    "with_times",
    "write_manifest",
]

W = TypeVar("W", bound=Value)
DEBRIS_AFTER = 86_400.0  # seconds; no run takes that long, so a dump without a manifest was left by one that was killed
ACCEPTED_FOR = 86_400.0  # seconds: what a person goes on with today is looked at again tomorrow
RESTORED, ACCEPTED = "restored.json", "accepted.json"
MANIFEST = "manifest.json"


class Manifest(Backup, frozen=True):
    """A backup with all it holds, as the store has it."""

    contents: Contents = Contents()


class Unproven(BackupFailed):
    """A dump was made, and could not be proven; it is kept.

    Args:
        kept: the dump.
        why: what came of its proof.
    """

    def __init__(self, kept: Backup, why: DeployError) -> None:
        state, line = sqlstates.recognize(why.details)
        step = sqlstates.restoring(state, line) if isinstance(why, process.ProgramFailed) else why.remedy
        remedy = f"{step}; the dump is kept, and not counted (see the runbook: a backup that cannot be proven)"
        details = sqlstates.without_rows(why.details)
        super().__init__(f"{why.message}; kept unproven: {kept.id}", details=details, remedy=remedy)
        self.kept = kept


class DumpDamaged(BackupFailed):
    """The store returns another dump than it was given.

    There is nothing to keep.
    """


class Accepted(Value, frozen=True):
    """A person accepts a dump that could not be proven."""

    at: Moment
    author: str
    reason: str


class RestoreProof(Value, frozen=True):
    """A later proof of a backup.

    When it was, how long it took, and what was remarked.
    """

    at: Moment
    seconds: float
    notes: tuple[str, ...] = ()


def begin_manifest(order: BackupOrder, edges: Edges, **known: Any) -> Manifest:
    """Begin the manifest of a backup, which names it."""
    now = edges.clock.now()
    name = f"{now:%Y%m%dT%H%M%SZ}-{order.run}"
    return Manifest(
        id=name,
        key=f"backups/{order.environment}/{name}/dump",
        environment=order.environment,
        run=order.run,
        commit=order.commit,
        replaced=order.replaced,
        created_at=now,
        client_version=edges.client.version,
        size=0,
        sha256="",
        tables=0,
        seconds=0.0,
        **known,
    )


def keep(
    manifest: Manifest,
    edges: Edges,
    began: float,
    dump: Callable[[Manifest], Manifest],
    prove: Callable[[Manifest], Manifest],
) -> Backup:
    """Store a dump, prove it, and write its manifest last.

    Args:
        began: when the backup did, by the clock's `monotonic`.

    Raises:
        Unproven: the proof has failed; the dump is kept, and marked so.
        BackupFailed: there is no dump, or a damaged one; what was written of it is removed.
    """
    failed: DeployError | None = None
    with all_or_nothing(edges.store, manifest.key):
        manifest = dump(manifest)
        dumped = edges.clock.monotonic()
        try:
            manifest = prove(manifest)
        except DumpDamaged:
            raise
        except (BackupFailed, process.ProgramFailed) as error:
            failed, manifest = error, mark_unproven(manifest, error)
        kept = write_manifest(with_times(manifest, began, dumped, edges.clock.monotonic()), store=edges.store)
    if failed is not None:
        raise Unproven(kept, failed) from failed
    return kept


def with_times(manifest: Manifest, began: float, dumped: float, ended: float) -> Manifest:
    """Add the seconds that a backup took, from three moments."""
    return msgspec.structs.replace(
        manifest,
        dump_seconds=round(dumped - began, 3),
        proof_seconds=round(ended - dumped, 3),
        seconds=round(ended - began, 3),
    )


def mark_unproven(manifest: Manifest, why: DeployError) -> Manifest:
    """Mark a manifest as that of a dump whose proof has failed.

    The cause is the same for each dump that has it.
    """
    errors = (line for line in why.details if re.match(r"pg_\w+: error: ", line))
    cause = next(errors, why.message).partition(": error: ")[2] or why.message.replace(f"backup {manifest.id} ", "")
    return msgspec.structs.replace(manifest, proof=UNPROVEN, cause=cause)


def write_manifest(manifest: Manifest, *, store: Store) -> Backup:
    """Let a dump become a backup; returns it without its contents.

    Raises:
        BackupFailed: its dump is not in the store any more: somebody has cleared it away, who took it for left over.
    """
    _require_dump(manifest, store)
    store.put_if_absent(_beside(manifest.key, MANIFEST), msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    try:
        _require_dump(manifest, store)
    except BackupFailed:
        store.delete(_beside(manifest.key, MANIFEST))
        raise
    return _without(manifest)


def record(backup: Backup, proof: RestoreProof, *, store: Store) -> Backup:
    """Write a later proof beside a backup.

    The first one stays. Returns the backup with it.
    """
    store.put_if_absent(_beside(backup.key, RESTORED), msgspec.json.format(msgspec.json.encode(proof), indent=1))
    return _proven(backup, proof)


def accept(backup: Backup, word: Accepted, *, store: Store) -> Backup:
    """Write down that a person accepts this dump without a proof.

    The backup is returned with that.

    Raises:
        SettingsError: somebody has said so already.
    """
    key = _beside(backup.key, ACCEPTED)
    if not store.put_if_absent(key, msgspec.json.format(msgspec.json.encode(word), indent=1)):
        raise SettingsError(f"{backup.id} is accepted already", remedy="inv deploy")
    return _accepted(backup, word)


def find_accepted(like: Backup, *, store: Store, now: datetime) -> Backup | None:
    """Find an accepted dump of the same schema and cause.

    None: nobody has accepted one, or long since.
    """
    for backup in listing(store, like.environment):
        since = (now - backup.accepted_at).total_seconds() if backup.accepted_at else ACCEPTED_FOR
        if since < ACCEPTED_FOR and (backup.revision, backup.cause) == (like.revision, like.cause):
            return backup
    return None


def read_manifest(backup: Backup, *, store: Store) -> Manifest:
    """Read all that is known of a backup.

    Raises:
        BackupFailed: its manifest is missing, cannot be read, or is another one's.
    """
    try:
        manifest = read_document(store, _beside(backup.key, MANIFEST), Manifest)
    except KeyError as error:
        raise BackupFailed(
            f"backup {backup.id} has no manifest", remedy="take another backup (inv backup.list)"
        ) from error
    except Damaged as error:
        message = f"the manifest of backup {backup.id} cannot be read: {error.message}"
        raise BackupFailed(message, remedy="take another backup (inv backup.list)") from error
    if manifest.key != backup.key:
        message = f"the manifest beside backup {backup.id} is that of {manifest.id}"
        raise BackupFailed(message, remedy="take another backup (inv backup.list), and see who changed the store")
    return manifest


def read_dump(backup: Backup, *, store: Store, progress: Callable[[int, int], None] | None = None) -> Iterator[bytes]:
    """Read a dump back, piece by piece.

    The last one comes only when the checksum is right.

    So nothing that reads the pieces can come to a good end with a bad dump.

    Raises:
        DumpDamaged: it is missing, cut, or other bytes than were written.
    """
    digest, size, last = hashlib.sha256(), 0, b""
    try:
        for piece in store.read(backup.key):
            digest.update(piece)
            size += len(piece)
            if last:
                yield last
            last = piece
            if progress is not None:
                progress(len(piece), backup.size)
    except KeyError as error:
        message = f"the dump of backup {backup.id} is not in the store"
        raise DumpDamaged(message, remedy="take another backup (inv backup.list)") from error
    wrong = ""
    if size != backup.size:
        wrong = f"the dump of backup {backup.id} has {size} bytes, its manifest says {backup.size}"
    elif digest.hexdigest() != backup.sha256:
        wrong = f"the store gave back other bytes of backup {backup.id} than it was given: the checksum is wrong"
    if wrong:
        raise DumpDamaged(wrong, remedy="take another backup (inv backup.list), and check the store's disk")
    if last:
        yield last


def read_back(backup: Backup, *, store: Store, progress: Callable[[int, int], None] | None = None) -> None:
    """Read a dump to its last byte.

    Raises:
        DumpDamaged: it is missing, or other bytes than were written.
    """
    for _ in read_dump(backup, store=store, progress=progress):
        """Reading it is the proof."""


def listing(store: Store, environment: str) -> list[Backup]:
    """List an environment's backups, newest first, each with its strongest proof.

    What cannot be read is left out.
    """
    return sorted(_newest_first(store, environment), key=lambda backup: (backup.created_at, backup.id), reverse=True)


def _newest_first(store: Store, environment: str) -> Iterator[Backup]:
    """Read an environment's backups newest first, each when asked for.

    An id begins with the time.
    """
    keys = set(store.list(f"backups/{environment}/"))
    for key in sorted((key for key in keys if key.endswith(f"/{MANIFEST}")), reverse=True):
        backup = _read(store, key)
        if backup is None:
            continue
        if _beside(backup.key, RESTORED) in keys and (proof := _word(store, backup, RESTORED, RestoreProof)):
            backup = _proven(backup, proof)
        if _beside(backup.key, ACCEPTED) in keys and (word := _word(store, backup, ACCEPTED, Accepted)):
            backup = _accepted(backup, word)
        yield backup


def find(store: Store, environment: str, name: str) -> Backup:
    """Find the backup of that id.

    Where *name* is empty, the newest proven one; of those that a restore has replaced only if there is no other.

    Raises:
        SettingsError: there is none.
    """
    there = listing(store, environment)
    for backup in sorted(there, key=lambda one: one.replaced):
        if backup.id == name or (not name and backup.proven):
            return backup
    if not there:
        unread = ", ".join(unreadable(store, environment))
        text = f"no backup of {environment} can be read: {unread}" if unread else f"there is no backup of {environment}"
        raise SettingsError(text, remedy="inv backup makes one")
    known = ", ".join(backup.id for backup in there[:5])
    wanted = f"no backup {name}" if name else "no proven backup"
    raise SettingsError(f"there is {wanted} of {environment}; there are: {known}", remedy="inv backup.list")


def latest(store: Store, environment: str) -> Backup | None:
    """Find the newest readable backup whose proof has not failed.

    None: there is none.
    """
    return next((backup for backup in _newest_first(store, environment) if backup.proof != UNPROVEN), None)


def unreadable(store: Store, environment: str) -> tuple[str, ...]:
    """List what looks like a backup and has no readable manifest.

    It is damaged, or another backup's.
    """
    keys = [key for key in store.list(f"backups/{environment}/") if key.endswith(f"/{MANIFEST}")]
    return tuple(key.split("/")[-2] for key in keys if _read(store, key) is None)


def prune(store: Store, environment: str, keep: int, *, spare: Collection[str] = ()) -> list[Backup]:
    """Remove what is older than the newest *keep* proven backups.

    Call it only after a new one was made.

    Backups whose proof is a checksum count for nothing: while there are fewer than *keep* proven ones, or when the
    newest of all is not proven, nothing goes. At least one proven one always stays. Of dumps whose proof has failed the
    newest *keep* stay, and none that is older than all proven ones that are kept; likewise of those that a restore has
    replaced, which may be of a loss.

    Args:
        spare: ids of backups that stay this time: one that is about to be restored may be the oldest.

    Returns:
        The backups that were removed.

    Raises:
        Refused: the store keeps one, for example under a lock; the others were removed all the same.
    """
    everything, keep = listing(store, environment), max(1, keep)
    backups = [backup for backup in everything if not backup.replaced]
    kept = [backup for backup in backups if backup.proven][:keep]
    old = [backup for backup in backups if backup.proof == UNPROVEN][keep:]
    old += [backup for backup in everything if backup.replaced][keep:]
    if backups and backups[0].proven and len(kept) == keep:
        old += [backup for backup in everything[everything.index(kept[-1]) + 1 :] if backup not in old]
    kept_back: StoreRefused | None = None
    old = [backup for backup in old if backup.id not in spare]
    for backup in old:
        try:
            remove_key(store, backup.key)
        except StoreRefused as error:
            kept_back = error
    if kept_back is not None:
        raise kept_back
    return old


def clear(store: Store, environment: str, *, older_than: float = DEBRIS_AFTER) -> None:
    """Remove what killed runs have left.

    Those are dumps without a manifest, and uploads that were not ended.

    Args:
        older_than: seconds. 0 only for whoever holds the lock of the environment's database (`connection.lock_database`):
            then nobody else is at work there.
    """
    with suppress(StoreRefused):  # without that right a lifecycle rule of the bucket has to do it
        store.sweep(f"backups/{environment}/", older_than)
    keys = set(store.list(f"backups/{environment}/"))
    for key in sorted(keys):
        left = key.endswith("/dump") and _beside(key, MANIFEST) not in keys
        with suppress(KeyError, StoreRefused):  # somebody else was quicker, or a lock keeps it
            if left and store.age(key) >= older_than and not _there(store, _beside(key, MANIFEST)):
                remove_key(store, key)


@contextmanager
def all_or_nothing(store: Store, key: str) -> Iterator[None]:
    """Make a backup in this block.

    Where it fails, what was written is removed.

    What stays, because the store is away or keeps it under a lock, has no manifest.

    Raises:
        BackupFailed: there is one of that key; it is as it was.
    """
    try:
        yield
    except KeyTaken as error:
        raise BackupFailed(f"there is a backup at {key} already", remedy="inv backup, once more") from error
    except BaseException:
        with suppress_failure(DeployError):
            remove_key(store, key)
        raise


def remove_key(store: Store, key: str) -> None:
    """Remove a backup, its manifest first.

    So an interrupted clean-up leaves no manifest that promises a missing dump.
    """
    for name in (MANIFEST, RESTORED, ACCEPTED):
        store.delete(_beside(key, name))
    store.delete(key)


def _there(store: Store, key: str) -> bool:
    try:
        store.age(key)
    except KeyError:
        return False
    return True


def _require_dump(manifest: Manifest, store: Store) -> None:
    if not _there(store, manifest.key):
        raise BackupFailed(
            f"the dump of backup {manifest.id} is gone from the store before it was proven",
            remedy="inv backup, once more; see who else backs up or clears up there (inv lease)",
        )


def _read(store: Store, key: str) -> Backup | None:
    try:
        backup = read_document(store, key, Backup)
    except (KeyError, Damaged):  # removed meanwhile, or damaged
        return None
    return backup if _beside(backup.key, MANIFEST) == key else None


def _word(store: Store, backup: Backup, name: str, kind: type[W]) -> W | None:
    """Read what was said of a backup later.

    None where that was removed meanwhile or is damaged: it counts as before, then.
    """
    try:
        return read_document(store, _beside(backup.key, name), kind)
    except (KeyError, Damaged):
        return None


def _proven(backup: Backup, proof: RestoreProof) -> Backup:
    return msgspec.structs.replace(
        backup, proof="restored", proven_at=proof.at, proof_seconds=proof.seconds, notes=proof.notes, cause=""
    )


def _accepted(backup: Backup, word: Accepted) -> Backup:
    return msgspec.structs.replace(backup, accepted=f"{word.author}: {word.reason}", accepted_at=word.at)


def _without(manifest: Manifest) -> Backup:
    return Backup(**{name: getattr(manifest, name) for name in Backup.__struct_fields__})


def _beside(key: str, name: str) -> str:
    return f"{key.rpartition('/')[0]}/{name}"
