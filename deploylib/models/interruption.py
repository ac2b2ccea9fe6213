"""Passing over an error without passing over Ctrl-C or SIGTERM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deploylib.errors import Interrupted

__all__ = ["suppress_failure"]


@contextmanager
def suppress_failure(kind: type[Exception]) -> Iterator[None]:
    """Pass over an error of a kind, and over no interruption.

    For clean-up: a signal that arrives meanwhile still ends the command.
    """
    try:
        yield
    except Interrupted:
        raise
    except kind:
        """What went wrong first is what counts."""
