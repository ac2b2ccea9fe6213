"""What a person asks for beside the releases, written down: a restore, a proof, a hold, a look.

An operation is recorded and listed like a run, and is none: it is never open, so that it stands in nobody's way, and a store
that does not take it down keeps nobody from doing it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import msgspec

from deploylib.environment import A_COMMAND, Environment
from deploylib.errors import DeployError, Interrupted
from deploylib.models import Commit
from deploylib.models.results import DONE, Ending, Report, StageResult, StageStatus
from deploylib.models.units import age, seconds
from deploylib.state.history import Opened, RunState
from deploylib.state.lease import Holder, Lease, Tenure
from deploylib.store import format_version
from deploylib.system import process

__all__ = ["Operation", "recorded"]


@dataclass(slots=True)
class Operation:
    """An operation while it is done.

    Attributes:
        lines: that tell it, to be filled.
        lease: under which it changes what a release stands on; None: it changes nothing of that.
    """

    lines: list[str] = field(default_factory=list)
    lease: Tenure | None = None


@contextmanager
def recorded(
    env: Environment, name: str, commit: Commit | None = None, *, needs_lease: bool = False
) -> Iterator[Operation]:
    """Record that an operation began, what is said in the block, and how it ended.

    Args:
        name: of the operation, as `Opened.operation` has it.
        commit: that it is about; None: of none.
        needs_lease: it changes what a release stands on.

    Raises:
        LeaseHeld: somebody else has the lease that it needs: nothing of it is recorded.
    """
    began, at, operation = env.clock.monotonic(), env.clock.now(), Operation()
    opened = Opened(
        run=f"{at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        environment=env.name,
        commit=commit or Commit(id=""),
        author=env.author,
        operation=name,
        url=env.build.url if env.build else "",
    )
    state = RunState(opened=opened, at=at, last=at)
    with _leased(env, state) if needs_lease else nullcontext() as operation.lease:
        written = _begun(env, opened)
        try:
            yield operation
        except DeployError as error:
            failed = StageResult.of(name, error, env.clock.monotonic() - began)
            _ended(env, state, failed, Ending.of(error), written=written)
            raise
        took = env.clock.monotonic() - began
        done = StageResult(stage=name, status=StageStatus.DONE, lines=tuple(operation.lines), seconds=took)
        _ended(env, state, done, Ending(outcome=DONE), written=written)


@contextmanager
def _leased(env: Environment, state: RunState) -> Iterator[Tenure]:
    """Acquire the lease for an operation, and for the backup or the end of a run that is a part of it.

    Whoever is interrupted abandons it: the mark of a database that is half restored tells the next one.
    """
    env.store.probe()

    def waiting(lease: Lease) -> None:
        by = lease.holder
        env.progress.note(f"waiting for {by.name}{by.of}, seen {age(lease.age)} ago  {by.url}".rstrip())

    lease = Tenure(env.leases, _holder(env, state), env.clock)
    lease.take(within=seconds(env.config.settings.deadline) if env.build else 0.0, waiting=waiting)
    lease.lent, how = True, "abandon"
    try:
        format_version.require(env.store)  # whoever was waited for may have been of a newer version
        yield lease
        how = "release"
    except DeployError as error:
        how = "abandon" if isinstance(error, Interrupted) else "release"
        raise
    finally:
        lease.lent = False
        try:
            lease.end(how)
        except DeployError as gone:
            env.progress.note(f"the lease could not be given back ({gone.message}): it ends by itself in a minute")


def _holder(env: Environment, state: RunState) -> Holder:
    """Who holds: the operation; or the CI run that it is a job of, where the jobs of that hold the lease already."""
    host, pid = process.this_process()
    now, run = env.leases.current(), state.id
    if env.build is not None and now is not None and now.held and now.holder.shared:
        theirs = f"{env.name}-{env.build.id}"
        run = now.holder.run if f"{now.holder.run}-".startswith(f"{theirs}-") else run
    return Holder(
        run=run,
        author=env.author,
        url=state.opened.url,
        ttl=A_COMMAND,
        operation=state.opened.operation,
        host=host,
        pid=pid,
    )


def _begun(env: Environment, opened: Opened) -> bool:
    try:
        env.ledger.begin(opened)
    except Interrupted:
        raise
    except DeployError as error:
        env.progress.note(f"the history does not know of this: {error.message}")
        return False
    return True


def _ended(env: Environment, state: RunState, result: StageResult, ending: Ending, *, written: bool) -> None:
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
        env.ledger.append(state.id, "stage", result)
        env.ledger.close(msgspec.structs.replace(state, stages={result.stage: result}), told)
    except DeployError as error:
        env.progress.note(f"the history does not know how this ended: {error.message}")
