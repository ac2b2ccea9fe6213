"""Read revisions from their files, and run nothing of them.

alembic itself says what a revision executes by running it; a file of somebody whom nobody knows yet must not be run. So
what is plain in it is read: calls of ``op`` with constants and with the words of SQLAlchemy. All else is said to be
unclear.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploylib.migrations.alembic_child import __main__ as alembic_child
from deploylib.models import Revision

__all__ = ["read_revisions"]

OPERATIONS = frozenset(
    (
        "add_column", "alter_column", "create_check_constraint", "create_exclude_constraint", "create_foreign_key",
        "create_index", "create_primary_key", "create_table", "create_table_comment", "create_unique_constraint",
        "drop_column", "drop_constraint", "drop_index", "drop_table", "drop_table_comment", "execute", "rename_table",
    )
)  # fmt: skip
MODULES = frozenset(("sqlalchemy", "sqlalchemy.dialects.postgresql"))
WORDS = frozenset(("false", "func", "literal_column", "null", "text", "true"))
MOST = 1 << 20  # bytes of a file, and more are no migration
OP = object()


class _UnclearError(Exception):
    """The file says something that only running it would tell."""


def read_revisions(files: Path, names: Iterable[str]) -> tuple[Revision, ...]:
    """Read revisions of alembic and files of SQL, oldest first.

    One that is not plain has no SQL, and `rendered` says so.

    Args:
        files: the tree of a commit.
        names: of the files, from its top.
    """
    revisions = [_read(name, files / name) for name in sorted(names)]
    ordered: list[Revision] = []
    while left := [each for each in revisions if each not in ordered]:
        waiting = {each.id for each in left}
        free = [each for each in left if not waiting & set(each.needs or ())]
        ordered += free or left  # a circle is alembic's to tell
    return tuple(ordered)


def _read(name: str, path: Path) -> Revision:
    text = (
        ""
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST
        else path.read_text("utf-8", "replace")
    )
    remarks = tuple(line.strip() for line in text.splitlines() if "deploylib:" in line)
    stem = Path(name).stem if Path(name).stem not in {"migration", "up"} else Path(name).parent.name
    if path.suffix != ".py":
        return Revision(id=stem, sql=text, rendered=bool(text), path=name, remarks=remarks)
    try:
        tree = ast.parse(text)
        constants = _read_constants(tree)
        sql = _Reader(tree, constants).render()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Revision(id=stem, rendered=False, path=name, remarks=remarks)
    needs = constants.get("down_revision")
    return Revision(
        id=str(constants.get("revision") or stem),
        title=(ast.get_docstring(tree) or "").partition("\n")[0],
        tolerates=str(constants.get("tolerates") or ""),
        sql=sql or "",
        rendered=sql is not None,
        path=name,
        remarks=remarks,
        reversible=alembic_child.reversible(text),
        needs=tuple(map(str, needs)) if isinstance(needs, (list, tuple)) else (str(needs),) if needs else (),
    )


def _read_constants(tree: ast.Module) -> dict[str, Any]:
    """Read what names of the module are set to, once and plainly."""
    constants: dict[str, Any] = {}
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if (
                isinstance(target, ast.Name)
                and isinstance(node, (ast.Assign, ast.AnnAssign))
                and node.value is not None
            ):
                try:
                    constants[target.id] = ast.literal_eval(node.value)
                except (ValueError, TypeError, SyntaxError, RecursionError):
                    constants.pop(target.id, None)
    return constants


class _Reader:
    """Renders what ``upgrade`` of one file says, as alembic would.

    Only names that an import gives, and only words of SQLAlchemy that describe: nothing of the file is run, and nothing
    that it names can do anything.
    """

    def __init__(self, tree: ast.Module, constants: Mapping[str, Any]) -> None:
        self._tree, self._constants = tree, constants
        self._names: dict[str, Any] = {}

    def render(self) -> str | None:
        """Render its SQL; None: it is not plain."""
        try:
            import alembic.util
            import sqlalchemy.exc
            from alembic.migration import MigrationContext
            from alembic.operations import Operations
        except ImportError:
            return None
        out = io.StringIO()
        options = {"as_sql": True, "output_buffer": out, "literal_binds": True}
        context = MigrationContext.configure(dialect_name="postgresql", opts=options)
        wrong = (sqlalchemy.exc.SQLAlchemyError, alembic.util.CommandError, NotImplementedError)
        try:
            self._import()
            upgrade = self._find_upgrade()
            self._statements(upgrade.body, Operations(context))
        except (_UnclearError, TypeError, ValueError, KeyError, AttributeError, AssertionError, *wrong):
            return None
        return out.getvalue()

    def _import(self) -> None:
        import importlib

        for node in self._tree.body:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in MODULES and (alias.asname or "." not in alias.name):
                        self._names[alias.asname or alias.name] = importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                for alias in node.names:
                    if (node.module, alias.name) == ("alembic", "op"):
                        self._names[alias.asname or alias.name] = OP
                    elif (module := f"{node.module}.{alias.name}") in MODULES:
                        self._names[alias.asname or alias.name] = importlib.import_module(module)
                    elif node.module in MODULES:
                        base = importlib.import_module(str(node.module))
                        self._names[alias.asname or alias.name] = self._word(base, alias.name)

    def _find_upgrade(self) -> ast.FunctionDef:
        every = [node for node in self._tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"]
        if len(every) != 1 or every[0].decorator_list or every[0].args.args:
            raise _UnclearError
        return every[0]

    def _statements(self, body: Sequence[ast.stmt], operations: Any) -> None:
        for node in body:
            if isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                continue
            if isinstance(node, ast.With) and len(node.items) == 1 and node.items[0].optional_vars is None:
                if not re.fullmatch(
                    r"\w+\.get_context\(\)\.autocommit_block\(\)", ast.unparse(node.items[0].context_expr)
                ):
                    raise _UnclearError
                self._statements(node.body, operations)
                continue
            called = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
            if called is None or self._operation(called) not in OPERATIONS:
                raise _UnclearError
            getattr(operations, self._operation(called))(*self._positional(called), **self._named(called))

    def _operation(self, call: ast.Call) -> str:
        """Name the operation that a call is of; empty: none."""
        of_op = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        if not of_op or not isinstance(call.func, ast.Attribute) or not isinstance(call.func.value, ast.Name):
            return ""
        return call.func.attr if self._names.get(call.func.value.id) is OP else ""

    def _positional(self, call: ast.Call) -> list[Any]:
        return [self._value(each) for each in call.args]

    def _named(self, call: ast.Call) -> dict[str, Any]:
        if any(each.arg is None for each in call.keywords):
            raise _UnclearError
        return {str(each.arg): self._value(each.value) for each in call.keywords}

    def _value(self, node: ast.expr) -> Any:
        """Make the value that an expression describes."""
        match node:
            case ast.Constant():
                return node.value
            case ast.List() | ast.Tuple():
                return [self._value(each) for each in node.elts]
            case ast.Dict():
                if None in node.keys:
                    raise _UnclearError
                return {
                    self._value(key): self._value(each) for key, each in zip(node.keys, node.values, strict=True) if key
                }
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.Name() if node.id in self._constants and node.id not in self._names:
                return self._constants[node.id]
            case ast.Name() | ast.Attribute():
                return self._described(node)
            case ast.Call() if self._operation(node) == "f" and len(node.args) == 1:
                return self._value(node.args[0])
            case ast.Call():
                return self._described(node.func)(*self._positional(node), **self._named(node))
            case _:
                raise _UnclearError

    def _described(self, node: ast.expr) -> Any:
        """Find the word of SQLAlchemy that a name stands for."""
        if isinstance(node, ast.Name):
            word = self._names.get(node.id)
            if word is None or word is OP:
                raise _UnclearError
            return word
        if isinstance(node, ast.Attribute):
            return self._word(self._described(node.value), node.attr)
        raise _UnclearError

    def _word(self, base: Any, name: str) -> Any:
        """Find a word that describes something.

        A type, a part of a table, a function of SQL.

        Raises:
            _UnclearError: it may do something else.
        """
        import sqlalchemy
        from sqlalchemy.dialects import postgresql
        from sqlalchemy.schema import SchemaItem
        from sqlalchemy.types import TypeEngine

        if name.startswith("_"):
            raise _UnclearError
        if base is sqlalchemy.func:
            return getattr(sqlalchemy.func, name)
        if base not in (sqlalchemy, postgresql):
            raise _UnclearError
        word = getattr(base, name, None)
        if (base is sqlalchemy and name in WORDS) or (
            isinstance(word, type) and issubclass(word, (SchemaItem, TypeEngine))
        ):
            return word
        raise _UnclearError
