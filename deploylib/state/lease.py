"""The lock of an environment: one run at a time, and a dead holder frees itself.

Leases are numbered, ``leases/<environment>/<n>/``: the highest number holds, and the number is the fencing token that a
holder checks before each step that cannot be taken back. Number n+1 can be taken, by a write that only one can win, once
n was given back, was abandoned, or has not shown a sign of life for its time, by the store's own clock. So a dead holder
blocks nobody for longer than that, and one that was only slow learns that it has lost the lease.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from deploylib.errors import DeployError, LeaseHeld
from deploylib.models.units import age
from deploylib.store import Damaged, Store, read_document
from deploylib.system import Clock, Deadline, process

__all__ = ["Holder", "Lease", "Leases", "Tenure"]

KEEP = 20
UNREADABLE = 900.0  # seconds without a sign of life, for a holder that nobody can name: as long as between jobs
ASK_EVERY = 2.0
LONGEST = 1000  # bytes of a reason


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a lease.

    Attributes:
        run: the run's id.
        url: of the CI run.
        ttl: seconds without a sign of life after which it counts as dead.
        shared: other jobs of the same run hold it too.
        operation: what was asked for beside the releases, where that holds it, and no run does: ``restore``, ``backup``.
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
        """Whose run it is; empty where nobody wrote that down."""
        return f" of {self.author}" if self.author else ""

    @property
    def what(self) -> str:
        """A run, or what else somebody asked for."""
        return self.operation or "run"

    @property
    def name(self) -> str:
        """How it is told."""
        return f"{self.what} {self.run}"

    @property
    def dead(self) -> bool:
        """Whether it is known to run no more, because it ran on this machine."""
        return not self.shared and self.host == process.this_process()[0] and not process.is_alive(self.pid)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The highest lease of an environment, as it is found.

    Attributes:
        age: seconds since its last sign of life.
        state: ``held``, ``released``, ``abandoned``, ``expired`` or ``dead``.
        reason: why it was given back by somebody else than its holder.
    """

    number: int
    holder: Holder
    age: float
    state: str
    reason: str = ""

    @property
    def held(self) -> bool:
        """Whether nobody else may take it."""
        return self.state == "held"


@dataclass(frozen=True, slots=True)
class Leases:
    """The leases of one environment."""

    store: Store
    environment: str

    def current(self) -> Lease | None:
        """The highest lease; None before the first."""
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
                return Lease(number=number, holder=holder, age=elapsed, state=state, reason=reason)
        state = "expired" if elapsed > holder.ttl else "dead" if holder.dead else "held"
        return Lease(number=number, holder=holder, age=elapsed, state=state)

    def claim(self, holder: Holder, now: Lease | None) -> int:
        """Try once to take the number after *now*; 0 when somebody else was quicker."""
        number = now.number + 1 if now else 1
        if not self.store.put_if_absent(self._key(number, "lease.json"), msgspec.json.encode(holder)):
            return 0
        for key in list(self.store.list(f"{self._root}/")):  # so that the listing stays short
            if 0 < _number(key) <= number - KEEP:
                self.store.delete(key)
        return number

    def holds(self, number: int) -> bool:
        """Whether *number* is still the highest and nobody has given it back."""
        now = self.current()
        return now is not None and now.number == number and now.state not in {"released", "abandoned"}

    def beat(self, number: int) -> None:
        """Show a sign of life."""
        self.store.put(self._key(number, "beat"), [b""])

    def release(self, number: int, reason: str = "") -> None:
        """Give it back; *reason* where it is not the holder who does."""
        self.store.put_if_absent(self._key(number, "released"), reason.encode())

    def abandon(self, number: int) -> None:
        """Let it go with a run unfinished: whoever takes the next one settles that run first."""
        self.store.put_if_absent(self._key(number, "abandoned"), b"")

    @property
    def _root(self) -> str:
        return f"leases/{self.environment}"

    def _key(self, number: int, name: str) -> str:
        return f"{self._root}/{number:08d}/{name}"

    def _holder(self, record: str) -> Holder:
        """Who holds; somebody whom nobody can name, where the record is damaged: that is not the same as nobody."""
        try:
            return read_document(self.store, record, Holder)
        except Damaged:
            return Holder(run="unknown (its record cannot be read)", ttl=UNREADABLE)

    def _reason(self, key: str) -> str:
        """Why it was given back; that it was, its key says, whatever the object holds."""
        try:
            return next(iter(self.store.read(key)), b"")[:LONGEST].decode(errors="replace")
        except (KeyError, Damaged):
            return ""


@dataclass(slots=True)
class Tenure:
    """One command's hold on an environment: taken, kept alive by a thread, checked, given back.

    Attributes:
        number: of the lease; 0 while none is held.
        lent: a part of the command is done under it, whose end does not give it back.
    """

    leases: Leases
    holder: Holder
    clock: Clock
    number: int = 0
    lent: bool = False
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def take(self, *, within: float, known: bool = False, waiting: Callable[[Lease], None] = lambda _: None) -> None:
        """Take the lease, or go on with the one that the run's other jobs hold.

        Args:
            within: seconds to wait for another holder; 0: do not wait.
            known: the run has held the environment before, so that another run's lease since means that it was lost. An
                operation's does not: it either changes nothing, or ends first what was left behind.
            waiting: is told of the lease that is waited for, once.

        Raises:
            LeaseHeld: somebody else held it all the time, or has taken it over.
        """
        deadline, told = Deadline.after(within, self.clock), 0
        while not self.number:
            now = self.leases.current()
            ours = now is not None and now.holder.run == self.holder.run
            if known and now is not None and not ours and not now.holder.operation:
                raise self._lost(now)
            if now is not None and now.held and ours and now.holder.shared and self.holder.shared:
                self.leases.beat(now.number)
                self.number = now.number
            elif now is None or not now.held or (ours and now.holder.shared):
                self.number = self.leases.claim(self.holder, now)
            elif deadline.has_passed():
                raise self._held(now)
            else:
                if told != now.number:
                    waiting(now)
                told = now.number
                self.clock.sleep(min(ASK_EVERY, max(0.1, deadline.left())))
        self._thread = threading.Thread(target=self._beat, name=f"lease {self.number}", daemon=True)
        self._thread.start()

    def fence(self) -> None:
        """Stop here if the lease was lost; asked before each step that cannot be taken back.

        Raises:
            LeaseHeld: somebody has taken it over, or given it back in our place.
        """
        if self.number and not self.leases.holds(self.number):
            raise self._lost(self.leases.current())

    def end(self, how: str = "") -> None:
        """Stop the signs of life, and give the lease back (``release``) or leave it to the next one (``abandon``)."""
        if self.lent:
            return
        self._done.set()
        if self._thread is not None:
            self._thread.join(2)  # it may wait for a store that does not answer
        if self.number and how == "release":
            self.leases.release(self.number)
        if self.number and how == "abandon":
            self.leases.abandon(self.number)
        self.number = 0

    def _beat(self) -> None:
        number = self.number
        while not self._done.wait(min(60.0, self.holder.ttl / 3)):
            try:
                self.leases.beat(number)
            except DeployError:
                continue  # the store may be back at the next beat; if it is not, the fence finds out

    def _held(self, now: Lease) -> LeaseHeld:
        where = f"; {now.holder.url}" if now.holder.url else ""
        environment = self.leases.environment
        return LeaseHeld(
            f"{now.holder.name}{now.holder.of} holds {environment}; "
            f"its last sign of life was {age(now.age)} ago{where}",
            remedy=f"wait for it (deploy, rollback and promote do, with --wait 10m); a dead holder is free {age(now.holder.ttl)} after its last sign, or "
            f"inv lease.release --environment {environment} --reason …",
        )

    def _lost(self, now: Lease | None) -> LeaseHeld:
        by = f"{now.holder.name} has" if now is not None and now.holder.run != self.holder.run else "somebody has"
        return LeaseHeld(
            f"{by} taken {self.leases.environment} over from {self.holder.name}",
            details=(now.reason,) if now is not None and now.reason else (),
            remedy="inv status shows what is live; inv history what happened; then a new run",
        )


def _number(key: str) -> int:
    """Of the lease that a key is part of; 0 for a stray object."""
    parts = key.split("/")
    number = int(parts[2]) if len(parts) == 4 and re.fullmatch(r"[0-9]{8,15}", parts[2]) else 0
    return number if parts[2:3] == [f"{number:08d}"] else 0
