"""What a person asks for beside the releases, written down: a restore, a proof, a hold, a look.

An operation is recorded and listed like a run, and is none: it is never open, so that it stands in nobody's way, and a store
that does not take it down keeps nobody from doing it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from deploylib.errors import DeployError
from deploylib.ledger import Opened, RunState
from deploylib.models import Commit
from deploylib.outcome import Ending, Report, StageResult, StageStatus
from deploylib.stages import Context

__all__ = ["DONE", "recorded"]

DONE = "done"


@contextmanager
def recorded(ctx: Context, name: str, commit: Commit | None = None) -> Iterator[list[str]]:
    """Record that an operation began, what is said in the block, and how it ended.

    Args:
        name: of the operation, as `Opened.operation` has it.
        commit: that it is about; None: of none.

    Yields:
        The lines that tell it, to be filled.
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
    written = _begun(ctx, opened)
    try:
        yield lines
    except DeployError as error:
        failed = StageResult.of(name, error, ctx.clock.monotonic() - began)
        _ended(ctx, state, failed, Ending.of(error), written=written)
        raise
    done = StageResult(stage=name, status=StageStatus.DONE, lines=tuple(lines), seconds=ctx.clock.monotonic() - began)
    _ended(ctx, state, done, Ending(outcome=DONE), written=written)


def _begun(ctx: Context, opened: Opened) -> bool:
    try:
        ctx.ledger.begin(opened)
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
