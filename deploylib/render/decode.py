"""Read Render's answers.

JSON in, typed values out, at this one place.

Null, absent and empty mean the same (seen in recorded exchanges), a new field is of no matter, and a new word for a status
is *unknown*. Everything else that does not fit is no answer: a login page, half a document, an object where a list must be,
a thing without its id, an answer about something else. It is never an empty list, and never nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from deploylib.models import (
    Database,
    Deploy,
    DeployStatus,
    Export,
    Kind,
    LogLine,
    Moment,
    PathFilter,
    Secret,
    Service,
    decoding,
)
from deploylib.models.metrics import MetricPoint, MetricSeries
from deploylib.models.units import is_address
from deploylib.system import http

__all__ = [
    "Addresses",
    "LogPage",
    "Unreadable",
    "decode_body",
    "read_addresses",
    "read_database",
    "read_deploy",
    "read_deploys",
    "read_events",
    "read_export",
    "read_faults",
    "read_log_message",
    "read_log_page",
    "read_moment",
    "read_object",
    "read_series",
    "read_service",
    "read_variable",
    "thing",
    "things",
]

T = TypeVar("T", bound=msgspec.Struct)
U = TypeVar("U")


class Unreadable(Exception):
    """The platform answered well, and not with what was asked for.

    No answer.
    """


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """A thing of the platform as it is on the wire.

    Every field but an id may be null or absent.
    """


class _Commit(_Wire, frozen=True):
    id: str | None = None


class _Deploy(_Wire, frozen=True, rename="camel"):
    id: str
    status: str | None = None
    commit: _Commit | None = None
    trigger: str | None = None
    created_at: Any = None  # a moment that cannot be read is unknown, and nothing hangs on it
    started_at: Any = None
    finished_at: Any = None


class _Program(_Wire, frozen=True, rename="camel"):
    pre_deploy_command: str | None = None


class _Details(_Wire, frozen=True, rename="camel"):
    url: str | None = None
    health_check_path: str | None = None
    plan: str | None = None
    num_instances: int | None = None
    env_specific_details: _Program | None = None


class _Filter(_Wire, frozen=True, rename="camel"):
    paths: list[str] | None = None
    ignored_paths: list[str] | None = None


class _Service(_Wire, frozen=True, rename="camel"):
    id: str
    type: str | None = None
    name: str | None = None
    repo: str | None = None
    branch: str | None = None
    auto_deploy: str | None = None
    auto_deploy_trigger: str | None = None
    root_dir: str | None = None
    suspended: str | None = None
    dashboard_url: str | None = None
    owner_id: str | None = None
    build_filter: _Filter | None = None
    service_details: _Details | None = None


class _Variable(_Wire, frozen=True):
    key: str
    value: str | None = None


class _Database(_Wire, frozen=True):
    id: str
    name: str | None = None
    version: str | int | None = None
    plan: str | None = None


class _Export(_Wire, frozen=True, rename="camel"):
    id: str | None = None
    url: str | None = None
    created_at: Any = None


class _Fault(_Wire, frozen=True):
    error: str
    path: str | None = None
    line: int | None = None


class _Validated(_Wire, frozen=True):
    valid: bool
    errors: list[_Fault] | None = None


class _Label(_Wire, frozen=True):
    field: str | None = None
    value: str | None = None


class _Point(_Wire, frozen=True):
    timestamp: Any = None
    value: float | None = None


class _Series(_Wire, frozen=True):
    labels: list[_Label | None] | None = None
    values: list[_Point | None] | None = None
    unit: str | None = None


class _Line(_Wire, frozen=True):
    id: Any = None
    timestamp: str | None = None
    message: str | None = None
    labels: list[dict[str, Any] | None] | None = None


class _Lines(_Wire, frozen=True, rename="camel"):
    logs: list[_Line | None] | None = None
    has_more: bool | None = None
    next_start_time: str | None = None
    next_end_time: str | None = None


class LogPage(msgspec.Struct, frozen=True):
    """A page of logs, oldest first, and where the next one is.

    Attributes:
        more: there is another page, from *start* to *end*.
    """

    lines: list[LogLine]
    more: bool = False
    start: str = ""
    end: str = ""


def decode_body(answer: http.Answer) -> Any:
    """Read the JSON of an answer.

    Raises:
        Unreadable: it is of another type, or no whole document.
    """
    if answer.content_type != "application/json":
        raise Unreadable(f"{answer.content_type or 'something without a type'} in place of JSON")
    document = answer.json()
    if document is None and answer.body.strip() != b"null":
        raise Unreadable("no whole document of JSON")
    return document


def thing(value: Any, kind: type[T]) -> T:
    """Read one thing of the platform, of the kind asked for."""
    try:
        read = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unreadable(f"something else than asked for ({error})") from error
    name = getattr(read, "id", None)
    if name is not None and not _plain(name):
        raise Unreadable("an id that is none")
    return read


def things(value: Any, wrapper: str, read: Callable[[Any], U]) -> list[U]:
    """Read the things of a list, each once.

    Each is in its wrapper where the list has any.
    """
    if not isinstance(value, list):
        raise Unreadable("no list")
    by_id: dict[object, U] = {}
    for item in value:
        inner = item.get(wrapper) if wrapper and isinstance(item, dict) else item
        if not isinstance(inner, dict):
            raise Unreadable(f"an item that is no {wrapper or 'object'}")
        name = inner.get("id") or inner.get("key") or len(by_id)
        if not isinstance(name, (str, int)):
            raise Unreadable("an id that is none")
        by_id.setdefault(name, read(inner))
    return list(by_id.values())


def _plain(name: str) -> bool:
    """Tell whether it can be part of an address.

    An id is made of letters, digits and dashes.
    """
    return bool(name) and name.isascii() and name.replace("-", "").replace("_", "").isalnum()


def read_object(item: dict[str, Any], name: str) -> dict[str, Any]:
    """Read an object inside another.

    Empty where it is absent, null, or something else.
    """
    inner = item.get(name)
    return inner if isinstance(inner, dict) else {}


def read_service(item: Any) -> Service | None:
    """Read a service.

    None: it is of a type that we do not know, and so not ours to deploy.
    """
    wire = thing(item, _Service)
    if wire.type is None or wire.type not in {*Kind}:
        return None
    details = wire.service_details or _Details()
    program = details.env_specific_details or _Program()
    chosen = wire.build_filter or _Filter()
    paths, ignored = tuple(chosen.paths or ()), tuple(chosen.ignored_paths or ())
    kind = Kind(wire.type)
    if details.url and kind in {Kind.WEB, Kind.STATIC} and not is_address(details.url):
        raise Unreadable(f"an address of {wire.id} that is none")
    return Service(
        id=wire.id,
        name=wire.name or "",
        kind=kind,
        repo=wire.repo or "",
        branch=wire.branch or "",
        auto_deploy=wire.auto_deploy == "yes" and wire.auto_deploy_trigger != "off",
        url=details.url or "",
        health_path=details.health_check_path or "",
        root_dir=wire.root_dir or "",
        build_filter=PathFilter(paths=paths, ignored=ignored) if paths or ignored else None,
        pre_deploy_command=program.pre_deploy_command or "",
        suspended=wire.suspended == "suspended",
        dashboard_url=wire.dashboard_url or "",
        owner_id=wire.owner_id or "",
        plan=details.plan or "",
        instances=details.num_instances or 0,
    )


def read_deploy(item: Any, wanted: str = "") -> Deploy:
    """Read a deploy; a status that nobody knows is ``unknown``.

    Args:
        wanted: the id that was asked for; an answer about another one is none.
    """
    wire = thing(item, _Deploy)
    if wanted and wire.id != wanted:
        raise Unreadable(f"{wire.id} in place of {wanted}")
    return Deploy(
        id=wire.id,
        status=DeployStatus(wire.status or "unknown"),
        commit=(wire.commit.id if wire.commit else "") or "",
        trigger=wire.trigger or "",
        created_at=read_moment(wire.created_at),
        started_at=read_moment(wire.started_at),
        finished_at=read_moment(wire.finished_at),
    )


def read_deploys(value: Any, status: DeployStatus | None = None) -> list[Deploy]:
    """Read the deploys of a list, all of *status*.

    Where only such were asked for.
    """
    deploys = things(value, "deploy", read_deploy)
    if status is not None and any(each.status is not status for each in deploys):
        raise Unreadable(f"a deploy that is not {status}")
    return deploys


def read_variable(item: Any) -> tuple[str, str]:
    """Read an environment variable: its name and its value."""
    wire = thing(item, _Variable)
    return wire.key, wire.value or ""


def read_database(item: Any) -> Database:
    """Read a Postgres."""
    wire = thing(item, _Database)
    return Database(id=wire.id, name=wire.name or "", version=str(wire.version or ""), plan=wire.plan or "")


def read_faults(value: Any) -> tuple[str, ...]:
    """Read what is wrong with a Blueprint; none where it is valid."""
    verdict = thing(value, _Validated)
    if verdict.valid:
        return ()
    faults = [
        ": ".join(part for part in (f"line {fault.line}" if fault.line else "", fault.path or "", fault.error) if part)
        for fault in verdict.errors or ()
    ]
    return tuple(faults) or ("it is not valid",)


def read_export(item: Any) -> Export | None:
    """Read an export.

    None: it has no id or no moment yet, and so is none that could be fetched.
    """
    wire = thing(item, _Export)
    if not wire.id or (at := read_moment(wire.created_at)) is None:
        return None
    return Export(id=wire.id, created_at=at, url=Secret(wire.url) if wire.url else None)


class Addresses(_Wire, frozen=True, rename="camel"):
    """Where a Postgres is; empty while it is being made."""

    external_connection_string: str | None = None


def read_addresses(value: Any) -> Addresses:
    """Read the addresses of a Postgres."""
    return thing(value, Addresses)


def read_events(value: Any, service_id: str, kind: str) -> list[dict[str, Any]]:
    """Read the details of events of one kind, newest first.

    One that tells none is empty: only an explanation hangs on it.
    """
    if not isinstance(value, list):
        raise Unreadable("no list")
    every = [read_object(item, "event") if isinstance(item, dict) else {} for item in value]
    for each in every:
        if each.get("serviceId") not in {None, service_id} or each.get("type") not in {None, kind}:
            raise Unreadable(f"an event that is not {kind} of {service_id}")
    return [read_object(each, "details") for each in every]


def read_log_page(value: Any, service_ids: Collection[str]) -> LogPage:
    """Read a page of the logs of some services.

    Whose a line is stands among its labels.
    """
    wire = thing(value, _Lines)
    lines = [_read_log_line(line, service_ids) for line in wire.logs or () if line is not None]
    more = bool(wire.has_more and wire.next_start_time and wire.next_end_time)
    ordered = sorted(lines, key=lambda line: line.moment)
    return LogPage(ordered, more, wire.next_start_time or "", wire.next_end_time or "")


def read_log_message(text: str, service_ids: Collection[str]) -> LogLine:
    """Read a line that came over a websocket."""
    try:
        value = decoding.json(text.encode(errors="replace"), Any)
    except decoding.Undecodable as error:
        raise Unreadable("no document of JSON") from error
    return _read_log_line(thing(value, _Line), service_ids)


def _read_log_line(line: _Line, service_ids: Collection[str]) -> LogLine:
    labels = {label.get("name"): label.get("value") for label in line.labels or () if label}
    if labels.get("resource") not in {None, *service_ids}:
        raise Unreadable(f"a line that is not of {', '.join(service_ids)}")
    return LogLine(
        at=line.timestamp or "",
        text=line.message or "",
        instance=str(labels.get("instance") or ""),
        service=str(labels.get("resource") or ""),
        kind=str(labels.get("type") or ""),
        id=line.id if isinstance(line.id, str) else "",
    )


def read_series(value: Any, resource: str) -> list[MetricSeries]:
    """Read what was measured of a service or database.

    A point without a moment or a finite figure is none.

    Raises:
        Unreadable: no list of series, or one of another resource.
    """
    if not isinstance(value, list):
        raise Unreadable("no list")
    series = []
    for item in value:
        wire = thing(item, _Series)
        labels = {label.field: label.value or "" for label in wire.labels or () if label and label.field}
        if any(labels.get(name, resource) != resource for name in ("resource", "service")):
            raise Unreadable(f"figures that are not of {resource}")
        points = [
            MetricPoint(at=at, value=point.value)
            for point in wire.values or ()
            if point is not None and point.value is not None and math.isfinite(point.value)
            if (at := read_moment(point.timestamp)) is not None
        ]
        points.sort(key=lambda point: point.at)
        series.append(MetricSeries(labels=labels, unit=wire.unit or "", points=tuple(points)))
    return series


def read_moment(text: Any) -> datetime | None:
    """Read a moment; None: there is none, or it is unreadable."""
    try:
        return msgspec.convert(text, Moment) if text else None
    except msgspec.ValidationError:
        return None
