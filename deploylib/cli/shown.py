"""What a command has returned, as lines for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deploylib.backups.restore import Done
from deploylib.cli import text
from deploylib.commands.status import Status
from deploylib.environment import Environment
from deploylib.models import Backup, LogLine
from deploylib.state.history import RunState
from deploylib.state.holds import Hold
from deploylib.state.lease import Lease

__all__ = ["backup", "backups", "held", "history", "lease", "lifted", "local", "logs", "restored", "status", "words"]


def backup(value: Backup, env: Environment, **_: Any) -> Iterable[str]:
    """Tell one backup."""
    return text.backups([value], env.clock.now())


def backups(value: list[Backup], env: Environment, **_: Any) -> Iterable[str]:
    """Tell each backup, and how it was proven."""
    return text.backups(value, env.clock.now(), env.name)


def held(value: Hold, env: Environment, **_: Any) -> Iterable[str]:
    """Tell a hold that was just placed."""
    return ("held from now on", *text.held([value], env.clock.now()))


def history(value: list[RunState], _env: Environment, *, run: str = "", **_: Any) -> Iterable[str]:
    """Tell the runs; of one that was asked for, its events."""
    return text.events(value[0]) if run else text.history(value)


def lease(value: Lease | None, env: Environment, **_: Any) -> Iterable[str]:
    """Tell who holds an environment."""
    return text.lease(value, env.name)


def lifted(value: tuple[Hold, ...], env: Environment, **_: Any) -> Iterable[str]:
    """Tell what was lifted, and what still refuses."""
    return text.lifted(value, env.holds.current(), env.clock.now())


def local(value: dict[str, Any], _env: Environment, **_: Any) -> Iterable[str]:
    """Tell what the local Render runs."""
    return text.local(value)


def logs(value: dict[str, list[LogLine]], _env: Environment, **_: Any) -> Iterable[str]:
    """Tell what builds and programs said."""
    return text.logs(value)


def restored(value: Done, env: Environment, **_: Any) -> Iterable[str]:
    """Tell what a restore came to."""
    return text.restored(value, env.name)


def status(value: Status, env: Environment, **_: Any) -> Iterable[str]:
    """Tell the status, on one screen."""
    return text.status(value, env.clock.now())


def words(value: str, _env: Environment, **_: Any) -> Iterable[str]:
    """Tell what the local Render said."""
    return value.splitlines()
