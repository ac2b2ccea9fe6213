"""The journal: the events of one run, as it writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from deploylib.models import StageName
from deploylib.models.release import Opened
from deploylib.models.results import Report
from deploylib.state.history import History
from deploylib.state.run_state import Event, RunState, fold
from deploylib.store import Damaged


@dataclass(slots=True)
class Journal:
    """One run while it is being worked on.

    What is recorded is in the history first and in *state* then.
    Nothing is written until the stage *since* has passed: a run that was refused has touched nothing. One that was examined
    and has failed is written all the same, see `keep`.

    Attributes:
        dry: record nothing anywhere but in *state*, for a dry run.
        since: the last stage that only looks; what it finds may still be a reason to refuse.
        unwritten: events that wait for that stage; None once the run is in the history.
        fence: is asked before an intent is recorded: no deploy is asked for without the lease.
    """

    history: History
    state: RunState
    fence: Callable[[], None] = lambda: None
    dry: bool = False
    since: StageName | None = StageName.CHECK
    unwritten: list[tuple[str, Any]] | None = None

    @classmethod
    def open(
        cls, history: History, opened: Opened, *, dry: bool = False, since: StageName | None = StageName.CHECK
    ) -> Journal:
        """Begin a run.

        Where *since* is None it is written down at once.
        """
        now = history.clock.now()
        journal = cls(history, RunState(opened=opened, at=now, last=now), dry=dry, since=since, unwritten=[])
        if since is None and not dry:
            journal.write()
        return journal

    def record(self, kind: str, value: Any, /) -> None:
        """Write one event.

        When this returns it is on the disk, or waits with those before it.

        Raises:
            LeaseHeld: an intent, and this run has lost the lease.
        """
        if kind.endswith("intent"):
            self.fence()
        event = Event(at=self.history.clock.now(), kind=kind, data=msgspec.to_builtins(value))
        after = fold(self.state, event)
        if self.unwritten is not None:
            self.unwritten.append((kind, value))
            if ((self.since is not None and after.has_done(self.since)) or after.intents) and not self.dry:
                self.write()
        elif not self.dry:
            self.history.append(self.state.id, kind, value)
        self.state = after

    def read_again(self) -> None:
        """Read what others have recorded of the run meanwhile.

        Raises:
            Damaged: it cannot be read any more, or is gone.
        """
        if not self.written:
            return
        try:
            self.state = self.history.read(self.state.id)
        except KeyError as error:
            raise Damaged(f"runs/{self.state.id}", "it went away while it was waited for") from error

    def keep(self) -> None:
        """Write a run that has failed before its time.

        It was not refused.
        """
        if self.unwritten is not None and not self.dry:
            self.write()

    def close(self, report: Report) -> None:
        """Write the end of a run of which something is written."""
        if self.written:
            self.state = self.history.close(self.state, report)

    def write(self) -> None:
        """Write what has waited."""
        self.history.begin(self.state.opened)
        for kind, value in self.unwritten or ():
            self.history.append(self.state.id, kind, value)
        self.unwritten = None

    @property
    def written(self) -> bool:
        """Whether the history knows of this run."""
        return self.unwritten is None and not self.dry
