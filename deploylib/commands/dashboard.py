"""Make the page that says what is live.

It is made of the store, of the clone that is here, and of what the public addresses answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from deploylib.backups import repository
from deploylib.dashboard import Fact, Panel, Serving, Site, State, figures, page, without_private
from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted, SettingsError
from deploylib.models import Live, Target, Value, remedies
from deploylib.models.alerts import Severity
from deploylib.models.results import StageStatus, short
from deploylib.models.summaries import RunSummary
from deploylib.models.units import age, count, seconds
from deploylib.monitoring import read_last_drill, read_open_alerts
from deploylib.probes import address
from deploylib.release import aims, rollback
from deploylib.render import Client
from deploylib.state import Hold
from deploylib.store import Damaged
from deploylib.system import threads

__all__ = ["Dashboard", "write_dashboard"]

AT_ONCE = 8  # addresses that are asked
SHOWN = 50  # runs that are drawn, and commits that are named
MOST_COMMITS = 50_000  # that a look at what was released when reads of the clone
MOST_WAITING = 500
LOAD_TESTS = 40  # that are read, as inv loadtest.history does: of each one request
SHORTEST = 60.0  # seconds between two pages


class Dashboard(Value, frozen=True):
    """The page that was made.

    Attributes:
        places: its files, the page itself first.
        states: how each environment is: pass, warn, fail, unreachable or unknown.
    """

    places: tuple[str, ...]
    states: dict[str, str]


def write_dashboard(
    env: Environment, *, out: str = "site", environments: Sequence[str] = (), public: bool = False, every: str = "24h"
) -> Dashboard:
    """Write a page that says what is live.

    Args:
        out: a folder, or ``s3://bucket/prefix``.
        environments: only these; empty: this one and those of the settings, as far as something was ever done there.
        public: for everybody: without people, subjects, backups, and what the database is like.
        every: how often it is made; it says that it is old after twice as long.

    Raises:
        SettingsError: there is no such environment; it is made too often; the place cannot be written; what fills templates is not installed.
    """
    length = seconds(every, "--every")
    if length < SHORTEST:
        raise SettingsError(f"--every {every}: the page would be old when it is made", remedy="--every 1h")
    names = tuple(dict.fromkeys(environments or (env.name, *env.config.settings.environments)))
    panels = [_panel(env, name, public=public) for name in names]
    shown = [panel for panel in panels if environments or panel.trouble or panel.runs or panel.unreadable]
    site = Site(
        product=env.config.root.name,
        built_at=env.clock.now(),
        every=length,
        public=public,
        panels=tuple(shown or panels[:1]),
    )
    places = page.write_page(site, out, env.struck.text)
    return Dashboard(places=places, states={panel.name: panel.state.value for panel in site.panels})


def _panel(env: Environment, name: str, *, public: bool) -> Panel:
    """Look at one environment; what cannot be looked at says so."""
    try:
        look = _Look(env if name == env.name else env.beside(name), public=public)
        return look.panel()
    except SettingsError as error:
        if name not in {env.name, *env.config.settings.environments}:
            raise
        return Panel(name=name, trouble="it cannot be looked at" if public else error.message)
    except Interrupted:
        raise
    except DeployError as error:
        return Panel(name=name, trouble="it does not answer" if public else error.message)


@dataclass
class _Look:
    """A look at one environment.

    Attributes:
        public: nothing that is not for everybody is taken up.
    """

    env: Environment
    public: bool

    def panel(self) -> Panel:
        """Gather all that the page tells of the environment."""
        recorded, unreadable = self._recorded
        runs = tuple(without_private(run) for run in recorded) if self.public else recorded
        shown = runs[:SHOWN]
        fates = figures.judge_failures(runs)
        return Panel(
            name=self.env.name,
            serving=self._serving(),
            facts=tuple(self._fact(name) for name in FACTS if not (self.public and name in PRIVATE)),
            runs=shown,
            unreadable=unreadable,
            recovered={run.id: fates[run.id].seconds for run in shown if run.id in fates},
            figures=figures.figures(runs, self._ancestry(), self.env.clock.now()),
        )

    def _fact(self, name: str) -> Fact:
        """Read one fact; where that cannot be done it says so."""
        try:
            fact = msgspec.structs.replace(FACTS[name](self), name=name)
        except Interrupted:
            raise
        except DeployError as error:
            text = "not examined: it cannot be read"
            fact = Fact(name=name, text=text, state=State.UNKNOWN, private=error.message)
        return msgspec.structs.replace(fact, private="", lines=()) if self.public else fact

    @cached_property
    def _recorded(self) -> tuple[tuple[RunSummary, ...], tuple[str, ...]]:
        return self.env.history.read_summaries(self.env.name)

    @property
    def runs(self) -> tuple[RunSummary, ...]:
        """Newest first."""
        return self._recorded[0]

    @cached_property
    def live(self) -> tuple[Live, ...]:
        """What is live, by the newest run that has found it out."""
        return next((run.live for run in self.runs if run.live), ())

    @cached_property
    def held(self) -> tuple[Hold, ...]:
        """What the environment refuses."""
        return self.env.holds.read()

    def _serving(self) -> tuple[Serving, ...]:
        """Tell what each service serves, and what its address answers now."""
        targets = {target.name: target for target in self._targets()}
        if Client.has_forgotten(self.env.config, [target.service_id for target in targets.values()]):
            return tuple(Serving(service=name, commit="", health=remedies.RESET) for name in targets)
        answers = threads.each(lambda live: _ask(targets.get(live.service), live), self.live, AT_ONCE)
        by = {deploy: run.author for run in self.runs for deploy in run.shipped.values()}
        return tuple(
            Serving(
                service=live.service,
                commit=live.commit,
                state=state,
                health=text,
                since=live.since,
                by="" if self.public else by.get(live.deploy_id, ""),
                url=live.url,
            )
            for live, (state, text) in zip(self.live, answers, strict=True)
        )

    def _targets(self) -> tuple[Target, ...]:
        """Read the services as the newest check has found them.

        None where no record of a check can be read.
        """
        for run in self.runs:
            if any(each.stage == "check" and each.status is StageStatus.DONE for each in run.stages):
                try:
                    return self.env.history.read(run.id).checked.targets
                except (KeyError, Damaged):
                    continue
        return ()

    def _ancestry(self) -> figures.Ancestry | None:
        """Read when the commits of the runs were made.

        None where no clone tells.
        """
        try:
            if self.env.git.shallow():
                return None
            return self.env.git.ancestry((run.commit.id for run in self.runs), MOST_COMMITS)
        except SettingsError:
            return None


def _ask(target: Target | None, live: Live) -> tuple[State, str]:
    """Ask a public address what it serves."""
    if target is None or not address.is_public(target):
        return State.UNKNOWN, "not examined: it has no public address"
    seen = address.observe(target)
    named, status = seen.commit, seen.status
    if not status:
        return State.UNREACHABLE, "no answer"
    if not 200 <= status < 300:
        return (State.WARN if status < 500 else State.FAIL), f"answers {status}"
    if named and not live.commit.startswith(named):
        return State.WARN, f"answers {named[:7]}, which is another commit"
    return State.PASS, f"answers {status}" + (" and names this commit" if named else "")


def _waiting(look: _Look) -> Fact:
    """List the commits of this clone that are not live."""
    git, live = look.env.git, {each.commit for each in look.live if each.commit}
    if not live:
        return _unexamined("nothing is known to be live")
    try:
        tip = git.commit("HEAD")
        if git.shallow() or not all(git.has(commit) for commit in live):
            return _unexamined("this clone lacks a commit that is live")
        waiting = git.commits_since(tip.id, live, MOST_WAITING)
    except SettingsError:
        return _unexamined("no clone is here")
    if not waiting:
        return Fact(text=f"nothing: {tip.short} is live")
    people = Counter(commit.author for commit in waiting)
    more = "at least " if len(waiting) == MOST_WAITING else ""
    return Fact(
        text=f"{more}{count(len(waiting), 'commit')} up to {tip.short}",
        at=min(filter(None, (commit.at for commit in waiting)), default=None),
        of="the oldest",
        private=", ".join(f"{who} ({number})" for who, number in people.most_common()),
        lines=tuple(f"{each.id[:7]} {each.subject} ({each.author})" for each in waiting[:SHOWN]),
    )


def _back(look: _Look) -> Fact:
    """Find the release that ``inv rollback`` would choose, by the history."""
    if not look.live:
        return _unexamined("nothing is known to be live")
    bad = {commit for hold in look.held for commit in hold.commits}
    serving = {each.service: each for each in look.live}
    earlier = next(iter(rollback.find_candidates(look.runs, serving, bad=bad)), None)
    if earlier is None:
        return Fact(text="nothing: there is no earlier release that was verified")
    return Fact(text=f"{earlier.commit.short} of run {short(earlier.id)}", at=earlier.ended)


def _hold(look: _Look) -> Fact:
    if not look.held:
        return Fact(text="nothing is refused")
    refused = [", ".join(commit[:7] for commit in hold.commits) or "every release" for hold in look.held]
    lines = tuple(f"{hold.line} ({hold.by})" for hold in look.held)
    return Fact(text=f"refused: {'; '.join(refused)}", state=State.WARN, at=look.held[0].at, lines=lines)


def _lease(look: _Look) -> Fact:
    lease = look.env.leases.read()
    if lease is None or not lease.taken:
        return Fact(text="free")
    text = f"{lease.holder.what} {short(lease.holder.run)} is at work, seen {age(lease.age)} before this page was made"
    return Fact(text=text, private=lease.holder.author)


def _backup(look: _Look) -> Fact:
    backup = repository.latest(look.env.store, look.env.name)
    if backup is None:
        return Fact(text="none is recorded")
    proven = f", proven again {backup.proven_at:%Y-%m-%d %H:%M} UTC" if backup.proven_at else ""
    return Fact(text=f"{backup.id}, {backup.proof}{proven}", at=backup.created_at)


def _alerts(look: _Look) -> Fact:
    """Tell what fires, as the monitors have recorded it."""
    alerts = read_open_alerts(look.env)
    if alerts.looked is None:
        return _unexamined("nothing watches this environment")
    if alerts.old:
        return msgspec.structs.replace(
            _unexamined("no monitor has looked for a day"), at=alerts.looked, of="the last look"
        )
    silent = f", {count(len(alerts.silences), 'silence')}" if alerts.silences else ""
    lines = [f"{each.severity}: {each.title}, since {each.since:%Y-%m-%d %H:%M} UTC" for each in alerts.alerts]
    lines += [
        f"silent until {each.until:%Y-%m-%d %H:%M} UTC: {each.reason} ({each.author})" for each in alerts.silences
    ]
    worst = State.FAIL if any(each.severity is Severity.CRITICAL for each in alerts.alerts) else State.WARN
    return Fact(
        text=f"{len(alerts.alerts) or 'none'} open{silent}",
        state=worst if alerts.alerts else None,
        at=alerts.looked,
        of="the last look",
        lines=tuple(lines),
    )


def _drills(look: _Look) -> Fact:
    last = read_last_drill(look.env)
    return Fact(text="the last one", at=last) if last is not None else _unexamined("none is recorded")


def _latency(look: _Look) -> Fact:
    """Tell the last load test, and where it stands."""
    trend = aims.look_back(look.env, LOAD_TESTS)
    if not trend.runs:
        return _unexamined("no load test is recorded")
    last, typical = trend.runs[-1], [each.figures.typical for each in trend.runs]
    text = f"p95 {last.figures.p95:.0f} ms, typically {last.figures.typical:.0f} ms, of {last.commit[:7]}"
    if len(typical) > 1:
        text += f"; of the last {len(typical)} typically {min(typical):.0f} to {max(typical):.0f} ms"
    drift = "" if trend.drift is None else f"; {trend.drift.text}"
    return Fact(text=f"{text}{drift}", state=State.WARN if drift else None, at=last.at, lines=trend.lines[:-1])


def _unexamined(why: str) -> Fact:
    return Fact(text=f"not examined: {why}", state=State.UNKNOWN)


# What is told of an environment, in this order, each by who reads it.
FACTS: dict[str, Callable[[_Look], Fact]] = {
    "Waiting": _waiting,
    "Can go back to": _back,
    "Hold": _hold,
    "Lease": _lease,
    "Last backup": _backup,
    "Alerts": _alerts,
    "Drills": _drills,
    "Latency": _latency,
}
PRIVATE = frozenset({"Last backup"})
