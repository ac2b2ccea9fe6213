"""A dump as a stream: from the server into the store, and from the store, checked in passing, into pg_restore.

Nothing of it ever lies on this machine's disk. A program that dies raises before the end of its output is told, so that
what was uploaded of it is given up instead of becoming the newest backup.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from deploylib.backups import export_archive, scratch_server
from deploylib.backups.fingerprint import WORD, Contents, definitions
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Secret
from deploylib.postgres import connection, sqlstates
from deploylib.postgres.binaries import Client
from deploylib.store import Store
from deploylib.system import process

__all__ = [
    "Damaged",
    "decode",
    "dump",
    "form",
    "load",
    "needs",
    "perform",
    "schema",
    "script",
    "settings",
    "table_count",
    "through",
    "unpacked",
    "verified",
]

ZSTD_SINCE = 16  # the first major whose pg_dump knows another compression than gzip
WORKERS = 2  # threads of their own: pg_dump has the other core, and each holds some ten MB
# Digits, hashes and identifiers have many short matches that cost more than they save: with 6 bytes at least, archives
# are smaller than gzip's (by 1 to 2 % on three kinds of data), and a window and jobs of 1 MiB keep the memory down.
LEVEL = 4
TUNED = {"min_match": 6, "window_log": 20, "job_size": 1 << 20}
JOBS = min(4, os.cpu_count() or 1)  # only a folder can be read by several
SLICE = 1 << 14  # what is decompressed at once: a MiB of zeros may become a thousand
ALIKE = ["--no-tablespaces", "--no-subscriptions", "--no-password"]
TABLE = r" TABLE DATA "
ENTRY = re.compile(r"^\d+; \d+ \d+ ")
NAME = re.compile(WORD)
ROLES = re.compile(
    rf"^CREATE POLICY .+? TO ({WORD}(?:, {WORD})*)(?: USING | WITH CHECK |;)|^CREATE USER MAPPING FOR ({WORD}) ",
    re.MULTILINE,
)
LITERAL = r"(?: ?E)?'(?:[^']|'')*'"  # in pg_dump's form: a quote is doubled, and in E'' a backslash
SETTING = re.compile(
    rf"^ALTER (?:DATABASE {WORD}|ROLE ({WORD}) IN DATABASE {WORD}) SET ({WORD}) TO ({LITERAL}(?:, {LITERAL})*);$",
    re.MULTILINE,
)
ANYBODY = {"public", "PUBLIC", "current_user", "CURRENT_USER", "session_user", "CURRENT_ROLE"}
Progress = Callable[[int, int], None] | None


class Damaged(BackupFailed):
    """The store does not hold the dump that it was given: there is nothing to keep."""


"""Told the bytes of each piece, and those of all of them; 0: nobody knows."""


def form(client: Client, runner: process.Runner) -> str:
    """The format that dumps are made in here; see `Backup.format`.

    zstd at level 3 takes a quarter of the processor time of gzip's default and makes a smaller archive (measured on 1.8
    GB). Whether pg_dump was built with it is only said when it is asked for; it says so before it connects.
    """
    if client.major >= ZSTD_SINCE:
        words = [
            client.program("pg_dump"),
            "--format=custom",
            "--compress=zstd:3",
            "--host=/nonexistent",
            "--no-password",
        ]
        said = runner.run(process.Command(words, check=False, env=sqlstates.ENGLISH, drops=connection.MISLEADING))
        if any("connection" in line for line in said.lines):
            return "custom:zstd"
    return "custom.zst" if _zstd() else "custom"


def dump(
    url: Secret,
    *,
    client: Client,
    form: str,
    snapshot: str,
    runner: process.Runner,
    progress: Progress = None,
    expected: int = 0,
) -> Generator[bytes]:
    """The pieces of a dump.

    Args:
        form: see `form`.
        snapshot: of a session that stays open until this one has begun.
        progress: told the bytes of each piece.
        expected: bytes of all of them, as far as anybody can tell.

    Raises:
        ProgramFailed: instead of ending, when pg_dump failed.
    """
    level = {"custom": "1", "custom:zstd": "zstd:3", "custom.zst": "0"}[form]
    words = ["--format=custom", f"--compress={level}", "--lock-wait-timeout=10s", f"--snapshot={snapshot}", *ALIKE]
    pieces = runner.stream(_connecting(url, [client.program("pg_dump"), *words], writes=True))
    for piece in _packed(pieces) if form == "custom.zst" else pieces:
        if progress is not None:
            progress(len(piece), expected)
        yield piece


def schema(url: Secret, *, client: Client, runner: process.Runner, snapshot: str = "") -> dict[str, str]:
    """The definitions of a database: name → checksum; see `definitions`.

    Raises:
        ProgramFailed: pg_dump failed.
    """
    words = [client.program("pg_dump"), "--schema-only", "--no-owner", "--no-acl", *ALIKE]
    if snapshot:
        words.append(f"--snapshot={snapshot}")
    return definitions(runner.run(_connecting(url, words, timeout=300.0)).text)


def verified(backup: Backup, *, store: Store, progress: Progress = None) -> Iterator[bytes]:
    """The pieces of a dump, read back from the store; the last one is handed on only when the checksum is right.

    Whoever reads them cannot come to a good end with a bad dump.

    Raises:
        Damaged: it is missing, cut, or other bytes than were written.
    """
    digest, size, held = hashlib.sha256(), 0, b""
    try:
        for piece in store.read(backup.key):
            digest.update(piece)
            size += len(piece)
            if held:
                yield held
            held = piece
            if progress is not None:
                progress(len(piece), backup.size)
    except KeyError as error:
        message = f"the dump of backup {backup.id} is not in the store"
        raise Damaged(message, remedy="take another backup (inv backup.list)") from error
    if size != backup.size:
        message = f"the dump of backup {backup.id} has {size} bytes, its manifest says {backup.size}"
        raise Damaged(message, remedy="take another backup (inv backup.list), and check the store's disk")
    if digest.hexdigest() != backup.sha256:
        message = f"the store gave back other bytes of backup {backup.id} than it was given: the checksum is wrong"
        raise Damaged(message, remedy="take another backup (inv backup.list), and check the store's disk")
    if held:
        yield held


def decode(
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    within: float,
    progress: Progress,
    folder: Path | None = None,
) -> None:
    """Read the whole dump back and decode it to its last byte.

    Listing an archive proves nothing: it succeeds on a file that was cut in half (measured).

    Raises:
        BackupFailed: its checksum is wrong, or pg_restore cannot read it.
        SettingsError: pg_restore was built without what it is compressed with.
    """
    with _opened(backup, store, progress, folder) as (words, pieces):
        command = [client.program("pg_restore"), "--file=/dev/null", *words]
        _restoring(process.Command(command, stdin=pieces, timeout=within), backup, store, runner)


def load(
    backup: Backup,
    url: Secret,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    within: float,
    progress: Progress,
    folder: Path | None = None,
) -> None:
    """Restore a dump into an empty database, and stop at the first error.

    Args:
        within: seconds after which it is given up.
        progress: told the bytes of the dump that have been read.
        folder: where an export is unpacked already.

    Raises:
        BackupFailed: its checksum is wrong, or pg_restore failed; the database holds a part of it.
        SettingsError: pg_restore was built without what it is compressed with.
    """
    # The name of the database comes from the environment, like the rest; without --dbname it would write a script.
    words = ["--exit-on-error", "--no-owner", "--no-acl", *ALIKE, "--dbname=application_name=deploylib"]
    with _opened(backup, store, progress, folder) as (more, pieces):
        command = [client.program("pg_restore"), *words, *more]
        _restoring(
            _connecting(url, command, writes=True, stdin=pieces, timeout=within, tree=True), backup, store, runner
        )


@contextmanager
def script(
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    leave_out: Callable[[str], bool],
    progress: Progress,
) -> Iterator[Iterator[bytes]]:
    """The pieces of the SQL that makes what a dump holds, less the entries of its table of contents that are *leave_out*.

    Args:
        leave_out: is given an entry as pg_restore lists it, without its numbers: ``EXTENSION - vector``.

    Raises:
        BackupFailed: while it is read: its checksum is wrong, or pg_restore cannot read it. Then it has no end.
    """
    listed = _listed(backup, store, client, runner).splitlines(keepends=True)
    kept = [line for line in listed if not leave_out(ENTRY.sub("", line.strip()))]
    with tempfile.NamedTemporaryFile("w", prefix="deploylib-", suffix=".list") as chosen:
        chosen.writelines(kept)
        chosen.flush()
        with _opened(backup, store, progress) as (more, pieces):
            words = ["--file=-", "--no-owner", "--no-acl", *ALIKE, f"--use-list={chosen.name}"]
            words += [word for word in more if not word.startswith("--jobs")]
            command = process.Command([client.program("pg_restore"), *words], env=sqlstates.ENGLISH, stdin=pieces)
            with closing(_flowing(runner.stream(command))) as made:
                yield made


def settings(
    backup: Backup, *, store: Store, client: Client, runner: process.Runner
) -> tuple[tuple[str, str, Secret], ...]:
    """What the database was set to: role (empty: all of them), setting and value, each as SQL writes it.

    Raises:
        BackupFailed: the dump is damaged.
    """
    with tempfile.NamedTemporaryFile("w", prefix="deploylib-", suffix=".list") as nothing:
        words = ["--create", "--file=-", f"--use-list={nothing.name}"]
        said = _said(backup, store, client, runner, None, words)
    return tuple((role, name, Secret(value)) for role, name, value in SETTING.findall(said))


def perform(
    url: Secret,
    pieces: Generator[bytes],
    backup: Backup,
    *,
    store: Store,
    client: Client,
    runner: process.Runner,
    within: float,
) -> None:
    """Run a script in a database, and stop at the first error.

    Raises:
        BackupFailed: a statement failed, or the dump that the script is made of is damaged.
    """
    words = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    command = [client.program("psql"), *words, "--dbname=application_name=deploylib", "--file=-"]
    with closing(pieces):
        try:
            runner.run(_connecting(url, command, writes=True, stdin=pieces, timeout=within, shown=True))
        except process.ProgramFailed as error:
            raise _unrestored(error, backup, store) from error


def through(url: Secret, into: Secret, *, client: Client, runner: process.Runner, whole: bool, within: float) -> None:
    """Dump a database straight into another, empty one.

    Args:
        whole: with its rows; otherwise its definitions alone.
        within: seconds after which it is given up.

    Raises:
        ProgramFailed: pg_dump or pg_restore failed.
    """
    words = [
        "--format=custom",
        "--compress=0",
        "--lock-wait-timeout=10s",
        *ALIKE,
        *([] if whole else ["--schema-only"]),
    ]
    taking = _connecting(url, [client.program("pg_dump"), *words], writes=True)
    words = ["--exit-on-error", "--no-owner", "--no-acl", *ALIKE, "--dbname=application_name=deploylib"]
    with closing(_flowing(runner.stream(taking))) as pieces:
        runner.run(_connecting(into, [client.program("pg_restore"), *words], writes=True, stdin=pieces, timeout=within))


def _flowing(pieces: Iterator[bytes]) -> Generator[bytes]:
    """The same, and what makes them is ended with it."""
    yield from pieces


def table_count(backup: Backup, *, store: Store, client: Client, runner: process.Runner) -> int:
    """How many tables' data the table of contents names."""
    return len(re.findall(TABLE, _listed(backup, store, client, runner)))


def needs(
    backup: Backup, folder: Path, *, store: Store, client: Client, runner: process.Runner
) -> tuple[int, Contents]:
    """How many tables' data an unpacked export holds, and what a database must have before that is restored."""
    listed = _listed(backup, store, client, runner, folder)
    script = _said(backup, store, client, runner, folder, ["--schema-only", "--file=-"])
    return len(re.findall(TABLE, listed)), Contents(
        extensions=dict.fromkeys(re.findall(r"^\d+; \d+ \d+ EXTENSION - (\S+)", listed, re.MULTILINE), ""),
        roles=tuple(
            sorted({_bare(one) for found in ROLES.findall(script) for one in NAME.findall(", ".join(found))} - ANYBODY)
        ),
    )


@contextmanager
def unpacked(backup: Backup, *, store: Store, progress: Progress = None) -> Iterator[Path]:
    """An export's dump in a folder, for as long as the block takes; what a killed run left of one goes with its scratch.

    Raises:
        BackupFailed: it is damaged.
        ScratchUnfit: there is no room for it.
    """
    with tempfile.TemporaryDirectory(prefix=f"{scratch_server.NAME}-{os.getpid()}-") as folder:
        export_archive.unpack(backup, verified(backup, store=store, progress=progress), Path(folder))
        yield Path(folder)


def _listed(backup: Backup, store: Store, client: Client, runner: process.Runner, folder: Path | None = None) -> str:
    return _said(backup, store, client, runner, folder, ["--list"])


def _said(
    backup: Backup, store: Store, client: Client, runner: process.Runner, folder: Path | None, words: list[str]
) -> str:
    with _opened(backup, store, None, folder) as (more, pieces):
        command = [client.program("pg_restore"), *words, *more]
        return _restoring(process.Command(command, stdin=pieces, timeout=300.0), backup, store, runner).text


def _bare(name: str) -> str:
    """A name as it is, without the quotes of SQL."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _restoring(command: process.Command, backup: Backup, store: Store, runner: process.Runner) -> process.Completed:
    try:
        return runner.run(command)
    except process.ProgramFailed as error:
        if any("does not support compression" in line for line in error.details):
            raise SettingsError(
                f"{command.args[0]} cannot read zstd, with which backup {backup.id} is compressed",
                remedy="set postgres_bin in the settings to a PostgreSQL that was built with zstd",
            ) from error
        raise _unrestored(error, backup, store) from error


def _unrestored(error: process.ProgramFailed, backup: Backup, store: Store) -> BackupFailed:
    """Why a dump could not be restored.

    Raises:
        Damaged: it is the dump.
    """
    for _ in verified(backup, store=store):
        """It says which of the two it is: a damaged dump, or a place that refuses a good one."""
    state, line = sqlstates.spoken(error.details)
    return BackupFailed(
        f"backup {backup.id} cannot be restored: {line or error.message}",
        details=sqlstates.shown(error.details),
        remedy=sqlstates.restoring(state, line),
    )


def _connecting(url: Secret, words: list[str], **more: Any) -> process.Command:
    env = {**connection.child_environment(url), **sqlstates.ENGLISH}
    hidden = (url, Secret(env.get("PGPASSWORD", "")))
    return process.Command(words, env=env, secrets=hidden, drops=connection.MISLEADING, **more)


def _unpacked(backup: Backup, store: Store, progress: Progress) -> Iterator[bytes]:
    pieces = verified(backup, store=store, progress=progress)
    return _inflated(pieces, backup) if backup.format == "custom.zst" else pieces


@contextmanager
def _opened(
    backup: Backup, store: Store, progress: Progress, folder: Path | None = None
) -> Iterator[tuple[list[str], Iterator[bytes] | None]]:
    """How pg_restore gets at a dump: more words, and what it is fed. A folder may be read by several jobs."""
    if not backup.exported:
        yield [], _unpacked(backup, store, progress)
    elif folder is not None:
        yield ["--format=directory", f"--jobs={JOBS}", str(folder)], None
    else:
        with unpacked(backup, store=store, progress=progress) as own:
            yield ["--format=directory", f"--jobs={JOBS}", str(own)], None


def _zstd() -> str:
    """The module that brings zstd: the standard library's from Python 3.14 on, or zstandard; empty where there is none."""
    for name in ("compression.zstd", "zstandard"):
        try:
            if importlib.util.find_spec(name):
                return name
        except ModuleNotFoundError:  # of the package around it
            continue
    return ""


def _packed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    name = _zstd()
    module = importlib.import_module(name)
    if name == "compression.zstd":
        known = module.CompressionParameter
        options = {known.compression_level: LEVEL, known.nb_workers: WORKERS}
        options |= {getattr(known, name): value for name, value in TUNED.items()}
        press = module.ZstdCompressor(options=options)
    else:
        parameters = module.ZstdCompressionParameters.from_level(LEVEL, threads=WORKERS, **TUNED)
        press = module.ZstdCompressor(compression_params=parameters).compressobj()
    for piece in pieces:
        if packed := press.compress(piece):
            yield packed
    yield press.flush()


def _inflated(pieces: Iterator[bytes], backup: Backup) -> Iterator[bytes]:
    name = _zstd()
    if not name:
        raise SettingsError(f"backup {backup.id} is compressed with zstd", remedy="pip install zstandard")
    module = importlib.import_module(name)
    press = module.ZstdDecompressor() if name == "compression.zstd" else module.ZstdDecompressor().decompressobj()
    try:
        for piece in pieces:
            for start in range(0, len(piece), SLICE):
                if plain := press.decompress(piece[start : start + SLICE]):
                    yield plain
    except module.ZstdError as error:
        for _ in pieces:
            """To its end, where the checksum says so if it is another dump than the one that was made."""
        raise Damaged(
            f"the dump of backup {backup.id} is damaged: {error}", remedy="take another backup (inv backup.list)"
        ) from error
    if not press.eof:
        raise Damaged(f"the dump of backup {backup.id} ends too early", remedy="take another backup (inv backup.list)")
