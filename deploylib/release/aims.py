"""Bring a run to where a command aims.

Which commit, up to which stage, forward or back.

Each function turns what was asked into an aim, opens or resumes a run for it, and has the pipeline carry it out.
"""

from __future__ import annotations

import re

import msgspec

from deploylib.environment import Environment
from deploylib.errors import Blocked, DeployError, Interrupted, SettingsError, Unreachable
from deploylib.loadtest import Trend
from deploylib.models import LoadTested, Proven, StageName, remedies
from deploylib.models.findings import Scanned
from deploylib.models.results import DONE, NOTHING, Ending, Report, StageResult, StageStatus, short
from deploylib.models.units import count
from deploylib.probes import Expected
from deploylib.release import closing, operation, pipeline, preflight, preview, promotion, reconcile, under_load
from deploylib.release.database import require_whole
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
from deploylib.release.prerequisites import REMEDY, CheckFinding
from deploylib.release.prove import evidence_table, prove_services, read_answers
from deploylib.release.readiness import try_store
from deploylib.release.run import Options, Run, Stage, result, table
from deploylib.release.serving import last_known
from deploylib.release.stages.check import Check
from deploylib.release.stages.deploy import Deploy
from deploylib.release.stages.own import Own
from deploylib.release.stages.rollback import Rollback
from deploylib.release.stages.scan import examine, judge_scan
from deploylib.release.stages.tests import Tests
from deploylib.release.stages.verify import Verify
from deploylib.settings import LoadTestSettings
from deploylib.state import Lease, RunState
from deploylib.system import ci, files

__all__ = [
    "assess_live",
    "bring_forward",
    "bring_verified",
    "check_commit",
    "end_unfinished",
    "examine_commit",
    "go_back",
    "look_back",
    "preview_commit",
    "prove_live",
    "run_tests",
    "settle_all",
    "turn_off_auto_deploy",
]

FURTHER = re.compile(r", and here |  \(")  # of a remedy: what follows its first command
ALONE = (StageName.CHANGES, StageName.BACKUP)  # asked for by themselves on a person's machine, these are no run


def bring_forward(
    env: Environment, options: Options, *, spared: tuple[str, ...] = (), lease: Lease | None = None
) -> Report:
    """Bring a run to where the options say.

    Args:
        spared: ids of backups that are not to be removed for a newer one.
        lease: that an operation has acquired, of which this is a part.

    Raises:
        SettingsError: before a run could begin.
    """
    whole = pipeline.forward(env.config)
    names = [stage.name for stage in whole]
    until = next((name for name in names if name == (options.until or names[-1])), None)
    if until is None and options.until == StageName.LOADTEST:
        raise under_load.missing_rate(env)
    if until is None:
        raise SettingsError(f"there is no stage {options.until!r}", remedy=f"one of: {', '.join(names)}")
    if options.rehearse and not options.dry_run:
        raise SettingsError(
            "a migration is rehearsed anyway, on the backup that it makes", remedy="--rehearse goes with --dry-run"
        )
    env = env.looking() if options.dry_run else env
    to_the_end = until in {StageName.VERIFY, names[-1]}
    flow = _flow(env, options, whole, until)
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


def _flow(env: Environment, options: Options, whole: tuple[Stage, ...], until: str) -> tuple[Stage, ...]:
    """List the stages to do.

    A look or a backup on a person's machine releases nothing, and so needs no gate.
    """
    names = [stage.name for stage in whole]
    end = names.index(until) + 1
    if until != StageName.DEPLOY:  # what comes after that needs all of it, which may be several jobs'
        while until in set(StageName) and end < len(whole) and isinstance(whole[end], Own):
            end += 1
    looks = options.asked is StageName.BACKUP or (options.asked is StageName.CHANGES and env.build is None)
    return tuple(stage for stage in whole[:end] if not (looks and (stage.name in GATES or isinstance(stage, Own))))


def preview_commit(env: Environment, name: str, place: str) -> Report:
    """Say what a commit would change, without any key.

    By its files and a published page alone.

    Raises:
        SettingsError: no such commit.
    """
    return preview.preview_changes(env.looking(), name, place)


def check_commit(env: Environment, options: Options, *, fix: bool = False) -> Report:
    """Look at everything a release needs, and change nothing.

    Where there is no store, all that needs none is looked at; where no commit is named, also what is not committed yet.

    Args:
        fix: first do what can be done from here: turn autodeploy off, try the store.
    """
    if fix:
        turn_off_auto_deploy(env, options.commit)
        try_store(env)
    env = env.looking()
    env.git.top()
    aim = Aim(
        commit=env.git.commit(options.commit or "HEAD"),
        since=StageName.CHECK,
        coming=tuple(stage.name for stage in pipeline.forward(env.config)),
        uncommitted=not options.commit,
        noticed=() if options.commit else tuple(preflight.find_uncommitted(env.git)),
    )
    try:
        run = open_or_resume(env, options, aim)
    except (SettingsError, Unreachable) as error:
        with files.temporary_folder() as nothing:
            blind = msgspec.structs.replace(aim, noticed=(*aim.noticed, CheckFinding.of(error)))
            run = open_or_resume(env.without_store(nothing), options, blind)
            return _judged(pipeline.bring_to_an_end(run, (Check(),)))
    return _judged(pipeline.bring_to_an_end(run, (Check(),)))


def _judged(report: Report) -> Report:
    """Say whether a release could begin, and what comes first."""
    where = "here" if report.environment == "local" else f"for {report.environment}"
    if report.exit_code:
        number = 1 + sum(REMEDY in each for each in report.details)
        first = FURTHER.split(report.next[0])[0] if report.next else "inv check --debug"
        verdict = f"Not ready {where}: {count(number, 'thing')} to do; first: {first}"
        return msgspec.structs.replace(report, verdict=verdict)
    notes = sum(len(each.lines) - 1 for each in report.stages)
    remarked = f", with {count(notes, 'remark')}" if notes else ""
    step = remedies.about(report.environment, "inv deploy")
    return msgspec.structs.replace(report, next=(step,), verdict=f"Ready {where}{remarked}; next: {step}")


def turn_off_auto_deploy(env: Environment, commit: str = "") -> tuple[str, ...]:
    """Turn autodeploy off where it is on; name those services."""
    described = preflight.read_blueprint(env.config, env.git, env.git.commit(commit or "HEAD"))
    chosen = env.config.environment.services
    wanted = {chosen.get(name, name) for name in preflight.services(env.config, described, ())}
    on = [service for service in env.render.services() if service.auto_deploy and wanted & {service.id, service.name}]
    for service in on:
        env.render.turn_off_auto_deploy(service.id)
        env.progress.note(f"{service.name}: autodeploy is off now")
    return tuple(service.name for service in on)


def bring_verified(env: Environment, other: Environment, options: Options, run_name: str = "") -> Report:
    """Bring here the release that another environment has verified and serves.

    Args:
        run_name: of the other environment, or the end of it: what that run has left verified; empty: the newest.

    Raises:
        Blocked: it serves something else, or is in the middle of a run.
        SettingsError: it was never deployed from here, or the commit is not in this clone.
    """
    verified = promotion.require_verified(
        other.name,
        other.history.read_runs(other.name, 50),
        lambda: last_known(other),
        {commit for hold in other.holds.read() for commit in hold.commits},
        run_name,
    )
    options = msgspec.structs.replace(options, commit=verified.commit.id)
    env = env.looking() if options.dry_run else env
    flow = pipeline.forward(env.config)
    aim = Aim(
        commit=preflight.release_commit(env.git, verified.commit.id),
        promotes=verified.name,
        wanted=verified.commits,
        examined=verified.examined,
        steps=tuple(stage.name for stage in flow if isinstance(stage, Own)),
    )
    run = open_or_resume(env, options, aim)
    if verified.tested and not run.state.has_done(StageName.TESTS):
        line = f"skipped: passed on {verified.environment} in run {short(verified.run)}"
        run.record("stage", StageResult(stage=StageName.TESTS, status=StageStatus.SKIPPED, lines=(line,)))
    return pipeline.bring_to_an_end(run, flow)


def go_back(env: Environment, options: Options) -> Report:
    """Restore an earlier verified release, and verify it."""
    env = env.looking() if options.dry_run else env
    env.git.top()
    commit = env.git.commit("HEAD")
    options = msgspec.structs.replace(options, commit=commit.id)
    run = open_or_resume(env, options, Aim(commit=commit, since=StageName.ROLLBACK, back=True))
    return pipeline.bring_to_an_end(run, pipeline.BACK)


def end_unfinished(env: Environment, name: str) -> Report:
    """Complete a run that was left open, or put it back.

    Args:
        name: its id or the end of it; empty: this CI run's, or the newest one that is open.

    Raises:
        SettingsError: there is no such run.
    """
    run = take_up_unfinished(env, Options(), name)
    if run is None:
        return Report(run="", environment=env.name, outcome=NOTHING, exit_code=0)
    if run.state.report is not None:
        return run.state.report
    run.announce(run.commit)
    return reconcile.finish_run(run, pipeline.flow_of(run))


def settle_all(env: Environment, lease: Lease) -> None:
    """End what was left half-way, under a lease."""
    reconcile.settle(env, lease, pipeline.flow_of)


def examine_commit(env: Environment, name: str, *, hand_over: bool = False) -> Scanned:
    """Scan a commit.

    Where jobs share a run, record the verdict for those after it.

    Args:
        hand_over: where there is neither key nor store; a job after this one looks at the variables, and records it.

    Raises:
        SettingsError: no repository, or no such commit.
    """
    env.git.top()
    chosen = env.git.commit(name or "HEAD")
    scanned = examine(env, chosen, keyless=hand_over)
    judged = msgspec.structs.replace(judge_scan(scanned), seconds=scanned.seconds)
    if hand_over:
        ci.hand_over(chosen.id, judged, env.config.environ)
    elif env.build is not None:
        run = open_or_resume(env, Options(commit=name), Aim(commit=chosen, since=None, decides=False))
        run.record("stage", judged)
    return scanned


def run_tests(env: Environment, *, hand_over: bool = False) -> Report:
    """Run the product's tests, recorded where jobs share a run.

    Args:
        hand_over: where there is neither key nor store; a job after this one records the result.
    """
    options = Options(asked=StageName.TESTS)
    aim = Aim(commit=preflight.release_commit(env.git), kept=False, decides=False)
    if hand_over:
        with files.temporary_folder() as nothing:
            report = _tested(open_unrecorded(env.without_store(nothing), options, aim))
        if report.commit is not None:
            ci.hand_over(report.commit.id, report.stages[0], env.config.environ)
        return report
    run = open_or_resume(env, options, aim)
    if env.build is None and not run.journal.written:
        return _tested(run)
    return pipeline.bring_to_an_end(run, (Tests(),), paused_at=StageName.TESTS)


def _tested(run: Run) -> Report:
    """Run the tests where nothing is recorded."""
    env, stage, end = run.env, Tests(), Ending(outcome=DONE)
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


def prove_live(env: Environment) -> Report:
    """Have what the open run has deployed prove itself.

    Outside a run, what the history says is live.
    """
    commit = env.git.commit("HEAD")
    aim = Aim(commit=commit, since=None, decides=env.build is None)
    if env.build is not None and find_shared_run(env, msgspec.structs.replace(aim, decides=True)) is not None:
        run = open_or_resume(env, Options(), aim)
        rest = _after_deploy(env)
        names = [*(stage.name for stage in rest), StageName.LOADTEST]
        return pipeline.bring_to_an_end(run, rest[: names.index(StageName.LOADTEST)], paused_at=StageName.VERIFY)
    left = _deployed(env)
    if left is None or is_shared(env, left):
        return _looked_at(env, left)
    _require_left(env, left)
    run = take_up(env, Options(services=left.opened.services), left)
    whole = Rollback() if run.back else Deploy()
    if left.recovering is not None or not whole.is_done(run):
        raise Blocked(
            f"run {short(left.id)} of {left.commit.short} was left in the middle of its deploy",
            remedy=f"inv finish{env.flag} completes it or puts back what it changed",
        )
    run.announce(None if run.back else run.commit)
    start_local_again(run)
    return pipeline.bring_to_an_end(run, (Verify(),) if run.back else _after_deploy(env))


def _require_left(env: Environment, state: RunState) -> None:
    """See that nobody works on an open run any more.

    Raises:
        LeaseHeld: its command holds the lease.
    """
    now = env.leases.read()
    if now is not None and now.taken and now.holder.run == state.id:
        lease = env.make_lease(state.id)
        lease.acquire(within=0)
        lease.release()  # it has ended just now


def _after_deploy(env: Environment) -> tuple[Stage, ...]:
    whole = pipeline.forward(env.config)
    return whole[[stage.name for stage in whole].index(StageName.DEPLOY) + 1 :]


def _deployed(env: Environment) -> RunState | None:
    """Find the open run that has deployed something.

    What it says is live is so, and is not yet verified.
    """
    last = next(iter(env.history.read_runs(env.name, 1)), None)
    return last if last is not None and last.report is None and last.intents else None


def _looked_at(env: Environment, left: RunState | None) -> Report:
    """Prove what is live; record only that it was asked.

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
    run.announce(run.commit)
    env.progress.began(StageName.VERIFY)
    end, results = Ending(), tuple[StageResult, ...]()
    try:
        require_whole(env)
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


def assess_live(env: Environment, settings: LoadTestSettings, *, write: bool = False) -> Report:
    """Test the open run of this CI under load.

    Elsewhere what the last verified release has left live.

    Raises:
        SettingsError: there is no rate, or nothing was ever released here.
    """
    aim = Aim(commit=env.git.commit("HEAD"), since=None, decides=False)
    if env.build is not None and find_shared_run(env, msgspec.structs.replace(aim, decides=True)) is not None:
        run = open_or_resume(env, Options(), aim)
        whole = pipeline.forward(env.config)
        names = [*(stage.name for stage in whole), StageName.LOADTEST]
        if not (rest := whole[names.index(StageName.LOADTEST) :]):
            env.progress.note(f"load test: off for {env.name}")
        return pipeline.bring_to_an_end(run, rest, paused_at=StageName.LOADTEST)
    if not settings.rate:
        raise under_load.missing_rate(env)
    known = env.history.find_newest(env.name, lambda state: state.release)
    if known is None:
        raise SettingsError(
            f"no release of {env.name!r} was ever verified", remedy=f"inv deploy --environment {env.name}"
        )
    run, began = take_up(env, Options(), known), env.clock.monotonic()
    start_local_again(run)
    run.announce(run.commit)
    env.progress.began(StageName.LOADTEST)
    end, results = Ending(), tuple[StageResult, ...]()
    try:
        with operation.record_operation(env, StageName.LOADTEST, run.commit) as looked:
            assessment = under_load.assess_service(
                env, run.checked.targets, run=looked.run, settings=settings, write=write
            )
            looked.lines += assessment.lines
            shown = result(
                StageName.LOADTEST, *assessment.lines, data=LoadTested(conclusion=assessment.ruling.conclusion)
            )
            results = (msgspec.structs.replace(shown, seconds=round(env.clock.monotonic() - began, 3)),)
            env.progress.ended(results[0])
            if assessment.is_degraded and settings.policy != "note":
                under_load.tell_degradation(env, assessment, run=looked.run)
                raise under_load.explain_degradation(assessment)
            if assessment.is_invalid:
                raise under_load.explain_invalidity(assessment)
    except DeployError as error:
        end = Ending.of(error)
    return closing.report(run, end, began, results)


def look_back(env: Environment, limit: int) -> Trend:
    """Look back at the load tests that are like the last one."""
    return Trend.of(under_load.load_records(env).read_newest(env.name, limit))
