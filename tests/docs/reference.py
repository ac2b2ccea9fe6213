"""Writes docs/reference.md from the code: commands with their flags, settings, exit codes, alerts, faults, rooms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args

import msgspec
from invoke.collection import Collection

import tasks
from deploylib import errors, settings
from deploylib.models.findings import AcceptedFinding
from deploylib.models.signals import Signal
from deploylib.models.smoke import SmokeRequest
from localrender import faultnames

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference.md"
HEAD = "# Reference\n\nWritten from the code by `nox -s reference`, and never by hand: a test fails where it is not what the code says.\n"
TABLES: dict[str, type[msgspec.Struct]] = {
    "": settings.Settings,
    "services.NAME": settings.ServiceSettings,
    "services.NAME.smoke": SmokeRequest,
    "migrations": settings.MigrationSettings,
    "scan": settings.ScanSettings,
    "scan.accepted": AcceptedFinding,
    "environment_variables": settings.Variable,
    "monitor": settings.MonitorSettings,
    "monitor.rules.SIGNAL": settings.RuleSettings,
    "environments.NAME": settings.EnvironmentSettings,
    "environments.NAME.loadtest": settings.LoadTestSettings,
}


def write_reference() -> str:
    """The whole page."""
    parts = [HEAD, *_commands(), *_settings(), *_exit_codes(), *_alerts(), *_faults(), *_rooms()]
    return "\n".join(parts).rstrip("\n") + "\n"


def _table(*heads: str) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _commands(collection: Collection = tasks.ns) -> Iterator[str]:
    yield "## Commands and flags\n"
    for name in sorted(collection.task_names):
        task = collection[name]
        yield f"### {name}\n"
        yield _cell((task.__doc__ or "").partition("\n")[0]) + "\n"
        if not (arguments := task.get_arguments()):
            continue
        yield from _table("flag", "default", "")
        for one in arguments:
            default = (
                "required" if one.positional else f"`{one.default}`" if one.default not in (None, "", False, []) else ""
            )
            yield f"| `--{one.name.replace('_', '-').strip('-')}` | {default} | {_cell(one.help or '')} |"
        yield ""


def _settings() -> Iterator[str]:
    yield "## Settings\n\nWhat each is for: [settings](settings.md).\n"
    for name, kind in TABLES.items():
        yield f"### {f'[{name}]' if name else 'At the top'}\n"
        yield from _table("key", "type", "default")
        for field in msgspec.structs.fields(kind):
            yield f"| `{field.encode_name}` | {_kind(field.type)} | {_default(field)} |"
        yield ""


def _kind(kind: object) -> str:
    if choices := [one for one in get_args(kind) if isinstance(one, str)]:
        return " or ".join(f"`{one}`" for one in choices if one) + (" or empty" if "" in choices else "")
    text = re.sub(r"\b(?:[\w]+\.)+(\w+)", r"\1", str(kind))
    return _cell(re.sub(r"<(?:class|enum) '(\w+)'>", r"\1", text))


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(value, msgspec.Struct) or value in ((), {}, [], "", None):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _exit_codes() -> Iterator[str]:
    yield "## Exit codes\n"
    yield from _table("code", "outcome", "error", "")
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.DeployError)]
    known = [one for one in kinds if hasattr(one, "exit_code")]
    for one in sorted(known, key=lambda one: (one.exit_code, one.__name__)):
        yield f"| {one.exit_code} | {one.outcome} | `{one.__name__}` | {_cell((one.__doc__ or '').partition(chr(10))[0])} |"
    yield ""


def _alerts() -> Iterator[str]:
    yield "## Alerts\n\nWhat to do about each: the [runbook](runbook.md); their limits: [monitoring](monitoring.md).\n"
    yield from (f"- `{one.value}`" for one in Signal)
    yield ""


def _faults() -> Iterator[str]:
    yield "## Faults of the local Render\n\nWhat each does: [the local Render](local-render.md).\n"
    yield from _table("fault", "of a", "what it does")
    yield from (f"| `{name}` | {one.group} | {_cell(one.line())} |" for name, one in sorted(faultnames.NAMES.items()))
    yield ""


def _rooms() -> Iterator[str]:
    yield "## The library, room by room\n\nExamples of what a script calls: [from a script](library.md).\n"
    yield from _table("room", "what it does", "its face")
    for folder in sorted(path.parent for path in (ROOT / "deploylib").glob("*/__init__.py")):
        room = import_module(f"deploylib.{folder.name}")
        names = ", ".join(f"`{name}`" for name in sorted(getattr(room, "__all__", ())))
        yield f"| `{folder.name}` | {_cell((room.__doc__ or '').partition(chr(10))[0])} | {names} |"


if __name__ == "__main__":
    PAGE.write_text(write_reference())
