"""What a folder was found to hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from deploylib.scaffold.repository import Inference, Tree

__all__ = ["FolderContent", "find_health_path", "make_service"]

HEALTH = re.compile(r"""["'`](/(?:[\w-]+/)?(?:health|healthz|livez|up)(?:/live)?)/?["'`]""")


@dataclass
class FolderContent:
    """What a folder holds.

    Attributes:
        services: as the Blueprint has them.
        database: the file that names a driver of Postgres; empty: none does.
        tests: the command that tests it.
        tests_file: the file that says so.
    """

    services: list[dict[str, Any]] = field(default_factory=list)
    conclusions: list[Inference] = field(default_factory=list)
    database: str = ""
    tests: str = ""
    tests_file: str = ""


def make_service(kind: str, name: str, runtime: str, folder: str, **keys: Any) -> dict[str, Any]:
    """Make a service of the Blueprint, without what is empty."""
    plan = {} if runtime == "static" else {"plan": "starter"}
    where = {"rootDir": folder} if folder else {}
    given = {key: value for key, value in keys.items() if value}
    # Releases are started by us, after their checks, and never by a push.
    return {"type": kind, "name": name, "runtime": runtime, **plan, **where, **given, "autoDeployTrigger": "off"}


def find_health_path(tree: Tree, files: list[str]) -> tuple[str, str]:
    """Find the path of a health check, and its file.

    Both are empty where no program names one.
    """
    for name in files:
        if match := HEALTH.search(tree.read(name)):
            return match[1], name
    return "", ""
