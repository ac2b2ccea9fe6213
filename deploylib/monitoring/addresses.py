"""Own requests tell whether public addresses are up, slow or failing.

They need no key. The times are ours, from where the monitor runs, so that they hold the way there as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from deploylib.models import Moment, Target, Value
from deploylib.models.signals import Signal
from deploylib.models.units import count
from deploylib.monitoring.readings import Reading, make_unknown
from deploylib.monitoring.rules import AlertRule
from deploylib.monitoring.states import Look
from deploylib.probes import address
from deploylib.system import Clock, http

__all__ = [
    "FEWEST_SAMPLES",
    "Asked",
    "RequestSample",
    "ask_address",
    "judge_certificate",
    "judge_error_rate",
    "judge_latency",
    "judge_uptime",
    "keep_samples",
]

FEWEST_SAMPLES = 20  # answers below which a p95 or a rate says nothing
MOST = 300  # samples of a service that are kept
REDIRECT, CLIENT_ERROR, SERVER_ERROR = 300, 400, 500


class RequestSample(Value, frozen=True):
    """One request, what it took, and whether it went well."""

    at: Moment
    seconds: float
    good: bool


class Asked(Value, frozen=True):
    """What an address gave in one round.

    Attributes:
        status: of the last answer; 0: there was none.
        trouble: why there was none.
        expires: when its certificate ends; None: it showed none, or nobody answered.
    """

    target: Target
    samples: tuple[RequestSample, ...]
    status: int = 0
    trouble: str = ""
    expires: datetime | None = None

    @property
    def is_up(self) -> bool:
        """Whether one of the requests was answered well."""
        return any(sample.good for sample in self.samples)


def ask_address(target: Target, times: int, clock: Clock) -> Asked:
    """Ask a service a few times, on one connection."""
    samples, status, trouble, expires = [], 0, "", None
    with address.open_session() as session:
        for _ in range(times):
            at, began = clock.now(), clock.monotonic()
            answer, why = address.ask(session, address.url_of(target))
            seconds = clock.monotonic() - began
            samples.append(RequestSample(at=at, seconds=round(seconds, 4), good=_is_good(target, answer)))
            status, trouble = (answer.status, "") if answer is not None else (0, why)
            expires = answer.expires if answer is not None else expires
    return Asked(target=target, samples=tuple(samples), status=status, trouble=trouble, expires=expires)


def _is_good(target: Target, answer: http.Answer | None) -> bool:
    """Tell whether an answer is one of a service that is well.

    Of a health path only a success is; of any other page a refusal is an answer, too.
    """
    if answer is None:
        return False
    return answer.status < (REDIRECT if address.has_path(target) else SERVER_ERROR)


def keep_samples(
    before: Iterable[RequestSample], new: Iterable[RequestSample], oldest: datetime
) -> tuple[RequestSample, ...]:
    """Join the samples of a window, in the order of their time."""
    every = sorted((*before, *new), key=lambda sample: sample.at)
    return tuple(sample for sample in every if sample.at >= oldest)[-MOST:]


def judge_uptime(asked: Asked) -> Reading:
    """Tell whether a service answers."""
    name = asked.target.name
    if asked.is_up:
        return _reading(asked.target, Signal.UPTIME, Look.GOOD, f"answers {asked.status}")
    title = f"{name} answers {asked.status}" if asked.status else f"{name} does not answer"
    where = address.place_of(asked.target)
    seen = f"{where}: {asked.status or asked.trouble}, {count(len(asked.samples), 'time')} in a row"
    return _reading(
        asked.target,
        Signal.UPTIME,
        Look.BAD,
        seen,
        title=title,
        remedy="inv logs; inv status; inv rollback goes back",
        unanswered=not asked.status,
    )


def judge_latency(target: Target, samples: Sequence[RequestSample], rule: AlertRule) -> Reading:
    """Tell the p95 of the good answers of the window."""
    times = sorted(sample.seconds for sample in samples if sample.good)
    if len(times) < FEWEST_SAMPLES:
        return make_unknown(Signal.LATENCY, target.name, f"{count(len(times), 'answer')}, too few for a p95")
    p95 = times[math.ceil(0.95 * len(times)) - 1]
    text = f"p95 {p95 * 1000:.0f} ms of {count(len(times), 'answer')}"
    if p95 <= rule.limit:
        return _reading(target, Signal.LATENCY, Look.GOOD, text)
    slow = f"{target.name} is slow: p95 over {rule.limit:g} s"
    return _reading(
        target, Signal.LATENCY, Look.BAD, text, title=slow, remedy="inv logs; inv history: what was released?"
    )


def judge_error_rate(target: Target, samples: Sequence[RequestSample], rule: AlertRule) -> Reading:
    """Tell the share of the requests that failed."""
    if len(samples) < FEWEST_SAMPLES:
        return make_unknown(Signal.ERROR_RATE, target.name, f"{count(len(samples), 'request')}, too few for a rate")
    bad = sum(not sample.good for sample in samples)
    share = 100 * bad / len(samples)
    text = f"{bad} of {len(samples)} requests failed"
    if share <= rule.limit:
        return _reading(target, Signal.ERROR_RATE, Look.GOOD, text)
    title = f"{target.name} fails: more than {rule.limit:g} % of requests"
    return _reading(target, Signal.ERROR_RATE, Look.BAD, text, title=title, remedy="inv logs; inv rollback goes back")


def judge_certificate(asked: Asked, rule: AlertRule, now: datetime) -> Reading | None:
    """Tell the days that a certificate has left.

    None: the address has none.
    """
    if not asked.target.url.startswith("https:"):
        return None
    name = asked.target.name
    if asked.expires is None:
        return make_unknown(Signal.CERTIFICATE, name, "no answer that tells of it")
    left = (asked.expires - now) / timedelta(days=1)
    text = f"certificate: {count(max(0, math.floor(left)), 'day')} left"
    good = left >= rule.limit
    return Reading(
        signal=Signal.CERTIFICATE,
        subject=name,
        look=Look.GOOD if good else Look.BAD,
        text=text,
        title="" if good else f"the certificate of {name} ends within {count(rule.limit, 'day')}",
        remedy="" if good else "see the domain in the Render Dashboard: it should have been renewed",
    )


def _reading(target: Target, signal: Signal, look: Look, text: str, **more: object) -> Reading:
    return Reading(signal=signal, subject=target.name, look=look, text=text, service=target.name, **more)  # type: ignore[arg-type]
