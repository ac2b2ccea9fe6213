"""Backups as the store lists them."""

from __future__ import annotations

from datetime import timedelta

from deploylib.models import Backup
from tests.support.fakes import OLD, START


def made(revision: str = "0001", hours: float = 0) -> Backup:
    """A backup of some hours ago."""
    return Backup(
        id="b", key="backups/staging/b/dump", environment="staging", run="r", commit=OLD,
        created_at=START - timedelta(hours=hours), revision=revision, server_version="16", client_version="16",
        format="custom", size=1, sha256="", proof="decoded", tables=1, seconds=1,
    )  # fmt: skip
