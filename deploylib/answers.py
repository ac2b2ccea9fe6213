"""What Render's answers say: JSON in, typed values out; null, absent and empty mean the same (seen in recorded exchanges)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from deploylib.models import Deploy, DeployStatus, Kind, LogLine, PathFilter, Service

__all__ = ["deploy", "deploy_or_none", "items", "log_line", "moment", "part", "service"]


def items(answer: Any) -> list[dict[str, Any]]:
    """The objects of a list; none where it is null, or something else."""
    return [item for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []


def part(item: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside another; empty where it is absent, null, or something else."""
    found = item.get(name)
    return found if isinstance(found, dict) else {}


def service(item: dict[str, Any]) -> Service:
    """A service; what is absent is empty."""
    details = part(item, "serviceDetails")
    program = part(details, "envSpecificDetails")
    chosen = part(item, "buildFilter")
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


def deploy(item: dict[str, Any]) -> Deploy:
    """A deploy; a status that nobody knows is ``unknown``."""
    return Deploy(
        id=item["id"],
        status=DeployStatus(item.get("status") or "unknown"),
        commit=part(item, "commit").get("id") or "",
        trigger=item.get("trigger") or "",
        created_at=moment(item.get("createdAt")),
        started_at=moment(item.get("startedAt")),
        finished_at=moment(item.get("finishedAt")),
    )


def deploy_or_none(item: Any) -> Deploy | None:
    """The deploy that was begun; None where the answer names none, as a 202 does."""
    return deploy(item) if isinstance(item, dict) and item.get("id") else None


def log_line(line: dict[str, Any]) -> LogLine:
    """A line of a log; whose it is stands among its labels."""
    labels = {label.get("name"): label.get("value") for label in items(line.get("labels"))}
    return LogLine(
        at=line.get("timestamp") or "", text=line.get("message") or "", instance=labels.get("instance") or ""
    )


def moment(text: Any) -> datetime | None:
    """A moment; None where there is none, or it cannot be read."""
    try:
        return msgspec.convert(text, datetime) if text else None
    except msgspec.ValidationError:
        return None
