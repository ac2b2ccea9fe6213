"""The frozen values that the rooms hand to each other.

They are msgspec structs: typed, immutable, and the same thing as the JSON that the history and ``--json`` hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.models.database import (
        EXPORTED,
        UNKNOWN,
        UNPROVEN,
        Backup,
        Database,
        Elsewhere,
        Export,
        Facts,
        Migration,
        Revision,
    )
    from deploylib.models.release import (
        Change,
        Changes,
        Commit,
        Intent,
        Opened,
        Order,
        Proof,
        Restored,
        Shipped,
        Verified,
    )
    from deploylib.models.services import Deploy, DeployStatus, Kind, Live, LogLine, PathFilter, Service, Target
    from deploylib.models.stages import BackedUp, Checked, LoadTested, Planned, Proven, StageName, Waived
    from deploylib.models.value import Id, Moment, Secret, Value

__all__ = [
    "EXPORTED",
    "UNKNOWN",
    "UNPROVEN",
    "BackedUp",
    "Backup",
    "Change",
    "Changes",
    "Checked",
    "Commit",
    "Database",
    "Deploy",
    "DeployStatus",
    "Elsewhere",
    "Export",
    "Facts",
    "Id",
    "Intent",
    "Kind",
    "Live",
    "LoadTested",
    "LogLine",
    "Migration",
    "Moment",
    "Opened",
    "Order",
    "PathFilter",
    "Planned",
    "Proof",
    "Proven",
    "Restored",
    "Revision",
    "Secret",
    "Service",
    "Shipped",
    "StageName",
    "Target",
    "Value",
    "Verified",
    "Waived",
]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "EXPORTED": "database",
            "UNKNOWN": "database",
            "UNPROVEN": "database",
            "BackedUp": "stages",
            "Backup": "database",
            "Change": "release",
            "Changes": "release",
            "Checked": "stages",
            "Commit": "release",
            "Database": "database",
            "Deploy": "services",
            "DeployStatus": "services",
            "Elsewhere": "database",
            "Export": "database",
            "Facts": "database",
            "Id": "value",
            "Intent": "release",
            "Kind": "services",
            "Live": "services",
            "LoadTested": "stages",
            "LogLine": "services",
            "Migration": "database",
            "Moment": "value",
            "Opened": "release",
            "Order": "release",
            "PathFilter": "services",
            "Planned": "stages",
            "Proof": "release",
            "Proven": "stages",
            "Restored": "release",
            "Revision": "database",
            "Secret": "value",
            "Service": "services",
            "Shipped": "release",
            "StageName": "stages",
            "Target": "services",
            "Value": "value",
            "Verified": "release",
            "Waived": "stages",
        },
    )
