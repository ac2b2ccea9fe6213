"""What a person asks for beside the releases, written down: a restore, a proof, a hold, a look.

An operation is recorded and listed like a run, and is none: it is never open, so that it stands in nobody's way, and a store
that does not take it down keeps nobody from doing it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import msgspec

from deploylib import formats, process
from deploylib.errors import DeployError, Interrupted
from deploylib.lease import Holder, Lease, Tenure
from deploylib.ledger import Journal, Opened, RunState
from deploylib.models import Commit
from deploylib.outcome import Ending, Report, StageResult, StageStatus
from deploylib.stages import Context
from deploylib.units import age, seconds

__all__ = ["DONE", "recorded"]

DONE = "done"
A_COMMAND = 60.0  # seconds without a sign of life, as of a run


@contextmanager
def recorded(ctx: Context, name: str, commit: Commit | None = None, *, holding: bool = False) -> Iterator[list[str]]:
    """Record that an operation began, what is said in the block, and how it ended.

    Args:
        name: of the operation, as `Opened.operation` has it.
        commit: that it is about; None: of none.
        holding: it changes what a release stands on, so that the environment is held like by a run.

    Yields:
        The lines that tell it, to be filled.

    Raises:
        LeaseHeld: with *holding*, by somebody else: nothing of it is recorded.
    """
    began, at, lines = ctx.clock.monotonic(), ctx.clock.now(), list[str]()
    opened = Opened(
        run=f"{at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        environment=ctx.config.name,
        commit=commit or Commit(id=""),
        author=ctx.author,
        operation=name,
        url=ctx.build.url if ctx.build else "",
    )
    state = RunState(opened=opened, at=at, last=at)
    with _held(ctx, state) if holding else nullcontext():
        written = _begun(ctx, opened)
        try:
            yield lines
        except DeployError as error:
            failed = StageResult.of(name, error, ctx.clock.monotonic() - began)
            _ended(ctx, state, failed, Ending.of(error), written=written)
            raise
        done = StageResult(
            stage=name, status=StageStatus.DONE, lines=tuple(lines), seconds=ctx.clock.monotonic() - began
        )
        _ended(ctx, state, done, Ending(outcome=DONE), written=written)


@contextmanager
def _held(ctx: Context, state: RunState) -> Iterator[None]:
    """Hold the environment for an operation, and for the backup or the end of a run that is a part of it.

    Whoever is interrupted abandons it: the mark of a database that is half restored tells the next one.
    """
    ctx.store.probe()
    patience = ctx.wait or (ctx.config.settings.deadline if ctx.build else "0s")
    tenure = Tenure(ctx.leases, _holder(ctx, state), ctx.clock)
    tenure.take(within=seconds(patience, "--wait"), waiting=lambda lease: _waiting(ctx, lease))
    ctx.journal = Journal(ctx.ledger, state, fence=tenure.fence, dry=True)
    ctx.tenure, tenure.lent, how = tenure, True, "abandon"
    try:
        formats.require(ctx.store)  # whoever was waited for may have been of a newer version
        yield
        how = "release"
    except DeployError as error:
        how = "abandon" if isinstance(error, Interrupted) else "release"
        raise
    finally:
        tenure.lent = False
        del ctx.tenure  # a run that comes after it has its own
        try:
            tenure.end(how)
        except DeployError as gone:
            ctx.view.note(f"the lease could not be given back ({gone.message}): it ends by itself in a minute")


def _holder(ctx: Context, state: RunState) -> Holder:
    """Who holds: the operation; or the CI run that it is a job of, where the jobs of that hold the environment already."""
    host, pid = process.here()
    now, run = ctx.leases.current(), state.id
    if ctx.build is not None and now is not None and now.held and now.holder.shared:
        theirs = f"{ctx.config.name}-{ctx.build.id}"
        run = now.holder.run if f"{now.holder.run}-".startswith(f"{theirs}-") else run
    return Holder(
        run=run,
        author=ctx.author,
        url=state.opened.url,
        ttl=A_COMMAND,
        operation=state.opened.operation,
        host=host,
        pid=pid,
    )


def _waiting(ctx: Context, lease: Lease) -> None:
    by = lease.holder
    ctx.view.note(f"waiting for {by.name}{by.of}, seen {age(lease.age)} ago  {by.url}".rstrip())


def _begun(ctx: Context, opened: Opened) -> bool:
    try:
        ctx.ledger.begin(opened)
    except Interrupted:
        raise
    except DeployError as error:
        ctx.view.note(f"the history does not know of this: {error.message}")
        return False
    return True


def _ended(ctx: Context, state: RunState, result: StageResult, ending: Ending, *, written: bool) -> None:
    if not written:
        return
    run = state.opened
    told = Report(
        run=run.run,
        environment=run.environment,
        commit=run.commit,
        stages=(result,),
        seconds=result.seconds,
        **msgspec.structs.asdict(ending),
    )
    try:
        ctx.ledger.append(state.id, "stage", result)
        ctx.ledger.close(msgspec.structs.replace(state, stages={result.stage: result}), told)
    except DeployError as error:
        ctx.view.note(f"the history does not know how this ended: {error.message}")
