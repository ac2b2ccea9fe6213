"""Where a value is read from outside, and where absence is decided: found in the code itself.

A place is a function, named ``module.Class.function``. What counts as reading is a list of names, here and nowhere else: a
call whose function ends so is one, whoever it is called on.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# kind → the ends of what is called for it
CALLS = {
    "http": r"\.(request|pieces|getresponse)|_client\.stream|urlopen|build_opener\(\w+\)\.open|self\._(read|pages|write|listed)"
    r"|\bdial|_connection\.recv",
    "program": r"\b(runner|real|place)\.(run|stream)|subprocess\.\w+|\b_git",
    "postgres": r"\b(connected|connect|execute|exec_driver_sql|fetchone|fetchall)",
    "bucket": r"\b_?calls\.(call|attempt|head|wrote)|\b(client|body|raw)\.read|http\.send|scan_input",
    "store": r"\bstore\.(read|list|age|probe|sweep)|\bread_document",
    "file": r"\.(read_text|read_bytes|iterdir|r?glob|l?stat|exists|is_file|is_dir|walk|disk_usage|which|statvfs)"
    r"|(?<!Journal)\.open|Path\.cwd|metadata\.files|find_spec",
    "text": r"\b(json|tomllib)\.loads?|yaml\.(safe_)?load|decoding\.(json|toml)|json\.decode|msgspec\.convert|ast\.parse"
    r"|answer\.json|body=body\)\.json|parsedate_to_datetime|shlex\.split|\.feed|\.get_single_node|\.decompress",
    "machine": r"environ\.get|os\.getenv|os\.kill|getpwnam|gethostname|gettempdir|ctypes\.CDLL\S*",
}
KINDS = {kind: re.compile(rf"(?:{ends})\Z") for kind, ends in CALLS.items()}
# Of the local Render, what reads files of its user.
MODULES = (
    *sorted((ROOT / "deploylib").rglob("*.py")),
    *(ROOT / "localrender" / f"{name}.py" for name in ("blueprint", "endpoint", "yaml12")),
)


def read(modules: dict[str, str]) -> dict[str, frozenset[str]]:
    """The places that read from outside, each with the kinds of what it reads."""
    return {place: kinds for module, text in modules.items() for place, kinds in _read(module, text).items()}


def absent(modules: dict[str, str]) -> frozenset[str]:
    """The places of modules that read from outside at which something empty is given back, or an error is passed over."""
    edges = (_absent(module, text) for module, text in modules.items() if _read(module, text))
    return frozenset().union(*edges)


@functools.cache
def _read(module: str, text: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for place, node in _inside(module, text):
        if kinds := set(_kinds(node)):
            found.setdefault(place, set()).update(kinds)
    return {place: frozenset(kinds) for place, kinds in found.items()}


@functools.cache
def _absent(module: str, text: str) -> frozenset[str]:
    return frozenset(place for place, node in _inside(module, text) if _decides(node))


def sources() -> dict[str, str]:
    """The modules, by their names: that of the local Render begins with its own."""
    return {_name(path): path.read_text() for path in MODULES}


def _name(path: Path) -> str:
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return "/".join(rest if folder == "deploylib" else (folder, *rest))


def _inside(module: str, text: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node, with the function that it stands in."""

    def walk(node: ast.AST, place: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            inner = f"{place}.{child.name}" if isinstance(child, ast.FunctionDef | ast.ClassDef) else place
            yield inner, child
            yield from walk(child, inner)

    yield from walk(ast.parse(text), module)


def _kinds(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        yield from (kind for kind, ends in KINDS.items() if ends.search(called))
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
        yield "machine"


def _decides(node: ast.AST) -> bool:
    """``return ()``, also at the end of a condition or of ``next``; an error that is passed over."""
    match node:
        case ast.Return(value=ast.expr() as value):
            return any(_empty(one) for one in _ways(value))
        case ast.With(items=items):
            return any("suppress" in ast.unparse(one.context_expr) for one in items)
        case ast.ExceptHandler(body=[*_, ast.Pass() | ast.Continue()]):
            return True
    return False


def _ways(value: ast.expr) -> Iterator[ast.expr]:
    """What an expression may come to, as far as it says so itself."""
    match value:
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_ways(body), *_ways(orelse))
        case ast.BoolOp(op=ast.Or(), values=[*_, last]):
            yield last
        case ast.Call(func=ast.Name(id="next"), args=[_, last]):
            yield last
        case _:
            yield value


def _empty(value: ast.expr) -> bool:
    match value:
        case ast.Constant(value=None | False | "" | b""):
            return True
        case ast.Tuple(elts=[]) | ast.List(elts=[]) | ast.Dict(keys=[]):
            return True
    return False
