"""The end of a run.

What it says of itself, what is recorded, held and told, and what is live then.
"""

from __future__ import annotations

import msgspec

from deploylib.errors import DeployError, Held, Interrupted, NotKnownYet, Unreachable
from deploylib.models import Kind, Live, StageName
from deploylib.models.results import ABANDONED, DONE, PAUSED, PLANNED, Ending, Report, StageResult, short
from deploylib.models.units import seconds
from deploylib.release.first_week import tell_first_week
from deploylib.release.guards import require_not_held
from deploylib.release.run import Run
from deploylib.release.serving import live, live_of, make_live
from deploylib.render import Refused
from deploylib.system import files

__all__ = ["abandon", "close", "close_or_pause", "ending", "explain_unknown", "leave_open", "report", "stop"]


def abandon(why: str = "", *then: str) -> Ending:
    """Make the ending of a run that nobody goes on with.

    Args:
        then: what a person may do now.
    """
    return Ending(outcome=ABANDONED, exit_code=Interrupted.exit_code, error=why, next=then)


def close(run: Run, end: Ending, began: float, *, keep: bool = False) -> Report:
    """Record the end of the run, give the lease back, and tell.

    In a dry run there is nothing to record.

    Args:
        keep: the lease is another run's, which goes on.

    Raises:
        NotKnownYet: platform or store did not answer, so that the run stays open.
    """
    try:
        return _close(run, end, began, keep=keep)
    except DeployError as error:
        if (unknown := explain_unknown(run, error)) is not None:
            raise unknown from error
        raise


def _close(run: Run, end: Ending, began: float, *, keep: bool) -> Report:
    final = report(run, end, began)
    if end == Ending() and run.journal.written:
        final = msgspec.structs.replace(final, live=_with_schema(run, final.live))
        _update_holds(run, final)
    if week := tell_first_week(run, final):
        final = run.env.struck.of(msgspec.structs.replace(final, first_week=week))
    run.journal.close(final)
    if not keep:
        run.lease.release()
    run.telling.end(final)
    return final


def close_or_pause(run: Run, end: Ending, began: float) -> Report:
    """Close the run.

    A job that only records leaves that to `finish`, and so does who goes on later.
    """
    if run.decides and end.outcome != PAUSED:
        return close(run, end, began)
    (run.lease.release if run.decides else run.lease.leave)()
    run.telling.leave()
    return report(run, end, began)


def ending(run: Run, paused_at: str = "") -> Ending:
    """Say what a run comes to whose stages are done."""
    if run.options.dry_run:
        return Ending(outcome=PLANNED, next=("the same without --dry-run does it",))
    if run.state.opened.operation:
        return Ending(outcome=DONE, next=_after(run))
    if not paused_at:
        return Ending()
    in_ci = run.env.build is not None
    go_on = "inv finish ends the run" if in_ci else "inv deploy goes on"
    if paused_at == StageName.DEPLOY:
        go_on = "inv verify proves it" + (", inv finish ends the run" if in_ci else " and ends the run")
    return Ending(outcome=PAUSED, next=(f"done up to {paused_at}; {go_on}",))


def _after(run: Run) -> tuple[str, ...]:
    """Say what comes after something that was asked for by itself.

    A release, where there is one and nothing refuses it.
    """
    if run.planned.nothing:
        return ()
    try:
        require_not_held(run)
    except Held as error:
        return (error.remedy,)
    return ("inv deploy releases it",)


def stop(run: Run, error: Interrupted, began: float) -> Report:
    """Leave a run that was interrupted.

    What is recorded is enough for the next command to go on; an operation has ended.
    """
    if run.state.opened.operation:
        return close_or_pause(run, Ending.of(error), began)
    if run.decides:
        (run.lease.abandon if run.state.intents else run.lease.release)()
    run.telling.leave(interrupted=True)
    go_on = f"{run.state.opened.command} goes on where this stopped" if run.decides else "inv finish ends the run"
    return report(run, msgspec.structs.replace(Ending.of(error), next=(go_on,)), began)


def leave_open(run: Run, error: NotKnownYet, began: float) -> Report:
    """Leave a run open whose end is not known yet.

    Whoever looks next settles it first.
    """
    final = report(run, Ending.of(error), began)
    if run.decides:
        try:
            run.lease.abandon()
        except Interrupted:
            raise
        except DeployError as gone:
            run.env.progress.note(f"the lease could not be given up ({gone.message}): it ends by itself in a minute")
        run.telling.end(final)
    return final


def _with_schema(run: Run, serving: tuple[Live, ...]) -> tuple[Live, ...]:
    """Add to what is live the schema that each commit expects.

    This run's, or what an earlier release recorded.
    """
    static = {target.name for target in run.checked.targets if target.kind is Kind.STATIC}
    known = {} if run.back else dict.fromkeys(run.state.shipped, run.planned.migration.written_for)
    missing = {each.service for each in serving if each.service not in known} - static
    earlier = run.env.history.read_runs(run.env.name, 50) if missing else ()
    for release in (state.release for state in earlier if missing):
        for then in release:
            if then.service in missing and any(
                (now.service, now.commit) == (then.service, then.commit) for now in serving
            ):
                known[then.service] = then.schema
                missing.discard(then.service)
    known |= dict.fromkeys(static, "")
    return tuple(msgspec.structs.replace(each, schema=known.get(each.service, "")) for each in serving)


def _update_holds(run: Run, final: Report) -> None:
    """Lift the holds that a proven release mends; place a rollback's.

    A rollback holds what it went back from.
    """
    env, state = run.env, run.state

    def contains(commit: str) -> bool:
        return env.git.has(commit) and env.git.is_ancestor(commit, run.commit.id)

    for hold in env.holds.clear(run.commit.id, run.id, contains=contains, back=run.back):
        env.progress.note(f"the hold is over: {hold.reason}")
    left = {intent.previous.commit for intent in state.intents.values()} - {each.commit for each in final.live} - {""}
    if run.back and left:
        given = "" if run.options.skip else run.options.reason.strip()  # with --skip it says why a check was left out
        reason = given or state.opened.reason or f"run {short(run.id)} went back from it"
        env.holds.place(sorted(left), reason, author=env.author, run=run.id)
        names = ", ".join(sorted(commit[:7] for commit in left))
        env.progress.note(f"{names}: held from now on; a newer commit is let through")


def report(run: Run, end: Ending, began: float, results: tuple[StageResult, ...] = ()) -> Report:
    """Make the report of the run as it is now.

    There is no secret in it.

    Who was interrupted asks nobody anything more.

    Args:
        began: when the command did, by the clock's `monotonic`.
        results: in the place of those of the run's stages.
    """
    env, stopped = run.env, end.outcome == Interrupted.outcome
    run.log.stop(interrupted=stopped)
    unanswered = end.exit_code in {Unreachable.exit_code, NotKnownYet.exit_code}
    final = Report(
        run=run.id,
        environment=env.name,
        outcome=end.outcome,
        exit_code=end.exit_code,
        commit=run.commit,
        stages=results or tuple(run.state.stages.values()),
        deploying=run.planned.changes.deploying,
        live=() if stopped or unanswered else _what_is_live(run),
        visitors=run.visitors.stop(1.0 if stopped else 0.0),
        error=end.error,
        details=end.details,
        put_back=run.state.put_back,
        next=end.next,
        seconds=round(env.clock.monotonic() - began, 3),
        target=seconds(env.config.settings.target),
    )
    return env.struck.of(final)


def _what_is_live(run: Run) -> tuple[Live, ...]:
    """Ask the platform what is live at the end.

    Empty where it cannot be asked, which the report then does not claim to know.
    """
    env = run.env
    try:
        if run.checked.targets:
            return tuple(live(env, run.checked.targets).values())
        known = env.history.find_newest(env.name, lambda state: state.has_done(StageName.CHECK), 5)
        targets = known.checked.targets if known is not None else ()
        return tuple(live_of(env, target) for target in targets)
    except Interrupted:
        raise
    except Refused as error:
        return tuple(make_live(target, None) for target in run.checked.targets) if error.forgotten else ()
    except DeployError:
        return ()


def explain_unknown(run: Run, error: DeployError) -> NotKnownYet | None:
    """Say that nothing has failed yet: after the commit point nobody answered.

    Returns:
        None before that point, and for an error that somebody has answered with.
    """
    if isinstance(error, NotKnownYet):
        return error
    if not run.state.intents or not isinstance(error, (Unreachable, files.Unwritable)):
        return None
    where = run.env.flag
    return NotKnownYet(
        error.message,
        details=(*error.details, *_as_far_as_known(run)),
        remedy=f"{error.remedy}; then inv finish{where} completes the run or puts back what it changed",
    )


def _as_far_as_known(run: Run) -> list[str]:
    """Tell what is known of each service about to change."""
    lines = []
    for name, intent in run.state.intents.items():
        was = intent.previous.commit[:7] or "nothing"
        if name in run.state.shipped:
            lines.append(f"{name}: {intent.commit[:7]} went live, after {was}")
        elif name in run.state.triggered:
            deploy = run.state.triggered[name].deploy_id
            lines.append(
                f"{name}: {deploy} of {intent.commit[:7]} was accepted, after {was}; how it ended is not known"
            )
        else:
            lines.append(
                f"{name}: {intent.commit[:7]} was asked for, after {was}; whether it was accepted is not known"
            )
    return lines
