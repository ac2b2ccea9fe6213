"""A round: what is told, when, once; what silences it; what nobody could see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest

from deploylib.commands.monitor import end_silences, monitor, silence_alerts
from deploylib.errors import NotExamined, SettingsError, Unreachable
from deploylib.models import Target
from deploylib.monitoring import MonitorRound, perform_round
from deploylib.monitoring.addresses import Asked
from deploylib.monitoring.drills import READ_AT_ONCE
from deploylib.notifications import Message
from deploylib.release import record_operation
from deploylib.settings import EnvironmentSettings
from deploylib.system import Clock
from tests.support.fakes import START, FakeClock
from tests.support.memory_store import MemoryStore
from tests.support.monitored import MonitoredEnvironment, Receiver, answer, make_environment, record_release, web

BACKEND, FRONTEND, FREE = web("backend"), web("frontend"), web("hobby", plan="free")
RUN, NEXT = "20260301T110000-aaaa", "20260301T120500-bbbb"


class Scene:
    """Two services, a monitor, and a receiver; each round is a minute after the one before."""

    def __init__(self, *targets: Target, **monitor: object) -> None:
        self.clock, self.receiver = FakeClock(), Receiver()
        self.store = MemoryStore(self.clock)
        record_release(self.store, self.clock, RUN, *(targets or (BACKEND, FRONTEND)))
        self.clock.seconds = 3600
        self.monitor = monitor
        self.status: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.witness = True
        self.asked: list[str] = []

    def env(self) -> MonitoredEnvironment:
        """What one command works with."""
        return make_environment(self.store, self.receiver, **self.monitor)

    def round(self, minutes: float = 1, env: MonitoredEnvironment | None = None) -> MonitorRound:
        """One round, so much later."""
        self.clock.seconds += 60 * minutes

        def ask(target: Target, times: int, clock: Clock) -> Asked:
            assert isinstance(clock, FakeClock)
            self.asked.append(target.name)
            status, took = self.status.get(target.name, 200), self.seconds.get(target.name, 0.05)
            return answer(target, times, clock, status=status, seconds=took)

        return perform_round(env or self.env(), ask=ask, witnesses=[lambda: self.witness])

    def rounds(self, number: int) -> None:
        """Several."""
        for _ in range(number):
            self.round()


def test_down_is_told_once_and_up_again_once() -> None:
    """With the same id, and how long it lasted."""
    scene = Scene()
    scene.rounds(2)
    scene.status["backend"] = 503
    scene.rounds(4)
    scene.status["backend"] = 200
    scene.rounds(4)

    assert scene.receiver.titles == ["🔴 CRITICAL: backend answers 503", "✓ RESOLVED: backend answers 503"]
    (first, fired), (second, resolved) = scene.receiver.told
    assert (first, fired, resolved) == (second, "firing", "resolved")


def test_a_service_that_is_down_is_not_told_to_be_slow_or_to_fail_as_well() -> None:
    """One cause, one alert; what it did not answer counts in no rate once it is back."""
    scene = Scene()
    scene.rounds(8)
    scene.status["backend"] = 500
    scene.rounds(10)
    scene.status["backend"] = 200
    scene.rounds(10)

    assert [key.split("-")[1] for key, _ in scene.receiver.told] == ["uptime", "uptime"]


def test_slow_answers_are_told_by_their_p95() -> None:
    """Once there are enough of them, for as long as the rule says."""
    scene = Scene(rules={"latency": {"limit": 1.0, "for": "2m"}})
    scene.seconds["backend"] = 1.5
    scene.rounds(5)
    assert not scene.receiver.told
    scene.rounds(4)

    assert scene.receiver.titles == ["🟠 WARNING: backend is slow: p95 over 1 s"]
    assert "p95 1500 ms of" in str(scene.receiver.messages[0].sections)


def test_where_nobody_at_all_answers_nothing_is_known() -> None:
    """Neither the services nor a witness: told once, afterwards."""
    scene = Scene()
    scene.rounds(12)
    scene.witness, scene.status = False, {"backend": 0, "frontend": 0}
    blind = [scene.round() for _ in range(8)]
    assert {(one.blind, one.exit_code) for one in blind} == {(True, NotExamined.exit_code)}
    assert not scene.receiver.told
    scene.witness, scene.status = True, {}
    scene.rounds(3)

    assert scene.receiver.titles == ["✓ RESOLVED: nobody could see staging from 13:12 to 13:21 UTC"]


def test_where_a_witness_answers_it_is_down() -> None:
    """Nobody else than the service is silent."""
    scene = Scene(BACKEND)
    scene.status["backend"] = 0
    scene.rounds(3)

    assert scene.receiver.titles == ["🔴 CRITICAL: backend does not answer"]


@pytest.mark.parametrize("status", [0, 200])
def test_what_was_told_stays_told_while_nobody_can_see(status: int) -> None:
    """Its end is told when somebody has seen it."""
    scene = Scene(BACKEND)
    scene.status["backend"] = 503
    scene.rounds(4)
    scene.witness, scene.status["backend"] = False, 0
    scene.rounds(120)
    assert len(scene.receiver.told) == 1
    scene.witness, scene.status["backend"] = True, status
    scene.rounds(3)

    assert [state for key, state in scene.receiver.told if "uptime" in key and state == "resolved"] == ["resolved"] * (
        status == 200
    )


def test_two_monitors_tell_one_message() -> None:
    """Whatever both see at the same moment."""
    scene = Scene()
    scene.status["backend"] = 503
    for _ in range(5):
        first, second = scene.env(), scene.env()
        scene.round(0.5, first)
        scene.round(0, second)

    assert scene.receiver.titles == ["🔴 CRITICAL: backend answers 503"]


def test_a_monitor_that_dies_before_it_tells_leaves_it_to_the_next() -> None:
    """A minute later, with the same id; one that dies after it was told doubles it with the same id, at most."""
    scene = Scene()
    scene.status["backend"] = 503
    scene.round()

    def die(_message: Message) -> None:
        raise KeyboardInterrupt

    scene.receiver.before = die
    with pytest.raises(KeyboardInterrupt):
        scene.round()
    scene.receiver.before = lambda _message: None
    scene.round(0.5)
    assert not scene.receiver.told  # whoever died may still be telling it
    scene.rounds(2)

    assert [state for _, state in scene.receiver.told] == ["firing"]


def test_a_receiver_that_does_not_hear_gets_everything_later_in_order() -> None:
    """Each once, marked as late."""
    scene = Scene()
    scene.receiver.well, scene.status["backend"] = False, 503
    notes = [note for _ in range(10) for note in scene.round().notes]
    assert notes == ["Receiver was not told: it answered 500 (it waits)"]
    scene.status["backend"] = 200
    scene.rounds(10)
    assert not scene.receiver.messages
    scene.receiver.well = True
    scene.rounds(2)

    assert [state for _, state in scene.receiver.told] == ["firing", "resolved"]
    assert scene.receiver.messages[0].late is not None


def test_a_release_silences_what_its_own_services_cause_and_is_named_afterwards() -> None:
    """Until two minutes after its end; another service's trouble is told at once."""
    scene = Scene()
    scene.rounds(2)
    history = record_release(scene.store, scene.clock, NEXT, BACKEND, FRONTEND, only="backend", ends=False)
    scene.status = {"backend": 503, "frontend": 503}
    scene.rounds(5)
    assert scene.receiver.titles == ["🔴 CRITICAL: frontend answers 503"]
    record_release(scene.store, scene.clock, NEXT, BACKEND, FRONTEND, only="backend")
    assert history.read(NEXT).report is not None
    scene.rounds(1)
    assert len(scene.receiver.messages) == 1
    scene.rounds(2)

    assert scene.receiver.titles[1:] == ["🔴 CRITICAL: backend answers 503"]
    assert scene.receiver.messages[1].alert is not None
    assert scene.receiver.messages[1].alert.run == NEXT


def test_a_release_that_has_no_end_silences_nothing_after_its_deadline() -> None:
    """Its command may be dead."""
    scene = Scene()
    record_release(scene.store, scene.clock, NEXT, BACKEND, FRONTEND, only="backend", ends=False)
    scene.status["backend"] = 503
    scene.rounds(21)
    assert not scene.receiver.told
    scene.rounds(3)

    assert scene.receiver.titles == ["🔴 CRITICAL: backend answers 503"]


def test_a_silence_ends_by_itself_and_what_is_still_wrong_is_told_then() -> None:
    """Only what it is about is silent."""
    scene = Scene()
    silence = silence_alerts(scene.env(), reason="moving it", until="10m", services=["backend"], signals=["uptime"])
    assert silence.until == scene.clock.now() + timedelta(minutes=10)
    scene.status = {"backend": 503, "frontend": 503}
    scene.rounds(8)
    assert scene.receiver.titles == ["🔴 CRITICAL: frontend answers 503"]
    scene.rounds(4)

    assert scene.receiver.titles[1:] == ["🔴 CRITICAL: backend answers 503"]


def test_a_silence_is_ended_early() -> None:
    """One by the end of its name, or all; what is wrong is told by the next round."""
    scene = Scene()
    first = silence_alerts(scene.env(), reason="moving it", until="2h", services=["backend"])
    scene.clock.seconds += 1
    second = silence_alerts(scene.env(), reason="and that", until="2h", services=["frontend"])
    scene.status = {"backend": 503, "frontend": 503}
    scene.rounds(3)
    assert not scene.receiver.told

    assert end_silences(scene.env(), name=first.id[-8:]) == (first,)
    scene.rounds(1)
    assert scene.receiver.titles == ["🔴 CRITICAL: backend answers 503"]
    with pytest.raises(SettingsError, match="no silence is") as raised:
        end_silences(scene.env(), name=first.id)
    assert second.id in raised.value.remedy
    assert end_silences(scene.env()) == (second,)
    with pytest.raises(SettingsError, match="no silence lasts"):
        end_silences(scene.env())


def test_of_several_silences_one_is_named() -> None:
    """An end that fits both ends none."""
    scene = Scene()
    for _ in range(2):
        silence_alerts(scene.env(), reason="work", until="2h")
        scene.clock.seconds += 60

    with pytest.raises(SettingsError, match="several silences are '0'"):
        end_silences(scene.env(), name="0")
    assert len(end_silences(scene.env())) == 2


def practise(scene: Scene, name: str = "drill", *, fails: bool = False) -> None:
    """An operation of a person, that may fail."""
    with suppress(SettingsError), record_operation(scene.env(), name):
        scene.clock.seconds += 1
        if fails:
            raise SettingsError("it did not go well", remedy="try it again")


def test_how_long_ago_somebody_has_practised_is_told() -> None:
    """Where there ever was a drill that ended well; however many backups were made since."""
    scene = Scene(rules={"drill": {"limit": 30}})
    practise(scene, fails=True)
    practise(scene, "backup")
    assert look_of(scene.round(), "drill") == ("unknown", "no drill is recorded")
    practise(scene)
    assert look_of(scene.round(), "drill") == ("good", "last drill 1 min ago")
    for _ in range(READ_AT_ONCE + 5):
        practise(scene, "backup")
    assert look_of(scene.round(), "drill")[0] == "good"
    scene.round(60 * 24 * 31)

    assert scene.receiver.titles[-1] == "🔵 NOTE: nobody has practised for 30 days"
    practise(scene)
    scene.round()
    assert scene.receiver.titles[-1] == "✓ RESOLVED: nobody has practised for 30 days"


def look_of(done: MonitorRound, signal: str) -> tuple[str, str]:
    """What a round has seen of the environment."""
    (reading,) = (each for each in done.readings if each.key == signal)
    return reading.look, reading.text


def test_a_drill_that_is_under_way_is_looked_at_again() -> None:
    """A backup that was made meanwhile does not hide it."""
    scene = Scene()
    with record_operation(scene.env(), "drill"):
        scene.clock.seconds += 60
        practise(scene, "backup")
        assert look_of(scene.round(), "drill")[0] == "unknown"

    assert look_of(scene.round(), "drill")[0] == "good"


def test_a_silence_that_cannot_be_read_silences_nothing() -> None:
    """Nobody knows what it was about."""
    scene = Scene()
    scene.store.put("monitor/staging/silences/20260301T120000.000000.json", [b"{"])
    scene.status["backend"] = 503
    scene.rounds(3)

    assert len(scene.receiver.told) == 1


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"reason": " ", "until": "2h"}, "a silence needs a reason"),
        ({"reason": "work"}, "a silence needs an end"),
        ({"reason": "work", "until": "soon"}, "'soon' is not a duration"),
        ({"reason": "work", "until": "30d"}, "would be forgotten"),
        ({"reason": "work", "until": "99999999999999d"}, "longer than a century"),
        ({"reason": "work", "until": "0s"}, "--until 0s is over before anybody looks"),
        ({"reason": "work", "until": "59s"}, "--until 59s is over before anybody looks"),
        ({"reason": "work", "until": "-5m"}, "'-5m' is not a duration"),
        ({"reason": "work", "until": "2h", "services": ["backend", "backed"]}, "nobody watches 'backed'"),
        ({"reason": "work", "until": "2h", "signals": ["up"]}, "there is no signal 'up'"),
    ],
)
def test_a_silence_has_a_reason_and_an_end(how: dict[str, object], why: str) -> None:
    """Nothing is recorded of another one."""
    scene = Scene()
    before = list(scene.store.keys)

    with pytest.raises(SettingsError, match=why):
        silence_alerts(scene.env(), **how)  # type: ignore[arg-type]
    assert scene.store.keys == before


def test_a_free_plan_is_asked_every_quarter_of_an_hour() -> None:
    """Each request keeps it awake; another service is asked every time."""
    scene = Scene(BACKEND, FREE)
    scene.rounds(16)

    assert (scene.asked.count("backend"), scene.asked.count("hobby")) == (16, 2)


def test_a_signal_that_is_switched_off_is_not_looked_at() -> None:
    """And an alert of it ends."""
    scene = Scene(BACKEND)
    scene.status["backend"] = 503
    scene.rounds(3)
    scene.monitor = {"rules": {"uptime": {"on": False}}}
    scene.rounds(2)

    assert [state for _, state in scene.receiver.told] == ["firing", "resolved"]


def test_without_a_key_what_only_the_platform_knows_is_not_examined() -> None:
    """Own requests need none."""
    done = Scene().round()

    unknown = {
        reading.signal for reading in done.readings if reading.look == "unknown" and "RENDER_API_KEY" in reading.text
    }
    assert unknown == {"disk", "disk_full", "memory", "connections", "autodeploy", "foreign_deploy"}
    assert done.exit_code == 0


def test_a_database_of_somebody_else_has_backups_as_well() -> None:
    """Where the settings name its address, and the platform has none."""
    scene = Scene()
    env = scene.env()
    elsewhere = EnvironmentSettings(database_url_env="ELSEWHERE")
    config = msgspec.structs.replace(env.config, environment=elsewhere)

    done = scene.round(env=dataclasses.replace(env, config=config))

    assert [alert.title for alert in done.told] == ["database has no proven backup"]


def test_where_nothing_was_ever_deployed_there_is_nothing_to_look_at() -> None:
    """And that is said, with what makes it known."""
    clock = FakeClock()
    env = make_environment(MemoryStore(clock), Receiver())

    with pytest.raises(SettingsError, match="nothing was ever deployed to 'staging' from here"):
        monitor(env)


def test_a_store_that_does_not_answer_keeps_everybody_silent() -> None:
    """No state can be won there; the next round of a watch finds it again."""
    scene = Scene()
    scene.status["backend"] = 503
    scene.round()
    env = scene.env()
    scene.store.cut = True

    with pytest.raises(Unreachable):
        scene.round(env=env)
    assert not scene.receiver.told


def test_a_damaged_state_is_passed_over_for_the_one_before() -> None:
    """What was told stays told."""
    scene = Scene()
    scene.status["backend"] = 503
    scene.rounds(4)
    newest = next(key for key in reversed(scene.store.keys) if "/states/" in key)
    scene.store.put(newest, [b"\x00"])
    scene.rounds(3)

    assert len(scene.receiver.told) == 1


def test_a_gap_between_rounds_is_told_by_what_is_usual() -> None:
    """After ten of them; a schedule that is always late is no gap."""
    scene = Scene()
    scene.rounds(12)
    scene.round(9)
    assert not scene.receiver.told
    scene.round(45)

    assert scene.receiver.titles == ["✓ RESOLVED: nobody could see staging from 13:21 to 14:06 UTC"]


def test_a_reminder_says_how_long_it_has_been_so() -> None:
    """An hour later, for what wakes people."""
    scene = Scene()
    scene.status["backend"] = 503
    scene.rounds(63)

    assert scene.receiver.titles == ["🔴 CRITICAL: backend answers 503"] * 2
    assert "still so, after 1 h" in str(scene.receiver.messages[1].sections)


def test_the_steps_of_time_are_those_of_the_store() -> None:
    """What a monitor remembers is bounded."""
    scene = Scene()
    scene.rounds(40)

    states = [key for key in scene.store.keys if "/states/" in key]
    assert len(states) <= 20
    assert sum(len(scene.store.objects[key][0]) for key in states) < 20 * 30_000
    assert scene.clock.now() > START


def test_a_watch_goes_on_where_the_store_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so each time; asked is nobody real here, for there is no such host."""
    del monkeypatch
    scene = Scene(web("backend.invalid"))
    env = scene.env()
    told: list[str] = []
    object.__setattr__(env, "progress", _Notes(told.append))
    scene.store.cut = True

    done = monitor(env, watch=True, rounds=2)

    assert done.blind
    assert sum("no round" in line for line in told) == 2
    assert scene.clock.slept == [60.0]


class _Notes:
    """A view that hands notes on."""

    def __init__(self, take: Callable[[str], object]) -> None:
        self.take = take

    def note(self, *lines: str) -> None:
        """Hand them on."""
        for line in lines:
            self.take(line)
