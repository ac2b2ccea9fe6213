"""The command line: `python -m localrender VERB`."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import Any

from localrender import faultcommand
from localrender.endpoint import Options, ask, has_own_postgres, is_running, read_endpoint, resync, running_endpoint
from localrender.errors import LocalRenderError, bad_input

_SERVING = ("up", "serve")


def parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    root = argparse.ArgumentParser(prog="python -m localrender", description="A local Render: runs a Blueprint here.")
    verbs = root.add_subparsers(dest="verb", required=True, metavar="VERB")
    helps = {
        "up": "start it in the background, or let the running one take the Blueprint again",
        "serve": "run it in the foreground",
        "down": "stop everything",
        "status": "what runs",
        "logs": "the log of a service",
        "env": "give a variable that the Blueprint leaves out its value, which is asked for or read from standard input",
        "fault": "arm a fault, list those that are armed, or clear all",
        "check": "validate the Blueprint, change nothing",
        "reset": "stop everything and delete the state",
    }
    for verb, text in helps.items():
        one = verbs.add_parser(verb, help=text, description=text)
        one.add_argument("--state", help="the state folder (default: .localrender beside the Blueprint)")
        one.add_argument("--json", action="store_true", help="print JSON")
        if verb == "fault":
            faultcommand.add_arguments(one)
        elif verb == "env":
            one.add_argument("name", help="of the variable; an empty value takes it away")
        elif verb == "logs":
            one.add_argument("service", nargs="?", help="its name; all without it")
            one.add_argument("--type", choices=("app", "build"))
            one.add_argument("--lines", type=int, default=50, help="how many of the last lines (at most 100)")
        if verb in ("fault", "logs", "env"):
            one.add_argument("--blueprint", default="render.yaml")
        else:
            one.add_argument("blueprint", nargs="?", default="render.yaml", help="the Blueprint (default: render.yaml)")
        if verb in (*_SERVING, "check"):
            one.add_argument("--only", action="append", metavar="NAME", help="this service, and what it needs")
            one.add_argument("--postgres", metavar="URL", help="make the databases on this server (a superuser's URL)")
        if verb in _SERVING:
            one.add_argument("--port", type=int, help="the port of the API (default: a free one, then the same)")
            one.add_argument("--new-ports", action="store_true", help="choose all ports anew")
            one.add_argument("--time-scale", type=float, default=60, help="Render's long waits are divided by it")
            one.add_argument("--minimum-free-mb", type=int, default=500, help="refuse to start with less disk space")
            one.add_argument("--enforce-rate-limits", action="store_true", help="answer 429 as Render does")
            one.add_argument("--faults", action="store_true", help="let `fault` break things on purpose")
            one.add_argument("--owner", type=int, metavar="PID", help="end with this process, and leave nothing")
            one.add_argument(
                "--beside", default="", metavar="DIR", help="take the values given to another state, and its caches"
            )
            one.add_argument(
                "--no-pip", action="store_true", help="no build installs anything: environments without pip"
            )
    hidden = verbs.add_parser("run-server")
    hidden.add_argument("--state", help="shown in lists of processes; the options come from stdin")
    return root


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; its exit code."""
    given = parser().parse_args(arguments)
    try:
        if given.verb == "run-server":
            from localrender.server import options_from, serve

            serve(options_from(sys.stdin.read()))
            return 0
        path = Path(given.blueprint).resolve()
        folder = Path(given.state).resolve() if given.state else path.parent / ".localrender"
        return _VERBS[given.verb](given, path, folder)
    except LocalRenderError as error:
        return _tell(given, error)
    except OSError as error:
        return _tell(given, LocalRenderError(str(error), remedy="make that possible, or choose another --state"))


def _tell(given: argparse.Namespace, error: LocalRenderError) -> int:
    if getattr(given, "json", False):
        told = {"code": error.code, "message": error.message, "remedy": error.remedy, "details": error.details}
        print(json.dumps({"error": told}))
    else:
        lines = [f"error: {error.message}", *(f"  {line}" for line in error.details), f"next: {error.remedy}"]
        print("\n".join(lines), file=sys.stderr)
    return error.exit_code


def _options(given: argparse.Namespace, path: Path, folder: Path) -> Options:
    if given.time_scale <= 0:
        raise bad_input("bad_option", "--time-scale must be above 0", "leave it out: 60 is the default")
    return Options(
        blueprint=str(path),
        state=str(folder),
        port=given.port,
        new_ports=given.new_ports,
        time_scale=given.time_scale,
        postgres=given.postgres,
        minimum_free_mb=given.minimum_free_mb,
        enforce_rate_limits=given.enforce_rate_limits,
        faults=given.faults,
        only=tuple(given.only or ()),
        owner=given.owner,
        beside=given.beside,
        no_pip=given.no_pip,
    )


def _checked(given: argparse.Namespace, path: Path, folder: Path) -> dict[str, Any]:
    from localrender import blueprint, values

    values.of_file(path)
    external = given.postgres is not None or has_own_postgres(folder)
    found = blueprint.load(path, any_postgres=external, only=given.only or ())
    return found.described(values.remarks(path))


def _up(given: argparse.Namespace, path: Path, folder: Path) -> int:
    options = _options(given, path, folder)
    # One that runs checks the Blueprint itself: what that takes is not loaded here once more.
    status = resync(options, folder)
    if status is None or "blueprint" not in status:  # of an earlier version
        from localrender import background

        blueprint = _checked(given, path, folder)
        status = background.up(options, folder) | {"blueprint": blueprint}
    return _show(given, status, folder)


def _serve(given: argparse.Namespace, path: Path, folder: Path) -> int:
    from localrender import background
    from localrender.server import serve

    options = _options(given, path, folder)
    _checked(given, path, folder)
    if not is_running(folder):
        background.examine(options, folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    serve(options, lambda status: _show(given, status, folder))
    return 0


def _show(given: argparse.Namespace, status: dict[str, Any], folder: Path) -> int:
    if given.json:
        print(json.dumps(status))
        return 0
    print(f"local Render  {status['api_url']}  (owner {status['owner_id']}, key in {folder / 'endpoint.json'})")
    for name, service in status["services"].items():
        commit = service["live_commit"]
        print(f"  {name:<16} {status['urls'].get(name, '-'):<28} {commit[:7] if commit else 'not deployed yet'}")
    for name, database in status["databases"].items():
        print(f"  {name:<16} Postgres {database['version']}")
    for name in status["stores"]:
        print(f"  {name:<16} Key Value")
    _tell_apart(status)
    for variable in status["unset"]:
        print(f"  no value yet     {variable}")
    print("stop it       python -m localrender down")
    return 0


def _tell_apart(found: dict[str, Any]) -> None:
    """What does not run here, and what is worth a note."""
    for one in found["left_out"]:
        print(f"  left out         {one['name']}: {one['reason']} ({one['remedy']})")
    for note in found["notes"]:
        print(f"  note             {note}")


def _status(given: argparse.Namespace, _: Path, folder: Path) -> int:
    endpoint = read_endpoint(folder) if is_running(folder) else None
    if endpoint is None:
        print(json.dumps({"running": False}) if given.json else f"nothing runs for {folder}")
        return 0
    return _show(given, ask(endpoint, "GET", "/local/status") | {"running": True}, folder)


def _down(given: argparse.Namespace, _: Path, folder: Path) -> int:
    from localrender import background

    stopped = background.down(folder)
    print(json.dumps({"stopped": stopped}) if given.json else "stopped" if stopped else f"nothing runs for {folder}")
    return 0


def _reset(given: argparse.Namespace, _: Path, folder: Path) -> int:
    from localrender import background

    background.reset(folder)
    print(json.dumps({"reset": True}) if given.json else f"deleted {folder}")
    return 0


def _check(given: argparse.Namespace, path: Path, folder: Path) -> int:
    found = _checked(given, path, folder)
    if given.json:
        print(json.dumps(found))
    else:
        names = [one["name"] for one in (*found["services"], *found["databases"])]
        print(f"{path.name} is valid: {', '.join(names)}")
        _tell_apart(found)
    return 0


def _logs(given: argparse.Namespace, _: Path, folder: Path) -> int:
    endpoint = running_endpoint(folder)
    services = ask(endpoint, "GET", "/local/status")["services"]
    if given.service and given.service not in services:
        raise bad_input("unknown_service", f"there is no service {given.service}", f"one of: {', '.join(services)}")
    chosen = [one["id"] for name, one in services.items() if given.service in (None, name)]
    query = f"ownerId={endpoint['owner_id']}&resource={','.join(chosen)}&startTime=0&limit={min(given.lines, 100)}"
    found = ask(endpoint, "GET", f"/v1/logs?{query}{f'&type={given.type}' if given.type else ''}")["logs"]
    for line in reversed(found):
        print(json.dumps(line) if given.json else f"{line['timestamp']} {line['message']}")
    return 0


def _env(given: argparse.Namespace, path: Path, folder: Path) -> int:
    from localrender import background, blueprint
    from localrender.model import ANY

    found = blueprint.load(path, any_postgres=True)
    asked = {one.key for entry in found.services for one in entry.env if one.value is None and not one.generate}
    if given.name in {ANY, ""} or not {given.name, ANY} & asked:
        left = f"; it leaves out {', '.join(sorted(asked - {ANY}))}" if asked - {ANY} else ""
        told = f"{path.name} does not leave out {given.name or 'a variable without a name'}{left}"
        raise bad_input("unknown_variable", told, "python -m localrender env NAME, with one that it leaves out")
    value = getpass.getpass(f"{given.name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
    background.give(folder, given.name, value)
    told = "has a value now" if value else "has no value now"
    print(json.dumps({"name": given.name, "given": bool(value)}) if given.json else f"{given.name} {told}")
    return 0


_VERBS = {
    "up": _up,
    "serve": _serve,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "env": _env,
    "fault": lambda given, _, folder: faultcommand.run(given, folder),
    "check": _check,
    "reset": _reset,
}
