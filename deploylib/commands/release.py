"""Commands that bring a release, a part of one, or an earlier one."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deploylib.backups import restore_mark
from deploylib.commands.restores import finish_restore
from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, Interrupted, SettingsError, Unreachable
from deploylib.models import Proven, StageName
from deploylib.models.findings import Scanned
from deploylib.models.results import NOTHING, Ending, Report, StageResult, StageStatus, short
from deploylib.probes import Expected
from deploylib.release import closing, operation, pipeline, preflight, promotion
from deploylib.release.database import find_restore_mark
from deploylib.release.guards import GATES
from deploylib.release.opening import (
    Aim,
    find_shared_run,
    is_shared,
    open_or_resume,
    open_unrecorded,
    start_local_again,
    take_up,
    take_up_unfinished,
)
from deploylib.release.prerequisites import CheckFinding
from deploylib.release.prove import evidence_table, prove_services, read_answers
from deploylib.release.run import Options, Run, Stage, result, table
from deploylib.release.serving import last_known
from deploylib.release.stages.check import Check
from deploylib.release.stages.deploy import Deploy
from deploylib.release.stages.own import Own
from deploylib.release.stages.rollback import Rollback
from deploylib.release.stages.scan import examine, judge_scan
from deploylib.release.stages.tests import Tests
from deploylib.release.stages.verify import Verify
from deploylib.state import Lease, RunState
from deploylib.system import ci, files

__all__ = [
    "RESTORED",
    "changes",
    "check",
    "deploy",
    "finish",
    "migrate",
    "promote",
    "rollback",
    "scan",
    "tests",
    "verify",
]

ALONE = (StageName.CHANGES, StageName.BACKUP)  # asked for by themselves on a person's machine, these are no run
RESTORED = "restored"  # the outcome, where nothing but a restore was open


def deploy(
    env: Environment,
    *,
    commit: str = "",
    services: Sequence[str] = (),
    until: str = StageName.VERIFY,
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
) -> Report:
    """Release a commit: every stage that this run has not done yet, up to *until*.

    Args:
        commit: to release; empty: what is checked out, and then nothing may differ from it.
        services: the only ones to deploy; empty: all.
        until: the last stage to do.
        skip: gates to leave out, for *reason*.
        wait: how long to wait for another run, such as ``10m``; empty: not at all, in CI as long as a run may take.
        dry_run: say what would be done, and send no write.

    Returns:
        The report, whatever the outcome; its ``exit_code`` tells.

    Raises:
        SettingsError: before a run could begin.
    """
    options = Options(
        commit=commit,
        services=tuple(services),
        until=until,
        skip=tuple(skip),
        reason=reason,
        wait=wait,
        dry_run=dry_run,
        asked=StageName.DEPLOY,
    )
    return bring(env, options)


def changes(
    env: Environment,
    *,
    commit: str = "",
    services: Sequence[str] = (),
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
) -> Report:
    """Decide which services and migrations a release is about; see `deploy`."""
    options = Options(
        commit=commit,
        services=tuple(services),
        until=StageName.CHANGES,
        skip=tuple(skip),
        reason=reason,
        wait=wait,
        dry_run=dry_run,
        asked=StageName.CHANGES,
    )
    return bring(env, options)


def migrate(
    env: Environment,
    *,
    commit: str = "",
    services: Sequence[str] = (),
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
    rehearse: bool = False,
) -> Report:
    """Bring the schema to what the commit needs, after a backup; see `deploy`.

    Args:
        rehearse: in a dry run, on a copy of the newest backup.

    Raises:
        SettingsError: *rehearse* without *dry_run*, or before a run could begin.
    """
    options = Options(
        commit=commit,
        services=tuple(services),
        until=StageName.MIGRATE,
        skip=tuple(skip),
        reason=reason,
        wait=wait,
        dry_run=dry_run,
        rehearse=rehearse,
        asked=StageName.MIGRATE,
    )
    return bring(env, options)


def check(env: Environment, *, commit: str = "", fix: bool = False) -> Report:
    """Look at everything a release needs, also of what is not committed yet, and where there is no store.

    Args:
        commit: to look at; empty: what lies in the folder.
        fix: turn autodeploy off first, where it is on.
    """
    if fix:
        turn_off_auto_deploy(env, commit)
    options = Options(commit=commit, until=StageName.CHECK, dry_run=True, asked=StageName.CHECK)
    env = env.looking()
    env.git.top()
    aim = Aim(
        commit=env.git.commit(commit or "HEAD"),
        since=StageName.CHECK,
        coming=tuple(stage.name for stage in pipeline.FORWARD),
        uncommitted=not commit,
        noticed=() if commit else tuple(preflight.find_uncommitted(env.git)),
    )
    try:
        run = open_or_resume(env, options, aim)
    except (SettingsError, Unreachable) as error:
        with files.temporary_folder() as nothing:
            blind = msgspec.structs.replace(aim, noticed=(*aim.noticed, CheckFinding.of(error)))
            run = open_or_resume(env.without_store(nothing), options, blind)
            return pipeline.bring_to_an_end(run, (Check(),))
    return pipeline.bring_to_an_end(run, (Check(),))


def turn_off_auto_deploy(env: Environment, commit: str = "") -> tuple[str, ...]:
    """Turn autodeploy off at each service of the Blueprint where it is on; return their names."""
    described = preflight.read_blueprint(env.config, env.git, env.git.commit(commit or "HEAD"))
    chosen = env.config.environment.services
    wanted = {chosen.get(name, name) for name in preflight.services(env.config, described, ())}
    on = [service for service in env.render.services() if service.auto_deploy and wanted & {service.id, service.name}]
    for service in on:
        env.render.turn_off_auto_deploy(service.id)
        env.progress.note(f"{service.name}: autodeploy is off now")
    return tuple(service.name for service in on)


def bring(env: Environment, options: Options, *, spared: tuple[str, ...] = (), lease: Lease | None = None) -> Report:
    """Bring a run to where the options say.

    Args:
        spared: ids of backups that are not to be removed for a newer one.
        lease: that an operation has acquired, of which this is a part.

    Raises:
        SettingsError: before a run could begin.
    """
    whole = pipeline.forward()
    names = [stage.name for stage in whole]
    until = next((name for name in names if name == options.until), None)
    if until is None:
        raise SettingsError(f"there is no stage {options.until!r}", remedy=f"one of: {', '.join(names)}")
    if options.rehearse and not options.dry_run:
        raise SettingsError(
            "a migration is rehearsed anyway, on the backup that it makes", remedy="--rehearse goes with --dry-run"
        )
    env = env.looking() if options.dry_run else env
    to_the_end = until in {StageName.VERIFY, names[-1]}
    flow = _flow(env, options, whole)
    alone = until if env.build is None and options.asked == until and until in ALONE else ""
    aim = Aim(
        commit=preflight.release_commit(env.git, options.commit),
        since=StageName.CHECK if until == StageName.CHECK else StageName.CHANGES,
        operation=alone,
        coming=tuple(stage.name for stage in flow),
        steps=() if alone else tuple(stage.name for stage in whole if isinstance(stage, Own)),
        spared=spared,
        decides=env.build is None or to_the_end,
    )
    run = open_or_resume(env, options, aim, lease)
    return pipeline.bring_to_an_end(run, flow, paused_at="" if to_the_end else until)


def _flow(env: Environment, options: Options, whole: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The stages to do; a look or a backup on a person's machine releases nothing, and so needs no gate."""
    names = [stage.name for stage in whole]
    end = names.index(options.until) + 1
    if options.until != StageName.DEPLOY:  # what comes after that needs all of it, which may be several jobs'
        while options.until in set(StageName) and end < len(whole) and isinstance(whole[end], Own):
            end += 1
    looks = options.asked is StageName.BACKUP or (options.asked is StageName.CHANGES and env.build is None)
    return tuple(stage for stage in whole[:end] if not (looks and (stage.name in GATES or isinstance(stage, Own))))


def promote(
    env: Environment,
    *,
    source: str | Environment = "staging",
    skip: Sequence[str] = (),
    reason: str = "",
    wait: str = "",
    dry_run: bool = False,
) -> Report:
    """Bring here exactly the release that another environment has verified and serves.

    Args:
        source: the other environment, or its name.

    Raises:
        Blocked: it serves something else, or is in the middle of a run.
        SettingsError: it was never deployed from here, or the commit is not in this clone.
    """
    other = env.beside(source) if isinstance(source, str) else source.looking()
    found = promotion.require_verified(
        other.name,
        other.history.read_runs(other.name, 50),
        last_known(other),
        {commit for hold in other.holds.read() for commit in hold.commits},
    )
    options = Options(commit=found.commit.id, skip=tuple(skip), reason=reason, wait=wait, dry_run=dry_run)
    env = env.looking() if dry_run else env
    flow = pipeline.forward()
    aim = Aim(
        commit=preflight.release_commit(env.git, found.commit.id),
        promotes=found.name,
        wanted=found.commits,
        steps=tuple(stage.name for stage in flow if isinstance(stage, Own)),
    )
    run = open_or_resume(env, options, aim)
    if found.tested and not run.state.has_done(StageName.TESTS):
        line = f"skipped: passed on {found.environment} in run {short(found.run)}"
        run.record("stage", StageResult(stage=StageName.TESTS, status=StageStatus.SKIPPED, lines=(line,)))
    return pipeline.bring_to_an_end(run, flow)


def rollback(
    env: Environment, *, to: str = "", skip: Sequence[str] = (), reason: str = "", wait: str = "", dry_run: bool = False
) -> Report:
    """Restore an earlier verified release as one unit, and verify it like a deploy.

    Args:
        to: run, commit or deploy to go back to; empty: the last verified release.
        skip: ``schema``, in an emergency, for *reason*.
    """
    env = env.looking() if dry_run else env
    env.git.top()
    commit = env.git.commit("HEAD")
    options = Options(commit=commit.id, to=to, skip=tuple(skip), reason=reason, wait=wait, dry_run=dry_run)
    run = open_or_resume(env, options, Aim(commit=commit, since=StageName.ROLLBACK, back=True))
    return pipeline.bring_to_an_end(run, pipeline.BACK)


def finish(env: Environment, *, run: str = "", database: str = "") -> Report:
    """End a restore that was left half-way, and then a run that was left open: complete it, or put it back.

    A lease that another job of the same run holds is acquired, so that the job can do nothing more.

    Args:
        run: its id or the end of it; empty: this CI run's, or the newest one that is open.
        database: see `finish_restore`.

    Raises:
        SettingsError: there is no such run, or nothing was left of what *database* asks for.
        BackupFailed: no backup can be restored; the database stays marked.
    """
    done = finish_restore(env, database)
    report = _finish_run(env, run)
    if done is None:
        return report
    outcome = RESTORED if report.outcome == NOTHING else report.outcome
    return msgspec.structs.replace(report, outcome=outcome, stages=(done, *report.stages))


def _finish_run(env: Environment, name: str) -> Report:
    run = take_up_unfinished(env, Options(), name)
    if run is None:
        return Report(run="", environment=env.name, outcome=NOTHING, exit_code=0)
    if run.state.report is not None:
        return run.state.report
    env.progress.opened(run.id, env.name, run.commit)
    return pipeline.finish_run(run)


def scan(env: Environment, *, commit: str = "") -> Scanned:
    """Examine a commit; where jobs share a run its verdict is recorded for those after it.

    Raises:
        SettingsError: no repository, or no such commit.
    """
    env.git.top()
    chosen = env.git.commit(commit or "HEAD")
    found = examine(env, chosen)
    if env.build is not None:
        run = open_or_resume(env, Options(commit=commit), Aim(commit=chosen, since=None, decides=False))
        run.record("stage", msgspec.structs.replace(judge_scan(found), seconds=found.seconds))
    return found


def tests(env: Environment, *, hand_over: bool = False) -> Report:
    """Run the product's own tests; where jobs share a run, what comes of them is recorded for those after it.

    Args:
        hand_over: where there is neither key nor store; a job after this one records the result.
    """
    options = Options(asked=StageName.TESTS)
    aim = Aim(commit=preflight.release_commit(env.git), kept=False, decides=False)
    if hand_over:
        with files.temporary_folder() as nothing:
            report = _tested(open_unrecorded(env.without_store(nothing), options, aim))
        ci.hand_over(report, env.config.environ)
        return report
    run = open_or_resume(env, options, aim)
    return pipeline.bring_to_an_end(run, (Tests(),), paused_at=StageName.TESTS)


def _tested(run: Run) -> Report:
    """Run the tests where nothing is recorded."""
    env, stage, end = run.env, Tests(), Ending()
    began = env.clock.monotonic()
    env.progress.began(stage.name)
    try:
        result = stage.apply(run)
        result = msgspec.structs.replace(result, seconds=round(env.clock.monotonic() - began, 3))
    except Interrupted:
        raise
    except DeployError as error:
        result, end = StageResult.of(stage.name, error, env.clock.monotonic() - began), Ending.of(error)
    env.progress.ended(result)
    ended = {**msgspec.structs.asdict(end), "seconds": result.seconds}
    name = env.build.id if env.build else ""
    return Report(run=name, environment=env.name, commit=run.commit, stages=(result,), **ended)


def verify(env: Environment) -> Report:
    """Have what the open run has deployed prove itself, or outside a run what the history says is live.

    On a person's machine that is the end of the run, as the last stage of ``inv deploy`` is; the jobs of a CI leave it to
    `finish`.
    """
    commit = env.git.commit("HEAD")
    aim = Aim(commit=commit, since=None, decides=env.build is None)
    if env.build is not None and find_shared_run(env, msgspec.structs.replace(aim, decides=True)) is not None:
        run = open_or_resume(env, Options(), aim)
        return pipeline.bring_to_an_end(run, _after_deploy(), paused_at=StageName.VERIFY)
    left = _deployed(env)
    if left is None or is_shared(env, left):
        return _looked_at(env, left)
    run = take_up(env, Options(services=left.opened.services), left)
    whole = Rollback() if run.back else Deploy()
    if left.recovering is not None or not whole.is_done(run):
        raise Blocked(
            f"run {short(left.id)} of {left.commit.short} was left in the middle of its deploy",
            remedy=f"inv finish{env.flag} completes it or puts back what it changed",
        )
    env.progress.opened(run.id, env.name, None if run.back else run.commit)
    start_local_again(run)
    return pipeline.bring_to_an_end(run, (Verify(),) if run.back else _after_deploy())


def _after_deploy() -> tuple[Stage, ...]:
    whole = pipeline.forward()
    return whole[[stage.name for stage in whole].index(StageName.DEPLOY) + 1 :]


def _deployed(env: Environment) -> RunState | None:
    """The run that is open, and has deployed something: what it says is live is so, and is not yet verified."""
    last = next(iter(env.history.read_runs(env.name, 1)), None)
    return last if last is not None and last.report is None and last.intents else None


def _looked_at(env: Environment, left: RunState | None) -> Report:
    """Ask for what the history says is live, and record nothing of it but that it was asked.

    Args:
        left: a run of a CI that is open: what it has deployed is live by now.
    """
    last = env.history.find_newest(env.name, lambda state: state.release)
    known = left or last
    if known is None:
        raise SettingsError(
            f"no release of {env.name!r} was ever verified", remedy=f"inv deploy --environment {env.name}"
        )
    before = read_answers(last) if last else {}
    expected = {
        live.service: Expected(live.commit, before=before.get(live.service, 0))
        for live in (last.release if last else ())
        if live.commit
    }
    for name, shipped in left.shipped.items() if left is not None else ():
        was = known.intents[name].answered
        expected[name] = Expected(shipped.commit, shipped.previous.commit, before=was)
    run = take_up(env, Options(), known)
    began = env.clock.monotonic()
    env.progress.opened(run.id, env.name, run.commit)
    env.progress.began(StageName.VERIFY)
    end, results = Ending(), tuple[StageResult, ...]()
    try:
        restore_mark.require_no_mark(find_restore_mark(env), env.flag)
        with operation.record_operation(env, StageName.VERIFY, run.commit) as looked:
            proven = prove_services(env, run.checked.targets, expected, run.pace)
            looked.lines += table([(each.service, each.text) for each in proven])
            looked.lines += [
                *evidence_table(proven),
                *(f"{each.service}: {note}" for each in proven for note in each.notes),
            ]
        took = env.clock.monotonic() - began
        shown = result(StageName.VERIFY, *looked.lines, data=Proven(verified=proven))
        shown = msgspec.structs.replace(shown, seconds=round(took, 3))
        env.progress.ended(shown)
        results = (shown,)
    except DeployError as error:
        end = Ending.of(error)
    return closing.report(run, end, began, results)
