"""What there is: the code is asked, so that what is new is missed where it is missing."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import deploylib
from deploylib import errors
from deploylib.models import results

__all__ = ["operation_titles", "outcomes"]

CODE = Path(deploylib.__file__).parent
PROGRAMS = (
    "deploylib.health.",
    "deploylib.migrations.alembic_child",
    "deploylib.loadtest.child",
)  # of others' processes


def _kinds(kind: type[errors.DeployError] = errors.DeployError) -> Iterator[type[errors.DeployError]]:
    """Every kind of error that the library has, wherever it stands."""
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)


def outcomes() -> dict[str, int]:
    """Every outcome that a run or a command can have, and its exit code."""
    for module in pkgutil.walk_packages(deploylib.__path__, "deploylib."):
        if not module.name.startswith(PROGRAMS):
            importlib.import_module(module.name)
    of_errors = {
        one.outcome: one.exit_code
        for one in _kinds()
        if one.__module__.startswith("deploylib") and hasattr(one, "outcome")
    }
    good = dict.fromkeys((results.Ending().outcome, results.NOTHING, results.PLANNED, results.PAUSED, results.DONE), 0)
    return of_errors | good | {results.ABANDONED: errors.Interrupted.exit_code}


def operation_titles() -> set[str]:
    """Every title under which an operation is told, as the code has it."""
    found = set[str]()
    for path in CODE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("record_operation"):
                for each in node.keywords:
                    found |= _texts(each.value) if each.arg == "title" else set()
            elif isinstance(node, ast.Assign):
                names = {ast.unparse(target) for target in node.targets}
                if any(name.endswith((".title", "_TITLE")) for name in names):
                    found |= _texts(node.value)
    return found


def _texts(node: ast.expr) -> set[str]:
    """The texts that an expression may be."""
    every = (each.value for each in ast.walk(node) if isinstance(each, ast.Constant))
    return {text for text in every if isinstance(text, str) and text}
