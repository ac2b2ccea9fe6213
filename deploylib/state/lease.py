"""The lease of an environment.

One run at a time, and a dead holder frees itself.
Leases are numbered, ``leases/<environment>/<n>/``: the highest number counts, and the number is the fencing token that its
holder checks before each step that cannot be undone. Number n+1 can be acquired, by a write that only one can win, once
n was released, was abandoned, or has not shown a sign of life for its time, by the store's own clock. So a dead holder
blocks nobody for longer than that, and one that was only slow learns that it has lost the lease.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Self

import msgspec

from deploylib.errors import DeployError, LeaseHeld
from deploylib.models.units import age
from deploylib.store import Damaged, Store, read_document
from deploylib.system import Clock, Deadline, process, threads

__all__ = ["Holder", "Lease", "LeaseState", "Leases"]

KEEP = 20
UNREADABLE = 900.0  # seconds without a sign of life, for a holder that nobody can name: as long as between jobs
ASK_EVERY = 2.0
APART = 60.0  # seconds that the clocks of two machines that share a folder may differ without a word
LONGEST = 1000  # bytes of a reason


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who has acquired a lease.

    Attributes:
        run: the run's id.
        url: of the CI run.
        ttl: seconds without a sign of life after which it counts as dead.
        shared: the other jobs of the same run share it.
        operation: what acquired it beside the releases, where no run did: ``restore``, ``backup``.
        host: the machine's name; with *pid* a command on the same machine sees at once that the holder is dead.
    """

    run: str
    author: str = ""
    url: str = ""
    ttl: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 60.0
    shared: bool = False
    operation: str = ""
    host: str = ""
    pid: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)] = 0

    @property
    def of(self) -> str:
        """Whose run it is, as it is told.

        Empty where nobody wrote that down.
        """
        return f" of {self.author}" if self.author else ""

    @property
    def what(self) -> str:
        """The word for what it does: ``run``, or the operation."""
        return self.operation or "run"

    @property
    def name(self) -> str:
        """The word for it, and its id."""
        return f"{self.what} {self.run}"

    @property
    def dead(self) -> bool:
        """Whether its process ran on this machine, and has ended."""
        return not self.shared and self.host == process.this_process()[0] and not process.is_alive(self.pid)


class LeaseState(msgspec.Struct, frozen=True, kw_only=True):
    """The newest lease of an environment, as the store has it.

    Attributes:
        age: seconds since its last sign of life; negative: it is of a time that has not come yet.
        state: ``held``, ``released``, ``abandoned``, ``expired`` or ``dead``.
        reason: why somebody else than its holder has released it.
    """

    number: int
    holder: Holder
    age: float
    state: str
    reason: str = ""

    @property
    def ahead(self) -> bool:
        """Whether its last sign of life is still to come.

        The clock was wrong when it was written, or is now: it does not expire before that.
        """
        return self.age < -APART

    @property
    def seen(self) -> str:
        """When its last sign of life was, as it is told."""
        return f"in the future, by {age(-self.age)}: a clock was wrong" if self.ahead else f"{age(self.age)} ago"

    @property
    def taken(self) -> bool:
        """Whether nobody else may acquire it."""
        return self.state == "held"


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of one environment."""

    store: Store
    environment: str

    def read(self) -> LeaseState | None:
        """Read the newest lease; None before the first."""
        keys = list(self.store.list(f"{self._root}/"))
        numbers = [_number(key) for key in keys if key.endswith("/lease.json")]
        if not any(numbers):
            return None
        number = max(numbers)
        record, beat = self._key(number, "lease.json"), self._key(number, "beat")
        try:
            holder = self._holder(record)
            elapsed = self.store.age(beat if beat in keys else record)
        except KeyError as error:
            raise Damaged(record, "it went away while it was read", "the same command again") from error
        for state in ("released", "abandoned"):
            if self._key(number, state) in keys:
                reason = self._reason(self._key(number, state))
                return LeaseState(number=number, holder=holder, age=elapsed, state=state, reason=reason)
        state = "expired" if elapsed > holder.ttl else "dead" if holder.dead else "held"
        return LeaseState(number=number, holder=holder, age=elapsed, state=state)

    def try_acquire(self, holder: Holder, now: LeaseState | None) -> int:
        """Try once to get the number after *now*.

        0 when another was quicker.
        """
        number = now.number + 1 if now else 1
        if not self.store.put_if_absent(self._key(number, "lease.json"), msgspec.json.encode(holder)):
            return 0
        for key in list(self.store.list(f"{self._root}/")):  # so that the listing stays short
            if 0 < _number(key) <= number - KEEP:
                self.store.delete(key)
        return number

    def is_current(self, number: int) -> bool:
        """Tell whether *number* is still the newest, and not released."""
        now = self.read()
        return now is not None and now.number == number and now.state not in {"released", "abandoned"}

    def beat(self, number: int) -> None:
        """Show a sign of life."""
        self.store.put(self._key(number, "beat"), [b""])

    def release(self, number: int, reason: str = "") -> None:
        """Release it, with a *reason* in its holder's place."""
        self.store.put_if_absent(self._key(number, "released"), reason.encode())

    def abandon(self, number: int) -> None:
        """Release it with a run unfinished, which the next holder settles first."""
        self.store.put_if_absent(self._key(number, "abandoned"), b"")

    @property
    def _root(self) -> str:
        return f"leases/{self.environment}"

    def _key(self, number: int, name: str) -> str:
        return f"{self._root}/{number:08d}/{name}"

    def _holder(self, record: str) -> Holder:
        """Read the holder.

        Where the record is damaged, an unknown one, which is not none.
        """
        try:
            return read_document(self.store, record, Holder)
        except Damaged:
            return Holder(run="unknown (its record cannot be read)", ttl=UNREADABLE)

    def _reason(self, key: str) -> str:
        """Read why it was released; that it was, its key says."""
        try:
            return next(iter(self.store.read(key)), b"")[:LONGEST].decode(errors="replace")
        except (KeyError, Damaged):
            return ""


@dataclass(slots=True)
class Lease:
    """One command's right to change an environment.

    Acquired, kept alive by a thread, checked, released.

    Attributes:
        number: of the lease; 0 while it is not acquired.
        lent: a part of the command works under it, whose end does not release it.
    """

    leases: Leases
    holder: Holder
    clock: Clock
    number: int = 0
    lent: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def of(
        cls, leases: Leases, clock: Clock, *, run: str, author: str, url: str, ttl: float, shared: bool, operation: str
    ) -> Self:
        """Make the lease that a command on this machine will acquire.

        See `Holder`.
        """
        host, pid = process.this_process()
        holder = Holder(
            run=run, author=author, url=url, ttl=ttl, shared=shared, operation=operation, host=host, pid=pid
        )
        return cls(leases, holder, clock)

    def acquire(
        self, *, within: float, known: bool = False, waiting: Callable[[LeaseState], None] = lambda _: None
    ) -> None:
        """Acquire the lease, or share that of the run's other jobs.

        Args:
            within: seconds to wait for another holder; 0: do not wait.
            known: the run had a lease before, so that another run's since means that it was lost. An operation's does
                not: it either changes nothing, or ends first what was left behind.
            waiting: is told of the lease that is waited for, once.

        Raises:
            LeaseHeld: another holder had it all the time, or has taken it over.
        """
        deadline, reported = Deadline.after(within, self.clock), 0
        while not self.number:
            now = self.leases.read()
            ours = now is not None and now.holder.run == self.holder.run
            if known and now is not None and not ours and not now.holder.operation:
                raise self._loss(now)
            if now is not None and now.taken and ours and now.holder.shared and self.holder.shared:
                self.leases.beat(now.number)
                self.number = now.number
            elif now is None or not now.taken or (ours and now.holder.shared):
                self.number = self.leases.try_acquire(self.holder, now)
            elif deadline.has_passed():
                raise self._refusal(now)
            else:
                if reported != now.number:
                    waiting(now)
                reported = now.number
                self.clock.sleep(min(ASK_EVERY, max(0.1, deadline.left)))
        thread = threading.Thread(target=self._beat, name=f"lease {self.number}", daemon=True)
        threads.begin(thread)
        self._thread = thread

    def fence(self) -> None:
        """Stop here if the lease was lost.

        Asked before each step that cannot be undone.

        Raises:
            LeaseHeld: another has acquired it, or released it in our place.
        """
        if self.number and not self.leases.is_current(self.number):
            raise self._loss(self.leases.read())

    def release(self) -> None:
        """Release the lease: others may acquire it."""
        self._end(self.leases.release)

    def abandon(self) -> None:
        """Abandon it: others may acquire it, and settle what is left."""
        self._end(self.leases.abandon)

    def leave(self) -> None:
        """Keep it for the run's other jobs, and stop the heartbeat."""
        self._end(lambda _number: None)

    def _end(self, write: Callable[[int], None]) -> None:
        if self.lent:
            return
        self._done.set()
        if self._thread is not None:
            self._thread.join(2)  # it may wait for a store that does not answer
        if self.number:
            write(self.number)
        self.number = 0

    def _beat(self) -> None:
        number = self.number
        while not self._done.wait(min(60.0, self.holder.ttl / 3)):
            try:
                self.leases.beat(number)
            except DeployError:
                continue  # the store may be back at the next beat; if it is not, the fence finds out

    def _refusal(self, now: LeaseState) -> LeaseHeld:
        where = f"; {now.holder.url}" if now.holder.url else ""
        environment = self.leases.environment
        by_hand = f"inv lease.release --environment {environment} --reason …"
        wait = "wait for it (deploy, rollback and promote do, with --wait 10m)"
        dead = f"a dead holder is free {age(now.holder.ttl)} after its last sign"
        return LeaseHeld(
            f"{now.holder.name}{now.holder.of} holds {environment}; its last sign of life was {now.seen}{where}",
            remedy=f"see whether it has ended; if so: {by_hand}" if now.ahead else f"{wait}; {dead}, or {by_hand}",
        )

    def _loss(self, now: LeaseState | None) -> LeaseHeld:
        by = f"{now.holder.name} has" if now is not None and now.holder.run != self.holder.run else "somebody has"
        return LeaseHeld(
            f"{by} taken {self.leases.environment} over from {self.holder.name}",
            details=(now.reason,) if now is not None and now.reason else (),
            remedy="inv status shows what is live; inv history what happened; then a new run",
        )


def _number(key: str) -> int:
    """Read the number of a lease from a key.

    0 for a stray object.
    """
    parts = key.split("/")
    number = int(parts[2]) if len(parts) == 4 and re.fullmatch(r"[0-9]{8,15}", parts[2]) else 0
    return number if parts[2:3] == [f"{number:08d}"] else 0
