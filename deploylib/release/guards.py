"""What may refuse a release: a gate, a hold, somebody else's deploy."""

from __future__ import annotations

from deploylib.errors import ForeignDeploy, Held, SettingsError
from deploylib.models import DeployStatus, Live, StageName, Target, Waived
from deploylib.models.results import StageResult
from deploylib.models.units import age, seconds
from deploylib.release.run import Run, skip_stage
from deploylib.release.serving import REQUESTS_AT_ONCE, make_live
from deploylib.render import rollout
from deploylib.state import Hold, RunState
from deploylib.system import Deadline, ci, threads

__all__ = ["GATES", "read_handed_over", "require_alone", "require_not_held", "skip_gate", "wait_until_alone"]

GATES = (StageName.TESTS, StageName.SCAN)
LOOK_EVERY = 5.0  # seconds between two looks at what somebody else deploys: one request for each service


def skip_gate(run: Run, gate: StageName) -> StageResult | None:
    """Leave out a gate, as a person has asked.

    It is recorded, and told with the end of the run.
    """
    if gate not in run.options.skip:
        return None
    by = Waived(skipped_by=run.env.author, reason=run.options.reason)
    return skip_stage(gate, f"by {by.skipped_by}: {by.reason}", data=by)


def read_handed_over(run: Run, gate: StageName) -> StageResult | None:
    """Read what another job of this CI says of a gate.

    Raises:
        SettingsError: it is no such result, or of another commit.
    """
    handed = ci.read_gate(run.env.config.environ, gate)
    if handed is None:
        return None
    commit = run.state.opened.commit
    if handed.commit not in {commit.id, run.examined}:
        raise SettingsError(
            f"what {gate} has handed over is of {handed.commit[:7]}, and this run is about {commit.short}",
            remedy="check the same commit out in every job",
        )
    return handed.result


def require_not_held(run: Run) -> None:
    """See that the environment takes this release; nobody waits on a hold.

    Raises:
        Held: it refuses the commit, or everything.
    """
    back = run.back
    wanted = (run.commit.id, *run.wanted.values())
    holds = [one for one in run.env.holds.read() if any(one.refuses(commit, back=back) for commit in wanted)]
    if not holds:
        return
    refusals = [_held(run, one) for one in sorted(holds, key=lambda one: not one.everything)]
    (first, remedy), *others = refusals
    raise Held(
        f"{run.env.name} refuses {first}",
        details=tuple(f"it also refuses {text}: {way}" for text, way in others),
        remedy=remedy,
    )


def _held(run: Run, hold: Hold) -> tuple[str, str]:
    """Say what a hold refuses, why, and since when.

    And what is to be done about it.
    """
    where = run.env.flag
    lift = f"inv hold.lift{where}"
    known = (hold.by, f"{age((run.env.clock.now() - hold.at).total_seconds())} ago")
    by = ", ".join(one for one in known if one)
    if not hold.everything:
        remedy = f"correct it in a newer commit, which is let through; or {lift} {hold.flag}, if it was not at fault"
        return f"{run.commit.short}: {hold.reason} ({by})", remedy
    remedy = f"inv rollback{where}; or {lift}, once all is well" if hold.run else f"{lift}, once its reason is gone"
    return f"every release: {hold.reason} ({by})", remedy


def wait_until_alone(run: Run, targets: tuple[Target, ...]) -> None:
    """Wait until nobody else deploys, as long as ``--wait`` says.

    Raises:
        ForeignDeploy: somebody still does; see `require_alone`.
    """
    env, options = run.env, run.options
    deadline = Deadline.after(0.0 if options.dry_run else seconds(options.wait or "0s", "--wait"), env.clock)
    noted = ""
    while True:
        try:
            require_alone(run, targets, leased=False)
        except ForeignDeploy as error:
            if deadline.has_passed():
                raise
            if error.message != noted:
                env.progress.note(f"waiting, {options.wait} at most: {error.message}")
                noted = error.message
        else:
            return
        env.clock.sleep(min(LOOK_EVERY, deadline.left))


def require_alone(run: Run, targets: tuple[Target, ...], *, leased: bool) -> dict[str, Live]:
    """See that nobody else deploys.

    Args:
        leased: we have the lease, so what an earlier run of ours has left on its way is stopped, or it may go
            live later. Otherwise it may be of a run that is at work: also one that is just being asked for.

    Returns:
        What each service serves, as far as these looks have told.

    Raises:
        ForeignDeploy: a deploy on its way is of no run of ours.
        Damaged: it may be of a run that cannot be read.
    """
    live: dict[str, Live] = {}
    now = {triggered.deploy_id for triggered in run.state.triggered.values()}
    history = list(run.env.history.read_runs(run.env.name, 5))
    asked = [(state.triggered, state.intents, state.report is None) for state in history]
    asked += [(state.back_triggered, state.back_intents, state.report is None) for state in history]
    left = {one.deploy_id for triggered, _, _ in asked for one in triggered.values()}
    asking = {name for triggered, intents, is_open in asked if is_open for name in set(intents) - set(triggered)}
    run.env.render.owned.update(_known_deploys(history, targets))
    listed = threads.each(lambda target: run.env.render.deploys(target.service_id, limit=5), targets, REQUESTS_AT_ONCE)
    for target, deploys in zip(targets, listed, strict=True):
        serving = next((one for one in deploys if one.status is DeployStatus.LIVE), None)
        if serving is not None and all(one.status.terminal for one in deploys):
            live[target.name] = make_live(target, serving)
        for deploy in deploys:
            if deploy.status.terminal or deploy.id in now or (target.name in asking and not leased):
                continue
            if deploy.id not in left and not _of_a_lost_run(run):
                raise ForeignDeploy(
                    f"{target.name}: {deploy.id} ({deploy.commit[:7]}, trigger {deploy.trigger or 'unknown'}) is on its way",
                    remedy=f"cancel it ({target.dashboard_url}) or wait for it, as --wait 10m does, with the same command again",
                    service=target.name,
                )
            if leased:
                rollout.cancel_and_wait(
                    target, deploy.id, client=run.env.render, clock=run.env.clock, deadline=run.deadline
                )
    return live


def _known_deploys(history: list[RunState], targets: tuple[Target, ...]) -> set[tuple[str, str]]:
    """List the deploys that earlier runs saw go live.

    So nobody asks once more whose they are.
    """
    seen = {(shipped.service, shipped.deploy_id) for state in history for shipped in state.shipped.values()}
    seen |= {(live.service, live.deploy_id) for state in history for live in state.release}
    return {(target.service_id, deploy_id) for target in targets for name, deploy_id in seen if name == target.name}


def _of_a_lost_run(run: Run) -> bool:
    """Tell whether a deploy may be of an unreadable run.

    Raises:
        Damaged: that run; but not in a rollback, which says itself what shall be live.
    """
    damaged = run.env.history.find_unreadable(run.env.name)
    if damaged is not None and not run.back:
        raise damaged
    return damaged is not None
