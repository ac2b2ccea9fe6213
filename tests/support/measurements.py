"""Measurements and records that no server was asked for: of a server whose times are known."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import msgspec

from deploylib.loadtest.figures import Figures
from deploylib.loadtest.measurement import Measurement, Request
from deploylib.loadtest.records import Key, RecordedRun

KEY = Key(
    scenario="abc",
    rate=100.0,
    seconds=10.0,
    environment="staging",
    service="backend",
    plan="starter",
    instances=1,
    generator="locust 2",
    machine="here",
)
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


def measured(seed: int = 1, *, typical: float = 30.0, number: int = 1000, **changes: object) -> Measurement:
    """A run of a server with log-normal times around *typical* milliseconds; one request each ten."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    times = [typical * chance.lognormvariate(0, 0.3) for _ in range(number)]
    requests = tuple(Request("newest", 10.0 * index, each + 1, each) for index, each in enumerate(times))
    good = Measurement(
        requests=requests,
        planned=number,
        processor=0.1,
        slips=(0.5,) * number,
        busiest=10,
        in_flight=100,
        seconds=number / 100,
        seed=seed,
        generator="locust 2",
    )
    return msgspec.structs.replace(good, **changes)


def record(number: int, *, typical: float = 30.0, key: Key = KEY, put_back: bool = False) -> RecordedRun:
    """The record of such a run, one a day."""
    figures = Figures.of(measured(number, typical=typical, number=500))
    at = MONDAY + timedelta(days=number)
    return RecordedRun(run=f"r{number}", at=at, commit=f"{number:040x}", key=key, figures=figures, put_back=put_back)
