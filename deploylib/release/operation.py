"""What a person asks for beside the releases, written down.

A restore, a proof, a hold, a look.

An operation is recorded and listed like a run, and is none: it is never open, so that it stands in nobody's way, and a store
that does not take it down keeps nobody from doing it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import msgspec

from deploylib.environment import Environment
from deploylib.errors import DeployError, Interrupted
from deploylib.models import Commit, Opened
from deploylib.models.results import DONE, Ending, Report, StageResult, StageStatus
from deploylib.models.units import seconds
from deploylib.notifications import message
from deploylib.release.telling import note_undelivered
from deploylib.state import Lease, LeaseState, RunState
from deploylib.store import format_version

__all__ = ["Operation", "record_operation"]


@dataclass(slots=True)
class Operation:
    """An operation while it is done.

    Attributes:
        run: its id in the history.
        lines: that tell it, to be filled.
        lease: under which it changes what a release stands on; None: it changes nothing of that.
        title: by which every channel is told that it was done; empty: nobody is.
        data: what came of it, for programs that read the history.
    """

    run: str
    lines: list[str] = field(default_factory=list)
    lease: Lease | None = None
    title: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@contextmanager
def record_operation(
    env: Environment, name: str, commit: Commit | None = None, *, needs_lease: bool = False, title: str = ""
) -> Iterator[Operation]:
    """Record how an operation began, what it said, how it ended.

    Args:
        name: of the operation, as `Opened.operation` has it.
        commit: that it is about; None: of none.
        needs_lease: it changes what a release stands on.
        title: see `Operation`.

    Raises:
        LeaseHeld: somebody else has the lease that it needs: nothing of it is recorded.
    """
    began, at = env.clock.monotonic(), env.clock.now()
    opened = Opened(
        run=f"{at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        environment=env.name,
        commit=commit or Commit(id=""),
        author=env.author,
        operation=name,
        url=env.build.url if env.build else "",
    )
    state, operation = RunState(opened=opened, at=at, last=at), Operation(opened.run, title=title)
    with _leased(env, state) if needs_lease else nullcontext() as operation.lease:
        written = _begun(env, opened)
        try:
            yield operation
        except DeployError as error:
            failed = StageResult.of(name, error, env.clock.monotonic() - began)
            failed = msgspec.structs.replace(failed, data=operation.data)
            _ended(env, state, failed, Ending.of(error), written=written)
            raise
        took = env.clock.monotonic() - began
        lines, data = tuple(operation.lines), operation.data
        done = StageResult(stage=name, status=StageStatus.DONE, lines=lines, seconds=took, data=data)
        _ended(env, state, done, Ending(outcome=DONE), written=written)
    if operation.title:
        _tell(env, opened, operation)


def _tell(env: Environment, opened: Opened, operation: Operation) -> None:
    """Tell every channel that it was done, and by whom."""
    text = message.operation_message(
        env.name,
        env.clock.now(),
        name=opened.run,
        title=operation.title,
        author=opened.author,
        lines=operation.lines,
        url=opened.url,
    )
    note_undelivered(env, env.messenger.tell(text))


@contextmanager
def _leased(env: Environment, state: RunState) -> Iterator[Lease]:
    """Acquire the lease for an operation and its parts.

    Whoever is interrupted abandons it: the mark of a database that is half restored tells the next one.
    """
    env.store.probe()

    def waiting(lease: LeaseState) -> None:
        by = lease.holder
        env.progress.note(f"waiting for {by.name}{by.of}, seen {lease.seen}  {by.url}".rstrip())

    lease = env.make_lease(_lessee(env, state), operation=state.opened.operation)
    lease.acquire(within=seconds(env.config.settings.deadline) if env.build else 0.0, waiting=waiting)
    lease.lent, end = True, lease.abandon
    try:
        format_version.require(env.store)  # whoever was waited for may have been of a newer version
        yield lease
        end = lease.release
    except DeployError as error:
        end = lease.abandon if isinstance(error, Interrupted) else lease.release
        raise
    finally:
        lease.lent = False
        try:
            end()
        except Interrupted:
            raise
        except DeployError as gone:
            env.progress.note(f"the lease could not be given back ({gone.message}): it ends by itself in a minute")


def _lessee(env: Environment, state: RunState) -> str:
    """Name the run that shares the lease, else the operation."""
    now = env.leases.read()
    shared = env.build is not None and now is not None and now.taken and now.holder.shared
    theirs = f"{now.holder.run}-" if shared and now is not None else ""
    return theirs[:-1] if env.build and theirs.startswith(f"{env.name}-{env.build.id}-") else state.id


def _begun(env: Environment, opened: Opened) -> bool:
    try:
        env.history.begin(opened)
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
    report = Report(
        run=run.run,
        environment=run.environment,
        commit=run.commit,
        stages=(result,),
        seconds=result.seconds,
        **msgspec.structs.asdict(ending),
    )
    try:
        env.history.append(state.id, "stage", result)
        env.history.close(msgspec.structs.replace(state, stages={result.stage: result}), report)
    except Interrupted:
        raise
    except DeployError as error:
        env.progress.note(f"the history does not know how this ended: {error.message}")
