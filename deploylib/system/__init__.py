"""The edges to the machine: only this room touches clock, programs, network, git, files and threads.

`Clock` and `Deadline` tell the time and end every wait; `process` starts programs, and asks them; `http` asks servers;
`Git` reads the working copy; `files` writes what is whole or not there, and makes temporary folders; `threads` works
beside the main thread; `ci` knows the run that a CI calls us in.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.system import ci, files, http, process, threads
    from deploylib.system.clock import Clock, Deadline
    from deploylib.system.git import Git

_FACE = {"Clock": "clock", "Deadline": "clock", "Git": "git"}

__all__ = ["Clock", "Deadline", "Git", "ci", "files", "http", "process", "threads"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_FACE.get(name, name)}")
    return getattr(module, name) if name in _FACE else module
