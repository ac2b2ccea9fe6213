"""The frozen values that the parts of the library hand to each other.

They are msgspec structs: typed, immutable, and the same thing as the JSON that the ledger and ``--json`` hold.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

import msgspec

__all__ = [
    "Backup",
    "Change",
    "Changes",
    "Commit",
    "Deploy",
    "DeployStatus",
    "Intent",
    "Kind",
    "Live",
    "LogLine",
    "Migration",
    "Order",
    "PathFilter",
    "Proof",
    "Revision",
    "Secret",
    "Service",
    "Shipped",
    "Target",
    "Verified",
]


class Secret:
    """A value that no log, message or traceback shows; `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the values below: immutable, compared by content, JSON without its defaults."""


class Kind(StrEnum):
    """A service's type, in the words of Render's API."""

    WEB = "web_service"
    STATIC = "static_site"
    PRIVATE = "private_service"
    WORKER = "background_worker"
    CRON = "cron_job"


class DeployStatus(StrEnum):
    """Where a deploy is; Render's own words, plus *unknown* for a word we have not met.

    An unknown status is not terminal: we wait for one that we know until our own deadline.
    """

    CREATED = "created"
    QUEUED = "queued"
    BUILDING = "build_in_progress"
    PRE_DEPLOY = "pre_deploy_in_progress"
    UPDATING = "update_in_progress"
    LIVE = "live"
    DEACTIVATED = "deactivated"
    BUILD_FAILED = "build_failed"
    PRE_DEPLOY_FAILED = "pre_deploy_failed"
    UPDATE_FAILED = "update_failed"
    CANCELED = "canceled"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, _value: object) -> DeployStatus:
        return cls.UNKNOWN

    @property
    def failed(self) -> bool:
        """Whether it ended badly; the version before it still serves."""
        return self in {self.BUILD_FAILED, self.PRE_DEPLOY_FAILED, self.UPDATE_FAILED}

    @property
    def terminal(self) -> bool:
        """Whether it has ended; a deactivated deploy was live and has been replaced since."""
        return self.failed or self in {self.LIVE, self.DEACTIVATED, self.CANCELED}


class Commit(Value, frozen=True):
    """A commit of the product: full id and first line."""

    id: str
    subject: str = ""

    @property
    def short(self) -> str:
        """The first seven characters, as people read it."""
        return self.id[:7]


class PathFilter(Value, frozen=True):
    """Which files a service is made of, in Render's glob rules, from the repository's root."""

    paths: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class Service(Value, frozen=True):
    """A service as the platform describes it."""

    id: str
    name: str
    kind: Kind
    repo: str = ""
    branch: str = ""
    auto_deploy: bool = False
    url: str = ""
    health_path: str = ""
    root_dir: str = ""
    build_filter: PathFilter | None = None
    pre_deploy_command: str = ""
    suspended: bool = False
    dashboard_url: str = ""
    owner_id: str = ""


class Deploy(Value, frozen=True):
    """One deploy of one service as the platform describes it."""

    id: str
    status: DeployStatus
    commit: str = ""
    trigger: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LogLine(Value, frozen=True):
    """One line of a build or of a program, with the moment the platform received it."""

    at: str
    text: str
    instance: str = ""


class Target(Value, frozen=True):
    """A service of the release, mapped to the one platform service that it is deployed to."""

    name: str
    service_id: str
    kind: Kind
    owner_id: str = ""
    url: str = ""
    health_path: str = ""
    identity_path: str = ""
    filter: PathFilter = PathFilter()
    after: tuple[str, ...] = ()
    dashboard_url: str = ""


class Live(Value, frozen=True):
    """What a service serves now.

    Attributes:
        commit: empty before its first deploy.
        schema: the revision that this commit was written for; empty where it has none, or where nobody recorded it.
    """

    service: str
    commit: str = ""
    deploy_id: str = ""
    since: datetime | None = None
    url: str = ""
    schema: str = ""


class Change(Value, frozen=True):
    """Whether a service is deployed in this run, and why."""

    service: str
    deploy: bool
    reason: str
    live: Live


class Changes(Value, frozen=True):
    """What this run is about, decided once."""

    services: tuple[Change, ...] = ()

    @property
    def deploying(self) -> tuple[str, ...]:
        """The names of the services that are deployed."""
        return tuple(change.service for change in self.services if change.deploy)

    def of(self, service: str) -> Change:
        """The decision about *service*."""
        return next(change for change in self.services if change.service == service)


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
    """

    id: str
    title: str = ""
    tolerates: str = ""
    sql: str = ""
    rendered: bool = True
    path: str = ""
    remarks: tuple[str, ...] = ()
    reversible: bool | None = None


class Migration(Value, frozen=True):
    """Where the database's schema is, and where this commit wants it.

    Attributes:
        current: revision of the database; empty when nothing was ever applied.
        target: head of the commit's migrations; empty when it has none.
        pending: revisions to apply, oldest first.
        applied: those that the database has, oldest first, as far as this commit knows them.
        ahead: the database knows a revision that this commit does not: the code is older than the schema.
        sql: what would be executed, in order, where it can be said without running it.
        unchecked: what cannot be known or promised of these migrations, because it is not alembic that runs them.
    """

    current: str = ""
    target: str = ""
    pending: tuple[Revision, ...] = ()
    applied: tuple[Revision, ...] = ()
    ahead: bool = False
    sql: str = ""
    unchecked: tuple[str, ...] = ()


class Database(Value, frozen=True):
    """A Postgres as the platform describes it; *version* is the server's major, for example ``16``."""

    id: str
    name: str
    version: str


class Export(msgspec.Struct, frozen=True):
    """An export of a database that the platform has made.

    Attributes:
        url: where it is; None while it is being made. Whoever has it needs no key.
    """

    id: str
    created_at: datetime
    url: Secret | None = None


EXPORTED = "directory.tar.gz"


class Backup(Value, frozen=True):
    """A dump in the store, as its manifest tells; without a manifest there is no backup.

    Attributes:
        size: bytes of the dump.
        sha256: of the dump, as it was streamed out and as it was read back.
        format: ``custom`` (compressed by pg_dump with gzip), ``custom:zstd`` (by pg_dump with zstd), ``custom.zst``
            (not compressed by pg_dump, then as a whole with zstd) or ``directory.tar.gz`` (the platform's export).
        proof: how it was proven. ``restored``: into a scratch server, and found equal to the snapshot that was dumped;
            of an export nobody knows what it should hold, so that it was restored, and its contents written down.
            ``decoded``: read back from the store and decoded by pg_restore to the last byte; ``checksum``: read back.
        tables: how many tables' data the archive holds.
        seconds: the whole of it, proof included.
        database_size: bytes of the database on its server.
        dump_seconds: the dump alone, into the store.
        proof_seconds: the proof alone.
        proven_at: when it was proven, where that was later than it was made.
        notes: what a reader should know, for example why the proof is not stronger.
    """

    id: str
    key: str
    environment: str
    run: str
    commit: str
    created_at: datetime
    revision: str
    server_version: str
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
    proven_at: datetime | None = None
    notes: tuple[str, ...] = ()

    @property
    def major(self) -> int:
        """The major version of the server that it was made of."""
        return int(re.split(r"\D", self.server_version)[0])

    @property
    def exported(self) -> bool:
        """Whether it is the platform's export, made without a look at the database."""
        return self.format == EXPORTED

    @property
    def proven(self) -> bool:
        """Whether it counts as a good one: a checksum alone says nothing of what it holds."""
        return self.proof in {"restored", "decoded"}


class Intent(Value, frozen=True):
    """Recorded before a deploy is asked for, so that a lost answer can be found again.

    Attributes:
        existing: ids of the deploys that were there before.
        previous: what was live.
        from_deploy: the deploy whose artifact is restored; empty: *commit* is built.
        variables: names of the environment variables that this deploy gets, as far as they were looked at.
    """

    service: str
    commit: str
    existing: tuple[str, ...]
    previous: Live
    from_deploy: str = ""
    variables: tuple[str, ...] = ()


class Order(Value, frozen=True):
    """What one service shall serve.

    Attributes:
        previous: what it serves now.
        from_deploy: restore the artifact of this deploy instead of building *commit*.
        variables: names of the environment variables that it gets; only recorded.
    """

    target: Target
    commit: str
    previous: Live
    from_deploy: str = ""
    variables: tuple[str, ...] = ()


class Shipped(Value, frozen=True):
    """A deploy of ours that went live.

    Attributes:
        rebuilt: it should have been restored, and the platform did not keep its artifact any more.
    """

    service: str
    deploy_id: str
    commit: str
    previous: Live
    seconds: float = 0.0
    build_seconds: float = 0.0
    start_seconds: float = 0.0
    rebuilt: bool = False


class Proof(StrEnum):
    """How strongly a release was shown to serve; the strongest first."""

    COMMIT = "commit"
    REACHABLE = "reachable"
    PLATFORM = "platform"


class Verified(Value, frozen=True):
    """What was shown of one service, and by what.

    Attributes:
        advice: lines that would raise the level of proof; empty at the highest.
    """

    service: str
    proof: Proof
    text: str
    advice: tuple[str, ...] = ()
