"""Services brought to what they shall serve, while visitors are counted."""

from __future__ import annotations

import msgspec

from deploylib.errors import DeployError, ForeignDeploy, Interrupted, Superseded
from deploylib.models import Kind, Order, Shipped, Target
from deploylib.models.results import StageResult
from deploylib.models.units import seconds
from deploylib.probes import address
from deploylib.release.run import Run, result, table
from deploylib.release.serving import REQUESTS_AT_ONCE
from deploylib.render import rollout
from deploylib.system import threads

__all__ = ["bring_services", "list_variables"]


def list_variables(run: Run, target: Target) -> tuple[str, ...]:
    """Name the environment variables of a service.

    They come back with the deploy that gets them (Render, Rollbacks).
    """
    if target.kind is Kind.STATIC:
        return ()  # they were built in, and the artifact is what comes back
    try:
        return tuple(sorted(run.env.render.variables(target.service_id)))
    except Interrupted:
        raise
    except DeployError:
        return ()  # only told before a rollback: a release does not fail for it


def bring_services(stage: str, run: Run, orders: list[Order]) -> StageResult:
    """Bring all services to their orders at once, while visitors are counted.

    Raises:
        Superseded: a newer release took the place of this one.
        DeployError: see `rollout.roll_out`.
    """
    paths = _asked_at(run)
    asked = dict(zip(orders, threads.each(lambda order: _before(run, order), orders, REQUESTS_AT_ONCE), strict=True))
    orders = [
        msgspec.structs.replace(
            order,
            named_before=before.commit,
            answered=address.comparable_status(order.target, before.status, paths),
            loaded=before.loaded,
        )
        for order, before in asked.items()
    ]
    seen = [order.target for order in orders if address.is_public(order.target) and order.previous.commit]
    run.log.start(order.target for order in orders)
    run.visitors.start([target.url + (target.health_path or "/") for target in seen])
    try:
        rollout.roll_out(
            orders,
            rollout.Rollout(
                run.env.render,
                run.env.clock,
                run.deadline,
                run.record,
                run.env.progress.progress,
                intents=run.state.intents,
                triggered=run.state.triggered,
                usual=_usual(run),
                start_within=seconds(run.env.config.settings.start_within),
                look_for=run.look_for,
            ),
        )
    except ForeignDeploy as error:
        raise (_superseded(run, error) or error) from error
    lines = [
        (name, _shipped_text(shipped))
        for name, shipped in run.state.shipped.items()
        if not run.services or name in run.services
    ]
    return result(stage, *table(lines))


def _asked_at(run: Run) -> dict[str, str]:
    """Read the path at which each service proved itself, by name."""
    last = run.env.history.find_newest(run.env.name, lambda state: state.release, 30)
    return {target.name: address.path_of(target) for target in last.checked.targets} if last else {}


def _before(run: Run, order: Order) -> address.Observed:
    """Ask what the address gives before this run changes it.

    Nothing new of a service that was asked for already.
    """
    begun = order.target.name in run.state.intents or not order.previous.commit
    return address.Observed() if begun else address.observe(order.target)


def _usual(run: Run) -> dict[str, float]:
    """Measure the seconds of each service's last deploy, by name."""
    seconds: dict[str, float] = {}
    for state in run.env.history.read_runs(run.env.name, 5):
        seconds = {name: one.seconds for name, one in state.shipped.items() if one.build_seconds} | seconds
    return seconds


def _superseded(run: Run, error: ForeignDeploy) -> Superseded | None:
    """Tell whether a newer deploy contains our commit."""
    newer, ours = error.commit, run.commit.id
    if not newer or newer == ours or not run.env.git.has(newer) or not run.env.git.is_ancestor(ours, newer):
        return None
    text = f"{error.service} gets {newer[:7]}, which has {ours[:7]} in it"
    return Superseded(text, remedy="inv status shows what is live", service=error.service)


def _shipped_text(shipped: Shipped) -> str:
    build = f"build {shipped.build_seconds:.1f}s · " if shipped.build_seconds else ""
    again = " · built again, its artifact was no longer kept" if shipped.rebuilt else ""
    return f"{build}start {shipped.start_seconds:.1f}s · live{again}"
