"""What is stored: services, deploys, databases, and the settings a Blueprint gives them."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

_ALPHABET = string.digits + string.ascii_lowercase
API_TYPES = {
    "web": "web_service",
    "static": "static_site",
    "pserv": "private_service",
    "worker": "background_worker",
    "cron": "cron_job",
}
PUBLIC = ("web", "static")
ENDED = ("live", "deactivated", "build_failed", "pre_deploy_failed", "update_failed", "canceled")
STATUSES = (*("created", "queued", "build_in_progress", "pre_deploy_in_progress", "update_in_progress"), *ENDED)


def new_id(prefix: str, suffix: str = "") -> str:
    """An identifier as Render makes them: prefix, dash, 20 characters."""
    return f"{prefix}-{random_word(20)}{suffix}"


def random_word(length: int) -> str:
    """Characters that Render's identifiers use."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def now() -> str:
    """The time as the API writes it: RFC 3339, UTC, microseconds."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """A moment as the API writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


ANY = "*"
"""The key that stands for whatever a group of the account holds, which nobody here knows."""


class EnvVar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One variable: a value, or a reference that is resolved when a process starts."""

    key: str
    value: str | None = None
    generate: bool = False
    unset: bool = False
    """`sync: false`: asked for in the Dashboard, so nothing here until the API sets it."""
    database: tuple[str, str] | None = None
    service: tuple[str, str, str] | None = None
    """Name, `property` or `envVarKey`, and which of its values."""
    keyvalue: tuple[str, str] | None = None
    """Name of a Key Value instance, and which of its properties."""


class BuildFilter(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which changed files would start an automatic deploy."""

    paths: list[str]
    ignored_paths: list[str]


class ServiceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a service, first from the Blueprint, then changed by PATCH."""

    name: str
    kind: Literal["web", "static", "worker", "pserv", "cron"]
    runtime: str
    plan: str = "starter"
    region: str = "oregon"
    repo: str
    branch: str
    root_dir: str = ""
    build_command: str = ""
    start_command: str = ""
    pre_deploy_command: str = ""
    publish_path: str = ""
    headers: list[dict[str, str]] = []
    routes: list[dict[str, str]] = []
    health_check_path: str = ""
    instances: int = 1
    shutdown_seconds: int = 30
    schedule: str = ""
    auto_deploy: Literal["off", "commit", "checksPass"] = "commit"
    build_filter: BuildFilter | None = None


class Service(msgspec.Struct, kw_only=True):
    """A service: its identity, its settings, and what the Blueprint last said of it."""

    id: str
    key: str
    """Its name in the Blueprint, which a PATCH of `name` does not change."""
    slug: str
    spec: ServiceSpec
    synced: ServiceSpec
    synced_env: list[EnvVar] = []
    env: list[EnvVar] = []
    port: int | None = None
    """The stable loopback port at the edge; None for a worker and a cron job."""
    created_at: str
    updated_at: str
    suspended: bool = False


class Commit(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The commit of a deploy."""

    id: str
    message: str
    created_at: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback restores besides the artifact (docs page `rollbacks`)."""

    env: list[EnvVar]
    start_command: str
    health_check_path: str
    instances: int
    root_dir: str
    publish_path: str
    runtime: str


class Deploy(msgspec.Struct, kw_only=True):
    """One deploy of one service."""

    id: str
    service_id: str
    status: str
    trigger: str
    commit: Commit
    clear_cache: bool = False
    rollback_of: str | None = None
    created_at: str
    updated_at: str
    started_at: str | None = None
    finished_at: str | None = None
    artifact: str | None = None
    snapshot: Snapshot | None = None
    succeeded: bool = False


class KeyValueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A Key Value instance of the Blueprint."""

    name: str
    policy: str = "allkeys-lru"
    persistence: str = "snapshot"


class DatabaseSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A `databases` entry of the Blueprint."""

    name: str
    database: str
    user: str
    major: str = "16"
    plan: str = "basic_256mb"
    region: str = "oregon"
    disk_gb: int = 1


class Database(msgspec.Struct, kw_only=True):
    """A database that exists: one role and one database owned by it."""

    id: str
    spec: DatabaseSpec
    password: str
    created_at: str
    updated_at: str
    host: str = "127.0.0.1"
    port: int = 5432

    def property(self, name: str) -> str:
        """A value that `fromDatabase` may name."""
        values: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.spec.user,
            "password": self.password,
            "database": self.spec.database,
        }
        url = f"postgresql://{self.spec.user}:{self.password}@{self.host}:{self.port}/{self.spec.database}"
        return str(values.get(name, url))


class Event(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Something that happened to a service."""

    id: str
    timestamp: str
    service_id: str
    type: str
    details: dict[str, Any]
