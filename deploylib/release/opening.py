"""How a run begins.

Opened anew, gone on with, or shared with the other jobs of a CI run.
"""

from __future__ import annotations

import secrets
from itertools import count

import msgspec

from deploylib.environment import Environment
from deploylib.errors import SettingsError
from deploylib.models import Commit, Opened, StageName, Value
from deploylib.models.units import seconds
from deploylib.release.guards import GATES, read_handed_over
from deploylib.release.prerequisites import CheckFinding
from deploylib.release.run import Options, Run
from deploylib.render import Client, local
from deploylib.state import Journal, Lease, RunState
from deploylib.system import ci

__all__ = [
    "Aim",
    "find_shared_run",
    "is_shared",
    "open_or_resume",
    "open_unrecorded",
    "start_local_again",
    "take_up",
    "take_up_unfinished",
]

RECENT = 100


class Aim(Value, frozen=True):
    """What a command wants a run for.

    Attributes:
        commit: that it brings; of a rollback, what is checked out.
        since: nothing is recorded before this stage has passed: a refused command leaves no trace; one that fails does,
            and in CI each. None: everything is recorded at once.
        kept: it is recorded at all; on a person's machine the tests alone are not.
        back: it restores an earlier release.
        operation: it is no run where none is open that it belongs to, but asked for by itself.
        promotes: the environment and the run whose verified release is brought here, ``staging/<run>``.
        wanted: the commit of each service, by name, where a release is brought from elsewhere.
        coming: the stages that the command is to do, by name.
        steps: those of a team's own, of the whole release.
        uncommitted: what lies in the folder is looked at, committed or not.
        noticed: what must be put right, and was seen before the first stage.
        spared: ids of backups that are not to be removed for a newer one.
        decides: the command brings the run to its end.
        examined: the commit that other jobs of this CI have examined, where a release is brought from elsewhere.
    """

    commit: Commit
    since: StageName | None = StageName.CHANGES
    kept: bool = True
    back: bool = False
    operation: str = ""
    promotes: str = ""
    wanted: dict[str, str] = msgspec.field(default_factory=dict)
    coming: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    uncommitted: bool = False
    noticed: tuple[CheckFinding, ...] = ()
    spared: tuple[str, ...] = ()
    decides: bool = True
    examined: str = ""


def open_or_resume(env: Environment, options: Options, aim: Aim, lease: Lease | None = None) -> Run:
    """Resume the run of this command, or begin one.

    Args:
        lease: that an operation has acquired, of which the run is a part.

    Raises:
        SettingsError: the run is closed, or is about another commit; or a gate that is left out cannot be, or not so.
    """
    _require_reason(options, (StageName.SCHEMA,) if aim.back else GATES)
    seconds(options.wait or "0s", "--wait")  # before anything is asked or begun
    last = find_shared_run(env, aim) if env.build else next(iter(env.history.read_runs(env.name, 1)), None)
    if options.services and options.asked is not StageName.CHANGES and not aim.decides and not aim.back:
        _require_own_changes(env, last, options.services)
    if (
        last is not None
        and last.report is None
        and not options.dry_run
        and (env.build or _same(env, options, aim, last))
        and not _is_forgotten(env, last)
    ):
        run = take_up(env, options, last, aim=aim, lease=lease)
        run.announce(None if aim.back else aim.commit)
        _record_gates_of_another_job(run)
        start_local_again(run)
        return run
    run = _begin(env, options, aim, lease)
    run.announce(None if aim.back else aim.commit)
    _record_gates_of_another_job(run)
    return run


def _begin(env: Environment, options: Options, aim: Aim, lease: Lease | None) -> Run:
    opened = Opened(
        run=_new_id(env, back=aim.back),
        environment=env.name,
        commit=aim.commit,
        services=options.services,
        author=env.author,
        back=aim.back,
        operation=aim.operation,
        promotes=aim.promotes,
        url=env.build.url if env.build else "",
        steps=aim.steps,
        reason=options.reason.strip() if aim.back and not options.skip else "",  # else it says why a check was left out
        recent=() if aim.back else env.git.recent(aim.commit.id, RECENT),
    )
    unrecorded = options.dry_run or (not aim.kept and env.build is None)
    journal = Journal.open(env.history, opened, dry=unrecorded, since=None if env.build else aim.since)
    return _run(env, options, journal, aim, lease)


def open_unrecorded(env: Environment, options: Options, aim: Aim) -> Run:
    """Begin a run of which nothing is recorded.

    There is no store, or nobody needs to know.
    """
    opened = Opened(run=env.build.id if env.build else "", environment=env.name, commit=aim.commit)
    return _run(env, options, Journal.open(env.history, opened, dry=True), aim)


def take_up(
    env: Environment, options: Options, state: RunState, *, aim: Aim | None = None, lease: Lease | None = None
) -> Run:
    """Go on with a run of the history.

    Args:
        aim: of the command; by default it wants what the run was opened for.
        lease: of another run, which has found this one left behind.
    """
    chosen = aim or Aim(commit=state.opened.commit, back=state.opened.back)
    return _run(env, options, Journal(env.history, state), chosen, lease)


def _run(env: Environment, options: Options, journal: Journal, aim: Aim, lease: Lease | None = None) -> Run:
    operation, shared = journal.state.opened.operation, env.build is not None and not aim.decides
    own = lease or env.make_lease(journal.state.id, shared=shared, operation=operation)
    journal.fence = own.fence
    return Run(
        env,
        options,
        journal,
        own,
        decides=aim.decides,
        services=options.services,
        coming=aim.coming,
        uncommitted=aim.uncommitted,
        noticed=aim.noticed,
        spared=aim.spared,
        wanted=aim.wanted,
        examined=aim.examined,
    )


def _record_gates_of_another_job(run: Run) -> None:
    """Record what the job of the gates has handed over.

    A scan that is clean is recorded by its stage where variables are declared: these need a key.

    Raises:
        SettingsError: it is no such result, or of another commit.
    """
    env = run.env
    if env.build is None or run.options.dry_run or run.back:
        return
    for gate in ci.HANDED_OVER:
        if gate in (*run.state.stages, *run.options.skip):
            continue
        if (handed := read_handed_over(run, gate)) is None:
            continue
        if gate is StageName.TESTS or handed.failure or not env.config.settings.environment_variables:
            run.record("stage", handed)


def _is_forgotten(env: Environment, state: RunState) -> bool:
    """Tell whether the local Render was reset under a run."""
    if not env.config.is_local or not state.has_done(StageName.CHECK):
        return False
    local.up(env.config, runner=env.runner, only=state.opened.services)
    return Client.has_forgotten(env.config, [target.service_id for target in state.checked.targets])


def start_local_again(run: Run) -> None:
    """Start the local Render, which may have ended since."""
    if run.env.config.is_local and run.state.has_done(StageName.CHECK):
        local.up(run.env.config, runner=run.env.runner, only=run.services)


def _require_own_changes(env: Environment, state: RunState | None, services: tuple[str, ...]) -> None:
    """See that a job which does a part knows of the whole.

    "Re-run failed jobs" leaves out those that have found it out.

    Raises:
        SettingsError: an earlier attempt has decided what changes, and this one has not.
    """
    if env.build is None or (state is not None and state.has_done(StageName.CHANGES)):
        return
    known = set(env.history.list_ids(env.name))
    if any(f"{env.name}-{before}" in known for before in env.build.earlier):
        raise SettingsError(
            "only the failed jobs of this CI run were run again: this attempt has not decided what changes, and would "
            f"release {', '.join(services)} alone",
            remedy="re-run all jobs of the workflow",
        )


def _require_reason(options: Options, gates: tuple[str, ...]) -> None:
    """See that what is left out may be, for a reason."""
    unknown = [gate for gate in options.skip if gate not in gates]
    if unknown:
        raise SettingsError(
            f"{', '.join(unknown)} cannot be skipped; only {' and '.join(gates)} can",
            remedy=f"--skip {gates[0]} --reason …",
        )
    if options.skip and not options.reason.strip():
        raise SettingsError("--skip needs a reason", remedy=f'--skip {gates[0]} --reason "why it cannot wait"')


def _new_id(env: Environment, *, back: bool) -> str:
    """Make an id, or take the CI's own after the environment.

    Another one once that run is closed.
    """
    if env.build is None:
        return f"{env.clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    first = _shared_id(env, env.build, back=back)
    taken = set(env.history.list_ids(env.name))
    return next(name for number in count(1) if (name := first if number == 1 else f"{first}-{number}") not in taken)


def _shared_id(env: Environment, build: ci.Build, *, back: bool = False) -> str:
    return f"{env.name}-{build.id}{'-back' if back else ''}"


def is_shared(env: Environment, state: RunState) -> bool:
    """Tell whether the jobs of a CI share it.

    Then it is for them alone.
    """
    return state.id.startswith(f"{env.name}-")


def find_shared_run(env: Environment, aim: Aim) -> RunState | None:
    """Find the open run that the jobs of this CI run share.

    None: it has not begun.

    Raises:
        SettingsError: it is closed, which is the end of those that only record, or it is about another commit.
    """
    state = _recorded(env, back=aim.back)
    if state is None:
        return None
    if state.report is not None and not aim.decides:
        raise SettingsError(
            f"run {state.id} is closed: {state.report.outcome}",
            remedy="re-run all jobs of the workflow: a new attempt is a new run",
        )
    if state.report is None and state.opened.commit.id != aim.commit.id and not aim.back:
        raise SettingsError(
            f"run {state.id} is about {state.opened.commit.short}, and this job has {aim.commit.short} checked out",
            remedy="check the same commit out in every job",
        )
    return state if state.report is None else None


def _recorded(env: Environment, *, back: bool = False) -> RunState | None:
    """Read what the jobs of this CI run have recorded.

    None where there is no CI, or nothing yet.
    """
    if env.build is None:
        return None
    try:
        return env.history.read(_shared_id(env, env.build, back=back))
    except KeyError:
        return None


def _same(env: Environment, options: Options, aim: Aim, last: RunState) -> bool:
    """Tell whether the last run is this one, just left."""
    if is_shared(env, last):
        return False
    opened = last.opened
    was = (opened.commit.id, opened.services, opened.back, opened.promotes)
    wanted = (aim.commit.id, options.services, aim.back, aim.promotes)
    return was == wanted and (env.clock.now() - last.last).total_seconds() < seconds(env.config.settings.deadline)


def take_up_unfinished(env: Environment, options: Options, name: str = "") -> Run | None:
    """Take up the run to be finished.

    Where a CI run has recorded nothing, open one that says so; None: none is open.

    Args:
        name: its id or the end of it; default: this CI run's, or the newest one that is open.

    Raises:
        SettingsError: there is no run of that name.
    """
    if name:
        state = env.history.find(env.name, name)
        if state is None:
            raise SettingsError(f"there is no run {name!r}", remedy="inv history")
        if state.opened.operation:
            raise SettingsError(
                f"{name!r} is a {state.opened.operation} that was asked for alone: there is nothing to finish",
                remedy="inv history",
            )
    elif env.build is not None:
        state = _recorded(env)
    else:
        state = env.history.find_newest(env.name, lambda each: each.report is None, 20)
        if state is None:
            return None
    if state is None:
        return open_or_resume(env, options, Aim(commit=env.git.commit("HEAD"), since=None))
    run = take_up(env, options, state)
    if state.report is None:
        _record_gates_of_another_job(run)
        start_local_again(run)
    return run
