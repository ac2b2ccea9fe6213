"""Measure what happens to a service, and judge nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial

from deploylib.fitness.instances import Exit, Instance, Instances, NotStarted
from deploylib.fitness.keep_alive import Connection, HttpRequest, Peer, has_open_port
from deploylib.models import Kind
from deploylib.system import Clock, Deadline, threads

__all__ = ["Burst", "Flight", "Measured", "Outage", "ServiceSubject", "Shutdown", "measure_service", "uses_database"]

CONNECTIONS, ROUNDS = 20, 5
LONGEST_DRAIN = 30.0  # seconds: Render's default, and as long as anybody wants to watch
BEFORE, SLOW = 0.3, 0.5  # seconds that a request is in flight before SIGTERM; that it has to take for that, without one
AFTER = 1.0  # seconds from SIGTERM until the second half of a body
RELEASED = 0.6  # of the drain: then we close the idle connections ourselves, to see whether the program waits for them
OUTAGE, CHECK = 4.0, 5.0  # seconds; the second is what Render gives a health check (Health checks)
BACK_WITHIN = 30.0  # seconds for a program to find its database again
SAMPLE = 0.02
GOOD = range(200, 400)


@dataclass(frozen=True)
class ServiceSubject:
    """A service, and how it is asked.

    Attributes:
        health_path: of the Blueprint; empty: Render asks for an open port.
        delay: seconds from SIGTERM to SIGKILL.
        slow: a request that takes a second or more, as the settings name it.
        busy: paths that ask the database.
        uses_database: the Blueprint gives it the address of one.
        database_ports: of the databases of the Blueprint.
        scripts: of the package.json in its folder.
    """

    name: str
    service_id: str
    kind: Kind
    runtime: str
    start_command: str
    host_name: str = ""
    health_path: str = ""
    delay: float = LONGEST_DRAIN
    instances: int = 1
    slow: str = ""
    busy: tuple[str, ...] = ()
    uses_database: bool = False
    database_ports: frozenset[int] = frozenset()
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def drain(self) -> float:
        """Seconds that its shutdown may take here."""
        return min(self.delay, LONGEST_DRAIN)

    @property
    def has_address(self) -> bool:
        """Whether it is asked over HTTP."""
        return self.kind in {Kind.WEB, Kind.PRIVATE}


@dataclass(frozen=True)
class Burst:
    """Twenty requests at once, several times.

    Attributes:
        kept: connections that were still open afterwards.
        held: the most connections to a database that were seen.
        answered: requests that got a whole answer.
    """

    paths: tuple[str, ...]
    kept: int
    held: int
    answered: int


@dataclass(frozen=True)
class Flight:
    """A request that was to be in flight when SIGTERM came.

    Attributes:
        line: method and path; empty where none could be brought into flight.
        status: of its answer; 0: no whole one came.
        why: none was in flight.
    """

    line: str = ""
    status: int = 0
    why: str = ""


@dataclass(frozen=True)
class Shutdown:
    """What SIGTERM came to.

    Attributes:
        before: the instance as it was then.
        idle: idle keep-alive connections there were.
        closed: seconds until the program had closed them; None: it had not before its end, or before we did.
        released: seconds after which we closed them; None: there was no need to.
    """

    before: Instance
    ended: Exit
    flight: Flight
    idle: int = 0
    closed: float | None = None
    released: float | None = None


@dataclass(frozen=True)
class Outage:
    """What a stopped database came to.

    Attributes:
        health: the answers of the health check meanwhile; 0: none in time.
        exit_code: of a program that ended by that.
        back: seconds until it answered as before, once the database was there; None: it did not.
        asked: what was to answer as before.
    """

    health: tuple[int, ...]
    exit_code: int | None
    back: float | None
    asked: tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """All that was seen of a service.

    Attributes:
        started: the instance as it was first seen; None: there was none.
        trouble: why it, or a later one, did not start.
        failed: what was seen of one that did not become healthy.
        without_host: where it listens when nothing tells it by ``HOST``; None: nobody needed to know.
    """

    started: Instance | None = None
    trouble: str = ""
    failed: tuple[Instance, ...] = ()
    without_host: tuple[str, ...] | None = None
    burst: Burst | None = None
    shutdown: Shutdown | None = None
    outage: Outage | None = None


@dataclass
class _Work:
    """One measurement on its way."""

    subject: ServiceSubject
    instances: Instances
    clock: Clock
    tell: Callable[[str], None]
    idle: list[Connection] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.tell(f"{self.subject.name}: {text}")

    def peer(self, instance: Instance) -> Peer:
        return Peer(instance.host, instance.port, self.subject.host_name or f"{instance.host}:{instance.port}")


def measure_service(
    subject: ServiceSubject, instances: Instances, *, clock: Clock, tell: Callable[[str], None]
) -> Measured:
    """Measure a service, of which a deploy is live.

    Args:
        tell: is told what is being done.

    Raises:
        Unreachable: the local Render does not answer.
    """
    work = _Work(subject, instances, clock, tell)
    instances.rest(subject.service_id)
    try:
        work.say("starting an instance of its own")
        first = instances.start(subject.name)
    except NotStarted as trouble:
        return Measured(trouble=str(trouble), failed=instances.read_failed(subject.name))
    seen = instances.look(first)
    burst = _burst(work, seen) if subject.has_address else None
    shutdown = _shut_down(work, seen)
    measured = Measured(started=seen, burst=burst, shutdown=shutdown, without_host=_without_host(work, seen))
    if not subject.has_address or not uses_database(subject, burst):
        return measured
    try:
        outage = _break_database(work)
    except NotStarted as trouble:
        return Measured(measured.started, str(trouble), (), measured.without_host, burst, shutdown)
    return Measured(measured.started, "", (), measured.without_host, burst, shutdown, outage)


def uses_database(subject: ServiceSubject, burst: Burst | None) -> bool:
    """Tell whether it has a database, given or seen."""
    return bool(subject.database_ports) and (subject.uses_database or (burst is not None and burst.held > 0))


def _burst(work: _Work, instance: Instance) -> Burst:
    """Send twenty requests at once, and count the database's connections."""
    work.say(f"{CONNECTIONS} keep-alive connections")
    subject, peer = work.subject, work.peer(instance)
    paths = subject.busy or (subject.health_path or "/",)
    work.idle = [Connection(peer) for _ in range(CONNECTIONS)]

    def ask(connection: Connection) -> int:
        return sum(bool(connection.ask(paths[number % len(paths)])) for number in range(ROUNDS))

    held = [_held(subject, instance)]
    asking = threads.start(lambda: sum(threads.each(ask, work.idle, CONNECTIONS)))
    while not asking.done():
        held.append(_held(subject, work.instances.look(instance)))
        work.clock.sleep(SAMPLE)
    held.append(_held(subject, work.instances.look(instance)))
    work.idle = [one for one in work.idle if one.is_open]
    return Burst(paths, len(work.idle), max(held), asking.result())


def _held(subject: ServiceSubject, instance: Instance) -> int:
    return sum(port in subject.database_ports for one in instance.programs for _, port in one.connected)


def _shut_down(work: _Work, instance: Instance) -> Shutdown:
    """Send SIGTERM while a request is in flight and connections are idle."""
    subject, clock = work.subject, work.clock
    connection, flight = _bring_into_flight(work, instance) if subject.has_address else (None, Flight())
    work.say(f"SIGTERM, and up to {subject.drain:.0f} s to end")
    before = work.instances.look(instance)
    idle = [one for one in work.idle if one.is_open]
    began = clock.monotonic()
    ending = threads.start(lambda: work.instances.end(instance, subject.drain))
    finishing = threads.start(lambda: _finish(connection, flight, clock)) if connection is not None else None
    closed = released = None
    while not ending.done():
        spent = clock.monotonic() - began
        if closed is None and not any(one.is_open for one in idle):
            closed = spent
        if closed is None and spent > RELEASED * subject.drain and (finishing is None or finishing.done()):
            released = closed = spent
            for kept in idle:
                kept.close()
        clock.sleep(SAMPLE)
    ended = ending.result()
    for kept in work.idle:
        kept.close()
    status = _within(finishing, 5.0)
    closed = None if released is not None or (ended.killed and closed is None) else closed
    finished = Flight(flight.line, status, flight.why)
    return Shutdown(before, ended, finished, len(idle), closed if idle else 0.0, released)


def _finish(connection: Connection, flight: Flight, clock: Clock) -> int:
    """Finish the request in flight; a body's rest comes after SIGTERM."""
    if not flight.line.startswith("GET "):
        clock.sleep(AFTER)
    return connection.read_answer()


def _within(finishing: Future[int] | None, seconds: float) -> int:
    """Wait for what became of the request; 0: nothing in time."""
    if finishing is not None:
        with suppress(TimeoutError):
            return finishing.result(seconds)
    return 0


def _bring_into_flight(work: _Work, instance: Instance) -> tuple[Connection | None, Flight]:
    """Bring a request into flight: slow, or with half its body."""
    peer, drain = work.peer(instance), work.subject.drain
    if not work.subject.slow:
        for path in dict.fromkeys((work.subject.health_path or "/", "/")):
            request = HttpRequest("POST", "/" + path.removeprefix("/"))
            connection = Connection(peer, drain + CHECK)
            if _hangs(connection, request):
                return connection, Flight(request.line)
            connection.close()
        return None, Flight(why="a request with half a body is answered at once")
    request = HttpRequest.of(work.subject.slow)
    if request.method == "GET":
        trial, began = Connection(peer, drain + CHECK), work.clock.monotonic()
        status, took = trial.ask(request.path), work.clock.monotonic() - began
        trial.close()
        if status not in GOOD or took < SLOW:
            answer_text = f"answers {status or 'nothing'} in {took * 1000:.0f} ms"
            return None, Flight(why=f"{request.line} {answer_text}, and should answer well, in a second or more")
    connection = Connection(peer, drain + CHECK)
    if _hangs(connection, request):
        return connection, Flight(request.line)
    connection.close()
    return None, Flight(why=f"{request.line} was answered before its body was whole, or before SIGTERM")


def _hangs(connection: Connection, request: HttpRequest) -> bool:
    """Tell whether a request is still unanswered a moment later."""
    try:
        connection.begin(request)
    except OSError:
        return False
    return not connection.hears(BEFORE)


def _without_host(work: _Work, seen: Instance) -> tuple[str, ...] | None:
    """Find where a program listens without ``HOST``, which Render does not set."""
    if not work.subject.has_address or set(seen.addresses) != {seen.host}:
        return None
    work.say("an instance without HOST, which Render does not set")
    try:
        other = work.instances.start(work.subject.name, ("HOST",))
    except NotStarted:
        failed = work.instances.read_failed(work.subject.name)
        return tuple(address for one in failed for address in one.addresses)
    addresses = work.instances.look(other).addresses
    work.instances.end(other, 0)
    return addresses


def _break_database(work: _Work) -> Outage:
    """Stop the databases under a new instance, and start them again.

    Raises:
        NotStarted: there was no such instance.
    """
    subject, clock = work.subject, work.clock
    instance = work.instances.start(subject.name)
    peer = work.peer(instance)
    asked = tuple(path for path in subject.busy if path != subject.health_path)
    usual = {path: _ask(peer, path) for path in asked}
    work.say("stopping Postgres under it")
    work.instances.switch_postgres(running=False)
    health: list[int] = []
    try:
        end = Deadline.after(OUTAGE, clock)
        touching = [threads.start(partial(_ask, peer, path)) for path in asked]
        while not end.has_passed():
            health.append(_check(subject, peer))
            clock.sleep(min(0.5, end.left))
        for kept in touching:
            _within(kept, CHECK)
    finally:
        work.instances.switch_postgres(running=True)
    began, back = clock.monotonic(), None
    end = Deadline.after(BACK_WITHIN, clock)
    while back is None and not end.has_passed() and work.instances.look(instance).exit_code is None:
        well = _check(subject, peer) in GOOD and all(_ask(peer, path) == usual[path] for path in asked)
        back = clock.monotonic() - began if well else None
        clock.sleep(0.2)
    code = work.instances.look(instance).exit_code
    work.instances.end(instance, 0)
    return Outage(tuple(health), code, back, asked)


def _check(subject: ServiceSubject, peer: Peer) -> int:
    """Check an instance as Render does: health path, or open port."""
    if not subject.health_path:
        return 200 if has_open_port(peer, CHECK) else 0
    return _ask(peer, "/" + subject.health_path.removeprefix("/"))


def _ask(peer: Peer, path: str) -> int:
    """Ask once, on a connection of its own; 0: no whole answer."""
    with closing(Connection(peer, CHECK)) as connection:
        return connection.ask(path)
