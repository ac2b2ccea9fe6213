"""The frozen values that the parts of the library hand to each other.

They are msgspec structs: typed, immutable, and the same thing as the JSON that the ledger and ``--json`` hold.
"""

from __future__ import annotations

from deploylib.models.data import EXPORTED, UNKNOWN, UNPROVEN, Backup, Database, Elsewhere, Export, Migration, Revision
from deploylib.models.platform import Deploy, DeployStatus, Kind, Live, LogLine, PathFilter, Service, Target
from deploylib.models.release import Change, Changes, Commit, Intent, Order, Proof, Shipped, Verified
from deploylib.models.value import Id, Moment, Secret, Value

__all__ = [
    "EXPORTED",
    "UNKNOWN",
    "UNPROVEN",
    "Backup",
    "Change",
    "Changes",
    "Commit",
    "Database",
    "Deploy",
    "DeployStatus",
    "Elsewhere",
    "Export",
    "Id",
    "Intent",
    "Kind",
    "Live",
    "LogLine",
    "Migration",
    "Moment",
    "Order",
    "PathFilter",
    "Proof",
    "Revision",
    "Secret",
    "Service",
    "Shipped",
    "Target",
    "Value",
    "Verified",
]
