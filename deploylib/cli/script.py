"""The console script ``deploylib``: what is typed before a repository has tasks."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deploylib.errors import DeployError, Interrupted

if TYPE_CHECKING:
    from deploylib.commands import init

__all__ = ["main"]

FLAGS = {
    "staging": "an environment before production as well: other names, the smallest plans",
    "parallel": "the workflow whose jobs run side by side, one for each service that changed",
    "health": "copy health answers and a graceful shutdown beside each web service",
    "status": "copy <deploy-status> into each site",
    "npm": "add deploy:test, deploy:migrate and deploy:rollback to package.json",
    "yes": "write without asking",
    "json": "print the result as JSON",
    "debug": "show tracebacks",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the console script; a wrong flag is exit code 2."""
    given = _parser().parse_args(arguments)
    try:
        _init(given)
    except DeployError as error:
        if given.debug:
            raise
        from deploylib.cli import session as cli_session

        cli_session.fail(error, "local", json=given.json)


def _parser() -> argparse.ArgumentParser:
    import deploylib

    description = "Deploys a product to Render. In a repository that has tasks, inv --list tells the rest."
    parser = argparse.ArgumentParser("deploylib", description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"deploylib {deploylib.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    purpose = "make this repository ready to be released: shows a diff, then asks"
    command = commands.add_parser("init", help=purpose, description=purpose, allow_abbrev=False)
    for name, text in FLAGS.items():
        command.add_argument(f"--{name}", action="store_true", help=text)
    return parser


def _init(given: argparse.Namespace) -> None:
    """Prepare, show, ask, write."""
    from deploylib.cli import session as cli_session
    from deploylib.cli.text import NOT_WRITTEN, format_init
    from deploylib.commands import init
    from deploylib.scaffold import InitOptions

    asked = InitOptions(**{each.name: getattr(given, each.name) for each in dataclasses.fields(InitOptions)})
    with cli_session.session("local", looking=True, tells=False) as env:
        prepared = init.prepare_init(env, asked)
        if prepared.wanted and not given.yes and not given.json and sys.stdin is not None and sys.stdin.isatty():
            cli_session.tell(None, format_init(prepared, asks=True), json=False)
            given.yes = _agrees(len(prepared.wanted))
            if not given.yes:
                cli_session.tell(None, [NOT_WRITTEN], json=False)
                return
        done = init.write_init(env, prepared) if given.yes and prepared.wanted else prepared
    cli_session.tell(_plain(done), format_init(done), json=given.json)


def _agrees(number: int) -> bool:
    from deploylib.cli.outlet import Outlet
    from deploylib.cli.text import NOT_WRITTEN

    Outlet(sys.stderr).write(f"write {'this file' if number == 1 else f'these {number} files'}? [y/N] ")
    try:
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    except Interrupted as error:
        error.remedy = NOT_WRITTEN
        raise


def _plain(done: init.Initialisation) -> dict[str, Any]:
    """Make of a result what JSON can hold."""
    return {
        "concluded": [{"text": one.text, "file": one.file} for one in done.product.conclusions],
        "files": [{"path": one.path, "state": one.state, "diff": list(one.diff)} for one in done.changes],
        "written": done.written,
        "unmet": list(done.unmet),
        "next": list(done.steps),
    }
