"""A database: its migrations, and its backups."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from deploylib.models.value import Id, Moment, Secret, Value

__all__ = [
    "EXPORTED",
    "UNKNOWN",
    "UNPROVEN",
    "Backup",
    "BackupOrder",
    "Copy",
    "Database",
    "Elsewhere",
    "Export",
    "Facts",
    "Into",
    "Migration",
    "ProofKind",
    "RestoreResult",
    "Revision",
]

UNKNOWN = "unknown"
"""The schema of code that migrations were made for which nobody here sees; neither none nor any."""


class Facts(msgspec.Struct, frozen=True):
    """What is known of a database before anything is done to it.

    Attributes:
        version: of the server, for example ``16.14``.
        size: bytes on the server's disk.
        empty: no table of anybody's.
        revision: of alembic's version table; empty where there is none.
        restoring: what its mark says, where a backup is being put into it; empty: it has none.
    """

    version: str
    size: int
    empty: bool
    revision: str
    restoring: str = ""

    @property
    def major(self) -> int:
        """The server's major version."""
        return int(re.split(r"\D", self.version)[0])


class Revision(Value, frozen=True):
    """One migration: its id and the first line of its docstring.

    Attributes:
        tolerates: the oldest revision whose code goes on working once this one is applied; empty where it does not say.
        sql: what it would execute, where it can be said without running it.
        rendered: its SQL can be said; a revision that looks at data first has none before it runs.
        path: its file, as the commit names it.
        remarks: the lines of its file that speak to deploylib: ``# deploylib: allow <rule>: <reason>``, and
            ``# deploylib: repair: <what to do>``.
        reversible: its file says how it is undone; None where nobody has looked.
        needs: those that it goes on from or depends on; None where that is not known.
    """

    id: str
    title: str = ""
    tolerates: str = ""
    sql: str = ""
    rendered: bool = True
    path: str = ""
    remarks: tuple[str, ...] = ()
    reversible: bool | None = None
    needs: tuple[str, ...] | None = None


class Elsewhere(Value, frozen=True):
    """A likely migration system that nobody has told us to run.

    Attributes:
        what: it is, for people: ``alembic, by backend/alembic.ini``.
        files: globs of its files, as the commit names them; empty: they could not be located.
        service: whose files they are then; empty: nobody's in particular.
        remedy: the setting that takes it over.
    """

    what: str
    files: tuple[str, ...] = ()
    service: str = ""
    remedy: str = ""


class Migration(Value, frozen=True):
    """Where the database's schema is, and where this commit wants it.

    Attributes:
        current: revision of the database, those of several branches with commas; empty when nothing was ever applied.
        target: head of the commit's migrations, or its heads, with commas; empty when it has none.
        pending: revisions to apply, oldest first.
        applied: those that the database has, oldest first, as far as this commit knows them; of another tool's, those that
            the history has applied.
        ahead: the database knows a revision that this commit does not: the code is older than the schema.
        sql: what would be executed, in order, where it can be said without running it.
        unchecked: what cannot be known or promised of these migrations, because it is not alembic that runs them.
        versions: the table that alembic keeps the database's revision in, as SQL names it.
        notes: what a person should know, whether anything is pending or not.
        elsewhere: what else looks like a migration system, and is not ours to run.
    """

    current: str = ""
    target: str = ""
    pending: tuple[Revision, ...] = ()
    applied: tuple[Revision, ...] = ()
    ahead: bool = False
    sql: str = ""
    unchecked: tuple[str, ...] = ()
    versions: str = ""
    notes: tuple[str, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()

    @property
    def before(self) -> str:
        """How the schema is named that the pending ones are applied to.

        Another tool's is only known once we applied some.
        """
        return self.current or ("not recorded" if self.unchecked else "empty")

    @property
    def written_for(self) -> str:
        """The schema that code of the commit is written for.

        Empty where it has none.
        """
        return self.target or (UNKNOWN if self.unchecked or self.elsewhere else "")


class Database(Value, frozen=True):
    """A Postgres as the platform describes it.

    *version* is the server's major, for example ``16``.

    Attributes:
        plan: in the API's words, for example ``basic_1gb``.
    """

    id: str
    name: str
    version: str
    plan: str = ""


class Export(msgspec.Struct, frozen=True):
    """An export of a database that the platform has made.

    Attributes:
        url: where it is; None while it is being made. Whoever has it needs no key.
    """

    id: str
    created_at: datetime
    url: Secret | None = None


EXPORTED = "directory.tar.gz"
UNPROVEN = "unproven"


class Backup(Value, frozen=True):
    """A dump in the store, as its manifest tells.

    Without a manifest there is no backup.

    Attributes:
        size: bytes of the dump.
        sha256: of the dump, as it was streamed out and as it was read back.
        format: ``custom`` (compressed by pg_dump with gzip), ``custom:zstd`` (by pg_dump with zstd), ``custom.zst``
            (not compressed by pg_dump, then as a whole with zstd) or ``directory.tar.gz`` (the platform's export).
        proof: how it was proven. ``restored``: into a scratch server, and found equal to the snapshot that was dumped;
            of an export nobody knows what it should hold, so that it was restored, and its contents written down.
            ``decoded``: read back from the store and decoded by pg_restore to the last byte; ``checksum``: read back.
            ``unproven``: its bytes are those that pg_dump has written, and they could not be restored, or hold something
            else: kept for want of a better one, and never counted.
        tables: how many tables' data the archive holds.
        seconds: the whole of it, proof included.
        database_size: bytes of the database on its server.
        dump_seconds: the dump alone, into the store.
        proof_seconds: the proof alone.
        proven_at: when it was proven, where that was later than it was made.
        notes: what a reader should know, for example why the proof is not stronger.
        cause: why it could not be proven, where that was tried and failed.
        accepted: who goes on without a proof of it, and why; empty: nobody.
        accepted_at: when that was said.
        replaced: it is of what a restore has replaced: never what the next one takes by itself, and counted apart.
    """

    id: str
    key: str
    environment: str
    run: str
    commit: Id
    created_at: Moment
    revision: str
    server_version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}([^0-9]|$)")]
    client_version: str
    format: str
    size: int
    sha256: str
    proof: str
    tables: int
    seconds: float
    database_size: int = 0
    dump_seconds: float = 0.0
    proof_seconds: float = 0.0
    proven_at: Moment | None = None
    notes: tuple[str, ...] = ()
    cause: str = ""
    accepted: str = ""
    accepted_at: Moment | None = None
    replaced: bool = False

    @property
    def schema(self) -> str:
        """The revision, in words where alembic's table has none.

        Another tool's is not known to us.
        """
        return self.revision or ("unknown" if self.tables else "none")

    @property
    def major(self) -> int:
        """The major version of the server that it was made of."""
        return int(re.split(r"\D", self.server_version)[0])

    @property
    def exported(self) -> bool:
        """It is the platform's export, made without a look."""
        return self.format == EXPORTED

    @property
    def proven(self) -> bool:
        """Whether it counts as a good one.

        A checksum alone says nothing of what it holds.
        """
        return self.proof in {"restored", "decoded"}


Into = Literal["beside", "empty", "emptied", "unproven"]
"""Where a backup is restored: a new database beside the one of the URL; that one, which must be empty; that one, emptied once
the same restore was proven beside; or emptied without that proof."""


class RestoreResult(msgspec.Struct, frozen=True):
    """A restore that was done.

    Where it was compared with the backup, it was found equal.

    Attributes:
        seconds: from the first look to the comparison.
        tables: how many were restored.
        notes: what should be known, for example that an extension has another version.
        compared: with what the backup says it holds; not where it does not say.
        database: the name of the new one, where it was restored beside.
        address: of it, without the password.
    """

    backup: Backup
    seconds: float
    tables: int
    notes: tuple[str, ...] = ()
    compared: bool = True
    database: str = ""
    address: str = ""


class Copy(Secret):
    """A restored database, and the server that it is on.

    Another one can be made there.

    Attributes:
        own: the server is one of ours, and thrown away.
        listens: it does so on 127.0.0.1 too, at the port of the URL.
    """

    __slots__ = ("listens", "own", "server")

    def __init__(self, url: Secret, server: Secret, *, own: bool, listens: bool = False) -> None:
        super().__init__(url.reveal())
        self.server = server
        self.own = own
        self.listens = listens


ProofKind = Literal["restored", "decoded", "checksum"]


class BackupOrder(msgspec.Struct, frozen=True):
    """What is asked of a backup that is to be made.

    Attributes:
        environment: whose backup it is.
        run: what makes it.
        commit: that is released then; empty: none is.
        proof: the strongest to try; see `Backup.proof`. Where there is no place to restore, it is ``decoded``, and the
            backup's notes say why.
        facts: what was found of the database just now; None: it is looked at.
        hashes_below: bytes; in a larger database rows are only counted.
        history: earlier ones, newest first: by them it is estimated how large this one becomes.
        also: given the address of the restored copy, once that was found equal and before it is thrown away.
        replaced: it is of what a restore is about to replace.
    """

    environment: str = "local"
    run: str = "script"
    commit: str = ""
    proof: ProofKind = "restored"
    facts: Facts | None = None
    hashes_below: int = 20_000_000_000  # hashing 1.8 GB took 3.3 to 6.9 s, so this takes a minute
    history: Sequence[Backup] = ()
    also: Callable[[Copy], None] = lambda _copy: None
    replaced: bool = False
