"""The edges to the machine.

Only this room touches clock, programs, network, git, files and threads.

`Clock` and `Deadline` tell the time and end every wait; `process` starts programs, and asks them; `http` asks servers;
`Git` reads the working copy; `files` writes what is whole or not there, and makes temporary folders; `threads` works
beside the main thread; `ci` knows the run that a CI calls us in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.system import ci, files, http, process, threads
    from deploylib.system.clock import Clock, Deadline
    from deploylib.system.git import Git

__all__ = ["Clock", "Deadline", "Git", "ci", "files", "http", "process", "threads"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Clock": "clock",
            "Deadline": "clock",
            "Git": "git",
            "ci": "ci",
            "files": "files",
            "http": "http",
            "process": "process",
            "threads": "threads",
        },
    )
