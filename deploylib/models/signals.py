"""Signals: what a monitor looks at."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Signal"]


class Signal(StrEnum):
    """A thing to look at, as settings and alerts call it."""

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
