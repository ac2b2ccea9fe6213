"""The edge to Render's REST API: typed values out, foreign errors mapped once.

Facts from Render's OpenAPI document and from recorded exchanges: null, absent and empty mean the same; a trigger may
answer 202 without a body; a list is an array of ``{"<resource>": …, "cursor": …}``. Only reads are repeated after an
answer that never came; a write is repeated only when it certainly did not arrive, or was refused as one too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import stamina

from deploylib.config import Endpoint
from deploylib.errors import DeployError, SettingsError, Unreachable
from deploylib.models import Deploy, DeployStatus, Kind, LogLine, PathFilter, Secret, Service
from deploylib.web import Answer, HttpError, NoAnswer, NotSent, Session

__all__ = ["Ambiguous", "Refused", "Render"]

PAGE = 100
TOO_MANY = 429
PASSING = (TOO_MANY, 500, 502, 503, 504)
EPOCH = 1_000_000_000


class Refused(DeployError):
    """The platform answered a request with a refusal; callers say what that means for the run."""

    exit_code = Unreachable.exit_code
    outcome = "refused by the platform"

    def __init__(self, message: str, *, remedy: str, status: int) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class Ambiguous(Exception):
    """A write may or may not have been accepted."""


class _Again(Exception):
    """Worth another try; *after* is what the platform asked for, in seconds."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class Render:
    """A client of one account.

    Attributes:
        read_only: refuse anything but reading, for a dry run.
    """

    session: Session = field(repr=False)
    address: str
    read_only: bool = False

    @classmethod
    def at(cls, endpoint: Endpoint, *, read_only: bool = False, timeout: float = 30.0) -> Render:
        """The client for an endpoint; the key is in a header and nowhere else."""
        key = {"Authorization": f"Bearer {endpoint.api_key.reveal()}"}
        return cls(Session(endpoint.api_url, headers=key, timeout=timeout), endpoint.api_url, read_only)

    # -- services -----------------------------------------------------------------------------------------------

    def services(self) -> Iterator[Service]:
        """Every service that the key reaches."""
        for item in self._pages("/services", "service", {"includePreviews": "false"}):
            if item.get("type") in set(Kind):  # a type that we do not know is not ours to deploy
                yield _service(item)

    def variables(self, service_id: str) -> dict[str, str]:
        """The service's own environment variables, by name; those of its groups are not among them."""
        return {
            one["key"]: one.get("value") or "" for one in self._pages(f"/services/{service_id}/env-vars", "envVar", {})
        }

    def turn_off_auto_deploy(self, service_id: str) -> None:
        """Make the service deploy only when it is asked to."""
        self._write("PATCH", f"/services/{service_id}", {"autoDeploy": "no"})

    # -- deploys ------------------------------------------------------------------------------------------------

    def deploys(self, service_id: str, limit: int = 20) -> list[Deploy]:
        """The newest deploys of a service, newest first."""
        answer = self._read(f"/services/{service_id}/deploys", {"limit": limit})
        return [_deploy(item["deploy"]) for item in answer or []]

    def live(self, service_id: str) -> Deploy | None:
        """The deploy that serves now: the newest with status live; None before the first."""
        answer = self._read(f"/services/{service_id}/deploys", {"limit": 1, "status": "live"})
        return _deploy(answer[0]["deploy"]) if answer else None

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """One deploy."""
        return _deploy(self._read(f"/services/{service_id}/deploys/{deploy_id}"))

    def trigger(self, service_id: str, commit: str) -> Deploy | None:
        """Ask for a deploy of *commit*; where it is empty, of the tip of the service's branch.

        Returns:
            The deploy; None when the platform queued it and gave no id (202).

        Raises:
            Ambiguous: it may have been accepted; look it up, never send it again.
            Refused: it was not accepted.
        """
        body = {"clearCache": "do_not_clear", **({"commitId": commit} if commit else {})}
        return _deploy_or_none(self._write("POST", f"/services/{service_id}/deploys", body))

    def roll_back(self, service_id: str, deploy_id: str) -> Deploy | None:
        """Ask for a new deploy from the kept artifact of *deploy_id*; see `trigger` for what it raises."""
        return _deploy_or_none(self._write("POST", f"/services/{service_id}/rollback", {"deployId": deploy_id}))

    def cancel(self, service_id: str, deploy_id: str) -> None:
        """Ask for a deploy to be stopped."""
        self._write("POST", f"/services/{service_id}/deploys/{deploy_id}/cancel", None)

    # -- what happened ------------------------------------------------------------------------------------------

    def failure(self, service_id: str, deploy_id: str) -> dict[str, Any]:
        """The machine-readable cause of a failed deploy, from its ``deploy_ended`` event; empty where there is none."""
        for item in self._read(f"/services/{service_id}/events", {"type": "deploy_ended", "limit": 20}) or []:
            details = item.get("event", {}).get("details") or {}
            if details.get("deployId") == deploy_id:
                reason = details.get("reason") or {}
                return reason.get("failure") or {key: value for key, value in reason.items() if value}
        return {}

    def server_failures(self, service_id: str, since: datetime) -> int:
        """How often a running instance of the service has failed since then."""
        query = {"type": "server_failed", "startTime": since.isoformat(), "limit": PAGE}
        return len(self._read(f"/services/{service_id}/events", query) or [])

    def logs(
        self, owner_id: str, service_id: str, kind: str, since: datetime | None = None, limit: int = 20
    ) -> list[LogLine]:
        """The last lines of a service's builds (``build``) or programs (``app``), oldest first."""
        query = {"ownerId": owner_id, "resource": service_id, "type": kind, "limit": limit, "direction": "backward"}
        if since is not None:
            query["startTime"] = since.isoformat()
        lines = (self._read("/logs", query) or {}).get("logs") or []
        return sorted((_log_line(line) for line in lines), key=lambda line: line.at)

    def instances(self, service_id: str) -> set[str]:
        """The ids of the instances that run now."""
        return {item["id"] for item in self._read(f"/services/{service_id}/instances") or []}

    # -- databases ----------------------------------------------------------------------------------------------

    def database_url(self, name: str) -> Secret:
        """The external connection string of the Postgres called *name*.

        Raises:
            SettingsError: the account has none, or several, of that name.
        """
        named = [item for item in self._pages("/postgres", "postgres", {"name": name}) if item.get("name") == name]
        if len(named) != 1:
            count = "no database" if not named else f"{len(named)} databases"
            raise SettingsError(
                f"the account has {count} called {name!r}",
                remedy="create it in the Render Dashboard (New → Blueprint), or set database in the settings",
            )
        return Secret(self._read(f"/postgres/{named[0]['id']}/connection-info")["externalConnectionString"])

    # -- the wire -----------------------------------------------------------------------------------------------

    def _pages(self, path: str, wrapper: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self._read(path, {**query, "limit": PAGE, **({"cursor": cursor} if cursor else {})}) or []
            yield from (item[wrapper] for item in page)
            if len(page) < PAGE or not page[-1].get("cursor"):
                return
            cursor = page[-1]["cursor"]

    def _read(self, path: str, query: dict[str, Any] | None = None) -> Any:
        try:
            for attempt in stamina.retry_context(on=_back_off, attempts=6, timeout=45.0, wait_initial=0.2):
                with attempt:
                    return self._once("GET", path, query=query).json()
        except (_Again, HttpError) as error:
            raise self._unreachable(str(error)) from error

    def _write(self, method: str, path: str, body: Any) -> Any:
        if self.read_only:
            raise RuntimeError(f"a dry run must not send {method} {path}")
        try:
            for attempt in stamina.retry_context(on=_back_off_unsent, attempts=6, timeout=90.0, wait_initial=0.2):
                with attempt:
                    return self._once(method, path, body=body).json()
        except NotSent as error:
            raise self._unreachable(str(error)) from error
        except NoAnswer as error:
            raise Ambiguous(f"{method} {path}: {error}") from error
        except _Again as error:
            if error.after is not None:
                raise self._unreachable(str(error)) from error
            raise Ambiguous(f"{method} {path}: {error}") from error

    def _once(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Answer:
        answer = self.session.request(method, path, params=query, json=body)
        if answer.ok:
            return answer
        said = (answer.json() or {}).get("message", "") if isinstance(answer.json(), dict) else ""
        if answer.status in PASSING:
            wait = _asked_to_wait(answer) if answer.status == TOO_MANY else None
            raise _Again(f"status {answer.status} {said}".strip(), wait)
        if answer.status in {401, 403}:
            raise Unreachable(
                f"{self.address} refused the API key ({answer.status})",
                remedy="check the key: it must belong to a user of the workspace that owns the services",
            )
        raise Refused(
            f"{method} {path} was refused ({answer.status}): {said or 'no reason given'}",
            remedy="see what the platform says; https://dashboard.render.com shows the service",
            status=answer.status,
        )

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(
            f"{self.address} cannot be reached: {reason}",
            remedy="inv local.up, then run the same command again"
            if self.address.startswith("http://127.0.0.1:")
            else "check the network and https://status.render.com, then run the same command again",
        )


def _back_off(error: Exception) -> bool | float:
    if isinstance(error, _Again):
        return error.after if error.after is not None else True
    return isinstance(error, HttpError)


def _back_off_unsent(error: Exception) -> bool | float:
    if isinstance(error, _Again):
        return error.after if error.after is not None else False
    return isinstance(error, NotSent)


def _asked_to_wait(answer: Answer) -> float:
    """Seconds: ``Retry-After``, else ``Ratelimit-Reset``, which is seconds left or, by its page, an epoch second."""
    for name in ("retry-after", "ratelimit-reset"):
        text = answer.headers.get(name, "")
        if text.isdigit():
            value = float(text)
            return min(60.0, value + 0.5) if value < EPOCH else 5.0
    return 5.0


def _service(item: dict[str, Any]) -> Service:
    details = item.get("serviceDetails") or {}
    program = details.get("envSpecificDetails") or {}
    chosen = item.get("buildFilter") or {}
    paths, ignored = tuple(chosen.get("paths") or ()), tuple(chosen.get("ignoredPaths") or ())
    return Service(
        id=item["id"],
        name=item.get("name") or "",
        kind=Kind(item["type"]),
        repo=item.get("repo") or "",
        branch=item.get("branch") or "",
        auto_deploy=item.get("autoDeploy") == "yes" and item.get("autoDeployTrigger") != "off",
        url=details.get("url") or "",
        health_path=details.get("healthCheckPath") or "",
        root_dir=item.get("rootDir") or "",
        build_filter=PathFilter(paths=paths, ignored=ignored) if paths or ignored else None,
        pre_deploy_command=program.get("preDeployCommand") or "",
        suspended=item.get("suspended") == "suspended",
        dashboard_url=item.get("dashboardUrl") or "",
        owner_id=item.get("ownerId") or "",
    )


def _deploy(item: dict[str, Any]) -> Deploy:
    return Deploy(
        id=item["id"],
        status=DeployStatus(item.get("status") or "unknown"),
        commit=(item.get("commit") or {}).get("id") or "",
        trigger=item.get("trigger") or "",
        created_at=_time(item.get("createdAt")),
        started_at=_time(item.get("startedAt")),
        finished_at=_time(item.get("finishedAt")),
    )


def _deploy_or_none(item: Any) -> Deploy | None:
    return _deploy(item) if isinstance(item, dict) and item.get("id") else None


def _log_line(line: dict[str, Any]) -> LogLine:
    labels = {label.get("name"): label.get("value") for label in line.get("labels") or []}
    return LogLine(
        at=line.get("timestamp") or "", text=line.get("message") or "", instance=labels.get("instance") or ""
    )


def _time(text: str | None) -> datetime | None:
    return msgspec.convert(text, datetime) if text else None
