"""A task whose errors an operator can read. Imports nothing heavy, so that ``inv --list`` stays quick."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from deploylib import remedies
from deploylib.errors import DeployError, SettingsError

__all__ = ["command"]

# The command line of httpx, with all that it draws by, is a fifth of what a command of ours has to read.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # how Python is told: not here


def command(body: Callable[..., None]) -> Callable[..., None]:
    """Turn an error of the library into message, evidence, next step, and the outcome's exit code.

    ``--debug`` lets the traceback through. ``inv --dry`` is refused: it would silence only programs.
    """

    @functools.wraps(body)
    def wrapped(c: Any, *args: Any, **options: Any) -> None:
        try:
            if c.config.run.dry:
                raise SettingsError("inv --dry does not make a dry run", remedy="inv deploy --dry-run")
            body(c, *args, **options)
        except DeployError as error:
            if options.get("debug"):
                raise
            about = options.get("environment") or options.get("to") or "local"
            _fail(error, about, json=bool(options.get("json")))

    return wrapped


def _fail(error: DeployError, environment: str, *, json: bool) -> NoReturn:
    from deploylib import console, report

    error.remedy = remedies.about(environment, error.remedy)
    if json:
        said = {"outcome": error.outcome, "exit_code": error.exit_code, "error": error.message}
        console.tell({**said, "details": error.details, "next": [error.remedy]}, (), json=True)
    text = "\n".join(console.shown(line) for line in error.diagnostics().splitlines())
    if "utf" not in (sys.stderr.encoding or "").lower():
        text = "\n".join(report.ascii_only(line) for line in text.splitlines())
    sys.stderr.write(text + "\n")
    console.annotate(error.outcome, error.message)
    raise SystemExit(error.exit_code)
