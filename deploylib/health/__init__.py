"""Health files that a service takes along, and the copies of them.

A service's build does not see this library, so ``health.py`` or ``health.mjs`` is copied into it, and ``deploy-status.js`` into
the page that shows how it is. `write_copy` does that
for a `Language` and never over somebody's own work; `compare_copy` tells what a `HealthCopy` is beside ours, by its version line;
`guess_language` looks at what a folder holds, and a `CopyState` decides. Nothing here imports anything of the library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.health.copies import CopyState, HealthCopy, Language, compare_copy, guess_language, write_copy

__all__ = ["CopyState", "HealthCopy", "Language", "compare_copy", "guess_language", "write_copy"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.copies"), name)
