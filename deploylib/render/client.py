"""The edge to Render's REST API.

Typed values out, foreign errors mapped once.

Facts from Render's OpenAPI document and from recorded exchanges: null, absent and empty mean the same; a trigger may
answer 202 without a body; a list is an array of ``{"<resource>": …, "cursor": …}``. Only reads are repeated after an
answer that never came; a write is repeated only when it certainly did not arrive, or was refused as one too many. Every
answer says how many requests its window still allows; when none is left, the next one waits here for the next window.
"""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import stamina

from deploylib.errors import DeployError, SettingsError, Unreachable
from deploylib.models import Database, Deploy, DeployStatus, Export, LogLine, Secret, Service, remedies
from deploylib.models.metrics import MetricSeries
from deploylib.render import decode, rate_limit
from deploylib.render.decode import LogPage, Unreadable
from deploylib.render.endpoint import RENDER_API, find_api_url, find_endpoint
from deploylib.render.rate_limit import Budget, Left
from deploylib.settings import Config
from deploylib.system import Clock, http

__all__ = ["Ambiguous", "Client", "Forbidden", "Refused"]

T = TypeVar("T")
PAGE = 100
TIMEOUT = 30.0  # seconds
NOT_FOUND = 404
PAGES = 200  # of one list: more than an account has
TOO_MANY = 429
PASSING = (TOO_MANY, 500, 502, 503, 504)
KEPT = 4  # of 400 reads in a minute: somebody may use the same key
OF_SERVICE = re.compile(r" /services/([^/]+)")
PER_SERVICE = re.compile(r"/services/[^/]+(/deploys)?")  # writes that each service has a window of its own for


class Refused(DeployError):
    """The platform answered a request with a refusal.

    Callers say what that means for the run.

    Attributes:
        forgotten: the local Render does not know the service any more, and so has nothing live.
    """

    exit_code = Unreachable.exit_code
    outcome = "refused by the platform"

    def __init__(self, message: str, *, remedy: str, status: int, forgotten: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.forgotten = forgotten

    @property
    def is_unknown(self) -> bool:
        """Whether the platform, which knows the service, knows of no such thing."""
        return self.status == NOT_FOUND and not self.forgotten


class Forbidden(Unreachable):
    """The key, or the plan, does not allow that request."""


class Ambiguous(Exception):
    """A write may or may not have been accepted."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A body that is no JSON."""

    kind: str
    content: bytes = field(repr=False)


class _Again(Exception):
    """A failure that is worth another try.

    Attributes:
        after: seconds that the platform asked to wait; None where it asked for nothing.
        refused: it was one request too many, so that it was certainly not carried out.
    """

    def __init__(self, reason: str, *, after: float | None = None, refused: bool = False) -> None:
        super().__init__(reason)
        self.after = after
        self.refused = refused


@dataclass(frozen=True)
class Client:
    """A client of one account: `Client(key, url)`.

    Attributes:
        key: is sent in a header, and struck out of what the platform says.
        url: of the API, with ``/v1``.
        read_only: refuse anything but reading, for a dry run.
        clock: for waiting until the next window.
        through: a session in the place of its own.
        reads: what is left of the window of reads, which is one for all services.
        log_reads: likewise of reads of logs.
        writes: likewise of writes but for deploys: ten a minute for each service are more than a run sends.
        owned: deploys that were asked for by their id at a service, now or in an earlier run, and so are its own:
            ``(service, deploy)``.
        clock_ahead: seconds that the clock of this machine is ahead of the platform's, by its last answer; None: it did not say.
    """

    key: Secret | str = field(repr=False)
    url: str = RENDER_API
    read_only: bool = False
    clock: Clock = field(default=Clock(), repr=False)
    through: http.Session | None = field(default=None, repr=False)
    reads: Budget = field(default_factory=lambda: Budget(KEPT), init=False, repr=False)
    log_reads: Budget = field(default_factory=Budget, init=False, repr=False)
    writes: Budget = field(default_factory=Budget, init=False, repr=False)
    owned: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False)
    clock_ahead: deque[float | None] = field(default_factory=lambda: deque(maxlen=1), init=False, repr=False)

    @classmethod
    def of(cls, config: Config, *, read_only: bool = False, clock: Clock = Clock()) -> Client:
        """Make the client of an environment.

        Raises:
            SettingsError: there is no key.
            Unreachable: the local Render is not running.
        """
        endpoint = find_endpoint(config)
        return cls(endpoint.api_key, endpoint.api_url, read_only, clock)

    @staticmethod
    def find_address(config: Config) -> str:
        """Find where an environment's API is; see `find_api_url`."""
        return find_api_url(config)

    @classmethod
    def has_forgotten(cls, config: Config, service_ids: Collection[str]) -> bool:
        """Tell whether the local Render was reset since it had these services.

        One that does not run, or gives no answer, may know them.
        """
        if not config.is_local or not service_ids:
            return False
        try:
            known = {service.id for service in cls.of(config, read_only=True).services()}
        except (Refused, SettingsError, Unreachable):
            return False
        return known.isdisjoint(service_ids)

    @cached_property
    def session(self) -> http.Session:
        """Connections to the API."""
        headers = {"Authorization": f"Bearer {self.secret.reveal()}"}
        return self.through or http.Session(self.url, headers=headers, timeout=TIMEOUT)

    @property
    def secret(self) -> Secret:
        """The key."""
        return self.key if isinstance(self.key, Secret) else Secret(self.key)

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine.

        What it lacks is to be installed here.
        """
        return urlsplit(self.url).hostname in {"127.0.0.1", "localhost", "::1"}

    @property
    def left(self) -> Left | None:
        """What the window of reads still allows.

        None while the platform has not said.
        """
        return self.reads.compute_left(self.clock.monotonic())

    # -- services -----------------------------------------------------------------------------------------------

    def services(self) -> Iterator[Service]:
        """List every service that the key reaches."""
        services = self._pages("/services", "service", {"includePreviews": "false"}, decode.read_service)
        yield from (service for service in services if service is not None)

    def service(self, name: str) -> Service:
        """Find the one service of that name or id.

        Raises:
            SettingsError: the key reaches none, or several.
        """
        matching = [each for each in self.services() if name in {each.id, each.name}]
        if len(matching) != 1:
            count = "no service" if not matching else f"{len(matching)} services"
            raise SettingsError(
                f"the account has {count} called {name!r}",
                remedy="name it by its id (srv-…), as the Render Dashboard shows it",
            )
        return matching[0]

    def find_faults(self, owner_id: str, blueprint: str) -> tuple[str, ...]:
        """Ask what the platform finds wrong with a Blueprint.

        A POST that makes nothing and changes nothing (Render's SDK 1.5.0, *Validate Blueprint*), so that a dry run may send it.

        Raises:
            Refused: this platform, or this account's, does not say.
        """
        mark = secrets.token_hex(16)
        head = f'--{mark}\r\nContent-Disposition: form-data; name="ownerId"\r\n\r\n{owner_id}\r\n--{mark}\r\n'
        head += 'Content-Disposition: form-data; name="file"; filename="render.yaml"\r\nContent-Type: text/yaml\r\n\r\n'
        form = _Form(f"multipart/form-data; boundary={mark}", f"{head}{blueprint}\r\n--{mark}--\r\n".encode())
        return self._read("/blueprints/validate", decode.read_faults, form=form)

    def variables(self, service_id: str) -> dict[str, str]:
        """Read the service's own environment variables, by name.

        Those of its groups are not among them.

        They do not say of which service they are, so nothing is decided by them: they are told, and scanned.
        """
        return dict(self._pages(f"/services/{service_id}/env-vars", "envVar", {}, decode.read_variable))

    def turn_off_auto_deploy(self, service_id: str) -> None:
        """Make the service deploy only when it is asked to."""
        self._write("PATCH", f"/services/{service_id}", {"autoDeploy": "no"})

    # -- deploys ------------------------------------------------------------------------------------------------

    def deploys(self, service_id: str, limit: int = 20) -> list[Deploy]:
        """List the newest deploys of a service, newest first."""
        return self._listed(service_id, {"limit": limit})

    def live(self, service_id: str) -> Deploy | None:
        """Find the deploy that serves now: the newest with status live.

        None before the first.
        """
        query = {"limit": 1, "status": DeployStatus.LIVE.value}
        newest = self._listed(service_id, query, DeployStatus.LIVE)
        return newest[0] if newest else None

    def deploy(self, service_id: str, deploy_id: str) -> Deploy:
        """Read one deploy; a service knows only its own."""
        path = f"/services/{service_id}/deploys/{deploy_id}"
        answer = self._read(path, lambda value: decode.read_deploy(value, deploy_id))
        self.owned.add((service_id, deploy_id))
        return answer

    def _listed(self, service_id: str, query: dict[str, Any], status: DeployStatus | None = None) -> list[Deploy]:
        """List the deploys of a service.

        A deploy does not say of which service it is (OpenAPI, schema ``deploy``), so a list of another service's looks
        like this one's. It is believed when it holds one that is known to be of this service; where it holds none, the
        oldest of them is asked for by its id.
        """

        def read(value: Any) -> list[Deploy]:
            answer = decode.read_deploys(value, status)
            if answer and not any((service_id, each.id) in self.owned for each in answer):
                self._require_own(service_id, answer[-1].id)
            return answer

        return self._read(f"/services/{service_id}/deploys", read, query)

    def _require_own(self, service_id: str, deploy_id: str) -> None:
        """See that a service knows a deploy.

        Raises:
            Unreadable: it does not, so that the list which named it was an answer to another question.
        """
        try:
            self.deploy(service_id, deploy_id)
        except Refused as error:
            raise Unreadable(f"{deploy_id}, which is no deploy of {service_id} ({error.message})") from error

    def trigger(self, service_id: str, commit: str) -> Deploy | None:
        """Ask for a deploy of *commit*.

        Where it is empty, of the tip of the service's branch.

        Returns:
            The deploy; None when the platform queued it and gave no id (202), or its answer cannot be read.

        Raises:
            Ambiguous: it may have been accepted; look it up, never send it again.
            Refused: it was not accepted.
        """
        body = {"clearCache": "do_not_clear", **({"commitId": commit} if commit else {})}
        return _begun(self._write("POST", f"/services/{service_id}/deploys", body))

    def roll_back(self, service_id: str, deploy_id: str) -> Deploy | None:
        """Ask for a new deploy from the kept artifact of *deploy_id*.

        See `trigger` for what it raises.
        """
        return _begun(self._write("POST", f"/services/{service_id}/rollback", {"deployId": deploy_id}))

    def cancel(self, service_id: str, deploy_id: str) -> None:
        """Ask for a deploy to be stopped."""
        self._write("POST", f"/services/{service_id}/deploys/{deploy_id}/cancel", None)

    # -- what happened ------------------------------------------------------------------------------------------

    def failure(self, service_id: str, deploy_id: str) -> dict[str, Any]:
        """Read why a deploy failed, by its ``deploy_ended`` event.

        Empty where there is none.
        """
        for details in self._events(service_id, {"type": "deploy_ended", "limit": 20}):
            if details.get("deployId") == deploy_id:
                reason = decode.read_object(details, "reason")
                return decode.read_object(reason, "failure") or {key: value for key, value in reason.items() if value}
        return {}

    def has_used_up_minutes(self, service_id: str, since: datetime) -> bool:
        """Tell whether the workspace has had no build minutes left since then."""
        query = {"type": "pipeline_minutes_exhausted", "startTime": since.isoformat(), "limit": 1}
        return bool(self._events(service_id, query))

    def server_failures(self, service_id: str, since: datetime) -> int:
        """Count the failures of the service's running instances since then."""
        query = {"type": "server_failed", "startTime": since.isoformat(), "limit": PAGE}
        return len(self._events(service_id, query))

    def _events(self, service_id: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        """List the details of a service's events, newest first."""
        read = partial(decode.read_events, service_id=service_id, kind=query["type"])
        return self._read(f"/services/{service_id}/events", read, query)

    def logs(
        self, owner_id: str, service_id: str, kind: str, since: datetime | None = None, limit: int = 20
    ) -> list[LogLine]:
        """Read the last log lines of a service, oldest first.

        Of its builds (``build``) or programs (``app``).
        """
        query = {"ownerId": owner_id, "resource": [service_id], "type": kind, "direction": "backward"}
        if since is not None:
            query["startTime"] = since.isoformat()
        lines: list[LogLine] = []
        while True:
            page = self.log_page(query | {"limit": PAGE if lines else min(PAGE, limit)})
            known = {line.id for line in lines if line.id}
            older = [line for line in page.lines if line.id not in known]
            lines = [*older, *lines]
            following = {"startTime": page.start, "endTime": page.end}
            if len(lines) >= limit or not page.more or not older or following.items() <= query.items():
                return lines[-limit:]
            query |= following

    def log_page(self, query: Mapping[str, Any]) -> LogPage:
        """Read a page of the logs of some services, oldest line first.

        Args:
            query: with *ownerId*, and the ids of the services as *resource*.
        """
        read = partial(decode.read_log_page, service_ids=query["resource"])
        return self._read("/logs", read, {"limit": PAGE, "direction": "forward", **query})

    def subscribe_logs(self, query: Mapping[str, Any]) -> AbstractContextManager[http.Websocket]:
        """Open a websocket that gives each new line of some services.

        Raises:
            WebsocketError: it cannot be had.
            ImportError: the library for it is not installed.
        """
        address = self.url.replace("http", "ws", 1)
        headers = {"Authorization": f"Bearer {self.secret.reveal()}"}
        return http.open_websocket(f"{address}/logs/subscribe?{urlencode(query, doseq=True)}", headers)

    def instances(self, service_id: str) -> set[str]:
        """List the ids of the instances that run now.

        They do not say of which service they are.
        """
        listed = self._read(f"/services/{service_id}/instances", lambda value: decode.things(value, "", dict))
        return {str(item["id"]) for item in listed if item.get("id")}

    # -- databases ----------------------------------------------------------------------------------------------

    def database(self, name: str) -> Database:
        """Find the Postgres called *name*.

        Raises:
            SettingsError: the account has none, or several, of that name.
        """
        every = self._pages("/postgres", "postgres", {"name": name}, decode.read_database)
        named = [found for found in every if found.name == name]
        if len(named) != 1:
            count = "no database" if not named else f"{len(named)} databases"
            raise SettingsError(
                f"the account has {count} called {name!r}",
                remedy="create it in the Render Dashboard (New → Blueprint), or set database in the settings",
            )
        return named[0]

    def exports(self, database_id: str) -> list[Export]:
        """List the exports of a database.

        Those that the platform still has, or is making; it keeps them for seven days.
        """
        path = f"/postgres/{database_id}/export"
        listed = self._read(path, lambda value: decode.things(value, "", decode.read_export))
        return [one for one in listed if one is not None]

    def ask_for_export(self, database_id: str) -> None:
        """Have the platform export a database.

        It answers 202 without a word, one at a time.

        Raises:
            Refused: it makes none: another one is at work, or the plan is the free one.
            Ambiguous: it may have begun.
        """
        self._write("POST", f"/postgres/{database_id}/export", None)

    def database_url(self, name: str) -> Secret:
        """Read the external connection string of the Postgres called *name*.

        Raises:
            SettingsError: the account has none, or several, of that name.
            Unreachable: it is there, and its address is not told, as while it is being made.
        """
        addresses = self._read(f"/postgres/{self.database(name).id}/connection-info", decode.read_addresses)
        if not (address := addresses.external_connection_string):
            raise Unreachable(
                f"the platform does not tell the address of the database {name!r}",
                remedy="wait until the Render Dashboard shows it as available, then run the same command again",
            )
        return Secret(address)

    # -- what is measured ---------------------------------------------------------------------------------------

    def metrics(self, name: str, resource: str, since: datetime, every: int = 60) -> list[MetricSeries]:
        """Read what the platform has measured since then.

        Args:
            name: ``memory``, ``memory-limit``, ``disk-usage``, ``active-connections``, …
            every: seconds between two figures, at least 30.

        Returns:
            a series for each instance; none where nothing of the kind is measured there.
        """
        query = {"resource": resource, "startTime": since.isoformat(), "resolutionSeconds": every}
        return self._read(f"/metrics/{name}", partial(decode.read_series, resource=resource), query)

    # -- the wire -----------------------------------------------------------------------------------------------

    def _pages(self, path: str, wrapper: str, query: dict[str, Any], read: Callable[[Any], T]) -> Iterator[T]:
        """Go through every thing of a list.

        The same one on two pages is one.

        Raises:
            Unreachable: a page cannot be read, or a cursor comes again, so that the list has no end.
        """
        cursor, seen = "", set[str]()
        known: set[object] = set()
        while True:
            asked = {**query, "limit": PAGE, **({"cursor": cursor} if cursor else {})}
            names, page, full, cursor = self._read(path, lambda value: _page(value, wrapper, read), asked)
            for name, each in zip(names, page, strict=True):
                if name not in known:
                    known.add(name)
                    yield each
            if not full or not cursor:
                return
            if cursor in seen or len(seen) >= PAGES:
                raise self._unreachable(f"the list {path} does not end")
            seen.add(cursor)

    def _read(
        self, path: str, read: Callable[[Any], T], query: dict[str, Any] | None = None, *, form: _Form | None = None
    ) -> T:
        """Ask, and read the answer.

        One that cannot be read is none, and is asked for again.

        Args:
            form: that the question is, where it is more than an address; it changes nothing there.

        Raises:
            Unreachable: no answer that can be read.
        """
        try:
            for attempt in stamina.retry_context(on=_back_off, attempts=6, timeout=90.0, wait_initial=0.2):
                with attempt:
                    answer = self._once("POST" if form else "GET", path, query=query, body=form)
                    return read(decode.decode_body(answer))
        except Unreadable as error:
            raise Unreachable(
                f"{self.url} gives no answer that can be read: GET {path}: {error}",
                remedy="see what stands between here and the platform (a proxy, a login page), then the same command again",
            ) from error
        except (_Again, http.HttpError) as error:
            raise self._unreachable(str(error)) from error
        raise AssertionError("the last try returns or raises")

    def _write(self, method: str, path: str, body: Any) -> Any:
        if self.read_only:
            raise RuntimeError(f"a dry run must not send {method} {path}")
        try:
            for attempt in stamina.retry_context(on=_back_off_unsent, attempts=6, timeout=90.0, wait_initial=0.2):
                with attempt:
                    return self._once(method, path, body=body).json()
        except http.NotSent as error:
            raise self._unreachable(str(error)) from error
        except http.NoAnswer as error:
            raise Ambiguous(f"{method} {path}: {error}") from error
        except _Again as error:
            if error.refused:
                raise self._unreachable(str(error)) from error
            raise Ambiguous(f"{method} {path}: {error}") from error

    def _once(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> http.Answer:
        answer = self._sent(method, path, query, body)
        if answer.ok:
            return answer
        message = str(decode.read_object({"answer": answer.json()}, "answer").get("message") or "")
        if key := self.secret.reveal():
            message = message.replace(key, "•••")
        if 300 <= answer.status < 400:  # a login page, or a proxy that wants another address: not the platform's word
            raise _Again(f"status {answer.status}: something sends us to another address", after=None, refused=False)
        if answer.status in PASSING:
            refused = answer.status == TOO_MANY
            asked = refused or "retry-after" in answer.headers
            after = rate_limit.seconds_to_wait(answer.headers, self.clock.now()) if asked else None
            raise _Again(f"status {answer.status} {message}".strip(), after=after, refused=refused)
        if answer.status in {401, 403}:
            kind = Unreachable if answer.status == 401 else Forbidden
            raise kind(
                f"{self.url} refused the API key ({answer.status}){f': {message}' if message else ''}",
                remedy="check the key: it must belong to a user of the workspace that owns the services",
            )
        raise self._refusal(f"{method} {path}", answer.status, message)

    def _refusal(self, asked: str, status: int, message: str) -> Refused:
        """Say what was refused.

        No service of a local Render is ever removed: one that it does not know was of a state that was reset.
        """
        service = OF_SERVICE.search(asked)
        if self.is_local and status == NOT_FOUND and service is not None and message.endswith(service[1]):
            return Refused(remedies.RESET, remedy="inv deploy", status=status, forgotten=True)
        where = "inv local.logs shows" if self.is_local else "https://dashboard.render.com shows"
        return Refused(
            f"{asked} was refused ({status}): {message or 'no reason given'}",
            remedy=f"see what the platform says; {where} the service",
            status=status,
        )

    def _sent(self, method: str, path: str, query: dict[str, Any] | None, body: Any) -> http.Answer:
        """Send one request, when its window allows it."""
        if method == "GET":
            budget = self.log_reads if path == "/logs" else self.reads
        elif method in {"PATCH", "POST"} and PER_SERVICE.fullmatch(path):
            return self.session.request(method, path, json=body)
        else:
            budget = self.writes
        while (wait := budget.take(self.clock.monotonic())) > 0:
            self.clock.sleep(wait)
        sent = self.clock.monotonic()
        if isinstance(body, _Form):
            answer = self.session.request(method, path, content=body.content, headers={"Content-Type": body.kind})
        else:
            answer = self.session.request(method, path, params=query, json=body)
        self.clock_ahead.append(rate_limit.seconds_ahead(answer.headers, self.clock.now()))
        budget.learn_from(answer.headers, sent=sent, received=self.clock.monotonic(), at=self.clock.now())
        return answer

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(
            f"{self.url} cannot be reached: {reason}",
            remedy="inv local.up, then run the same command again"
            if self.url.startswith("http://127.0.0.1:")
            else "check the network and https://status.render.com, then run the same command again",
        )


def _back_off(error: Exception) -> bool | float:
    if isinstance(error, _Again):
        return error.after if error.after is not None else True
    return isinstance(error, (http.HttpError, Unreadable))


def _page(value: Any, wrapper: str, read: Callable[[Any], T]) -> tuple[list[object], list[T], bool, str]:
    """Read a page of a list.

    Names and things, whether it is full, and where the next one begins.
    """
    things = decode.things(value, wrapper, lambda item: (item.get("id") or item.get("key"), read(item)))
    last = value[-1].get("cursor") if value else None
    if last is not None and not isinstance(last, str):
        raise Unreadable("a cursor that is none")
    return [name for name, _ in things], [thing for _, thing in things], len(value) >= PAGE, last or ""


def _begun(value: Any) -> Deploy | None:
    """Read the deploy that an answer names.

    None where it names none, and so must be looked up.
    """
    try:
        return decode.read_deploy(value)
    except Unreadable:
        return None


def _back_off_unsent(error: Exception) -> bool | float:
    if isinstance(error, _Again):
        return error.after if error.refused and error.after is not None else False
    return isinstance(error, http.NotSent)
