"""Deploy a product to Render, safely: every command of ``inv --list`` is one call of a function here.

    from deploylib import flow, config, console

The modules are imported when they are first used: ``import deploylib`` is light.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

__version__ = "0.1.0"

__all__ = [
    "attempt",
    "backup",
    "backups",
    "blueprint",
    "changes",
    "check",
    "ci",
    "clock",
    "config",
    "console",
    "deploy",
    "ending",
    "errors",
    "flow",
    "hold",
    "lease",
    "ledger",
    "local",
    "mark",
    "migrate",
    "models",
    "notify",
    "outcome",
    "override",
    "promotion",
    "recovery",
    "render",
    "report",
    "restore",
    "rollback",
    "s3",
    "scan",
    "schema",
    "stages",
    "status",
    "store",
    "unfinished",
    "verify",
    "view",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        # invoke keeps nothing compiled, for the sake of the file of tasks; we and what we use would be compiled each time.
        asked, sys.dont_write_bytecode = sys.dont_write_bytecode, bool(sys.flags.dont_write_bytecode)
        try:
            return importlib.import_module(f"deploylib.{name}")
        finally:
            sys.dont_write_bytecode = asked
    raise AttributeError(f"module 'deploylib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
