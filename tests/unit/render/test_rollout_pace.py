"""Fifty deploys at a platform that counts: none of its limits is met, and what has ended is seen soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
import pytest

from deploylib.errors import BuildFailed
from deploylib.render import Client, rollout
from deploylib.system import http
from tests.support.bringing import order
from tests.support.fakes import API, KEY, OLD, FakeClock
from tests.support.in_memory import Platform

LIMIT, LATENCY = 400, 0.02


@dataclass
class Counting:
    """A platform whose deploys take as long as they are told to, and that refuses what is too much in a minute.

    Attributes:
        takes: seconds of the deploys of a service, by its id.
        ends: the state in which they end, where that is not live.
        looks: when each service was looked at, in seconds since it was asked for.
    """

    clock: FakeClock
    takes: Mapping[str, float]
    ends: Mapping[str, str] = field(default_factory=dict)
    platform: Platform = field(default_factory=Platform)
    used: Counter[int] = field(default_factory=Counter)
    asked: dict[str, float] = field(default_factory=dict)
    looks: dict[str, list[float]] = field(default_factory=dict)
    refused: int = 0

    def __post_init__(self) -> None:
        for key in self.takes:
            self.platform.add(key.removeprefix("srv-"), live=OLD)
            self.platform.plans[key] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.clock.seconds += LATENCY / 2
        now, parts = self.clock.seconds, request.url.path.split("/")
        headers = {}
        if request.method == "GET":
            self.used[int(now // 60)] += 1
            remaining = LIMIT - self.used[int(now // 60)]
            headers = {"Ratelimit-Limit": f"{LIMIT}", "Ratelimit-Remaining": f"{max(0, remaining)}"}
            headers["Ratelimit-Reset"] = f"{59 - int(now) % 60}"
            if remaining < 0:
                self.refused += 1
                return httpx.Response(429, headers=headers)
        key = parts[3] if len(parts) > 3 else ""
        if request.method == "GET" and len(parts) == 6:
            elapsed = now - self.asked[key]
            self.looks.setdefault(key, []).append(elapsed)
            ended = elapsed >= self.takes[key]
            self.platform.deploys[key][0]["plan"] = [self.ends.get(key, "live") if ended else "build_in_progress"]
        answer = self.platform(request)
        if request.method == "POST":
            self.asked[key] = now
        self.clock.seconds += LATENCY / 2
        headers["Content-Type"] = "application/json"
        return httpx.Response(answer.status_code, content=answer.content, headers=headers)

    def bring(self, expected: Mapping[str, float] | None = None) -> list[str]:
        """Deploy all services; their names, in the order in which they went live."""
        session = http.Session(API, transport=httpx.MockTransport(self))
        render = Client(KEY, API, clock=self.clock, through=session)
        # The stages before have seen whose these deploys are.
        render.owned.update((key, one["id"]) for key in self.takes for one in self.platform.deploys[key])
        shipped = rollout.roll_out(
            [order(key.removeprefix("srv-")) for key in self.takes],
            rollout.Rollout(
                render,
                self.clock,
                self.clock.deadline(1200),
                lambda _kind, _value: None,
                lambda _service, _text: None,
                usual=expected or {},
            ),
        )
        return [one.service for one in shipped]


def fifty(shortest: float = 5, longest: float = 40) -> dict[str, float]:
    """The seconds of fifty services, in no order."""
    return {f"srv-{n:02}": shortest + (longest - shortest) * (n * 17 % 50) / 49 for n in range(50)}


@pytest.mark.parametrize("second", [0, 20, 40, 59])
@pytest.mark.parametrize("known", [False, True], ids=["first release", "by their history"])
def test_fifty_services_meet_no_limit_and_end_in_time(second: int, known: bool) -> None:  # noqa: FBT001 - a parameter
    """Whenever in a minute it begins: with the 150 reads of the stages before, and a part left for those after."""
    clock, takes = FakeClock(second), fifty()
    counting = Counting(clock, takes)
    counting.used[0] = 150
    expected = {key.removeprefix("srv-"): seconds for key, seconds in takes.items()} if known else None

    assert len(counting.bring(expected)) == 50

    assert counting.refused == 0
    assert clock.seconds - second < 1.2 * 40
    assert max(counting.used.values()) <= LIMIT - 60, "nothing is left for the proof and the report"


def test_a_long_release_of_fifty_services_meets_no_limit() -> None:
    """Over many windows, and never much later than the slowest."""
    clock = FakeClock()
    counting = Counting(clock, fifty(60, 600))

    counting.bring()

    assert counting.refused == 0
    assert clock.seconds < 610


def test_a_known_service_is_looked_at_when_it_ends() -> None:
    """Not all of them each time one is due: the quick one does not make the slow one be asked for."""
    counting = Counting(FakeClock(), {"srv-quick": 10, "srv-slow": 100})

    assert counting.bring({"quick": 10, "slow": 100}) == ["quick", "slow"]

    assert counting.looks["srv-quick"][-1] < 10.5
    assert counting.looks["srv-slow"][-1] < 100.5
    assert len([seconds for seconds in counting.looks["srv-slow"] if 40 < seconds < 60]) <= 6


def test_the_longest_is_asked_for_first() -> None:
    """So that the time that asking takes is not added to it; without a history the order is the given one."""
    counting = Counting(FakeClock(), {"srv-quick": 10, "srv-new": 20, "srv-slow": 100})
    counting.bring({"quick": 10, "slow": 100})
    assert list(counting.asked) == ["srv-slow", "srv-quick", "srv-new"]

    counting = Counting(FakeClock(), {"srv-quick": 10, "srv-new": 20, "srv-slow": 100})
    counting.bring()
    assert list(counting.asked) == ["srv-quick", "srv-new", "srv-slow"]


def test_a_build_that_fails_early_is_seen_soon() -> None:
    """A history of ten minutes is no reason to look after ten minutes."""
    clock = FakeClock()
    counting = Counting(clock, {"srv-api": 8}, {"srv-api": "build_failed"})

    with pytest.raises(BuildFailed):
        counting.bring({"api": 600})

    assert clock.seconds < 9


def test_a_history_that_was_seen_late_gets_better() -> None:
    """What is taken for usual is when it was seen: in a window with few looks that must not grow from run to run."""
    takes = fifty()
    expected = {key.removeprefix("srv-"): seconds * 1.3 for key, seconds in takes.items()}
    late = []
    for _ in range(4):
        counting = Counting(FakeClock(), takes)
        counting.used[0] = 150
        counting.bring(expected)
        late.append(max(counting.looks[key][-1] - seconds for key, seconds in takes.items()))
        expected = {key.removeprefix("srv-"): looks[-1] for key, looks in counting.looks.items()}

    assert late == sorted(late, reverse=True)
    assert late[-1] < late[0]
