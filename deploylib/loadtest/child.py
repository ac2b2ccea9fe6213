"""The process that sends what the team's locustfile does, on schedule.

``python -m`` this, with a `Workload` on its input; a `Measurement` is its output.

locust itself is a closed loop: its users wait for an answer before they ask again, so that a server which stands still is
asked less (its ``constant_throughput`` showed a p95 of 11 ms over a freeze of 2 s; by schedule it is 1.4 s). Here locust's
own users run its own tasks with its own clients; only what they wait for between two tasks is the next arrival.
"""

from __future__ import annotations

import itertools
import os
import platform
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import gevent
import locust
import msgspec
from gevent.event import AsyncResult
from gevent.pool import Group
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import TaskSet
from locust.util.load_locustfile import load_locustfile

from deploylib.loadtest.bounds import set_bounds
from deploylib.loadtest.measurement import Measurement, Request, Workload
from deploylib.loadtest.schedule import plan_arrivals
from deploylib.models import decoding

IMPORT_WITHIN, BLOCKED = 30.0, 10.0  # seconds: for the file; beyond the end of a run
MOST_TOLD = 300  # letters of an error that is not ours
OURS = "deploylib"  # the key of what we give a request in locust's context
NAMES, OTHER = 100, "(other names)"
FAILED = 400


refusals: list[str] = []  # of this process, which measures once; a task may swallow the error


class Refusal(StopUser):  # type: ignore[misc] # of locust, which is not looked into
    """The file asks for what it may not; its argument says what."""


def refuse(why: str) -> NoReturn:
    """End the run."""
    refusals.append(why)
    raise Refusal(why)


class Sender:
    """Sends what is due, and notes what comes of it.

    Attributes:
        idle: the users of each class that wait for an arrival, the last one to come free at the end.
        waiting: requests without an answer yet, by ticket: name, when it was due, and when it was sent.
    """

    def __init__(self, workload: Workload, classes: dict[str, type[Any]]) -> None:
        self.workload, self.classes = workload, classes
        self.environment = Environment(
            user_classes=list(classes.values()), events=locust.events, host=workload.hosts[0]
        )
        self.group = Group()
        self.idle: dict[str, list[Any]] = {name: [] for name in classes}
        self.waiting: dict[int, tuple[str, float, float]] = {}
        self.tickets = itertools.count()
        self.requests: list[Request] = []
        self.slips: list[float] = []
        self.names: set[str] = set()
        self.busy = self.busiest = self.skipped = self.sent = self.broken = 0
        self.trouble = ""  # the first one in the file itself
        self.began = 0.0  # of what is measured
        locust.events.request.add_listener(self._note)
        locust.events.user_error.add_listener(self._note_error)
        for user in classes.values():
            self._take_over(user)

    def _take_over(self, user: type[Any]) -> None:
        """Have users wait for arrivals, and send what they may."""
        sender, start, begin = self, user.on_start, user.__init__

        def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            self.due = None
            self.client.request = sender._guard(self, self.client.request)

        def on_start(self: Any) -> None:
            start(self)
            sender._await_arrival(self)

        def wait_time(self: Any) -> float:
            sender.busy -= 1
            sender._await_arrival(self)
            return 0.0

        user.__init__, user.on_start, user.wait_time = initialise, on_start, wait_time
        user.host = user.host or self.workload.hosts[0]
        _forget_pauses(user.tasks)

    def _await_arrival(self, user: Any) -> None:
        free = time.perf_counter()
        user.due = None
        if (arrival := user.__dict__.pop("first", None)) is None:
            user.arrival = AsyncResult()
            self.idle[type(user).__name__].append(user)
            arrival = user.arrival.get()
        user.due = arrival
        if arrival >= self.began:
            self.slips.append(1000 * (time.perf_counter() - max(arrival, free)))

    def _guard(self, user: Any, send: Callable[..., Any]) -> Callable[..., Any]:
        def request(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            due, user.due = user.due, None
            sent = time.perf_counter()
            ticket = next(self.tickets)
            self.waiting[ticket] = (str(kwargs.get("name") or url), due or sent, sent)
            kwargs["allow_redirects"] = False  # who is led elsewhere would load what is no service of the environment
            kwargs["context"] = {**(kwargs.get("context") or {}), OURS: ticket}
            try:
                return send(method, url, *args, **kwargs)
            except Exception:  # locust tells of none that was never sent
                self.waiting.pop(ticket, None)
                raise

        return request

    def _note(
        self, *, name: str, response_time: float, exception: object, context: dict[str, Any], response: Any, **_: Any
    ) -> None:
        """Note a request that has ended, as locust tells it."""
        _asked, due, sent = self.waiting.pop(context[OURS])
        self.sent += 1
        status = getattr(response, "status_code", 0) or 0
        error = "" if exception is None else f"{status}" if status >= FAILED else type(exception).__name__
        self._add(str(name), due, (sent - due) * 1000 + response_time, response_time, error)

    def _add(self, name: str, due: float, latency: float, service: float, error: str) -> None:
        if due < self.began:
            return
        name = name if name in self.names or len(self.names) < NAMES else OTHER
        self.names.add(name)
        times = (round(1000 * (due - self.began), 2), round(latency, 3), round(service, 3))
        self.requests.append(Request(name, *times, error))

    def _note_error(self, *, exception: Exception, **_: Any) -> None:
        """Note a task that broke off in the file itself."""
        if not isinstance(exception, Refusal):
            self.trouble = self.trouble or _tell(exception)
            self.broken += time.perf_counter() >= self.began

    def run(self) -> Measurement:
        """Send the whole schedule."""
        workload = self.workload
        weights = {name: user.weight for name, user in self.classes.items()}
        arrivals = plan_arrivals(workload.rate, workload.warm_up + workload.seconds, workload.seed, weights)
        locust.events.init.fire(environment=self.environment, runner=None, web_ui=None)
        locust.events.test_start.fire(environment=self.environment)
        start = time.perf_counter() + 0.05
        self.began = start + workload.warm_up
        used, measuring = 0.0, False
        for moment, kind in arrivals:
            due = start + moment
            if not measuring and due >= self.began:
                used, measuring = time.process_time(), True
            if (left := due - time.perf_counter()) > 0:
                gevent.sleep(left)
            if refusals:
                break
            self._dispatch(kind, due)
        wall = max(time.perf_counter() - self.began, 1e-9)
        processor = (time.process_time() - used) / wall
        self._await_answers(start + workload.warm_up + workload.seconds + workload.patience)
        locust.events.test_stop.fire(environment=self.environment)
        if arrivals and not self.sent and not self.waiting:
            refusals.append(f"no task has sent a request by self.client{self.trouble and ': '}{self.trouble}")
        return Measurement(
            requests=tuple(self.requests),
            planned=sum(start + moment >= self.began for moment, _ in arrivals),
            skipped=self.skipped,
            processor=round(processor, 4),
            slips=tuple(round(slip, 3) for slip in self.slips),
            broken=self.broken,
            trouble=self.trouble,
            busiest=self.busiest,
            in_flight=workload.in_flight,
            seconds=workload.seconds,
            seed=workload.seed,
            generator=f"locust {metadata.version('locust')}, Python {platform.python_version()}",
            refused=refusals[0] if refusals else "",
        )

    def _dispatch(self, kind: str, due: float) -> None:
        """Give an arrival to the user who came free last.

        Its connection is open still.
        """
        if self.busy >= self.workload.in_flight:
            self.skipped += due >= self.began
            return
        self.busy += 1
        if due >= self.began:
            self.busiest = max(self.busiest, self.busy)
        if self.idle[kind]:
            self.idle[kind].pop().arrival.set(due)
            return
        try:
            user = self.classes[kind](self.environment)
        except Exception as error:  # it is the team's own code
            raise Refusal(f"no {kind} can be made: {_tell(error)}") from error
        user.first = due
        user.start(self.group).link(self._forget)

    def _forget(self, _: object) -> None:
        """Forget a user who has stopped, and no longer waits for arrivals."""
        self.busy -= 1

    def _await_answers(self, until: float) -> None:
        while self.waiting and time.perf_counter() < until and not refusals:
            gevent.sleep(0.01)
        now = time.perf_counter()
        for name, due, sent in self.waiting.values():
            self._add(name, due, 1000 * (now - due), 1000 * (now - sent), "no answer")


def _forget_pauses(tasks: list[Any]) -> None:
    """Have nested task sets wait for arrivals, and not for their pauses."""
    for task in tasks:
        if hasattr(task, "tasks"):
            task.wait_time = TaskSet.wait_time
            _forget_pauses(task.tasks)


def choose_classes(workload: Workload) -> dict[str, type[Any]]:
    """Load the file, and choose who takes part.

    Raises:
        Refusal: nobody may.
    """
    try:
        classes, _ = load_locustfile(str(Path(workload.file).resolve()))
    except Refusal:
        raise
    except FileNotFoundError as error:
        raise Refusal("there is no such file") from error
    except Exception as error:  # it is the team's own code: whatever it raises is told
        raise Refusal(_tell(error)) from error
    chosen = {
        name: user for name, user in classes.items() if user.weight and (workload.write or not name.endswith("Writer"))
    }
    for name, user in chosen.items():
        if not issubclass(user, (FastHttpUser, locust.HttpUser)):
            raise Refusal(f"{name} is neither HttpUser nor FastHttpUser, so that nobody knows whom it asks")
        if user.host and str(user.host).rstrip("/") not in workload.hosts:
            raise Refusal(f"{name} asks {user.host}, which is no service of the environment")
        if not user.tasks:
            raise Refusal(f"{name} has no task: a method with @task above it is one")
    if not chosen:
        raise Refusal("no user class takes part; Writer takes part with --write")
    return chosen


def _tell(error: BaseException) -> str:
    """Tell an error of the file in a line."""
    return f"{type(error).__name__}: {error}"[:MOST_TOLD]


def _go_first() -> None:
    """Ask the system to wake this process on time, where it may.

    Beside busy neighbours the 99th percentile was 15 ms too late without this, and 0.1 ms with it.
    """
    if sys.platform == "linux":
        with suppress(PermissionError):  # an ordinary user may not; validity tells whether it was needed
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def main() -> None:
    """Measure, and print the measurement; whatever the file prints goes elsewhere."""
    _go_first()
    sys.path.append("")  # where we are, for the locustfile: last, as a product may have a `queue.py` of its own
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    workload = decoding.json(sys.stdin.buffer.read(), Workload)

    def end(measured: Measurement) -> NoReturn:
        answer.write(msgspec.json.encode(measured))
        answer.flush()
        os._exit(0)  # users that still wait for an answer are not waited for

    def end_after(seconds: float, why: str) -> None:
        signal.signal(signal.SIGALRM, lambda *_: end(Measurement(refused=why)))
        signal.setitimer(signal.ITIMER_REAL, seconds)

    set_bounds(workload.hosts, refuse, write=workload.write)
    try:
        end_after(IMPORT_WITHIN, f"it was not imported within {IMPORT_WITHIN:.0f} s")
        sender = Sender(workload, choose_classes(workload))
        lasts = workload.warm_up + workload.seconds + workload.patience
        end_after(
            lasts + BLOCKED, "a task keeps the processor to itself, or waits in a library that gevent cannot interrupt"
        )
        measured = sender.run()
    except Refusal as refusal:
        measured = Measurement(refused=str(refusal))
    except (SystemExit, KeyboardInterrupt) as ended:  # a terminal's Ctrl-C does not reach this group of processes
        measured = Measurement(refused=f"it ends the program: {_tell(ended)}")
    signal.setitimer(signal.ITIMER_REAL, 0)
    end(measured)


if __name__ == "__main__":
    main()
