"""What is told of a run while it goes on."""

from __future__ import annotations

from datetime import datetime

from deploylib.models.release import Commit
from deploylib.models.results import StageResult
from deploylib.models.services import LogLine

__all__ = ["Progress"]


class Progress:
    """Is told what happens, and shows nothing; a view overrides it.

    The only way out of the library before a run has ended.
    """

    def opened(self, run: str, environment: str, commit: Commit | None) -> None:
        """A run begins, or goes on."""

    def credit(self, by: str, at: datetime, url: str) -> None:
        """Who began it, when, and in which run of a CI."""

    def note(self, *lines: str) -> None:
        """Something worth knowing."""

    def began(self, stage: str) -> None:
        """A stage begins."""

    def progress(self, service: str, text: str) -> None:
        """A service of the current stage does something."""

    def wrote(self, line: LogLine) -> None:
        """A service has written a line.

        A thread tells it.
        """

    def transferred(self, size: int, of: int) -> None:
        """More bytes of the current stage's work are done.

        Args:
            size: how many more.
            of: how many there are in all; 0: nobody knows.
        """

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """A stage has ended.

        *ago* seconds ago, when this run had done it before.
        """
