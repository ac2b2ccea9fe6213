"""YAML as Render reads it: the 1.2 core schema, so `off` is a word, with the line of every value."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from localrender.errors import LocalRenderError, bad_input

Path = tuple[str | int, ...]


# What the library raises for single characters and values, beside the errors of its own that have a place.
_UNREADABLE = (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_MOST = 100_000
_DEEPEST = 100
_MERGE = "tag:yaml.org,2002:merge"


class Document(msgspec.Struct, frozen=True):
    """A parsed document: its data, and for each path its line and its scalar as written."""

    data: Any
    lines: dict[Path, int]
    written: dict[Path, str]

    def line(self, path: Path) -> int:
        """The line of a path, or of what is around it."""
        return next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 1)


class _Loader(yaml.SafeLoader):
    """A safe loader without the resolvers of YAML 1.1 (`off`, `10:30`, dates)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node; one too far inside others is refused before the parser's time grows with the square of it."""
        if self.level >= _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="nested too deep", problem_mark=mark)
        self.level += 1
        try:
            node = super().compose_node(parent, index)
        finally:
            self.level -= 1
        if isinstance(node, yaml.ScalarNode) and "\0" in node.value:
            raise yaml.MarkedYAMLError(problem="a NUL character", problem_mark=node.start_mark)
        return node


_CORE = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^(?:[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        list("-+0123456789."),
    ),
    (_MERGE, r"^(?:<<)$", ["<"]),
)
for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def load(text: str, name: str) -> Document:
    """Parse a document.

    Args:
        text: The YAML.
        name: The file's name, for messages.

    Raises:
        LocalRenderError: The text is not YAML, a key stands twice in one mapping, or aliases make it endless.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        walk = _Walk(name)
        if node is not None:
            walk.into(node, ())
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _wrong(name, line, f"not YAML: {error.problem}") from error
    except _UNREADABLE as error:
        told = "a character that is none, a value that does not fit its type, or nested too deep"
        raise bad_input("blueprint_invalid", f"{name}: not YAML: {told}", f"correct {name}") from error
    return Document(data, walk.lines, walk.written)


def _wrong(name: str, line: int, problem: str) -> LocalRenderError:
    return bad_input("blueprint_invalid", f"{name}:{line}: {problem}", f"correct {name} at line {line}")


class _Walk:
    """Through all nodes, as often as aliases repeat them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Path, int] = {}
        self.written: dict[Path, str] = {}

    def into(self, node: yaml.Node, path: Path) -> None:
        line = node.start_mark.line + 1
        if len(self.lines) >= _MOST:
            raise _wrong(self.name, line, f"more than {_MOST:,} values, counted as aliases repeat them")
        self.lines[path] = line
        if isinstance(node, yaml.ScalarNode):
            self.written[path] = node.value
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self.into(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            self.merged(node, path)
            self.lines[path] = line
            self.own(node, path)

    def merged(self, node: yaml.MappingNode, path: Path) -> None:
        """What `<<` brings; the first of several wins, and the mapping's own keys win over all."""
        for _, value in (pair for pair in node.value if pair[0].tag == _MERGE):
            several = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for brought in reversed(several):
                self.into(brought, path)

    def own(self, node: yaml.MappingNode, path: Path) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            word = str(key.value)
            if key.tag == _MERGE:
                continue
            if word in seen:
                raise _wrong(self.name, key.start_mark.line + 1, f"the key {word} stands twice in one mapping")
            seen.add(word)
            self.into(value, (*path, word))
