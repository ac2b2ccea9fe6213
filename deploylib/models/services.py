"""The platform's services and deploys, and what a service serves."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from deploylib.models.value import Id, Moment, Value

__all__ = ["Deploy", "DeployStatus", "Kind", "Live", "LogLine", "PathFilter", "Service", "Target"]

LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Kind(StrEnum):
    """A service's type, in the words of Render's API."""

    WEB = "web_service"
    STATIC = "static_site"
    PRIVATE = "private_service"
    WORKER = "background_worker"
    CRON = "cron_job"


class DeployStatus(StrEnum):
    """Where a deploy is.

    Render's own words, plus *unknown* for a word we have not met.

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
        """Whether it has ended.

        A deactivated deploy was live and has been replaced since.
        """
        return self.failed or self in {self.LIVE, self.DEACTIVATED, self.CANCELED}


class PathFilter(Value, frozen=True):
    """Names the files of a service, by Render's glob rules.

    From the repository's root.
    """

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
    plan: str = ""
    instances: int = 0


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
    """One line of a log, with the moment of its receipt.

    Attributes:
        service: whose it is: the platform's id, or the name where that is known.
        kind: ``build`` or ``app``, as the platform calls them.
        id: what no other line has; empty where the platform has told none.
    """

    at: str
    text: str
    instance: str = ""
    service: str = ""
    kind: str = ""
    id: str = ""

    @property
    def moment(self) -> datetime:
        """When it was received.

        Long ago, where that cannot be read; as text it does not sort.
        """
        try:
            return msgspec.convert(self.at, Moment)
        except msgspec.ValidationError:
            return LONG_AGO


class Target(Value, frozen=True):
    """A service of the release and its platform service."""

    name: str
    service_id: Id
    kind: Kind
    owner_id: Id = ""
    url: str = ""
    health_path: str = ""
    identity_path: str = ""
    filter: PathFilter = PathFilter()
    after: tuple[str, ...] = ()
    dashboard_url: str = ""
    plan: str = ""
    instances: int = 0


class Live(Value, frozen=True):
    """What a service serves now.

    Attributes:
        commit: empty before its first deploy.
        schema: the revision that this commit was written for; empty where it has none, or where nobody recorded it; or
            `UNKNOWN`.
    """

    service: str
    commit: Id = ""
    deploy_id: Id = ""
    since: Moment | None = None
    url: str = ""
    schema: str = ""
