"""A signal is one thing that a monitor looks at."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Signal"]


class Signal(StrEnum):
    """What is looked at, in the words of settings and alerts."""

    UPTIME = "uptime"
    LATENCY = "latency"
    ERROR_RATE = "error_rate"
    DISK = "disk"
    DISK_FULL = "disk_full"
    MEMORY = "memory"
    CONNECTIONS = "connections"
    CERTIFICATE = "certificate"
    BACKUP = "backup"
    DRILL = "drill"
    AUTODEPLOY = "autodeploy"
    FOREIGN_DEPLOY = "foreign_deploy"
    BLIND = "blind"
