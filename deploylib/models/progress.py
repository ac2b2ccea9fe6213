"""Who is told of a run while it goes on."""

from __future__ import annotations

from typing import Protocol

from deploylib.models.release import Commit
from deploylib.models.results import StageResult

__all__ = ["Progress", "Quiet"]


class Progress(Protocol):
    """Is told what happens while it happens.

    The only way out of the library before a run has ended.
    """

    def opened(self, run: str, environment: str, commit: Commit | None) -> None:
        """A run begins, or goes on."""
        ...

    def note(self, *lines: str) -> None:
        """Something worth knowing."""
        ...

    def began(self, stage: str) -> None:
        """A stage begins."""
        ...

    def progress(self, service: str, text: str) -> None:
        """What a service of the current stage is doing."""
        ...

    def transferred(self, size: int, of: int) -> None:
        """So many more bytes of the current stage's work are done, *of* so many in all; 0: nobody knows."""
        ...

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """A stage has ended; *ago* seconds ago, when this run had done it before."""
        ...


class Quiet:
    """Says nothing, for scripts."""

    def opened(self, run: str, environment: str, commit: Commit | None) -> None:
        """Nothing."""

    def note(self, *lines: str) -> None:
        """Nothing."""

    def began(self, stage: str) -> None:
        """Nothing."""

    def progress(self, service: str, text: str) -> None:
        """Nothing."""

    def transferred(self, size: int, of: int) -> None:
        """Nothing."""

    def ended(self, result: StageResult, ago: float | None = None) -> None:
        """Nothing."""
