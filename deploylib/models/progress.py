"""The progress of a run, as it is told."""

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
        """Tell that a run begins, or goes on."""

    def credit(self, by: str, at: datetime, url: str) -> None:
        """Tell who began it, when, and in which CI run."""

    def note(self, *lines: str) -> None:
        """Tell something worth knowing."""

    def began(self, stage: str) -> None:
        """Tell that a stage begins."""

    def progress(self, service: str, text: str) -> None:
        """Tell what a service of the current stage does."""

    def wrote(self, line: LogLine) -> None:
        """Tell a line that a service has written.

        A thread tells it.
        """

    def transferred(self, size: int, of: int) -> None:
        """Tell that more bytes of the current stage's work are done.

        Args:
            size: how many more.
            of: how many there are in all; 0: nobody knows.
        """

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """Tell that a stage has ended.

        *ago* seconds ago, when this run had done it before.
        """
