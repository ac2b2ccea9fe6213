"""`python -m localrender fault`: arm a fault, list what is armed, clear all."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from localrender.endpoint import ask, running_endpoint
from localrender.errors import bad_input
from localrender.faultnames import explained

if TYPE_CHECKING:
    from pathlib import Path


def add_arguments(one: argparse.ArgumentParser) -> None:
    """Its grammar; the names of all faults are in its help."""
    one.formatter_class = argparse.RawDescriptionHelpFormatter
    one.epilog = f"The server must have been started with --faults.\n\n{explained()}"
    one.add_argument("name", nargs="?", help="which; without it, those that are armed")
    one.add_argument("--service", help="whose deploys or requests (default: of every service)")
    one.add_argument("--next", type=int, metavar="N", help="how many are hit; 0: until cleared")
    one.add_argument("--value", type=float, help="what it means is said below")
    one.add_argument("--method", type=str.upper, help="requests with this method only")
    one.add_argument("--path", metavar="RE", help="requests only whose path has this regular expression in it")
    one.add_argument("--after", type=int, metavar="N", help="let so many pass first")
    one.add_argument("--commit", help="of foreign-deploy: which (default: the live one)")
    one.add_argument("--clear", action="store_true", help="nothing is armed any more; Postgres runs again")


def run(given: argparse.Namespace, folder: Path) -> int:
    """Arm, list or clear; the exit code."""
    value = None if given.value is None else int(given.value) if given.value.is_integer() else given.value
    said = {name: getattr(given, name) for name in ("service", "next", "method", "path", "after", "commit")}
    rule = {name: one for name, one in (said | {"value": value}).items() if one is not None}
    if (rule and not given.name) or (given.name and given.clear):
        raise bad_input("bad_option", "name one fault, or --clear, or nothing", "python -m localrender fault --help")
    endpoint = running_endpoint(folder)
    if given.name:
        found = ask(endpoint, "POST", "/local/faults", {"fault": given.name} | rule)
    else:
        found = ask(endpoint, "DELETE" if given.clear else "GET", "/local/faults")
    if given.json:
        print(json.dumps(found))
        return 0
    for one in [found] if given.name else found["rules"]:
        print(_told(one))
    if not given.name and not found["rules"]:
        print("no fault is armed" if given.clear else f"no fault is armed; there are:\n\n{explained()}")
    return 0


def _told(rule: dict[str, Any]) -> str:
    left = "until cleared" if rule["left"] is None else f"{rule['left']} left"
    words = [f"{rule['fault']:<17} {left}, {rule['fired']} so far"]
    words += [f"{name} {rule[name]}" for name in ("service", "value", "method", "path", "after") if rule[name]]
    return ", ".join([*words, *rule["deploys"]])
