"""The text of deploylib as rooms, modules, names and imports: read by ast, nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LIBRARY = ROOT / "deploylib"


@dataclass(frozen=True)
class Module:
    """One file of the library."""

    path: Path

    @cached_property
    def name(self) -> str:
        """Its full name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def room(self) -> str:
        """The folder right below ``deploylib`` that it is in; empty for what stands beside the rooms."""
        parts = self.path.relative_to(LIBRARY).parts
        return parts[0] if len(parts) > 1 else ""

    @property
    def is_face(self) -> bool:
        """It is the ``__init__`` of a room, or of the library."""
        return self.path.name == "__init__.py" and self.path.parent in {LIBRARY, LIBRARY / self.room}

    @cached_property
    def tree(self) -> ast.Module:
        """Its text, parsed."""
        return ast.parse(self.path.read_text())

    @cached_property
    def all(self) -> tuple[str, ...]:
        """The names of ``__all__``."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                return tuple(ast.literal_eval(node.value))
        return ()

    @cached_property
    def defined(self) -> frozenset[str]:
        """The names that it defines at its top level, in any branch."""
        nodes = [each for node in self.tree.body for each in (ast.walk(node) if isinstance(node, ast.If) else [node])]
        named = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
        targets += [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
        return frozenset(
            named | {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        )

    @property
    def public(self) -> frozenset[str]:
        """The names that it defines and offers."""
        return self.defined & frozenset(self.all)

    @cached_property
    def imports(self) -> tuple[tuple[str, str, int], ...]:
        """What it imports of the library, at any depth: module, name (empty for the module itself), line."""
        return tuple(self._imports())

    def _imports(self) -> Iterator[tuple[str, str, int]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "deploylib":
                for alias in node.names:
                    yield node.module or "", alias.name, node.lineno
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == "deploylib":
                        yield alias.name, "", node.lineno

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef]]:
        """Every function and method that others may call, by its name with its class."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef):
                yield node.name, node
            elif isinstance(node, ast.ClassDef):
                for each in node.body:
                    if isinstance(each, ast.FunctionDef):
                        yield f"{node.name}.{each.name}", each


MODULES = {module.name: module for module in map(Module, sorted(LIBRARY.rglob("*.py")))}
ROOMS = sorted({module.room for module in MODULES.values()} - {""})


def source_of(module: str, name: str) -> str:
    """The module that an import leads to, through the face of a room to where the name is defined."""
    if f"{module}.{name}" in MODULES:
        return f"{module}.{name}"
    if MODULES[module].is_face and name not in MODULES[module].defined:
        for source, offered, _ in MODULES[module].imports:
            if offered == name:
                return source_of(source, name)
    return module


def graph() -> dict[str, set[str]]:
    """Which module leads to which; a face leads nowhere, since its names are resolved when they are used."""
    return {
        name: {source_of(source, offered) if offered else source for source, offered, _ in module.imports} - {name}
        for name, module in MODULES.items()
        if not module.is_face
    }


def circles() -> list[list[str]]:
    """Modules each of which leads to all the others."""
    edges = graph()

    def reached(start: str) -> set[str]:
        seen, queue = set[str](), [start]
        while queue:
            for each in edges.get(queue.pop(), ()):
                if each not in seen:
                    seen.add(each)
                    queue.append(each)
        return seen

    reach = {name: reached(name) for name in edges}
    found = {
        tuple(sorted(other for other in reach[name] if name in reach.get(other, ())))
        for name in edges
        if name in reach[name]
    }
    return sorted(map(list, found))
