"""A round looks, moves states on, wins them, and tells.

First the public addresses, whose alerts wait for nobody; then what only the platform and the store can tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial

import msgspec

from deploylib.backups import repository
from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted, NotExamined, SettingsError
from deploylib.models import Database, Deploy, Moment, Target, Value, remedies
from deploylib.models.alerts import Alert, AlertState, Severity
from deploylib.models.signals import Signal
from deploylib.models.units import age, seconds
from deploylib.monitoring import platform_figures as figures
from deploylib.monitoring.addresses import (
    Asked,
    ask_address,
    judge_certificate,
    judge_error_rate,
    judge_latency,
    judge_uptime,
    keep_samples,
)
from deploylib.monitoring.drills import DrillRecord, find_drill
from deploylib.monitoring.own_looks import look_at_own
from deploylib.monitoring.own_signals import check_signals
from deploylib.monitoring.punctuality import describe_rhythm, find_gap, note_round
from deploylib.monitoring.readings import Reading, make_unknown
from deploylib.monitoring.records import MonitorRecords, MonitorState, Outgoing
from deploylib.monitoring.rules import AlertRule, make_rules, require_own
from deploylib.monitoring.silences import AlertSilence, ReleaseSilence, Silences, find_release, quieten
from deploylib.monitoring.states import AlertStep, Condition, Firing, Standing, advance
from deploylib.monitoring.telling import tell_outgoing
from deploylib.monitoring.upkeep import judge_backups, judge_drill
from deploylib.monitoring.witness import Witness, ask_platform, ask_store, can_see, doubt
from deploylib.notifications import Delivery
from deploylib.probes import address
from deploylib.render import Client
from deploylib.state import RunState
from deploylib.system import Clock, http, threads

__all__ = ["MonitorRound", "find_witnesses", "perform_round"]

TIMES, TIMES_FREE = 5, 1  # requests to an address in a round: six rounds of half an hour make a p95
AT_ONCE = 8
NEWEST, FURTHER_BACK = 5, 50  # runs
HEARTBEAT = 10.0  # seconds
PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


class MonitorRound(Value, frozen=True):
    """What one round has shown, and told.

    Attributes:
        blind: nobody could see anything; nothing was decided.
        conditions: of every signal, by the key of its reading.
        told: the messages that went out, or wait to.
        rhythm: how often is looked; empty before that is known.
        notes: what did not work beside.
    """

    environment: str
    at: Moment
    blind: bool = False
    readings: tuple[Reading, ...] = ()
    conditions: dict[str, Condition] = msgspec.field(default_factory=dict)
    told: tuple[Alert, ...] = ()
    rhythm: str = ""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, whatever is wrong, or that of `NotExamined`."""
        return NotExamined.exit_code if self.blind else 0


def perform_round(
    env: Environment,
    *,
    ask: Callable[[Target, int, Clock], Asked] = ask_address,
    witnesses: Sequence[Witness] | None = None,
) -> MonitorRound:
    """Look at everything once, and tell what has changed.

    Args:
        ask: asks the public address of a service a few times.
        witnesses: who is asked before a service is called down; None: the platform, and a store across the network.

    Raises:
        SettingsError: nothing was ever deployed there from here.
        Unreachable: the store does not answer, so that nobody may be told anything.
    """
    return _Work(env, ask, find_witnesses(env) if witnesses is None else witnesses).perform()


def find_witnesses(env: Environment) -> list[Witness]:
    """Find who can say that our network is there.

    The platform, and a store that is no folder.
    """
    witnesses: list[Witness] = [lambda: ask_platform(Client.find_address(env.config))]
    if env.config.store.startswith("s3://"):
        witnesses.append(lambda: ask_store(env.store, f"monitor/{env.name}/states/"))
    return witnesses


@dataclass
class _Work:
    """What the steps of one round share."""

    env: Environment
    ask: Callable[[Target, int, Clock], Asked]
    witnesses: Sequence[Witness]
    readings: list[Reading] = field(default_factory=list)
    told: list[Outgoing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    drill: DrillRecord = field(default_factory=DrillRecord)

    def perform(self) -> MonitorRound:
        require_own(self.env.config.settings)
        _, known = self.records.read()
        self.drill = known.drill
        asked = self._ask(known)
        seeing = can_see(asked, self.witnesses)
        state = self._settle(lambda state: self._judge_addresses(state, asked, seeing=seeing))
        if seeing:
            slow = [*self._look_at_platform(), *self._look_at_upkeep(), *self._look_at_own()]
            state = self._settle(lambda state: self._judge(self._drop_gone(self._remember(state)), slow))
            self._beat()
        if not self.told:
            for sent in self.env.messenger.deliver_waiting():
                self._note_delivery(sent)
        return MonitorRound(
            environment=self.env.name,
            at=self.env.clock.now(),
            blind=not seeing,
            readings=tuple(self.readings),
            conditions={key: standing.condition for key, standing in state.standings.items()},
            told=tuple(each.alert for each in self.told),
            rhythm=describe_rhythm(state.rounds),
            notes=tuple(self.notes),
        )

    # What the round goes by

    @cached_property
    def records(self) -> MonitorRecords:
        return MonitorRecords(self.env.store, self.env.name, self.env.clock)

    @cached_property
    def rules(self) -> Mapping[str, AlertRule]:
        return make_rules(self.env.config.settings)

    @cached_property
    def runs(self) -> list[RunState]:
        return list(self.env.history.read_runs(self.env.name, NEWEST))

    @cached_property
    def checked(self) -> RunState:
        known = next((state for state in self.runs if state.has_done("check")), None)
        checked = known or self.env.history.find_newest(self.env.name, lambda state: state.has_done("check"))
        if checked is None:
            remedy = f"inv deploy{self.env.flag}: what is live is known then"
            raise SettingsError(f"nothing was ever deployed to {self.env.name!r} from here", remedy=remedy)
        if Client.has_forgotten(self.env.config, [target.service_id for target in checked.checked.targets]):
            raise SettingsError(remedies.RESET, remedy="inv deploy: what is live is known then")
        return checked

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        return self.checked.checked.targets

    @cached_property
    def database(self) -> str:
        return self.checked.checked.database

    @property
    def backed_up(self) -> str:
        """Name the database that has backups.

        Also one that is not the platform's; empty: there is none.
        """
        return self.database or ("database" if self.env.config.environment.database_url_env else "")

    @cached_property
    def silences(self) -> tuple[AlertSilence, ...]:
        return Silences(self.env.store, self.env.name).read(self.env.clock.now())

    @cached_property
    def release(self) -> ReleaseSilence | None:
        deadline = seconds(self.env.config.settings.deadline)
        return find_release(self.runs, self.env.clock.now(), deadline)

    # The public addresses

    def _ask(self, known: MonitorState) -> list[Asked]:
        now, patience = self.env.clock.now(), timedelta(seconds=seconds(self.env.config.settings.monitor.free_every))
        due = [
            target
            for target in self.targets
            if address.is_public(target)
            and not (_is_free(target) and target.name in known.asked and now - known.asked[target.name] < patience)
        ]
        return threads.each(self._ask_one, due, AT_ONCE)

    def _ask_one(self, target: Target) -> Asked:
        return self.ask(target, TIMES_FREE if _is_free(target) else TIMES, self.env.clock)

    def _judge_addresses(self, state: MonitorState, asked: Sequence[Asked], *, seeing: bool) -> MonitorState:
        now = self.env.clock.now()
        state = self._note_sight(state, now, seeing=seeing)
        window = now - timedelta(seconds=seconds(self.env.config.settings.monitor.window))
        samples, readings = dict(state.samples), list[Reading]()
        for seen in asked:
            # What was down altogether is told as that, and is no rate of errors.
            new = seen.samples if seen.is_up else ()
            samples[seen.target.name] = keep_samples(samples.get(seen.target.name, ()), new, window)
            readings += self._judge_address(seen, samples[seen.target.name], now)
        state = msgspec.structs.replace(
            state, samples=samples, asked={**state.asked, **{one.target.name: now for one in asked}}
        )
        return self._judge(state, doubt(readings, seeing=seeing))

    def _judge_address(self, asked: Asked, samples: Sequence[object], now: datetime) -> list[Reading]:
        target, readings = asked.target, list[Reading | None]()
        if Signal.UPTIME in self.rules:
            readings.append(judge_uptime(asked))
        for signal, judge in ((Signal.LATENCY, judge_latency), (Signal.ERROR_RATE, judge_error_rate)):
            if rule := self.rules.get(signal):
                down = make_unknown(signal, target.name, f"{signal}: while it is down")
                readings.append(judge(target, samples, rule) if asked.is_up else down)  # type: ignore[arg-type]
        if rule := self.rules.get(Signal.CERTIFICATE):
            readings.append(judge_certificate(asked, rule, now))
        return [reading for reading in readings if reading is not None]

    def _note_sight(self, state: MonitorState, now: datetime, *, seeing: bool) -> MonitorState:
        """Tell afterwards, once, for how long nobody could see."""
        if not seeing:
            return msgspec.structs.replace(state, blind_since=state.blind_since or now)
        blind = find_gap(state.rounds, now, state.blind_since)
        outgoing = (*state.outgoing, self._blindness(blind, now)) if blind is not None else state.outgoing
        return msgspec.structs.replace(state, rounds=note_round(state.rounds, now), blind_since=None, outgoing=outgoing)

    def _blindness(self, since: datetime, now: datetime) -> Outgoing:
        name = f"{self.env.name}-{Signal.BLIND}-{since:%Y%m%dT%H%M%S}"
        alert = Alert(
            id=name,
            environment=self.env.name,
            state=AlertState.RESOLVED,
            title=f"nobody could see {self.env.name} from {since:%H:%M} to {now:%H:%M} UTC",
            severity=Severity.NOTE,
            details=("what happened meanwhile is not known; nothing was told of it",),
            since=since,
            channels=self.env.config.settings.monitor.channels,
        )
        return Outgoing(name=name, at=now, alert=alert)

    # What only the platform and the store can tell

    def _look_at_platform(self) -> list[Reading]:
        wanted = {
            Signal.DISK,
            Signal.DISK_FULL,
            Signal.MEMORY,
            Signal.CONNECTIONS,
            Signal.AUTODEPLOY,
            Signal.FOREIGN_DEPLOY,
        }
        if not wanted & set(self.rules):
            return []
        try:
            services = list(self.env.render.services())
            database = self.env.render.database(self.database) if self.database else None
        except Interrupted:
            raise
        except DeployError as error:
            return [make_unknown(signal, "", error.message) for signal in self.rules if signal in wanted]
        names = {target.service_id: target.name for target in self.targets}
        readings = figures.judge_autodeploy(services, names) if Signal.AUTODEPLOY in self.rules else []
        programs = [target for target in self.targets if figures.has_figures(target)]
        looks = [
            partial(self._look_at_program, figures.MeasuredSubject(program.name, program.service_id, program.name))
            for program in programs
        ]
        if Signal.FOREIGN_DEPLOY in self.rules:
            looks += [partial(self._look_at_deploy, target) for target in self.targets]
        if database is not None:
            looks.append(partial(self._look_at_program, figures.MeasuredSubject(database.name, database.id)))
            looks.append(partial(self._look_at_connections, database))
        for each in threads.each(lambda look: look(), looks, AT_ONCE):
            readings += each
        return readings

    def _look_at_program(self, subject: figures.MeasuredSubject) -> list[Reading]:
        now, client = self.env.clock.now(), self.env.render
        readings = figures.judge_disk(client, subject, self.rules, now)
        if rule := self.rules.get(Signal.MEMORY):
            readings.append(figures.judge_share(client, subject, rule, now))
        return readings

    def _look_at_connections(self, database: Database) -> list[Reading]:
        rule = self.rules.get(Signal.CONNECTIONS)
        return [figures.judge_connection_count(self.env.render, database, rule, self.env.clock.now())] if rule else []

    def _look_at_deploy(self, target: Target) -> list[Reading]:
        return [figures.judge_foreign(target, lambda: self.env.render.live(target.service_id), self._is_ours)]

    def _is_ours(self, deploy: Deploy) -> bool:
        """Tell whether the history knows of a deploy."""

        def has_it(state: RunState) -> bool:
            every = (*state.triggered.values(), *state.back_triggered.values())
            return any(one.deploy_id == deploy.id for one in every)

        further = self.env.history.find_newest
        return any(map(has_it, self.runs)) or further(self.env.name, has_it, FURTHER_BACK) is not None

    def _look_at_upkeep(self) -> list[Reading]:
        now, readings = self.env.clock.now(), list[Reading]()
        if self.backed_up and self.env.config.environment.backups != "none" and (rule := self.rules.get(Signal.BACKUP)):
            backups = repository.listing(self.env.store, self.env.name)
            unreadable = repository.unreadable(self.env.store, self.env.name)
            readings.append(judge_backups(self.backed_up, backups, rule, now, unreadable))
        if rule := self.rules.get(Signal.DRILL):
            self.drill = find_drill(self.env.history, self.env.name, self.drill, now)
            readings.append(judge_drill(self.drill.at, rule, now))
        return readings

    def _look_at_own(self) -> list[Reading]:
        own = [each for name, each in check_signals().items() if name in self.rules]
        return threads.each(lambda each: look_at_own(self.env, each, self.rules[each.name]), own, AT_ONCE)

    def _remember(self, state: MonitorState) -> MonitorState:
        return msgspec.structs.replace(state, drill=state.drill.merge(self.drill))

    # States

    def _settle(self, move: Callable[[MonitorState], MonitorState]) -> MonitorState:
        """Win a state, and tell what stands in it."""
        before = list(self.readings)

        def again(state: MonitorState) -> MonitorState:
            self.readings = list(before)
            still = tuple(each for each in state.outgoing if not self.records.has_told(each.name))
            return move(msgspec.structs.replace(state, outgoing=still))

        state = self.records.change(again)
        self.told += tell_outgoing(self.records, state.outgoing, self.env.messenger, self._note_delivery)
        return state

    def _judge(self, state: MonitorState, readings: Iterable[Reading]) -> MonitorState:
        """Move the state of each reading on."""
        now, standings, outgoing = self.env.clock.now(), dict(state.standings), list(state.outgoing)
        for reading in readings:
            self.readings.append(reading)
            rule = self.rules[reading.signal]
            quiet = quieten(reading, self.silences, self.release, now)
            standing = standings.get(reading.key, Standing())
            fired = standing.firing
            moved, step = advance(standing, reading.look, rule, now, quiet)
            if step is AlertStep.FIRES and moved.firing is not None:
                firing = msgspec.structs.replace(moved.firing, title=reading.title)
                moved = msgspec.structs.replace(moved, firing=firing)
            standings[reading.key] = msgspec.structs.replace(moved, text=reading.text)
            if step is not None and (about := moved.firing or fired) is not None:
                outgoing.append(self._outgoing(reading.key, about, step, rule, reading, now))
        return msgspec.structs.replace(state, standings=standings, outgoing=tuple(outgoing))

    def _outgoing(
        self, key: str, firing: Firing, step: AlertStep, rule: AlertRule, reading: Reading | None, now: datetime
    ) -> Outgoing:
        resolved = step is AlertStep.RESOLVES
        name = PLAIN.sub("-", f"{self.env.name}-{key}-{firing.since:%Y%m%dT%H%M%S}")
        again = (f"still so, after {age((now - firing.since).total_seconds())}",) if step is AlertStep.REMINDS else ()
        alert = Alert(
            id=name,
            environment=self.env.name,
            state=AlertState.RESOLVED if resolved else AlertState.FIRING,
            title=firing.title,
            severity=rule.severity,
            details=(*((reading.text,) if reading else ("it is no part of the product any more",)), *again),
            remedy="" if resolved or reading is None else reading.remedy,
            since=firing.since,
            run=firing.run,
            channels=rule.channels,
        )
        return Outgoing(name=f"{name}-{step}-{firing.reminders}", at=now, alert=alert)

    def _drop_gone(self, state: MonitorState) -> MonitorState:
        """End alerts of services and signals that are gone."""
        subjects, now = (
            {"", self.database, self.backed_up, *(target.name for target in self.targets)},
            self.env.clock.now(),
        )
        outgoing, standings = list(state.outgoing), dict[str, Standing]()
        for key, standing in state.standings.items():
            signal, _, subject = key.partition("/")
            if subject in subjects and signal in self.rules:
                standings[key] = standing
            elif standing.firing is not None:
                outgoing.append(self._outgoing(key, standing.firing, AlertStep.RESOLVES, AlertRule(), None, now))
        return msgspec.structs.replace(state, standings=standings, outgoing=tuple(outgoing))

    def _note_delivery(self, sent: Delivery) -> None:
        """Say what did not arrive, once for each reason."""
        later = "it is not told any more" if sent.final else "it waits"
        text = f"{sent.channel or 'nobody'} was not told: {sent.reason} ({later})"
        if not sent.delivered and text not in self.notes:
            self.notes.append(text)

    def _beat(self) -> None:
        """Tell somebody outside that a round was made."""
        if not (url := self.env.config.settings.monitor.heartbeat_url):
            return
        try:
            with http.Session(timeout=HEARTBEAT) as session:
                answer = session.request("GET", url, limit=http.ASSET)
            trouble = "" if answer.ok else f"it answered {answer.status}"
        except http.HttpError as error:
            trouble = f"no answer ({error})"
        if trouble:
            self.notes.append(f"heartbeat: {trouble}")


def _is_free(target: Target) -> bool:
    return target.plan.lower() == "free"
