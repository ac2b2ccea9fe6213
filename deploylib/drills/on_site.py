"""The drill of an environment itself: restore, go back, come again.

It is for staging, once a month: what a local Render cannot show is whether *this* account, store and database would do it.
"""

from __future__ import annotations

from deploylib.commands import backups, control, release, status
from deploylib.drills.definition import DrillSummary
from deploylib.drills.practice import record_drill
from deploylib.drills.results import DrillResult
from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, Interrupted, SettingsError
from deploylib.models import remedies
from deploylib.models.results import Report, short
from deploylib.models.units import count
from deploylib.release import database

__all__ = ["THERE_AND_BACK", "drill_on_site"]

THERE_AND_BACK = DrillSummary(
    name="there-and-back",
    learns="nothing: whether a restore and a rollback would work",
    minutes=10,
    runbook="docs/runbook.md#alert-drill",
    place="the environment itself, with --confirm",
)
REASON = "a drill: it comes back at once"


def drill_on_site(env: Environment, *, confirm: str = "") -> DrillResult:
    """Restore the newest backup, go back a release, and come again.

    The backup is restored where nobody sees it. Each half is verified; the holds that it places are lifted.

    Args:
        confirm: the environment's name, typed by somebody who means it.

    Raises:
        SettingsError: it was not confirmed.
    """
    if confirm != env.name:
        raise SettingsError(
            f"this drill goes back on {env.name!r} itself: its visitors get the release before for a minute",
            remedy=f"inv drill {THERE_AND_BACK.name} --environment {env.name} --confirm {env.name}",
        )
    with record_drill(env, THERE_AND_BACK.name) as results:
        began = env.clock.monotonic()
        fault, code = _go_there_and_back(env)
        took = round(env.clock.monotonic() - began, 1)
        results.append(
            DrillResult(
                drill=THERE_AND_BACK.name,
                passed=not fault,
                seconds=took,
                restored=None if fault else took,
                fault=fault,
                runbook=THERE_AND_BACK.runbook,
                attended=False,
                code=code or Blocked.exit_code,
            )
        )
    return results[0]


def _go_there_and_back(env: Environment) -> tuple[str, int]:
    """Do it; what went wrong, and its exit code, or nothing."""
    try:
        if database.own_database(env) is not None:
            proven = backups.test_restore(env)
            env.progress.note(f"restored and compared: {proven.id}, {count(proven.tables, 'table')}")
        before = status.status(env)
        was = _commits(before)
        newest = env.history.find_newest(
            env.name, lambda state: {one.service: one.commit for one in state.release} == was
        )
        if newest is None or not was:
            return f"nobody knows what {env.name} serves: {before.trouble or 'nothing was verified there'}", 0
        back = release.rollback(env, reason=REASON)
        if back.exit_code:
            return _told("going back", back), back.exit_code
        _lift(env, back)
        if _commits(status.status(env)) != {one.service: one.commit for one in back.live}:
            return "somebody has released meanwhile: it stays as it is now", 0
        forth = release.rollback(env, to=newest.id, reason=REASON)
        if forth.exit_code:
            return _told(f"coming again (inv rollback{env.flag} --to {short(newest.id)})", forth), forth.exit_code
        _lift(env, forth)
        after = status.status(env)
    except Interrupted:
        raise
    except DeployError as error:
        return f"{error.message} ({remedies.about(env.name, error.remedy)})", error.exit_code
    now = _commits(after)
    if was != now:
        changed = ", ".join(name for name in was if was[name] != now.get(name))
        return f"{changed}: not the commit that was live before", 0
    more = [hold.line for hold in after.held if hold not in before.held]
    return (f"still held: {'; '.join(more)}" if more else ""), 0


def _commits(now: status.Status) -> dict[str, str]:
    """Read the commit of each service."""
    return {one.service: one.commit for one in now.live}


def _lift(env: Environment, report: Report) -> None:
    """Lift what a rollback of the drill holds."""
    for hold in env.holds.read():
        if hold.run == report.run:
            control.lift(env, hold=hold.id, reason=REASON)


def _told(what: str, report: Report) -> str:
    return f"{what}: {report.outcome}: {report.error}"
