"""The end of a run: what it says of itself, what is recorded, held and told, and what is live then."""

from __future__ import annotations

import msgspec

from deploylib import notify, stages
from deploylib.errors import DeployError, Interrupted, NotKnownYet, SettingsError, Unreachable
from deploylib.ledger import Journal
from deploylib.models import Kind, Live
from deploylib.outcome import Ending, Report, StageResult, short
from deploylib.stages import Context
from deploylib.units import seconds

__all__ = ["close", "left_open", "report", "serving"]


def close(ctx: Context, ending: Ending, began: float, *, keep: bool = False) -> Report:
    """Record the end of the run, give the environment back, and tell; in a dry run there is nothing to record.

    Args:
        keep: the environment is held for another run, which goes on.
    """
    told = report(ctx, ending, began)
    if ending == Ending() and ctx.journal.written:
        told = msgspec.structs.replace(told, live=_with_schema(ctx, told.live))
        _holds_after(ctx, told)
    ctx.journal.close(told)
    if not keep:
        ctx.tenure.end("release")
    _tell(ctx, told)
    return told


def left_open(ctx: Context, error: NotKnownYet, began: float) -> Report:
    """Leave a run open whose end is not known yet: whoever looks next settles it first."""
    told = report(ctx, Ending.of(error), began)
    if ctx.decides:
        try:
            ctx.tenure.end("abandon")
        except DeployError as gone:
            ctx.view.note(f"the lease could not be given up ({gone.message}): it ends by itself in a minute")
        _tell(ctx, told)
    return told


def _tell(ctx: Context, told: Report) -> None:
    """Tell Slack; a message changes no outcome. Of what was asked for beside the releases only a failure is told."""
    if not ctx.journal.written or (webhook := ctx.config.webhook) is None:
        return
    if ctx.state.opened.operation and told.exit_code in {0, Interrupted.exit_code}:
        return
    before = {one.service: one.live.commit for one in ctx.planned.changes.services}
    before |= {name: one.previous.commit for name, one in ctx.state.intents.items()}
    sent = notify.send(webhook, notify.message(told, before, url=ctx.state.opened.url))
    if sent.delivered:
        return
    ctx.view.note(f"Slack was not told: {sent.reason}")
    try:
        ctx.ledger.append(ctx.state.id, "undelivered", sent)
    except DeployError as error:
        ctx.view.note(f"and that could not be recorded: {error.message}")


def _with_schema(ctx: Context, live: tuple[Live, ...]) -> tuple[Live, ...]:
    """What is live, with the schema that each commit was written for: this run's, or what an earlier release recorded."""
    state = ctx.state
    static = {target.name for target in ctx.checked.targets if target.kind is Kind.STATIC}
    known = {} if state.opened.back else dict.fromkeys(state.shipped, ctx.planned.migration.written_for)
    missing = {one.service for one in live if one.service not in known} - static
    earlier = ctx.ledger.history(ctx.config.name, 50) if missing else ()
    for release in (one.release for one in earlier if missing):
        for one in release:
            if one.service in missing and any((now.service, now.commit) == (one.service, one.commit) for now in live):
                known[one.service] = one.schema
                missing.discard(one.service)
    known |= dict.fromkeys(static, "")
    return tuple(msgspec.structs.replace(one, schema=known.get(one.service, "")) for one in live)


def _holds_after(ctx: Context, told: Report) -> None:
    """A release that has proven itself ends the holds that it mends; a rollback holds what it went back from."""

    def contains(commit: str) -> bool:
        return ctx.git.has(commit) and ctx.git.is_ancestor(commit, ctx.commit.id)

    state = ctx.state
    for one in ctx.holds.clear(ctx.commit.id, state.id, contains=contains, back=state.opened.back):
        ctx.view.note(f"the hold is over: {one.reason}")
    left = {one.previous.commit for one in state.intents.values()} - {one.commit for one in told.live} - {""}
    if state.opened.back and left:
        given = "" if ctx.skip else ctx.reason.strip()  # with --skip it says why a check was left out
        reason = given or f"run {short(state.id)} went back from it"
        ctx.holds.place(sorted(left), reason, author=ctx.author, run=state.id)
        names = ", ".join(sorted(one[:7] for one in left))
        ctx.view.note(f"{names}: held from now on; a newer commit is let through")


def report(ctx: Context, ending: Ending, began: float, result: tuple[StageResult, ...] = ()) -> Report:
    """The run as it is told now, with no secret in it; who was interrupted asks nobody anything more."""
    stopped = ending.exit_code == Interrupted.exit_code
    told = Report(
        run=ctx.state.id,
        environment=ctx.config.name,
        outcome=ending.outcome,
        exit_code=ending.exit_code,
        commit=ctx.commit,
        stages=result or tuple(ctx.state.stages.values()),
        deploying=ctx.planned.changes.deploying,
        live=()
        if stopped or ending.exit_code in {Unreachable.exit_code, NotKnownYet.exit_code}
        else _what_is_live(ctx),
        visitors=ctx.visitors.stop(1.0 if stopped else 0.0),
        error=ending.error,
        details=ending.details,
        put_back=ctx.state.put_back,
        next=ending.next,
        seconds=round(ctx.clock.monotonic() - began, 3),
        target=seconds(ctx.config.settings.target),
    )
    return ctx.struck.of(told)


def serving(ctx: Context) -> dict[str, Live]:
    """What the services of an environment serve, by the platform's word, as the last run that looked knows them.

    Raises:
        SettingsError: none ever did.
    """
    known = ctx.ledger.newest(ctx.config.name, lambda state: state.done("check"))
    if known is None:
        remedy = f"inv deploy --environment {ctx.config.name}"
        raise SettingsError(f"nothing was ever deployed to {ctx.config.name!r} from here", remedy=remedy)
    ctx.journal = Journal(ctx.ledger, known, dry=True)
    return ctx.live()


def _what_is_live(ctx: Context) -> tuple[Live, ...]:
    """The platform's truth at the end; empty where it cannot be asked, which the report then does not claim to know."""
    try:
        if ctx.checked.targets:
            return tuple(ctx.live().values())
        known = ctx.ledger.newest(ctx.config.name, lambda state: state.done("check"), 5)
        targets = known.data("check", stages.Checked).targets if known is not None else ()
        return tuple(ctx.live_of(target) for target in targets)
    except DeployError:
        return ()
