"""An interruption is an error like the others, and no handler that is wide enough for it passes it over."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from deploylib.errors import Interrupted, Unreachable
from deploylib.models.interruption import suppress_failure
from tests.support.rooms import MODULES, Module

WIDE = {kind.__name__ for kind in Interrupted.__mro__} - {Interrupted.__name__, "object"}
# Programs of their own, in a process that knows nothing of `Interrupted`.
PROGRAMS = ("deploylib.migrations.alembic_child.", "deploylib.health.", "deploylib.loadtest.child")
# Handlers that keep what they catch, each with the reason.
KEPT = {
    "deploylib.cli.script": "the command ends with its exit code",
    "deploylib.cli.task": "the command ends with its exit code",
    "deploylib.migrations.lock_observer": "of another thread, and raised where it is waited for",
    "deploylib.notifications.live_message": "of another thread, which no signal reaches",
    "deploylib.notifications.messenger": "of another thread, which no signal reaches",
    "deploylib.notifications.slack_client": "of another thread, which no signal reaches",
    "deploylib.release.live_log": "of another thread, which no signal reaches",
    "deploylib.release.aims": "it becomes the end in the report, with its exit code",
    "deploylib.state.lease": "of another thread, which no signal reaches",
    "deploylib.system.threads": "of another thread, and raised where the result is asked for",
}


def swallowing(tree: ast.AST) -> Iterator[int]:
    """The lines of handlers that an interruption ends in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "suppress":
            if {name for kind in node.args for name in names(kind)} & WIDE:
                yield node.lineno
        elif isinstance(node, ast.Try):
            for handler in node.handlers:
                caught = names(handler.type)
                if caught & WIDE and not isinstance(handler.body[-1], ast.Raise):
                    yield handler.lineno
                if caught & (WIDE | {Interrupted.__name__}):
                    break  # what comes after it does not see an interruption


def names(kind: ast.expr | None) -> set[str]:
    """What a handler catches; everything where it says nothing."""
    if kind is None:
        return {"BaseException"}
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return {ast.unparse(each).rpartition(".")[2] for each in kinds}


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name)
def test_no_handler_passes_an_interruption_over(module: Module) -> None:
    """Or Ctrl-C would be told as a failure of something else, and the command would go on."""
    if f"{module.name}.".startswith(PROGRAMS) or module.name in PROGRAMS:
        return
    lines = list(swallowing(module.tree))

    assert bool(lines) is (module.name in KEPT), f"{module.path}: {lines}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("try:\n    a()\nexcept DeployError:\n    b()", [3]),
        ("try:\n    a()\nexcept:\n    raise", []),
        ("try:\n    a()\nexcept Interrupted:\n    raise\nexcept DeployError:\n    b()", []),
        ("try:\n    a()\nexcept (OSError, errors.DeployError):\n    b()", [3]),
        ("try:\n    a()\nexcept Unreachable:\n    b()", []),
        ("with contextlib.suppress(Exception):\n    a()", [1]),
        ("with suppress(KeyError):\n    a()", []),
    ],
)
def test_what_would_pass_it_over_is_found(text: str, lines: list[int]) -> None:
    """By the names that a handler catches, and by what it does last."""
    assert lines == list(swallowing(ast.parse(text)))


def test_clean_up_passes_over_a_failure() -> None:
    """What went wrong first is what counts."""
    with suppress_failure(Unreachable):
        raise Unreachable("gone", remedy="wait")


def test_clean_up_passes_over_no_interruption() -> None:
    """The signal may arrive at any line."""
    with pytest.raises(Interrupted), suppress_failure(Exception):
        raise Interrupted("stopped", remedy="again")
