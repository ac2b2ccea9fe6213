"""Deploy a product to Render, safely.

Open an environment once; every command is a function of it:

    import deploylib

    env = deploylib.Environment.open("staging")
    report = deploylib.deploy(env, commit="main", services=["backend"])
    print(report.outcome, report.exit_code)

The environment comes first, everything else is a keyword. A function prints nothing and returns a frozen value. What goes
wrong before a run could begin is raised, as a `DeployError` with a remedy; what goes wrong in a run is in its report.

To release                                                               returns
    check           look at everything a release needs, change nothing   Report
    tests, scan     the gates of a release, each on its own              Report, Scanned
    changes         decide which services and migrations it is about     Report
    backup          back the database up, and prove the backup           Report
    migrate         bring the schema to what the commit needs            Report
    deploy          all of it, up to the proof that it serves            Report
    verify          have what is live prove itself                       Report
    load_test       send requests at a rate: is it as fast as before     Report
    rollback        restore an earlier release, as one unit              Report
    promote         bring here what another environment has verified     Report
    finish          end what was left open                               Report
    stage           add a step of your own to every release              a decorator
    signal          add a signal of your own to the monitor              a decorator

To look
    status          what is live, and what can be done about it          Status
    history         runs and operations, newest first                    tuple of RunState
    logs            what a run's builds and programs have written        tuple of Log
    lease           who may change the environment                       LeaseState or None
    list_backups    the backups, newest first                            tuple of Backup
    write_dashboard   write a page that says what is live                Dashboard
    load_test_history  how fast the releases were, and what crept up     Trend

To take in hand
    hold, lift      refuse releases; let them through again              Hold, tuple of Hold
    release_lease   give the environment back in its holder's place      LeaseState
    monitor         look at everything, tell what has changed            MonitorRound
    silence_alerts  keep alerts from being told for a while              AlertSilence
    end_silences    have alerts be told again                            tuple of AlertSilence
    notify          tell every channel a text, or whether they hear      tuple of Delivery
    test_restore    restore a backup where nobody sees it, and compare   Backup
    restore         restore a backup for use                             RestoreResult

Values and errors are names of this module as well: ``deploylib.Report``, ``deploylib.LeaseHeld``. The errors, each with
its exit code, are drawn as a tree in `deploylib.errors`; what all have in common is `DeployError`.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # of `typing`, which costs more than all the rest of this import
if TYPE_CHECKING:
    from typing import Any

    from deploylib.commands.backups import backup, list_backups, restore, test_restore
    from deploylib.commands.control import hold, lease, lift, release_lease
    from deploylib.commands.dashboard import Dashboard, write_dashboard
    from deploylib.commands.loadtest import load_test, load_test_history
    from deploylib.commands.monitor import end_silences, monitor, silence_alerts
    from deploylib.commands.notify import notify
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
    from deploylib.commands.status import Log, Status, history, logs, status
    from deploylib.environment import Environment
    from deploylib.errors import (
        BackupFailed,
        Blocked,
        BuildFailed,
        Contradiction,
        DeployError,
        DeployFailed,
        DeployStopped,
        ForeignDeploy,
        Held,
        Interrupted,
        LeaseHeld,
        MigrationFailed,
        NotExamined,
        NotKnownYet,
        PersonNeeded,
        QuotaUsedUp,
        SettingsError,
        StartFailed,
        Superseded,
        Unhealthy,
        Unreachable,
        VerificationFailed,
    )
    from deploylib.loadtest import Trend
    from deploylib.models import Backup
    from deploylib.models.database import RestoreResult
    from deploylib.models.findings import Scanned
    from deploylib.models.results import Report
    from deploylib.monitoring import AlertSilence, MonitorRound
    from deploylib.monitoring.own_signals import SignalLook, signal
    from deploylib.notifications import Delivery
    from deploylib.release.own_steps import OwnStep, StepService, stage
    from deploylib.state import Hold, LeaseState, RunState

__version__ = "0.1.0"

# Where each name is; nothing is imported before it is used.
_HANDLE = {"Environment": "deploylib.environment"}
_VERBS = {
    **dict.fromkeys(("backup", "list_backups", "restore", "test_restore"), "deploylib.commands.backups"),
    **dict.fromkeys(("hold", "lease", "lift", "release_lease"), "deploylib.commands.control"),
    "write_dashboard": "deploylib.commands.dashboard",
    **dict.fromkeys(("changes", "check", "deploy", "finish", "migrate"), "deploylib.commands.release"),
    **dict.fromkeys(("load_test", "load_test_history"), "deploylib.commands.loadtest"),
    **dict.fromkeys(("promote", "rollback", "scan", "tests", "verify"), "deploylib.commands.release"),
    **dict.fromkeys(("history", "logs", "status"), "deploylib.commands.status"),
    **dict.fromkeys(("end_silences", "monitor", "silence_alerts"), "deploylib.commands.monitor"),
    "notify": "deploylib.commands.notify",
}
_STEPS = {
    **dict.fromkeys(("OwnStep", "StepService", "stage"), "deploylib.release.own_steps"),
    **dict.fromkeys(("SignalLook", "signal"), "deploylib.monitoring.own_signals"),
}
_VALUES = {
    "AlertSilence": "deploylib.monitoring",
    "Backup": "deploylib.models.database",
    "Dashboard": "deploylib.commands.dashboard",
    "Delivery": "deploylib.notifications",
    "Hold": "deploylib.state.holds",
    "LeaseState": "deploylib.state.lease",
    "Log": "deploylib.commands.status",
    "MonitorRound": "deploylib.monitoring",
    "Report": "deploylib.models.results",
    "RestoreResult": "deploylib.models.database:RestoreResult",
    "RunState": "deploylib.state.run_state",
    "Scanned": "deploylib.models.findings",
    "Status": "deploylib.commands.status",
    "Trend": "deploylib.loadtest.report",
}

if TYPE_CHECKING:
    __all__ = [
        "AlertSilence",
        "Backup",
        "BackupFailed",
        "Blocked",
        "BuildFailed",
        "Contradiction",
        "Dashboard",
        "Delivery",
        "DeployError",
        "DeployFailed",
        "DeployStopped",
        "Environment",
        "ForeignDeploy",
        "Held",
        "Hold",
        "Interrupted",
        "LeaseHeld",
        "LeaseState",
        "Log",
        "MigrationFailed",
        "MonitorRound",
        "NotExamined",
        "NotKnownYet",
        "OwnStep",
        "PersonNeeded",
        "QuotaUsedUp",
        "Report",
        "RestoreResult",
        "RunState",
        "Scanned",
        "SettingsError",
        "SignalLook",
        "StartFailed",
        "Status",
        "StepService",
        "Superseded",
        "Trend",
        "Unhealthy",
        "Unreachable",
        "VerificationFailed",
        "backup",
        "changes",
        "check",
        "deploy",
        "end_silences",
        "finish",
        "history",
        "hold",
        "lease",
        "lift",
        "list_backups",
        "load_test",
        "load_test_history",
        "logs",
        "migrate",
        "monitor",
        "notify",
        "promote",
        "release_lease",
        "restore",
        "rollback",
        "scan",
        "signal",
        "silence_alerts",
        "stage",
        "status",
        "test_restore",
        "tests",
        "verify",
        "write_dashboard",
    ]
else:
    # So that `help` tells these in full, and not what every exception inherits.
    __all__ = [*_HANDLE, *_VERBS, "signal", "stage"]  # noqa: PLE0604 - the keys are strings


def __getattr__(name: str) -> Any:
    where = _HANDLE.get(name) or _VERBS.get(name) or _STEPS.get(name) or _VALUES.get(name)
    if where is None:
        errors = importlib.import_module("deploylib.errors")
        if name not in errors.__all__:
            raise AttributeError(f"module 'deploylib' has no attribute {name!r}")
        return getattr(errors, name)
    module, _, attribute = where.partition(":")
    return getattr(importlib.import_module(module), attribute or name)


def __dir__() -> list[str]:
    errors = importlib.import_module("deploylib.errors").__all__
    return [*_HANDLE, *_VERBS, *_STEPS, *_VALUES, *errors, "__version__"]
