"""Holds: what an environment refuses.

Commits that were found bad, or everything for a while.
A hold is one object and its end another, ``holds/<environment>/<time>/{hold,lifted}.json``, so that nothing is ever
changed and two people cannot undo each other unseen. Nobody waits on a hold: a release is refused at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from deploylib.models import Moment, Value
from deploylib.models.results import short
from deploylib.store import Damaged, Store, read_document
from deploylib.system import Clock

__all__ = ["Hold", "Holds", "Lifted"]


class Hold(Value, frozen=True):
    """A hold: what is refused, and why.

    Attributes:
        commits: full ids that are refused; empty: every release is.
        run: that placed it; empty: a person did, and then going back is refused too.
        unreadable: nobody knows what it refuses, so every release is, and no rollback, until somebody lifts it.
    """

    id: str
    at: Moment
    reason: str
    commits: tuple[str, ...] = ()
    author: str = ""
    run: str = ""
    unreadable: bool = False

    @property
    def everything(self) -> bool:
        """Whether every release is refused."""
        return not self.commits

    @property
    def line(self) -> str:
        """What it refuses, and why."""
        every = "every release" if self.run or self.unreadable else "every release, also going back"
        return f"{', '.join(commit[:7] for commit in self.commits) or every}: {self.reason}"

    @property
    def by(self) -> str:
        """Who placed it: a person, or else the run that went wrong."""
        return self.author or (f"run {short(self.run)}" if self.run else "")

    @property
    def flag(self) -> str:
        """How ``inv hold.lift`` names it and no other."""
        return f"--commit {self.commits[0][:7]}" if len(self.commits) == 1 else f"--hold {self.id}"

    def refuses(self, commit: str, *, back: bool) -> bool:
        """Tell whether it refuses a release of *commit*, or, *back*, a rollback."""
        if back:
            return self.everything and not self.run and not self.unreadable
        return self.everything or commit in self.commits


class Lifted(Value, frozen=True):
    """The end of a hold.

    Who lifted it, or which run made it needless.
    """

    at: Moment
    author: str = ""
    run: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Holds:
    """The holds of one environment."""

    store: Store
    environment: str
    clock: Clock

    def read(self) -> tuple[Hold, ...]:
        """Read those that are not lifted, oldest first."""
        keys = set(self.store.list(f"holds/{self.environment}/"))
        standing = sorted(key for key in keys if key.endswith("/hold.json") and _end(key) not in keys)
        return tuple(hold for key in standing if (hold := self._read_hold(key)) is not None)

    def _read_hold(self, key: str) -> Hold | None:
        name = key.split("/")[-2]
        try:
            hold = read_document(self.store, key, Hold)
        except KeyError:  # it was removed in this moment
            return None
        except Damaged as damaged:
            reason = f"a hold whose record cannot be read ({damaged.message})"
            return Hold(id=name, at=self.clock.now(), reason=reason, unreadable=True)
        return msgspec.structs.replace(hold, id=name)  # by which it is lifted

    def place(self, commits: Iterable[str], reason: str, *, author: str = "", run: str = "") -> Hold:
        """Refuse *commits*, or everything where there are none.

        The same refusal again is the one that stands.
        """
        refused = tuple(dict.fromkeys(commits))
        for standing in self.read():
            if (standing.commits, standing.run) == (refused, run) and (run or standing.reason == reason):
                return standing
        now = self.clock.now()
        hold = Hold(id=f"{now:%Y%m%dT%H%M%S.%f}", at=now, reason=reason, commits=refused, author=author, run=run)
        self.store.put_if_absent(f"holds/{self.environment}/{hold.id}/hold.json", msgspec.json.encode(hold))
        return hold

    def lift(self, hold: Hold, *, author: str = "", run: str = "", reason: str = "") -> None:
        """End a hold."""
        end = Lifted(at=self.clock.now(), author=author, run=run, reason=reason)
        self.store.put_if_absent(f"holds/{self.environment}/{hold.id}/lifted.json", msgspec.json.encode(end))

    def clear(self, commit: str, run: str, *, contains: Callable[[str], bool], back: bool = False) -> tuple[Hold, ...]:
        """Lift and return what a verified release has made needless.

        Args:
            commit: that was released and has proven itself.
            contains: whether another commit is in its history.
            back: it was a rollback, which ends only what a recovery that failed had placed.
        """
        gone = []
        for hold in (one for one in self.read() if not one.unreadable):
            mended = not back and commit not in hold.commits and bool(hold.commits) and all(map(contains, hold.commits))
            if mended or (hold.everything and hold.run):
                self.lift(hold, run=run)
                gone.append(hold)
        return tuple(gone)


def _end(key: str) -> str:
    return key.removesuffix("hold.json") + "lifted.json"
