"""The two programs share no code, and what both need stands in both alike: syntax tree by syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import deploylib
import localrender

LIBRARY, LOCAL = (Path(str(one.__file__)).parent for one in (deploylib, localrender))
TWICE = {"documented": "render/blueprint_references", "shape": "render/blueprint_schema", "yaml12": "render/yaml12"}
# What stands in both and differs, by module and name of a definition, and why.
DIFFERENT = {
    ("yaml12", "_wrong"): "each program has an error of its own, with its own remedy",
    ("yaml12", "_Dumper"): "only the library writes a Blueprint, for a repository that has none",
    ("yaml12", "dump_yaml"): "the same",
    ("yaml12", "__all__"): "the same",
    ("shape", "_schema"): "each reads the file that it carries, the library as it reads all that others have written",
}
ERRORS = {"SettingsError": "LocalRenderError"}


def definitions(file: Path, package: str) -> dict[str, str]:
    """What a module defines, by name, as its tree says it; its words, imports, remarks and the names of the package are not in it."""
    text = file.read_text(encoding="utf-8").replace(f"{package}.", "PACKAGE.")
    for ours, theirs in ERRORS.items():
        text = text.replace(f"{ours}:", "ERROR:").replace(f"{theirs}:", "ERROR:")
    tree = [one for one in ast.parse(text).body[1:] if not isinstance(one, ast.Import | ast.ImportFrom)]
    return {_name(node, number): ast.dump(node) for number, node in enumerate(tree)}


def _name(node: ast.stmt, number: int) -> str:
    """How it is called: a definition's or a constant's name, else its place in the file."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    return ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else str(number)


def apart(module: str) -> set[tuple[str, str]]:
    """The definitions that the two programs do not have alike."""
    mine = definitions(LIBRARY / f"{TWICE[module]}.py", LIBRARY.name)
    other = definitions(LOCAL / f"{module}.py", LOCAL.name)
    return {(module, name) for name in mine.keys() | other.keys() if mine.get(name) != other.get(name)}


@pytest.mark.parametrize("module", TWICE)
def test_what_stands_in_both_programs_is_alike(module: str) -> None:
    """Whoever mends one mends the other; what has to differ is listed with its reason."""
    assert apart(module) == {one for one in DIFFERENT if one[0] == module}
