"""Tell what is live, since when, and what can be done.

The answers are read from platform and history.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from deploylib.backups import repository
from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted, SettingsError, Unreachable
from deploylib.models import Live, LogLine, Target, Value, remedies
from deploylib.models.results import short
from deploylib.models.units import seconds
from deploylib.monitoring import OpenAlerts, read_open_alerts
from deploylib.release import database, rollback, serving
from deploylib.render import Refused, rollout
from deploylib.state import Hold, LeaseState, RunState
from deploylib.system import threads

__all__ = ["Log", "Status", "find_run", "follow_logs", "history", "logs", "status"]

MOST_LINES = 1000  # of each log: ten questions to the platform, of the thirty that it answers in a minute


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is live, since when, and what can be done.

    Attributes:
        live: by the platform's word; empty when it could not be asked.
        known: whether it could be asked; else *trouble* says why not, and nobody knows what there is to go back to.
        back_to: run and commit that ``inv rollback`` would restore; empty where there is none.
        back_trouble: why it would be refused now, or why that could not be found out; empty when it is possible.
        held: what the environment refuses.
        lease: who holds the environment; None when nobody does.
        last: the last run, its outcome and commit.
        backup: the newest backup whose proof has not failed.
        unproven: a newer dump whose proof has, and why; empty: there is none.
        restoring: what the database's mark says, where a restore was left half-way, or that nobody knows; empty: it was not.
        watch: the alerts that fire, and the silences that last, as the monitors have recorded it; None: *blind* says why not.
    """

    environment: str
    live: tuple[Live, ...] = ()
    known: bool = True
    trouble: str = ""
    back_to: str = ""
    back_trouble: str = ""
    held: tuple[Hold, ...] = ()
    lease: LeaseState | None = None
    last: str = ""
    last_at: datetime | None = None
    backup: str = ""
    backup_at: datetime | None = None
    unproven: str = ""
    restoring: str = ""
    watch: OpenAlerts | None = None
    blind: str = ""

    @property
    def exit_code(self) -> int:
        """0, or the code of a platform that does not answer."""
        return 0 if self.known else Unreachable.exit_code


def status(env: Environment) -> Status:
    """Look at platform, history and store."""
    runs = list(env.history.read_runs(env.name, 50))
    known = next((state for state in runs if state.has_done("check")), None)
    live: tuple[Live, ...] = ()
    asked, trouble = True, ""
    try:
        if known is not None:
            targets = known.checked.targets
            live = tuple(serving.live_of(env, target) for target in targets)
        else:
            trouble = "nothing was ever deployed from here"
    except Interrupted:
        raise
    except DeployError as error:
        asked = isinstance(error, Refused) and error.forgotten
        trouble = f"{error.message} ({remedies.about(env.name, error.remedy)})"
    held = env.holds.read()
    bad = {commit for hold in held for commit in hold.commits}
    live_now = {one.service: one for one in live}
    back = rollback.find_candidates(runs, live_now, bad=bad) if live else []
    holder = env.leases.read()
    last = runs[0] if runs else None
    proven = repository.latest(env.store, env.name)
    newest = next(iter(repository.listing(env.store, env.name)), None)
    watch, blind = _watch(env)
    return Status(
        environment=env.name,
        live=live,
        known=asked,
        trouble=trouble,
        back_to=f"{back[0].commit.short} (run {short(back[0].id)})" if back else "",
        back_trouble=_back_trouble(env, back[0], runs, known, held, live_now) if back and known else "",
        held=held,
        lease=holder if holder is not None and holder.taken else None,
        last=_one_line(last) if last else "",
        last_at=last.last if last else None,
        backup=f"{proven.id} ({proven.proof})" if proven else "",
        backup_at=proven.created_at if proven else None,
        unproven=f"{newest.id}: {newest.cause}" if newest is not None and newest != proven else "",
        restoring=_restoring(env),
        watch=watch,
        blind=blind,
    )


def _watch(env: Environment) -> tuple[OpenAlerts | None, str]:
    """Read the alerts that fire, or why nobody knows them."""
    try:
        return read_open_alerts(env), ""
    except Interrupted:
        raise
    except DeployError as error:
        return None, error.message


def _restoring(env: Environment) -> str:
    """Tell of a restore in place that the store knows of."""
    try:
        mark = database.find_restore_mark(env)
    except Interrupted:
        raise
    except DeployError as error:
        return f"a restore has begun, and nobody knows whether it has ended: {error.message} (inv finish{env.flag})"
    return f"{mark.line} (inv finish{env.flag})" if mark is not None else ""


def _back_trouble(
    env: Environment,
    release: RunState,
    runs: list[RunState],
    checked: RunState,
    held: tuple[Hold, ...],
    live: Mapping[str, Live],
) -> str:
    """Tell what stands in the way of going back.

    That is a hold, the schema, or an artifact that is built again.
    """
    if any(one.refuses(release.commit.id, back=True) for one in held):
        return "refused while everything is held"
    try:
        fit = rollback.judge_fit(env, checked.checked, release, runs, live)
        if fit.misfits:
            return fit.misfits[0]
        doubt = fit.doubt
        ids = {target.name: target.service_id for target in checked.checked.targets}
        gone = [one.service for one in release.release if one.commit and not _kept(env, ids.get(one.service, ""), one)]
    except Interrupted:
        raise
    except DeployError as error:
        return f"not known: {error.message}"
    again = f"{', '.join(gone)} would be built again: the platform no longer lists that deploy" if gone else ""
    return "; ".join(one for one in (doubt, again) if one)


def _kept(env: Environment, service_id: str, live: Live) -> bool:
    """Tell whether the platform still knows the deploy.

    Whether it has kept its artifact, only a rollback tells.
    """
    try:
        return bool(service_id) and env.render.deploy(service_id, live.deploy_id).status.terminal
    except Refused:
        return False


def _one_line(state: RunState) -> str:
    outcome = (
        state.report.outcome
        if state.report
        else remedies.about(state.opened.environment, f"open: {state.opened.command} goes on")
    )
    return f"{short(state.id)} {state.commit.short} {outcome}"


def history(env: Environment, *, run: str = "", limit: int = 20) -> tuple[RunState, ...]:
    """Read runs and operations, newest first, or the run that is named.

    Raises:
        SettingsError: there is no such run, or *limit* leaves none.
    """
    if limit < 1:
        raise SettingsError(f"--limit {limit} leaves nothing to show", remedy="inv history --limit 20")
    return (find_run(env, run),) if run else tuple(env.history.read_all(env.name, limit))


def find_run(env: Environment, run: str = "") -> RunState:
    """Find a run by its id or the end of it.

    Without a name it is the newest one that deployed something.

    Raises:
        SettingsError: there is none.
    """
    named = env.history.find(env.name, run) if run else env.history.find_newest(env.name, lambda state: state.triggered)
    if named is None:
        raise SettingsError(
            f"there is no run {run!r}" if run else "no run has deployed anything yet", remedy="inv history"
        )
    return named


class Log(Value, frozen=True):
    """The last lines of one service, of its ``build`` or its ``app``.

    Attributes:
        kept: they are what was kept with the run; the platform does not have them any more, or does not answer.
    """

    service: str
    kind: str
    lines: tuple[LogLine, ...]
    kept: bool = False

    @property
    def name(self) -> str:
        """Service and kind."""
        return f"{self.service} {self.kind}"


def logs(env: Environment, *, run: str = "", lines: int = 50, service: str = "", since: str = "") -> tuple[Log, ...]:
    """Read the last lines that a run's builds and programs have written.

    Where the platform has none any more, what was kept with the run.

    Args:
        run: its id or the end of it; empty: the last one that deployed something.
        lines: how many of each, a thousand at most.
        service: only of this one.
        since: ``10m`` ago, or a moment such as ``2026-03-01T12:00:00Z``; empty: since its deploy.

    Raises:
        SettingsError: there is no such run or service, or nobody can have meant *lines* or *since*.
    """
    if not 1 <= lines <= MOST_LINES:
        remedy = "inv logs --lines 50; --since 10m says from when on, --follow goes on"
        raise SettingsError(f"--lines {lines} is not between 1 and {MOST_LINES}", remedy=remedy)
    state = find_run(env, run)
    targets = {target.name: target for target in _followed(state, service)}
    start = _moment(env, since)
    read = []
    for name, triggered in state.triggered.items():
        if (target := targets.get(name)) is None:
            continue
        for kind in ("build", "app"):
            trouble: DeployError | None = None
            last: list[LogLine] = []
            try:
                began = start or env.render.deploy(target.service_id, triggered.deploy_id).created_at
                last = env.render.logs(target.owner_id, target.service_id, kind, began, lines)
            except (Refused, Unreachable) as error:
                trouble = error
            kept = _kept_lines(env, state.id, (name, kind), start)[-lines:] if not last else []
            if trouble is not None and not kept:
                raise trouble
            read.append(Log(service=name, kind=kind, lines=tuple(last or kept), kept=bool(kept)))
    return tuple(read)


def _kept_lines(env: Environment, run: str, log: tuple[str, str], start: datetime | None) -> list[LogLine]:
    lines = env.history.read_lines(run)
    return [line for line in lines if (line.service, line.kind) == log and (start is None or line.moment >= start)]


def follow_logs(
    env: Environment, *, run: str = "", service: str = "", since: str = ""
) -> Generator[LogLine, None, None]:
    """Give each line that the services of a run write.

    From now on, until interrupted.

    Args:
        run: as in `logs`.
        service: only of this one.
        since: as in `logs`; empty: from now on.

    Raises:
        SettingsError: there is no such run or service, or the run is over, so that nothing of it will come.
    """
    state = find_run(env, run)
    targets = _followed(state, service)
    _refuse_past(env, state, run)
    follower = _Follower(env, _moment(env, since) or env.clock.now())
    owners: dict[str, dict[str, str]] = {}
    for target in targets:
        owners.setdefault(target.owner_id, {})[target.service_id] = target.name
    for owner, names in owners.items():
        follower.begin(owner, names)
    try:
        while True:
            line = follower.come.get()
            if isinstance(line, DeployError):
                raise line
            yield line
    finally:
        follower.over.set()


@dataclass(frozen=True)
class _Follower:
    """Follows the logs of services in threads.

    Attributes:
        come: what they have written, or why that is not known.
        over: is set when nobody wants to know any more.
    """

    env: Environment
    since: datetime
    come: queue.Queue[LogLine | DeployError] = field(default_factory=queue.Queue)
    over: threading.Event = field(default_factory=threading.Event)

    def begin(self, owner: str, names: Mapping[str, str]) -> None:
        """Begin with the services of one workspace, by their ids."""
        threads.start(partial(self._follow, owner, names), name="log")

    def _follow(self, owner: str, names: Mapping[str, str]) -> None:
        try:
            for line in rollout.LogStream(self.env.render, owner, names, self.since, self.over).lines():
                if line is not None:
                    self.come.put(line)
        except Interrupted:
            raise
        except DeployError as error:
            if not isinstance(error, Refused) or len(names) == 1:
                self.come.put(error)
                return
            for each, name in names.items():  # of several regions, which are not given together
                self.begin(owner, {each: name})


def _refuse_past(env: Environment, state: RunState, run: str) -> None:
    """Refuse to follow a run after which another one has deployed."""
    newest = find_run(env) if run else state
    if state.id != newest.id:
        raise SettingsError(
            f"run {short(state.id)} is over, and nothing of it will come: {short(newest.id)} has deployed since",
            remedy=f"inv logs --run {short(state.id)} shows what it has written; inv logs --follow goes on with the newest",
        )


def _followed(state: RunState, service: str) -> tuple[Target, ...]:
    """Choose the services of a run, or the one that is named."""
    targets = state.checked.targets
    if service and service not in {target.name for target in targets}:
        names = ", ".join(target.name for target in targets)
        raise SettingsError(f"run {short(state.id)} knows no service {service!r}", remedy=f"one of: {names}")
    return tuple(target for target in targets if service in {"", target.name})


def _moment(env: Environment, since: str) -> datetime | None:
    """Read *since* as a moment; None: nothing was said."""
    if not since.strip():
        return None
    remedy, now = "10m or 2h ago, or a moment such as 2026-03-01T12:00:00Z", env.clock.now()
    try:
        moment = datetime.fromisoformat(since.strip())
    except ValueError:
        try:
            return now - timedelta(seconds=seconds(since, "--since"))
        except SettingsError as error:
            raise SettingsError(
                f"--since {since.strip()[:40]!r} is no moment and no time ago", remedy=remedy
            ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise SettingsError(f"--since {since.strip()} is in the future: it is {now:%Y-%m-%dT%H:%M:%SZ}", remedy=remedy)
    return moment
