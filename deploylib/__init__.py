"""Deploy a product to Render, safely.

An environment is opened once, and every command is a function of it:

    import deploylib

    env = deploylib.Environment.open("staging")
    report = deploylib.deploy(env, commit="main", services=["backend"])
    print(report.outcome, report.exit_code)

Nothing is printed, and nothing is imported before it is used. What a function returns is a frozen value; what goes wrong
before a run could begin is a `DeployError` with a remedy, and what goes wrong in a run is in its report.

To release
    check, tests, scan, changes, backup, migrate, deploy, verify, rollback, promote, finish

To look
    status, history, logs, lease, list_backups

To take in hand
    hold, lift, release_lease, test_restore, restore
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploylib.commands.backups import backup, list_backups, restore, test_restore
    from deploylib.commands.control import current_lease as lease
    from deploylib.commands.control import hold, lift, release_lease
    from deploylib.commands.release import (
        changes,
        check,
        deploy,
        finish,
        migrate,
        promote,
        rollback,
        scan,
        tests,
        verify,
    )
    from deploylib.commands.status import Status, history, logs, status
    from deploylib.environment import Environment
    from deploylib.errors import DeployError
    from deploylib.models.results import Report

__version__ = "0.1.0"

_BACKUPS, _CONTROL = "deploylib.commands.backups", "deploylib.commands.control"
_RELEASE, _STATUS = "deploylib.commands.release", "deploylib.commands.status"
_SURFACE = {
    "Environment": ("deploylib.environment", "Environment"),
    "DeployError": ("deploylib.errors", "DeployError"),
    "Report": ("deploylib.models.results", "Report"),
    "Status": (_STATUS, "Status"),
    "backup": (_BACKUPS, "backup"),
    "changes": (_RELEASE, "changes"),
    "check": (_RELEASE, "check"),
    "deploy": (_RELEASE, "deploy"),
    "finish": (_RELEASE, "finish"),
    "history": (_STATUS, "history"),
    "hold": (_CONTROL, "hold"),
    "lease": (_CONTROL, "current_lease"),
    "lift": (_CONTROL, "lift"),
    "list_backups": (_BACKUPS, "list_backups"),
    "logs": (_STATUS, "logs"),
    "migrate": (_RELEASE, "migrate"),
    "promote": (_RELEASE, "promote"),
    "release_lease": (_CONTROL, "release_lease"),
    "restore": (_BACKUPS, "restore"),
    "rollback": (_RELEASE, "rollback"),
    "scan": (_RELEASE, "scan"),
    "status": (_STATUS, "status"),
    "test_restore": (_BACKUPS, "test_restore"),
    "tests": (_RELEASE, "tests"),
    "verify": (_RELEASE, "verify"),
}

__all__ = [
    "DeployError",
    "Environment",
    "Report",
    "Status",
    "backup",
    "changes",
    "check",
    "deploy",
    "finish",
    "history",
    "hold",
    "lease",
    "lift",
    "list_backups",
    "logs",
    "migrate",
    "promote",
    "release_lease",
    "restore",
    "rollback",
    "scan",
    "status",
    "test_restore",
    "tests",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _SURFACE:
        raise AttributeError(f"module 'deploylib' has no attribute {name!r}")
    module, attribute = _SURFACE[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
