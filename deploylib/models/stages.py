"""What the stages of a run leave for each other, typed.

Recorded with their results, read on any machine.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from deploylib.models.database import Backup, Facts, Migration
from deploylib.models.release import Changes, Verified
from deploylib.models.services import Target

__all__ = ["BackedUp", "Checked", "LoadTested", "Planned", "Proven", "StageName", "Waived"]


class StageName(StrEnum):
    """The stages that are ours.

    A team's own steps bear names of their own.
    """

    CHECK = "check"
    TESTS = "tests"
    SCAN = "scan"
    CHANGES = "changes"
    BACKUP = "backup"
    MIGRATE = "migrate"
    DEPLOY = "deploy"
    VERIFY = "verify"
    LOADTEST = "loadtest"
    ROLLBACK = "rollback"
    SCHEMA = "schema"


class Checked(msgspec.Struct, frozen=True):
    """The services and the database, as the check has found them."""

    targets: tuple[Target, ...] = ()
    database: str = ""
    facts: Facts | None = None


class Planned(msgspec.Struct, frozen=True):
    """The services and migrations that a run is about, decided once.

    Attributes:
        superseded: the newer release that went live while this run was waiting.
        wanted: the commit of each service, by name, where they are not all the run's.
        unproven: services that are left as they are, and are verified now: their live deploy never was, or must answer
            smoke requests after a migration.
    """

    changes: Changes = Changes()
    migration: Migration = Migration()
    wanted: dict[str, str] = {}
    superseded: str = ""
    unproven: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return bool(self.superseded) or not (self.changes.deploying or self.migration.pending or self.unproven)


class BackedUp(msgspec.Struct, frozen=True):
    """The backup of a run."""

    backup: Backup | None = None


class Proven(msgspec.Struct, frozen=True):
    """What verification has shown, service by service."""

    verified: tuple[Verified, ...] = ()


class LoadTested(msgspec.Struct, frozen=True):
    """What a load test has concluded, in words."""

    conclusion: str = ""


class Waived(msgspec.Struct, frozen=True):
    """A gate that a person left out, and why."""

    skipped_by: str = ""
    reason: str = ""
