"""The command line: tasks, what they print, their exit codes.

from deploylib.cli import collection

ns = collection()
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke.collection import Collection

__all__ = ["collection"]


def collection() -> Collection:
    """Make the collection of every task, for a ``tasks.py``."""
    # invoke keeps nothing compiled, for the sake of the file of tasks; we and what we use would be compiled each time.
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
    _look_last_in(os.path.dirname(sys._getframe(1).f_globals.get("__file__", "")))  # noqa: PTH120, SLF001
    from deploylib.cli.order import leave_out_names, tell_everyday_first, tell_help_of_texts, tell_mistakes
    from deploylib.cli.tasks import everything

    leave_out_names()
    tell_everyday_first()
    tell_help_of_texts()
    tell_mistakes()
    return everything()


def _look_last_in(folder: str) -> None:
    """Look in a product's folder for what nobody else has.

    invoke looks there first, and a product may have a ``statistics.py`` or a ``queue.py`` of its own.
    """
    if folder in sys.path:
        sys.path.remove(folder)
        sys.path.append(folder)
