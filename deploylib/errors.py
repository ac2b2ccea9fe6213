"""Every error that ends a run, with the next step.

    DeployError                     what an operator may see; never a bug
    ├── SettingsError       2       usage, settings, or the state of the working copy
    ├── Blocked             3       a gate found something that a release must wait for
    ├── NotExamined         4       a gate could not look, which is not the same as clean
    ├── BackupFailed        5       no backup, or none that could be proven
    ├── MigrationFailed     6       refused or failed; the code that serves is the old one
    ├── DeployFailed                the platform did not bring the new version up
    │   ├── BuildFailed    10       the build command failed
    │   ├── StartFailed    11       the pre-deploy command or the new process ended
    │   ├── Unhealthy      12       the new process runs and its health check fails
    │   ├── DeployStopped  13       canceled, or not finished before the deadline
    │   └── QuotaUsedUp    15       the workspace has no build minutes left; nothing is wrong with the commit
    ├── VerificationFailed 14       it went live and did not prove itself; put back
    ├── PersonNeeded       20       what serves now is not what anybody asked for
    ├── LeaseHeld          30       another run holds the environment, or has taken it over
    ├── Held               31       the environment refuses this commit, or everything for now; its database is half restored
    ├── ForeignDeploy      32       somebody else is deploying, or has
    ├── Unreachable        40       the platform, the store or the database, before the first deploy was asked for
    │   └── Contradiction          the platform denies what the history has recorded
    ├── NotKnownYet        41       platform or store stopped answering after that: the run stays open
    ├── Superseded          0       a newer release took the place of this one while it was on its way
    └── Interrupted       130       Ctrl-C, SIGTERM, or a terminal that was closed

One exit code per outcome; 0 is success, "nothing to do" and "superseded". 1 is a bug of ours and nothing else.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BackupFailed",
    "Blocked",
    "BuildFailed",
    "Contradiction",
    "DeployError",
    "DeployFailed",
    "DeployStopped",
    "ForeignDeploy",
    "Held",
    "Interrupted",
    "LeaseHeld",
    "MigrationFailed",
    "NotExamined",
    "NotKnownYet",
    "PersonNeeded",
    "QuotaUsedUp",
    "SettingsError",
    "StartFailed",
    "Superseded",
    "Unhealthy",
    "Unreachable",
    "VerificationFailed",
]


class DeployError(Exception):
    """An outcome other than success.

    Args:
        message: what happened, one sentence, no secret.
        remedy: the next command or action of the person who reads it.
        details: lines of evidence, for example the last words of the program that failed.
        service: the service it is about, where it is about one.
    """

    exit_code: ClassVar[int]
    outcome: ClassVar[str]

    def __init__(self, message: str, *, remedy: str, details: tuple[str, ...] = (), service: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.details = details
        self.service = service

    def diagnostics(self) -> str:
        """Write the error for an operator: what, evidence, next step."""
        lines = [f"error: {self.message}", *(f"  │ {line}" for line in self.details), f"  next: {self.remedy}"]
        return "\n".join(lines)


class SettingsError(DeployError):
    """Usage, settings, or the state of the working copy: nothing was touched."""

    exit_code = 2
    outcome = "usage or settings"


class Blocked(DeployError):
    """A gate found something that a release must wait for."""

    exit_code = 3
    outcome = "blocked by a gate"


class NotExamined(DeployError):
    """A gate could not look, which is not the same as clean."""

    exit_code = 4
    outcome = "not examined"


class BackupFailed(DeployError):
    """No backup could be made or proven; nothing was migrated."""

    exit_code = 5
    outcome = "backup not proven"


class MigrationFailed(DeployError):
    """A migration was refused or failed; the old code serves."""

    exit_code = 6
    outcome = "migration failed"


class DeployFailed(DeployError):
    """The new version did not come up; the old one serves."""


class BuildFailed(DeployFailed):
    """The build command failed."""

    exit_code = 10
    outcome = "build failed"


class StartFailed(DeployFailed):
    """The pre-deploy command failed, or the new process ended early.

    It ended before it was healthy.
    """

    exit_code = 11
    outcome = "start failed"


class Unhealthy(DeployFailed):
    """The new process runs, and its health check does not answer well."""

    exit_code = 12
    outcome = "health check failed"


class DeployStopped(DeployFailed):
    """The deploy was canceled, or did not end before our deadline."""

    exit_code = 13
    outcome = "deploy stopped"


class QuotaUsedUp(DeployFailed):
    """The workspace has no build minutes left.

    Nothing is wrong with the commit; nothing is put back, which would need them too.
    """

    exit_code = 15
    outcome = "build minutes used up"


class VerificationFailed(DeployError):
    """The new version went live and did not prove itself from outside."""

    exit_code = 14
    outcome = "verification failed"


class PersonNeeded(DeployError):
    """Nobody asked for what serves now: a person must act.

    The tool could not mend it.
    """

    exit_code = 20
    outcome = "a person is needed"


class LeaseHeld(DeployError):
    """Another run holds the environment's lease.

    It may have taken it over from this one.
    """

    exit_code = 30
    outcome = "lease held"


class Held(DeployError):
    """The environment refuses this commit, or every release.

    Or its database is marked *restoring*. Nothing was touched.
    """

    exit_code = 31
    outcome = "held"


class ForeignDeploy(DeployError):
    """Somebody else is deploying to this environment, or has.

    Args:
        commit: what theirs is of, as far as the platform says.
    """

    exit_code = 32
    outcome = "foreign deploy"

    def __init__(
        self, message: str, *, remedy: str, details: tuple[str, ...] = (), service: str | None = None, commit: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy, details=details, service=service)
        self.commit = commit


class Superseded(DeployError):
    """A newer release, which contains this commit, took its place.

    Nothing is wrong, and nothing is put back.
    """

    exit_code = 0
    outcome = "superseded by a newer release"


class Unreachable(DeployError):
    """Platform, store or database gave no answer that counts.

    It cannot be read, or they refused the key.
    """

    exit_code = 40
    outcome = "platform unreachable"


class Contradiction(Unreachable):
    """The platform denies what the history has recorded.

    One of the two is wrong, so nobody knows.
    """


class NotKnownYet(DeployError):
    """Platform or store stopped answering after a deploy was asked for.

    What serves is not known, and nothing has failed.

    The run stays open and nothing is held; the next command looks again, and completes it or puts it back.
    """

    exit_code = 41
    outcome = "not known yet"


class Interrupted(DeployError):
    """Ctrl-C, SIGTERM, or a closed terminal; nothing is rolled back."""

    exit_code = 130
    outcome = "interrupted"
