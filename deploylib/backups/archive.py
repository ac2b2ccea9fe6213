"""Stream a dump into the store, and from the store into pg_restore.

Its checksum is taken in passing.

Nothing of it ever lies on this machine's disk. A program that dies raises before the end of its output is told, so that
what was uploaded of it is given up instead of becoming the newest backup.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from deploylib.backups import export_archive, repository, scratch_server
from deploylib.backups.edges import Edges
from deploylib.backups.fingerprint import WORD, Contents, definitions
from deploylib.errors import BackupFailed, SettingsError
from deploylib.models import Backup, Secret
from deploylib.postgres import connection, sqlstates
from deploylib.system import process

__all__ = [
    "count_tables",
    "decode",
    "dump",
    "form",
    "load_dump",
    "read_needs",
    "run_script",
    "schema",
    "script",
    "settings",
    "through",
    "unpack_dump",
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
PROVE_WITHIN, RESTORE_WITHIN = 3600.0, 6 * 3600.0  # seconds that a restore may take, as a proof and in earnest


def form(edges: Edges) -> str:
    """Choose the format that dumps are made in here; see `Backup.format`.

    zstd at level 3 takes a quarter of the processor time of gzip's default and makes a smaller archive (measured on 1.8
    GB). Whether pg_dump was built with it is only said when it is asked for; it says so before it connects.
    """
    if edges.client.major >= ZSTD_SINCE:
        words = [
            edges.client.program("pg_dump"),
            "--format=custom",
            "--compress=zstd:3",
            "--host=/nonexistent",
            "--no-password",
        ]
        listed = edges.runner.run(
            process.Command(words, check=False, env=sqlstates.ENGLISH, drops=connection.MISLEADING)
        )
        if any("connection" in line for line in listed.lines):
            return "custom:zstd"
    return "custom.zst" if _zstd() else "custom"


def dump(url: Secret, edges: Edges, *, form: str, snapshot: str, expected: int = 0) -> Generator[bytes]:
    """Dump a database, piece by piece.

    Args:
        form: see `form`.
        snapshot: of a session that stays open until this one has begun.
        expected: bytes of all of them, as far as anybody can tell.

    Raises:
        process.ProgramFailed: instead of ending, when pg_dump failed.
    """
    level = {"custom": "1", "custom:zstd": "zstd:3", "custom.zst": "0"}[form]
    words = ["--format=custom", f"--compress={level}", "--lock-wait-timeout=10s", f"--snapshot={snapshot}", *ALIKE]
    pieces = edges.runner.stream(_connecting(url, [edges.client.program("pg_dump"), *words], writes=True))
    for piece in _packed(pieces) if form == "custom.zst" else pieces:
        if edges.progress is not None:
            edges.progress(len(piece), expected)
        yield piece


def schema(url: Secret, edges: Edges, snapshot: str = "") -> dict[str, str]:
    """Read the definitions of a database: name → checksum; see `definitions`.

    Raises:
        process.ProgramFailed: pg_dump failed.
    """
    words = [edges.client.program("pg_dump"), "--schema-only", "--no-owner", "--no-acl", *ALIKE]
    if snapshot:
        words.append(f"--snapshot={snapshot}")
    return definitions(edges.runner.run(_connecting(url, words, timeout=300.0)).text)


def decode(backup: Backup, edges: Edges, *, within: float = PROVE_WITHIN) -> None:
    """Read the whole dump back and decode it to its last byte.

    Listing an archive proves nothing: it succeeds on a file that was cut in half (measured).

    Raises:
        BackupFailed: its checksum is wrong, or pg_restore cannot read it.
        SettingsError: pg_restore was built without what it is compressed with.
    """
    with _opened(backup, edges) as (words, pieces):
        command = [edges.client.program("pg_restore"), "--file=/dev/null", *words]
        _restoring(process.Command(command, stdin=pieces, timeout=within), backup, edges)


def load_dump(backup: Backup, url: Secret, edges: Edges, folder: Path | None = None) -> None:
    """Restore a dump into an empty database.

    It stops at the first error.

    Args:
        folder: where an export is unpacked already.

    Raises:
        BackupFailed: its checksum is wrong, or pg_restore failed; the database holds a part of it.
        SettingsError: pg_restore was built without what it is compressed with.
    """
    # The name of the database comes from the environment, like the rest; without --dbname it would write a script.
    words = ["--exit-on-error", "--no-owner", "--no-acl", *ALIKE, "--dbname=application_name=deploylib"]
    with _opened(backup, edges, folder) as (more, pieces):
        command = [edges.client.program("pg_restore"), *words, *more]
        loading = _connecting(url, command, writes=True, stdin=pieces, timeout=PROVE_WITHIN, tree=True)
        _restoring(loading, backup, edges)


@contextmanager
def script(backup: Backup, edges: Edges, leave_out: Callable[[str], bool]) -> Iterator[Iterator[bytes]]:
    """Write the SQL that makes what a dump holds.

    It comes piece by piece, less what is left out.

    Args:
        leave_out: given an entry of its table of contents as pg_restore lists it, without its numbers: ``EXTENSION - vector``.

    Raises:
        BackupFailed: while it is read: its checksum is wrong, or pg_restore cannot read it. Then it has no end.
    """
    listed = _listed(backup, edges).splitlines(keepends=True)
    kept = [line for line in listed if not leave_out(ENTRY.sub("", line.strip()))]
    with tempfile.NamedTemporaryFile("w", prefix="deploylib-", suffix=".list") as chosen:
        chosen.writelines(kept)
        chosen.flush()
        with _opened(backup, edges) as (more, pieces):
            words = ["--file=-", "--no-owner", "--no-acl", *ALIKE, f"--use-list={chosen.name}"]
            words += [word for word in more if not word.startswith("--jobs")]
            command = process.Command([edges.client.program("pg_restore"), *words], env=sqlstates.ENGLISH, stdin=pieces)
            with closing(_flowing(edges.runner.stream(command))) as script:
                yield script


def settings(backup: Backup, edges: Edges) -> tuple[tuple[str, str, Secret], ...]:
    """Read the settings that a dump gives its database.

    Each is role (empty: all of them), setting and value, as SQL writes it.

    Raises:
        BackupFailed: the dump is damaged.
    """
    with tempfile.NamedTemporaryFile("w", prefix="deploylib-", suffix=".list") as nothing:
        words = ["--create", "--file=-", f"--use-list={nothing.name}"]
        script = _said(backup, edges, words)
    return tuple((role, name, Secret(value)) for role, name, value in SETTING.findall(script))


def run_script(url: Secret, pieces: Generator[bytes], backup: Backup, edges: Edges) -> None:
    """Run a script in a database, and stop at the first error.

    Raises:
        BackupFailed: a statement failed, or the dump that the script is made of is damaged.
    """
    words = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    command = [edges.client.program("psql"), *words, "--dbname=application_name=deploylib", "--file=-"]
    with closing(pieces):
        try:
            edges.runner.run(_connecting(url, command, writes=True, stdin=pieces, timeout=RESTORE_WITHIN, shown=True))
        except process.ProgramFailed as error:
            raise _unrestored(error, backup, edges) from error


def through(url: Secret, into: Secret, edges: Edges, *, whole: bool, within: float) -> None:
    """Dump a database straight into another, empty one.

    Args:
        whole: with its rows; otherwise its definitions alone.
        within: seconds after which it is given up.

    Raises:
        process.ProgramFailed: pg_dump or pg_restore failed.
    """
    words = [
        "--format=custom",
        "--compress=0",
        "--lock-wait-timeout=10s",
        *ALIKE,
        *([] if whole else ["--schema-only"]),
    ]
    taking = _connecting(url, [edges.client.program("pg_dump"), *words], writes=True)
    words = ["--exit-on-error", "--no-owner", "--no-acl", *ALIKE, "--dbname=application_name=deploylib"]
    with closing(_flowing(edges.runner.stream(taking))) as pieces:
        command = [edges.client.program("pg_restore"), *words]
        edges.runner.run(_connecting(into, command, writes=True, stdin=pieces, timeout=within))


def _flowing(pieces: Iterator[bytes]) -> Generator[bytes]:
    """Open the same, and end what makes the pieces with it."""
    yield from pieces


def count_tables(backup: Backup, edges: Edges) -> int:
    """Count the tables whose data the table of contents names."""
    return len(re.findall(TABLE, _listed(backup, edges)))


def read_needs(backup: Backup, edges: Edges, folder: Path) -> tuple[int, Contents]:
    """Read what an unpacked export needs of a database.

    That is the number of its tables, and what must be there before it is restored.
    """
    listed = _listed(backup, edges, folder)
    script = _said(backup, edges, ["--schema-only", "--file=-"], folder)
    return len(re.findall(TABLE, listed)), Contents(
        extensions=dict.fromkeys(re.findall(r"^\d+; \d+ \d+ EXTENSION - (\S+)", listed, re.MULTILINE), ""),
        roles=tuple(
            sorted({_bare(one) for found in ROLES.findall(script) for one in NAME.findall(", ".join(found))} - ANYBODY)
        ),
    )


@contextmanager
def unpack_dump(backup: Backup, edges: Edges) -> Iterator[Path]:
    """Unpack an export's dump into a folder, which goes after the block.

    What a killed run left of one goes with its scratch server.

    Raises:
        BackupFailed: it is damaged.
        ScratchUnfit: there is no room for it.
    """
    with tempfile.TemporaryDirectory(prefix=f"{scratch_server.NAME}-{os.getpid()}-") as folder:
        export_archive.unpack_export(
            backup, repository.read_dump(backup, store=edges.store, progress=edges.progress), Path(folder)
        )
        yield Path(folder)


def _listed(backup: Backup, edges: Edges, folder: Path | None = None) -> str:
    return _said(backup, edges, ["--list"], folder)


def _said(backup: Backup, edges: Edges, words: list[str], folder: Path | None = None) -> str:
    with _opened(backup, edges.without_progress(), folder) as (more, pieces):
        command = [edges.client.program("pg_restore"), *words, *more]
        return _restoring(process.Command(command, stdin=pieces, timeout=300.0), backup, edges).text


def _bare(name: str) -> str:
    """Strip the quotes of SQL off a name."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _restoring(command: process.Command, backup: Backup, edges: Edges) -> process.Completed:
    try:
        return edges.runner.run(command)
    except process.ProgramFailed as error:
        if any("does not support compression" in line for line in error.details):
            raise SettingsError(
                f"{command.args[0]} cannot read zstd, with which backup {backup.id} is compressed",
                remedy="set postgres_bin in the settings to a PostgreSQL that was built with zstd",
            ) from error
        raise _unrestored(error, backup, edges) from error


def _unrestored(error: process.ProgramFailed, backup: Backup, edges: Edges) -> BackupFailed:
    """Make the error of a dump that could not be restored.

    Raises:
        DumpDamaged: it is the dump; otherwise it is a place that refuses a good one.
    """
    repository.read_back(backup, store=edges.store)
    state, line = sqlstates.recognize(error.details)
    return BackupFailed(
        f"backup {backup.id} cannot be restored: {line or error.message}",
        details=sqlstates.without_rows(error.details),
        remedy=sqlstates.restoring(state, line),
    )


def _connecting(url: Secret, words: list[str], **more: Any) -> process.Command:
    env = {**connection.child_environment(url), **sqlstates.ENGLISH}
    hidden = (url, Secret(env.get("PGPASSWORD", "")))
    return process.Command(words, env=env, secrets=hidden, drops=connection.MISLEADING, **more)


@contextmanager
def _opened(
    backup: Backup, edges: Edges, folder: Path | None = None
) -> Iterator[tuple[list[str], Iterator[bytes] | None]]:
    """Give pg_restore its dump: more words, and what it is fed.

    Several jobs may read a folder.
    """
    if not backup.exported:
        pieces = repository.read_dump(backup, store=edges.store, progress=edges.progress)
        yield [], _inflated(pieces, backup) if backup.format == "custom.zst" else pieces
    elif folder is not None:
        yield ["--format=directory", f"--jobs={JOBS}", str(folder)], None
    else:
        with unpack_dump(backup, edges) as own:
            yield ["--format=directory", f"--jobs={JOBS}", str(own)], None


def _zstd() -> str:
    """Name the module that brings zstd.

    From Python 3.14 on it is the standard library's, before that zstandard; empty where there is none.
    """
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
        raise repository.DumpDamaged(
            f"the dump of backup {backup.id} is damaged: {error}", remedy="take another backup (inv backup.list)"
        ) from error
    if not press.eof:
        raise repository.DumpDamaged(
            f"the dump of backup {backup.id} ends too early", remedy="take another backup (inv backup.list)"
        )
