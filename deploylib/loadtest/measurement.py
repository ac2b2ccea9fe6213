"""One measurement: what the child is asked, and what it tells.

The child is a process of its own because locust replaces the standard library's sockets and threads when it is imported.
"""

from __future__ import annotations

import sys
from functools import cached_property

import msgspec

from deploylib.errors import NotExamined, SettingsError
from deploylib.models import Value
from deploylib.models.extras import install_command, is_installed
from deploylib.system import process

__all__ = ["Measurement", "Request", "Workload", "measure"]

CHILD = "deploylib.loadtest.child"
START_WITHIN = 60.0  # seconds: for the imports of a busy machine


class Workload(Value, frozen=True):
    """The workload that is to be sent.

    Attributes:
        file: the locustfile.
        hosts: the only addresses that may be asked; the first one is asked where the file names none.
        rate: arrivals a second; each does one task of one user.
        seconds: that are measured, after *warm_up* more.
        in_flight: the most users that are busy at once; who arrives beyond that is skipped, and counted.
        write: classes named ``…Writer`` take part, and other methods than GET, HEAD and OPTIONS are sent.
        patience: seconds for the last answers.
    """

    file: str
    hosts: tuple[str, ...]
    rate: float
    seconds: float = 10.0
    warm_up: float = 2.0
    seed: int = 0
    in_flight: int = 100
    write: bool = False
    patience: float = 5.0


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One request, times in milliseconds.

    Attributes:
        at: from the beginning of what is measured until it was due.
        latency: from that moment to the end of the answer.
        service: from when it was sent to the end of the answer.
        error: what went wrong; empty: nothing.
    """

    name: str
    at: float
    latency: float
    service: float
    error: str = ""


class Measurement(Value, frozen=True, dict=True):
    """The measurement: what was sent, what came, how the sender did.

    Attributes:
        requests: in the workload of their answers.
        planned: arrivals of the schedule.
        skipped: those for whom no user was free.
        broken: tasks that ended by an error of the file itself.
        trouble: the first such error.
        processor: share of one processor that the sender took.
        slips: milliseconds by which arrivals were sent too late, each.
        busiest: the most users that were busy at once, of *in_flight*.
        refused: why nothing was sent: the file is none, or asks for what it may not.
    """

    requests: tuple[Request, ...] = ()
    planned: int = 0
    skipped: int = 0
    broken: int = 0
    trouble: str = ""
    processor: float = 0.0
    slips: tuple[float, ...] = ()
    busiest: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    seed: int = 0
    generator: str = ""
    refused: str = ""

    @cached_property
    def latencies(self) -> tuple[float, ...]:
        """Latencies of all requests, in milliseconds, ascending.

        One without an answer has at least waited so long.
        """
        return tuple(sorted(one.latency for one in self.requests))

    @property
    def errors(self) -> dict[str, int]:
        """How often each thing went wrong, the most frequent first."""
        counted: dict[str, int] = {}
        for request in self.requests:
            if request.error:
                counted[request.error] = counted.get(request.error, 0) + 1
        return dict(sorted(counted.items(), key=lambda item: -item[1]))

    @property
    def error_rate(self) -> float:
        """Share of the requests that went wrong."""
        return sum(bool(one.error) for one in self.requests) / max(1, len(self.requests))

    @property
    def throughput(self) -> float:
        """Good answers a second."""
        return sum(not one.error for one in self.requests) / self.seconds if self.seconds else 0.0


def measure(workload: Workload, runner: process.Runner) -> Measurement:
    """Have the child send a workload, and measure it.

    Raises:
        SettingsError: locust is not installed, or the locustfile is none, or asks for what it may not.
        NotExamined: the child did not end in time, or died.
    """
    if not is_installed("locust"):  # the child would say it in a traceback
        raise SettingsError("locust, which sends the load, is not installed here", remedy=install_command("load"))
    command = process.Command(
        args=(sys.executable, "-P", "-m", CHILD),
        stdin=msgspec.json.encode(workload),
        timeout=START_WITHIN + workload.warm_up + workload.seconds + workload.patience,
        check=False,
        tree=True,
        writes=True,
    )
    try:
        measurement = process.ask_program(command, Measurement, "the load test", runner=runner)
    except process.Unanswered as error:
        by_hand = f"locust --headless --users 1 --run-time 10s --locustfile {workload.file} --host {workload.hosts[0]}"
        raise NotExamined(error.reason, remedy=f"see what the locustfile does: {by_hand}") from error
    if measurement.refused:
        remedy = f"correct it; locust --list --locustfile {workload.file} tells whether it can be read"
        raise SettingsError(f"{workload.file}: {measurement.refused}", remedy=remedy)
    return measurement
