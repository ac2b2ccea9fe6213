"""The shape of the whole: thin tasks, a light import, a docstring for everything public."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import deploylib

ROOT = Path(deploylib.__file__).parent.parent
MODULES = sorted((ROOT / "deploylib").rglob("*.py"))
HEAVY = {"httpx", "alembic", "psycopg", "boto3", "rich", "locust", "slack_sdk", "sqlalchemy", "msgspec", "stamina"}


def tasks() -> list[ast.FunctionDef]:
    """The tasks of the command line."""
    trees = [ast.parse((ROOT / "deploylib" / "cli" / name).read_text()) for name in ("tasks.py", "groups.py")]
    return [
        node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("command" in ast.unparse(one) for one in node.decorator_list)
    ]


@pytest.mark.parametrize("task", tasks(), ids=lambda task: task.name)
def test_a_task_is_one_call(task: ast.FunctionDef) -> None:
    """What it does, one call, and it can be called with nothing."""
    first, *others, last = task.body

    assert ast.get_docstring(task)
    assert isinstance(first, ast.Expr)
    assert isinstance(last, ast.Return)
    assert isinstance(last.value, ast.Call)
    assert len(others) <= 3
    assert len(task.args.args) - 1 == len(task.args.defaults)
    assert None not in task.args.kw_defaults


@pytest.mark.parametrize(("file", "most"), [("tasks.py", 150), ("deploylib/release/pipeline.py", 120)])
def test_what_is_to_be_seen_at_one_glance_stays_short(file: str, most: int) -> None:
    """Lines of all kinds: somebody reads it at three in the morning."""
    assert len((ROOT / file).read_text().splitlines()) <= most


def test_the_list_of_tasks_loads_nothing_heavy() -> None:
    """``inv --list`` stays as quick as invoke itself."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import tasks"], cwd=ROOT, check=True, capture_output=True, text=True
    )

    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "invoke" in loaded
    assert not HEAVY & loaded


def test_importing_the_library_is_light() -> None:
    """Its modules are imported when they are first used."""
    code = "import sys, deploylib; print([name for name in sys.modules if name.startswith('deploylib.')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted({*deploylib.__all__, *dir(deploylib)} - {"__version__"}))
def test_what_is_exported_is_there(name: str) -> None:
    """Each public name is a verb, a value or an error, with words that say what it is for."""
    thing = getattr(deploylib, name)

    assert callable(thing)
    assert thing.__doc__
    assert name in dir(deploylib)


def test_what_is_not_exported_is_no_attribute() -> None:
    """With Python's own error."""
    with pytest.raises(AttributeError, match="has no attribute 'helpers'"):
        _ = deploylib.helpers


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_everything_public_has_a_docstring(path: Path) -> None:
    """A module, a class, a function or a method that others may use says what it is for."""

    def public(node: ast.AST, inside: str = "") -> Iterator[tuple[str, str | None]]:
        for one in ast.iter_child_nodes(node):
            if isinstance(one, ast.FunctionDef | ast.ClassDef) and not one.name.startswith("_"):
                yield f"{inside}{one.name}", ast.get_docstring(one)
                if isinstance(one, ast.ClassDef):
                    yield from public(one, f"{one.name}.")

    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    assert [] == [name for name, text in public(tree) if not text]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_no_test_imports_another(path: Path) -> None:
    """What several need stands in ``tests/support``, or beside them in a file that is no test and no conftest."""
    imported = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests")
        for alias in node.names
    ]

    assert [name for name in imported if any(part.startswith(("test_", "conftest")) for part in name.split("."))] == []
    if path.is_relative_to(ROOT / "tests/support"):
        assert [name for name in imported if not name.startswith("tests.support")] == []
