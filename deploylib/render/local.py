"""The local Render, as a program that is started and asked.

A platform without an account.

It is a program of its own (``python -m localrender``) and meets the library only on HTTP and on its command line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from deploylib.errors import SettingsError, Unreachable
from deploylib.models import decoding
from deploylib.models.extras import install_command
from deploylib.models.units import size
from deploylib.settings import Config
from deploylib.system import process

__all__ = ["Here", "down", "fault", "give", "is_running", "read_here", "read_logs", "read_status", "reset", "up"]

START_WITHIN = 90.0
ABSENT = 1


class Here(msgspec.Struct, frozen=True):
    """What of a Blueprint runs on this machine.

    Attributes:
        services: the names of those that do.
        left_out: why one does not, by its name.
        unset: variables that have no value here, as ``service: NAME``.
        databases: the names of those that are made here; None where nobody was asked.
    """

    services: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    unset: tuple[str, ...] = ()
    databases: tuple[str, ...] | None = None

    @property
    def told(self) -> tuple[str, ...]:
        """Each service in a line."""
        lines = [f"left out here: {name}: {reason}" for name, reason in self.left_out.items()]
        if self.unset:
            lines.append(f"no value here: {', '.join(self.unset)}; set it: inv local.env NAME")
        return tuple(lines)


def read_here(config: Config, status: Mapping[str, Any]) -> Here:
    """Read which services of a Blueprint the local Render can run.

    It says so itself when it is `up`.

    Raises:
        Unreachable: it does not say so.
    """
    try:
        blueprint = status["blueprint"]
        left_out = {one["name"]: f"{one['reason']} ({one['remedy']})" for one in blueprint.get("left_out", ())}
        services = tuple(one["name"] for one in blueprint.get("services", ()))
        databases = tuple(one["name"] for one in blueprint["databases"]) if "databases" in blueprint else None
        unset = tuple(str(one) for one in status.get("unset", ()))
    except (AttributeError, KeyError, TypeError) as error:
        raise _unread(config) from error
    both = {name: reason for name, reason in left_out.items() if name not in services}
    return Here(services, both, unset, databases)


def is_running(config: Config) -> bool:
    """Tell whether a local Render has written down that it runs.

    After a ``kill -9`` it may not.
    """
    return (config.local_state / "endpoint.json").exists()


def up(
    config: Config, *, runner: process.Runner = process.SYSTEM, extra: Sequence[str] = (), only: Sequence[str] = ()
) -> dict[str, Any]:
    """Start the local Render, or have the running one reread the Blueprint.

    Args:
        extra: flags of its own.
        only: the services that are wanted, whose needs must be met; without any, all of them.

    Returns:
        What it says of itself: ``api_url``, ``urls`` of the services, ``databases``.

    Raises:
        SettingsError: no Blueprint, an error in it, or nothing that could run; a port is taken; the disk is full.
        Unreachable: it did not come up.
    """
    free = f"--minimum-free-mb={_free_mb(config)}"
    scale = f"--time-scale={config.settings.local_time_scale}"
    args = ("up", str(_blueprint(config)), *_state(config), scale, free, *extra, *_only(only), "--json")
    return _answer(config, _ask(config, runner, *args, timeout=START_WITHIN, writes=True))


def down(config: Config, *, runner: process.Runner = process.SYSTEM) -> str:
    """Stop the local Render and all it runs; its data stays."""
    return _ask(config, runner, "down", *_state(config), timeout=60, writes=True).text


def reset(config: Config, *, runner: process.Runner = process.SYSTEM) -> str:
    """Stop the local Render; forget its services, deploys and databases."""
    return _ask(config, runner, "reset", *_state(config), timeout=60, writes=True).text


def read_status(config: Config, *, runner: process.Runner = process.SYSTEM) -> dict[str, Any]:
    """Read what runs, with addresses and commits."""
    return _answer(config, _ask(config, runner, "status", *_state(config), "--json"))


def give(config: Config, name: str, value: str, *, runner: process.Runner = process.SYSTEM) -> str:
    """Give a variable that the Blueprint leaves out its value.

    The value goes to standard input, and into no list of processes.

    Raises:
        SettingsError: the Blueprint does not leave it out.
    """
    args = ("env", name, *_state(config), "--blueprint", _blueprint(config))
    return _ask(config, runner, *args, writes=True, secret=value).text


def read_logs(
    config: Config, service: str = "", kind: str = "app", lines: int = 50, *, runner: process.Runner = process.SYSTEM
) -> str:
    """Read the last lines of its services, or of one."""
    named = (service,) if service else ()
    return _ask(config, runner, "logs", *named, *_state(config), f"--type={kind}", f"--lines={lines}").text


def fault(
    config: Config,
    name: str = "",
    how: Mapping[str, str] | None = None,
    *,
    clear: bool = False,
    runner: process.Runner = process.SYSTEM,
) -> str:
    """Arm a fault switch of the running local Render.

    Without a name, tell what there is and what is armed.

    Args:
        how: flags of ``python -m localrender fault``, without the dashes; empty ones are left out.
        clear: switch all of them off.

    Raises:
        SettingsError: it was started without ``--faults``, or there is no such fault.
    """
    flags = [f"--{key}={text}" for key, text in (how or {}).items() if text]
    args = [*([name] if name else []), *flags, *(["--clear"] if clear else [])]
    return _ask(config, runner, "fault", *args, *_state(config)).text


def _blueprint(config: Config) -> str:
    return config.settings.blueprint


def _state(config: Config) -> tuple[str, str]:
    return "--state", str(config.local_state)


def _only(services: Sequence[str]) -> list[str]:
    return [f"--only={name}" for name in services]


def _free_mb(config: Config) -> int:
    return max(500, size(config.settings.minimum_free) // 10**6)


def _ask(
    config: Config,
    runner: process.Runner,
    *args: str,
    timeout: float = 30,
    writes: bool = False,
    secret: str | None = None,
) -> process.Completed:
    program = [sys.executable, "-P", "-m", "localrender", *args]  # not what the product calls so
    fed = None if secret is None else secret.encode()
    command = process.Command(
        program, cwd=config.root, check=False, timeout=timeout, writes=writes, drops=config.secrets, stdin=fed
    )
    try:
        done = runner.run(command)
    except process.ProgramFailed as late:
        late_message, log = f"the local Render did not answer: {late.message}", config.local_state / "server.log"
        raise Unreachable(
            late_message, remedy=f"inv local.down, then inv local.up; see {log}", details=late.details
        ) from late
    if done.returncode == 0:
        return done
    if b"No module named localrender" in done.stderr:
        raise SettingsError("the local Render is not installed", remedy=install_command("local"))
    reported = _object(done).get("error")
    error: dict[str, Any] = reported if isinstance(reported, dict) and reported else _words(done)
    message = str(error.get("message") or "the local Render could not do what it was asked")
    remedy = _as_task(str(error.get("remedy") or f"see {config.local_state / 'server.log'}"))
    if done.returncode == ABSENT or not error:
        raise Unreachable(message, remedy=remedy, details=() if error else done.lines)
    others = error.get("details") or ()
    raise SettingsError(message, remedy=remedy, details=tuple(str(one) for one in others))


def _words(done: process.Completed) -> dict[str, str]:
    """Split what it prints of an error: ``error: …`` and ``next: …``."""
    lines = [line.partition(": ") for line in done.stderr.decode(errors="replace").splitlines()]
    words = {name: text for name, _, text in lines}
    return {"message": words["error"], "remedy": words.get("next", "")} if "error" in words else {}


def _as_task(remedy: str) -> str:
    """Write its own commands as our tasks, which know its state."""
    for command, flag in (("fault", "--name"), ("logs", "--service")):  # theirs is an argument
        remedy = re.sub(rf"python -m localrender {command} (?=\w)", f"inv local.{command} {flag} ", remedy)
    return re.sub(r"python -m localrender (up|down|status|logs|reset|fault|env)\b", r"inv local.\1", remedy)


def _answer(config: Config, done: process.Completed) -> dict[str, Any]:
    """Read what it says of itself.

    What cannot be read is not taken for nothing.
    """
    try:
        return decoding.json(done.stdout, dict[str, Any], most=process.MOST)
    except decoding.Undecodable as error:
        raise _unread(config, done.lines) from error


def _unread(config: Config, lines: Sequence[str] = ()) -> Unreachable:
    message = "the local Render gave no answer that can be read"
    remedy = f"inv local.down, then inv local.up; see {config.local_state / 'server.log'}"
    return Unreachable(message, remedy=remedy, details=tuple(lines))


def _object(done: process.Completed) -> dict[str, Any]:
    """Read the document that it printed.

    Empty where that is none, so that its words count.
    """
    try:
        return decoding.json(done.stdout, dict[str, Any], most=process.MOST)
    except decoding.Undecodable:
        return {}
