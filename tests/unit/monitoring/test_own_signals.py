"""Signals of a team's own: figures of a function, judged, told and silenced like the others."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

import deploylib
from deploylib.commands.monitor import silence_alerts
from deploylib.commands.status import status
from deploylib.errors import Interrupted, SettingsError
from deploylib.monitoring import MonitorRound, own_signals, perform_round
from deploylib.monitoring.own_signals import SignalLook
from tests.support.fakes import FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.monitored import MonitoredEnvironment, Receiver, answer, make_environment, record_release, web


@pytest.fixture(autouse=True)
def _no_signals() -> Iterator[None]:
    """Each test registers its own."""
    own_signals.SIGNALS.clear()
    yield
    own_signals.SIGNALS.clear()


class Watch:
    """A monitor of one service; each round is a minute after the one before."""

    def __init__(self, **monitor: object) -> None:
        self.clock, self.receiver = FakeClock(), Receiver()
        self.store, self.monitor = MemoryStore(self.clock), monitor
        record_release(self.store, self.clock, "20260301T110000-aaaa", web("api"))

    def env(self) -> MonitoredEnvironment:
        """What one command works with."""
        return make_environment(self.store, self.receiver, **self.monitor)

    def round(self) -> MonitorRound:
        """One round."""
        self.clock.seconds += 60
        return perform_round(self.env(), ask=answer, witnesses=[lambda: True])

    def see(self, name: str) -> tuple[str, str, str]:
        """What a round has seen of a signal, and its state."""
        done = self.round()
        (reading,) = (each for each in done.readings if each.signal == name)
        return reading.look, reading.text, done.conditions[name]


def test_a_figure_is_told_silenced_and_resolved_like_any_other() -> None:
    """By its bound and its times, with what a person does about it."""
    watch, figures = Watch(), [7.0]

    @deploylib.signal("queue", above=1000, unit="jobs", lasts="2m", severity="critical", remedy="inv logs")
    def count_jobs(look: SignalLook) -> float:
        assert look.environment == "staging"
        return figures[0]

    assert watch.see("queue") == ("good", "7 jobs", "ok")
    figures[0] = 1001
    assert watch.see("queue") == ("bad", "1001 jobs", "pending")
    assert not watch.receiver.told
    watch.round()
    watch.round()
    assert watch.receiver.titles == ["🔴 CRITICAL: queue is above 1000 jobs"]
    assert "Next: inv logs --environment staging" in str(watch.receiver.messages[0].sections)
    (alert,) = status(watch.env()).watch.alerts  # type: ignore[union-attr]
    assert (alert.signal, alert.severity) == ("queue", "critical")
    figures[0] = 0
    for _ in range(3):
        watch.round()
    assert watch.receiver.titles[1:] == ["✓ RESOLVED: queue is above 1000 jobs"]

    silence_alerts(watch.env(), reason="a test", until="1h", signals=["queue"])
    figures[0] = 2000
    for _ in range(5):
        watch.round()
    assert len(watch.receiver.titles) == 2


def test_the_settings_say_otherwise() -> None:
    """As of the other signals: another bound, at once, for one channel; or not at all."""
    watch = Watch(own={"stock": {"limit": 5, "for": "0s", "severity": "note"}, "idle": {"on": False}})
    asked: list[str] = []

    @deploylib.signal("stock", below=1, title="the shelves are empty")
    def count_stock(_look: SignalLook) -> int:
        return 4

    @deploylib.signal("idle", above=1)
    def idle(_look: SignalLook) -> int:
        asked.append("idle")
        return 4

    watch.round()

    assert watch.receiver.titles == ["🔵 NOTE: the shelves are empty"]
    assert not asked


def raises() -> float:
    """A function that cannot look."""
    raise ConnectionError("the broker is away\nsecond line" + "x" * 500)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (raises, "ConnectionError: the broker is away"),
        (lambda: "many", "look gave 'many', which is no figure"),
        (lambda: None, "look gave None, which is no figure"),
        (lambda: True, "look gave True, which is no figure"),
        (lambda: float("nan"), "look gave nan, which is no figure"),
        (lambda: deploylib.Environment.open("nosuch"), "there is no environment 'nosuch'; known: "),
    ],
)
def test_what_is_no_figure_is_not_examined(body: Callable[[], float], why: str) -> None:
    """Neither good nor bad, told to nobody, and it ends no alert."""
    watch, bodies = Watch(own={"queue": {"for": "0s"}}), [lambda: 5.0]

    @deploylib.signal("queue", above=1)
    def look(_look: SignalLook) -> float:
        return bodies[0]()

    watch.round()
    bodies[0] = body

    seen = watch.see("queue")

    assert (seen[0], seen[1][: len(why)], seen[2]) == ("unknown", why, "unknown")
    assert len(watch.receiver.titles) == 1


def test_one_that_never_ends_is_called_once() -> None:
    """Not one thread more each round; the others are looked at all the same."""
    watch, over, calls = Watch(), threading.Event(), list[int]()

    @deploylib.signal("queue", above=1, deadline="200ms")
    def hang(_look: SignalLook) -> float:
        calls.append(1)
        over.wait(60)
        return 0

    @deploylib.signal("other", above=1)
    def other(_look: SignalLook) -> float:
        return 0

    try:
        assert watch.see("queue")[:2] == ("unknown", "hang gave no figure within 200ms")
        assert watch.see("queue")[:2] == ("unknown", "hang has not come back from the round before")
        assert watch.see("other")[0] == "good"
        assert len(calls) == 1
    finally:
        over.set()


def test_an_interrupt_ends_the_round() -> None:
    """It is no answer of the function."""
    watch = Watch()

    @deploylib.signal("queue", above=1)
    def stopped(_look: SignalLook) -> float:
        raise Interrupted("stopped by SIGTERM", remedy="")

    with pytest.raises(Interrupted):
        watch.round()


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("uptime", {"above": 1}, "'uptime' cannot be the name"),
        ("blind", {"above": 1}, "'blind' cannot be the name"),
        ("Queue length", {"above": 1}, "'Queue length' cannot be the name"),
        ("taken", {"above": 1}, "'taken' cannot be the name"),
        ("queue", {}, "the signal 'queue' needs one bound"),
        ("queue", {"above": 1, "below": 0}, "needs one bound"),
        ("queue", {"above": 1, "lasts": "soon"}, "the signal 'queue': lasts: 'soon' is not a duration"),
        ("queue", {"above": 1, "deadline": "soon"}, "the signal 'queue': deadline: "),
        ("queue", {"above": 1, "severity": "high"}, "the signal 'queue' has no severity 'high'"),
    ],
)
def test_a_signal_that_is_none_is_refused(name: str, how: dict[str, float], why: str) -> None:
    """Before anybody looks, with what to write instead."""

    @deploylib.signal("taken", above=1)
    def taken(_look: SignalLook) -> float:
        return 0

    @deploylib.signal(name, **how)  # type: ignore[arg-type]
    def broken(_look: SignalLook) -> float:
        return 0

    with pytest.raises(SettingsError, match=why):
        Watch().round()


def test_settings_of_a_signal_that_is_not_registered_are_refused() -> None:
    """A slip of the finger would switch nothing off."""
    with pytest.raises(SettingsError, match=r"\[monitor\.own\.cue\]: there is no signal 'cue'") as raised:
        Watch(own={"cue": {"on": False}}).round()
    assert "tasks.py" in raised.value.remedy


def test_a_program_is_started_without_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the product's folder; one that fails is not examined."""
    watch = Watch()
    environ = {"USER": "ada", "RENDER_API_KEY": "rnd_secret"}
    config = msgspec.structs.replace(watch.env().config, root=tmp_path, environ=environ)
    env = replace(watch.env(), config=config)
    said: list[str] = []

    @deploylib.signal("queue", above=1)
    def count_jobs(look: SignalLook) -> float:
        said.append(look.run([sys.executable, "-c", "import os; print(os.getcwd(), sorted(os.environ))"]))
        return float(look.run([sys.executable, "-c", "raise SystemExit('no broker')"]))

    monkeypatch.setenv("RENDER_API_KEY", "rnd_secret")
    (seen,) = perform_round(env, ask=answer, witnesses=[lambda: True]).readings[-1:]

    assert (seen.signal, seen.look) == ("queue", "unknown")
    assert str(tmp_path) in said[0]
    assert "RENDER_API_KEY" not in said[0]
    assert "PATH" in said[0]
