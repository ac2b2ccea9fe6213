"""The switch: services deployed or put back, and the proof that they serve."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from deploylib import changes, deploy, threads, verify
from deploylib.errors import (
    DeployError,
    DeployStopped,
    ForeignDeploy,
    Interrupted,
    PersonNeeded,
    Superseded,
    VerificationFailed,
)
from deploylib.ledger import RunState
from deploylib.models import Intent, Kind, Live, Order, Proof, Shipped, Target, Verified
from deploylib.outcome import StageResult, StageStatus
from deploylib.stages.context import Checked, Context, Stage, result, skipped, table
from deploylib.units import seconds

__all__ = ["Deploy", "Verify", "answered", "carried_out", "prove", "variables"]


class Deploy(Stage):
    """All changed services at once; where jobs share a run, each those that it is asked for."""

    name: ClassVar[str] = "deploy"

    def done(self, ctx: Context) -> bool:
        """Whether everything that was to be deployed, by this job, is live."""
        return super().done(ctx) and not self._left(ctx)

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be deployed, and what would be put back."""
        chosen = ctx.planned.changes
        if not chosen.deploying:
            return skipped(self.name, "no service changed")
        rows = [(name, self._way_back(chosen.of(name).live)) for name in chosen.deploying]
        return result(self.name, *table(rows), status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Deploy, while visitors are counted."""
        chosen = ctx.planned.changes
        if not chosen.deploying:
            return skipped(self.name, "no service changed")
        left = self._left(ctx)
        orders = [self._order(ctx, target) for target in ctx.checked.targets if target.name in left]
        return carried_out(self.name, ctx, orders)

    def _order(self, ctx: Context, target: Target) -> Order:
        commit = ctx.planned.wanted.get(target.name, ctx.commit.id)
        cron, shared = target.kind is Kind.CRON, ctx.config.settings.shared
        return Order(
            target=target,
            commit=commit,
            previous=ctx.planned.changes.of(target.name).live,
            variables=variables(ctx, target),
            as_good=changes.as_good(target, commit, git=ctx.git, shared=shared) if cron else (),
        )

    def _left(self, ctx: Context) -> tuple[str, ...]:
        names = [name for name in ctx.planned.changes.deploying if not ctx.only or name in ctx.only]
        return tuple(name for name in names if name not in ctx.state.shipped)

    def _way_back(self, live: Live) -> str:
        return f"would be put back to {live.commit[:7]}" if live.commit else "first deploy: nothing to put back"


def variables(ctx: Context, target: Target) -> tuple[str, ...]:
    """Names of the environment variables of a service; they come back with the deploy that gets them (Render, Rollbacks)."""
    if target.kind is Kind.STATIC:
        return ()  # they were built in, and the artifact is what comes back
    try:
        return tuple(sorted(ctx.render.variables(target.service_id)))
    except Interrupted:
        raise
    except DeployError:
        return ()  # only told before a rollback: a release does not fail for it


def carried_out(stage: str, ctx: Context, orders: list[Order]) -> StageResult:
    """Have the services do it, all at once, while visitors are counted.

    Raises:
        Superseded: a newer release took the place of this one.
        DeployError: see `deploy.bring`.
    """
    paths = _asked_at(ctx)
    asked = dict(zip(orders, ctx.for_each(lambda order: _before(ctx, order), orders), strict=True))
    orders = [
        msgspec.structs.replace(order, named_before=named, answered=verify.comparable(order.target, status, paths))
        for order, (named, status) in asked.items()
    ]
    ctx.visitors.start(
        order.target.url + (order.target.health_path or "/")
        for order in orders
        if verify.is_public(order.target) and order.previous.commit
    )
    try:
        deploy.bring(
            orders,
            render=ctx.render,
            clock=ctx.clock,
            deadline=ctx.deadline,
            record=ctx.journal.record,
            progress=ctx.view.progress,
            intents=ctx.state.intents,
            triggered=ctx.state.triggered,
            expected=_usual(ctx),
            start_within=seconds(ctx.config.settings.start_within),
            look_for=ctx.look_for,
        )
    except ForeignDeploy as error:
        raise (_superseded(ctx, error) or error) from error
    told = [(name, _shipped_text(one)) for name, one in ctx.state.shipped.items() if not ctx.only or name in ctx.only]
    return result(stage, *table(told))


def _asked_at(ctx: Context) -> dict[str, str]:
    """The path at which each service of the release that serves was asked to prove itself, by name."""
    last = ctx.ledger.newest(ctx.config.name, lambda state: state.release, 30)
    return {target.name: verify.path(target) for target in last.data("check", Checked).targets} if last else {}


def _before(ctx: Context, order: Order) -> tuple[str, int]:
    """What the address names and gives before this run changes it; nothing new of a service that was asked for already."""
    begun = order.target.name in ctx.state.intents or not order.previous.commit
    return ("", 0) if begun else verify.now(order.target)


def _usual(ctx: Context) -> dict[str, float]:
    """Seconds that the last deploy of each service took, by name."""
    found: dict[str, float] = {}
    for state in ctx.ledger.history(ctx.config.name, 5):
        found = {name: one.seconds for name, one in state.shipped.items() if one.build_seconds} | found
    return found


def _superseded(ctx: Context, error: ForeignDeploy) -> Superseded | None:
    """A deploy of a commit that has ours in it only came later: the newer release is the one to look at."""
    newer, ours = error.commit, ctx.commit.id
    if not newer or newer == ours or not ctx.git.has(newer) or not ctx.git.is_ancestor(ours, newer):
        return None
    text = f"{error.service} gets {newer[:7]}, which has {ours[:7]} in it"
    return Superseded(text, remedy="inv status shows what is live", service=error.service)


def _shipped_text(one: Shipped) -> str:
    build = f"build {one.build_seconds:.1f}s · " if one.build_seconds else ""
    again = " · built again, its artifact was no longer kept" if one.rebuilt else ""
    return f"{build}start {one.start_seconds:.1f}s · live{again}"


class Shown(msgspec.Struct, frozen=True):
    """What the proof of a run has shown."""

    verified: tuple[Verified, ...] = ()


class Verify(Stage):
    """What this run deployed must prove itself; outside a run, what the ledger says is live."""

    name: ClassVar[str] = "verify"

    def plan(self, ctx: Context) -> StageResult:
        """Say what would be asked."""
        names = ", ".join((*ctx.planned.changes.deploying, *ctx.planned.unproven))
        if not names:
            return skipped(self.name, "nothing was deployed")
        return result(self.name, f"would ask {names} for {ctx.commit.short}", status=StageStatus.PLANNED)

    def apply(self, ctx: Context) -> StageResult:
        """Ask all of them at once."""
        migration = ctx.planned.migration
        shipped = ctx.state.shipped
        if not shipped and not ctx.planned.unproven:
            return skipped(self.name, "nothing was deployed")
        if left := [name for name in ctx.planned.changes.deploying if name not in shipped]:
            raise DeployStopped(
                f"{', '.join(left)}: its job has not deployed it", remedy="inv finish puts back what the run changed"
            )
        # What another tool has applied before, only the history tells: nothing to hold an answer against.
        known = not migration.ahead and (migration.pending or not migration.unchecked)
        revision = migration.target if known else ""
        expected = {
            name: verify.Expected(
                one.commit,
                one.previous.commit,
                revision,
                misnamed=_misnamed(ctx.state.intents.get(name)),
                before=_answered(ctx, name),
            )
            for name, one in shipped.items()
        }
        found = {name: ctx.planned.changes.of(name).live for name in ctx.planned.unproven if name not in shipped}
        expected |= {name: verify.Expected(live.commit) for name, live in found.items()}
        try:
            proven = prove(ctx, expected)
        except VerificationFailed as error:
            if error.service not in found:
                raise
            raise PersonNeeded(
                f"{found[error.service].commit[:7]} was live before this run and was never proven: {error.message}",
                remedy=f"inv rollback{ctx.config.flag}, or release a commit in which it is corrected",
                details=error.details,
                service=error.service,
            ) from error
        rows = [(one.service, f"{one.text}{_level(one)}") for one in proven]
        advice = _advice(proven)
        notes = [f"{one.service}: {note}" for one in proven for note in one.notes]
        return result(self.name, *table(rows), *notes, *advice, data={"verified": proven})


def prove(
    ctx: Context,
    expected: Mapping[str, verify.Expected],
    progress: Callable[[str, str], None] | None = None,
    pace: verify.Pace | None = None,
) -> tuple[Verified, ...]:
    """Verify several services at once; when this is interrupted, each ends before its next request."""
    stop, tell, measured = threading.Event(), progress or ctx.view.progress, pace or ctx.pace

    def said(service: str, text: str) -> None:
        if stop.is_set():
            raise Interrupted("verification was ended", remedy="inv verify", service=service)
        tell(service, text)

    def one(target: Target) -> Verified:
        known = expected[target.name]
        return verify.until_proven(target, known, render=ctx.render, clock=ctx.clock, pace=measured, progress=said)

    chosen = [target for target in ctx.checked.targets if target.name in expected]
    try:
        return tuple(threads.each(one, chosen, len(chosen)))
    finally:
        stop.set()


def _answered(ctx: Context, name: str) -> int:
    """The status that the address gave before; what a bad release gave says nothing of the one that is gone back to."""
    intent = ctx.state.intents.get(name)
    return 0 if intent is None or ctx.state.opened.back else intent.answered


def answered(state: RunState) -> dict[str, int]:
    """The status that each public address gave when a run verified it."""
    shown = state.data("verify", Shown).verified
    return {one.service: one.answered or verify.GOOD for one in shown if one.proof is not Proof.PLATFORM}


def _misnamed(intent: Intent | None) -> bool:
    return intent is not None and intent.misnamed


def _level(one: Verified) -> str:
    return "" if one.proof is Proof.COMMIT else f"  (proof: {one.proof})"


def _advice(proven: tuple[Verified, ...]) -> tuple[str, ...]:
    """The advice, once for all services that share it."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for one in proven:
        if one.advice:
            seen.setdefault(one.advice, []).append(one.service)
    return tuple(line for advice, names in seen.items() for line in (f"{', '.join(names)}: {advice[0]}", *advice[1:]))
