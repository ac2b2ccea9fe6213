"""Days of two monitors: no alert is lost, none doubled, and none comes of what nobody could see."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from deploylib.errors import Unreachable
from deploylib.models import Target
from deploylib.models.alerts import AlertState
from deploylib.monitoring.addresses import Asked
from deploylib.monitoring.round import perform_round
from deploylib.system import Clock
from tests.support.fakes import START, FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.monitored import MonitoredEnvironment, Receiver, answer, make_environment, record_release, web

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
EVERY = 5 * MINUTE
SERVICES = (web("backend"), web("frontend"))


@dataclass(frozen=True)
class Span:
    """From one second to another."""

    begin: float
    end: float

    def holds(self, second: float, slack: float = 0.0) -> bool:
        """Whether a second is in it, or close."""
        return self.begin - slack <= second < self.end + slack


@dataclass
class World:
    """What really is so, and what each monitor can see of it.

    Attributes:
        outages: of a service, long enough to be told of.
        blips: of a service, over before anybody is sure.
        cuts: of the network of the first monitor; of all of it, and of all but the store.
        deaf: when the receiver answers 500.
        absence: when no monitor runs.
    """

    days: int
    seed: int
    outages: list[tuple[str, Span]] = field(default_factory=list)
    blips: list[tuple[str, Span]] = field(default_factory=list)
    cuts: list[Span] = field(default_factory=list)
    half_cuts: list[Span] = field(default_factory=list)
    deaf: list[Span] = field(default_factory=list)
    absence: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Draw a few hours of each day for what happens."""
        draw = random.Random(self.seed)  # noqa: S311 - the same days each time
        for day in range(self.days):
            hours = [day * DAY + (2 + 3 * slot) * HOUR + draw.uniform(0, HOUR) for slot in range(7)]
            draw.shuffle(hours)
            service = draw.choice(SERVICES).name
            self.outages.append((service, Span(hours[0], hours[0] + draw.uniform(35, 75) * MINUTE)))
            self.blips.append((service, Span(hours[1], hours[1] + draw.uniform(5, 40))))
            self.cuts.append(Span(hours[2], hours[2] + draw.uniform(10, 90) * MINUTE))
            self.half_cuts.append(Span(hours[3], hours[3] + draw.uniform(10, 90) * MINUTE))
            if day % 2:  # it answers 500 exactly when there is something to tell
                begin = self.outages[-1][1].begin
                self.deaf.append(Span(begin, begin + HOUR))
            if day % 3 == 2:
                self.absence.append(Span(hours[4], hours[4] + 90 * MINUTE))

    def is_down(self, service: str, second: float) -> bool:
        """Whether a service really is down."""
        return any(name == service and span.holds(second) for name, span in (*self.outages, *self.blips))


@dataclass
class Watcher:
    """One monitor, with a network of its own."""

    world: World
    env: MonitoredEnvironment
    clock: FakeClock
    is_first: bool

    def perform(self) -> None:
        """One round, as far as its network lets it."""
        second = self.clock.seconds
        cut = self.is_first and any(span.holds(second) for span in self.world.cuts)
        half = self.is_first and any(span.holds(second) for span in self.world.half_cuts)
        assert isinstance(self.env.kept_in, MemoryStore)
        self.env.kept_in.cut = cut

        def ask(target: Target, times: int, clock: Clock) -> Asked:
            assert isinstance(clock, FakeClock)
            down = cut or half or self.world.is_down(target.name, second)
            return answer(target, times, clock, status=0 if down else 200)

        try:
            perform_round(self.env, ask=ask, witnesses=[lambda: not (cut or half)])
        except Unreachable:
            assert cut


def rounds(world: World) -> Iterator[tuple[float, bool]]:
    """When each monitor looks: late now and then, and now and then not at all."""
    draw = random.Random(world.seed + 1)  # noqa: S311 - the same days each time
    planned = []
    for number in range(int(world.days * DAY / EVERY)):
        for first in (True, False):
            if draw.random() < 0.05:
                continue
            late = draw.uniform(0, 3 * MINUTE) if draw.random() < 0.1 else draw.uniform(0, 10)
            planned.append((number * EVERY + (0 if first else 2.5 * MINUTE) + late, first))
    for second, first in sorted(planned):
        if not any(span.holds(second) for span in world.absence):
            yield second, first


def simulate(days: int, seed: int) -> tuple[World, Receiver]:
    """Let days pass."""
    clock, receiver, world = FakeClock(), Receiver(), World(days, seed)
    store = MemoryStore(clock)
    record_release(store, clock, "20260301T115000-aaaa", *SERVICES)
    both = {first: Watcher(world, make_environment(store.through(), receiver), clock, first) for first in (True, False)}
    for second, first in rounds(world):
        clock.seconds = max(second, clock.seconds)
        receiver.well = not any(span.holds(second) for span in world.deaf)
        both[first].perform()
    return world, receiver


@pytest.mark.parametrize(
    ("days", "seed"), [(3, 1), *(pytest.param(*each, marks=pytest.mark.load) for each in ((4, 1), (30, 2), (30, 3)))]
)
def test_no_alert_is_lost_none_doubled_and_none_comes_of_the_unknown(days: int, seed: int) -> None:
    """With outages, lost networks, missed and late rounds, and a receiver that answers 500 for an hour."""
    world, receiver = simulate(days, seed)
    alerts = [message.alert for message in receiver.messages if message.alert is not None]
    fired = {
        alert.id: alert for alert in alerts if alert.state is AlertState.FIRING and "still so" not in str(alert.details)
    }
    began = {key: (alert.since - START).total_seconds() for key, alert in fired.items() if alert.since}

    # None is lost: each outage is told, and so is its end.
    for service, span in world.outages:
        mine = [key for key, second in began.items() if service in key and span.holds(second, slack=EVERY)]
        assert len(mine) == 1, (service, span, mine)
    # None is doubled: one message an alert and state, but for reminders, which say so.
    counted = Counter(
        (alert.id, alert.state)
        for alert in alerts
        if "still so" not in str(alert.details) and "-blind-" not in alert.id
    )
    assert set(counted.values()) == {1}
    assert {key for key, state in counted if state is AlertState.RESOLVED} == set(fired)
    # None comes of the unknown, nor of what was over at once: whatever was told was so.
    for key, second in began.items():
        real = [span for name, span in world.outages if name in key and span.holds(second, slack=EVERY)]
        assert real, (key, second)
    # In order: the beginning of each before its end.
    order = [alert.id for alert in alerts]
    for key in fired:
        first, last = order.index(key), len(order) - 1 - order[::-1].index(key)
        assert alerts[first].state is AlertState.FIRING
        assert alerts[last].state is AlertState.RESOLVED
    # Who could not see says so afterwards, once for each time that nobody did.
    blind = [alert for alert in alerts if "-blind-" in alert.id]
    assert len({alert.id for alert in blind}) == len(blind)
    since = [(alert.since - START).total_seconds() for alert in blind if alert.since]
    gone = (*world.absence, *world.cuts, *world.half_cuts)
    assert all(any(span.holds(second, slack=3 * EVERY) for span in gone) for second in since)
    assert all(sum(span.holds(second, slack=3 * EVERY) for second in since) == 1 for span in world.absence)
    assert len(blind) < len(world.absence) + world.days  # one monitor that cannot see is no blindness
