"""Render in memory, behind `httpx.MockTransport`, with the ways in which an answer may be lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from deploylib.models import Kind, Secret
from deploylib.render import Client
from deploylib.system import Clock, http
from tests.support.fakes import API, KEY

Fault = Callable[[httpx.Request], httpx.Response]


def lost(request: httpx.Request) -> httpx.Response:
    """The request arrived, its answer did not."""
    raise httpx.ReadTimeout("", request=request)


def unsent(request: httpx.Request) -> httpx.Response:
    """No connection."""
    raise httpx.ConnectError("", request=request)


def status(code: int, body: Any = None, **headers: str) -> Fault:
    """An answer with this status."""
    return lambda _request: httpx.Response(
        code, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@dataclass
class Platform:
    """Render in memory, behind `httpx.MockTransport`.

    Attributes:
        plans: statuses that a new deploy of a service goes through, one each time it is looked at.
        faults: ``(method, end of the path, fault)``; each is used once, in order.
        lose: services whose next trigger is accepted and whose answer is lost.
        queue: services whose triggers answer 202 without a body.
        tips: the newest commit of a service's branch, for a trigger that names none.
        through: what stands before it.
    """

    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    deploys: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    plans: dict[str, list[str]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    instances: dict[str, list[str]] = field(default_factory=dict)
    faults: list[tuple[str, str, Fault]] = field(default_factory=list)
    lose: set[str] = field(default_factory=set)
    queue: set[str] = field(default_factory=set)
    tips: dict[str, str] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    also: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None
    through: Callable[[httpx.Request], httpx.Response] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @staticmethod
    def refused(_request: httpx.Request) -> httpx.Response:
        """An answer that says no."""
        return httpx.Response(409, json={"message": "not now"})

    def render(self, *, read_only: bool = False, clock: Clock = Clock()) -> Client:
        """A client of it, as the library makes one."""
        headers = {"Authorization": f"Bearer {KEY}"}
        transport = httpx.MockTransport(self.through or self)
        session = http.Session(API, headers=headers, transport=transport)
        return Client(Secret(KEY), API, read_only, clock, session)

    def add(self, name: str, kind: Kind = Kind.WORKER, *, live: str = "", **more: Any) -> str:
        """A service; *live* is the commit that it serves."""
        key = f"srv-{name}"
        self.services[key] = {"id": key, "name": name, "type": kind.value, "ownerId": "tea-1", "branch": "main", **more}
        self.deploys[key] = []
        if live:
            self.begin(key, live, "live")
        return key

    def begin(self, service: str, commit: str, state: str, trigger: str = "api") -> dict[str, Any]:
        """A new deploy, the newest of its service; one that is live replaces the one before."""
        deploy = {
            "id": f"dep-{next(self._numbers)}",
            "status": state,
            "commit": {"id": commit} if commit else None,
            "trigger": trigger,
            "createdAt": "2026-03-01T12:00:00.123456789Z",
        }
        self.deploys[service].insert(0, deploy)
        self._turn(service, deploy, state)
        return deploy

    def writes(self) -> list[tuple[str, str, Any]]:
        """What was asked of it other than reading: ``(method, path, body)``."""
        return [
            (one.method, one.url.path.removeprefix("/v1"), json.loads(one.content or b"null"))
            for one in self.requests
            if one.method != "GET" and not one.url.path.endswith("/validate")
        ]

    def live(self, service: str) -> str:
        """The commit that is live."""
        return next((one["commit"]["id"] for one in self.deploys[service] if one["status"] == "live"), "")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        with self._lock:
            self.requests.append(request)
            path = request.url.path.removeprefix("/v1")
            for fault in self.faults:
                if request.method == fault[0] and path.endswith(fault[1]):
                    self.faults.remove(fault)
                    return fault[2](request)
            if path == "/blueprints/validate":
                return httpx.Response(200, json={"valid": True})
            try:
                return self.also(request) or self._answer(request.method, path.strip("/").split("/"), request)
            except StopIteration:
                return httpx.Response(404, json={"message": f"not found: {path}"})

    def _answer(self, method: str, parts: list[str], request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        match method, parts:
            case "GET", ["services"]:
                return self._page("service", list(self.services.values()), query)
            case "GET", ["services", key, "deploys"]:
                found = [one for one in self.deploys[key] if query.get("status", one["status"]) == one["status"]]
                return self._page("deploy", found, query)
            case "GET", ["services", key, "deploys", name]:
                deploy = next(one for one in self.deploys[key] if one["id"] == name)
                if plan := deploy.get("plan"):
                    self._turn(key, deploy, plan.pop(0))
                return httpx.Response(200, json={k: v for k, v in deploy.items() if k != "plan"})
            case "POST", ["services", key, "deploys" | "rollback" as what]:
                return self._triggered(key, what, json.loads(request.content), request)
            case "POST", ["services", key, "deploys", name, "cancel"]:
                deploy = next(one for one in self.deploys[key] if one["id"] == name)
                deploy["plan"] = ["canceled"]
                return httpx.Response(200, json={"id": name})
            case "GET", ["services", key, "events"]:
                found = [one for one in self.events if one["type"] == query["type"] and one["serviceId"] == key]
                found = [one for one in found if one.get("timestamp", "9") > query.get("startTime", "")]
                return self._page("event", found, query)
            case "GET", ["services", key, "instances"]:
                return httpx.Response(200, json=[{"id": name} for name in self.instances.get(key, ())])
            case "GET", ["logs"]:
                return httpx.Response(200, json={"hasMore": False, "logs": self.logs})
        return httpx.Response(404, json={"message": f"not found: {request.url.path}"})

    def _triggered(self, key: str, what: str, body: dict[str, str], request: httpx.Request) -> httpx.Response:
        if what == "rollback":
            source = next(one for one in self.deploys[key] if one["id"] == body["deployId"])
            deploy = self.begin(key, source["commit"]["id"], "update_in_progress", "rollback")
            deploy["plan"] = ["live"]
        else:
            deploy = self.begin(key, body.get("commitId") or self.tips[key], "created")
            deploy["plan"] = list(self.plans.get(key, ["build_in_progress", "update_in_progress", "live"]))
        if key in self.lose:
            self.lose.remove(key)
            raise httpx.ReadTimeout("", request=request)
        return httpx.Response(202) if key in self.queue else httpx.Response(201, json={"id": deploy["id"]})

    def _turn(self, service: str, deploy: dict[str, Any], state: str) -> None:
        deploy["status"] = state
        for other in self.deploys[service]:
            if state == "live" and other is not deploy and other["status"] == "live":
                other["status"] = "deactivated"

    def _page(self, name: str, found: Iterable[dict[str, Any]], query: dict[str, str]) -> httpx.Response:
        items = [{k: v for k, v in one.items() if k != "plan"} for one in found]
        first, limit = int(query.get("cursor", 0)), int(query.get("limit", 20))
        page = items[first : first + limit]
        return httpx.Response(200, json=[{name: one, "cursor": str(first + n + 1)} for n, one in enumerate(page)])
