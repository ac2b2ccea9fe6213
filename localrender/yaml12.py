"""YAML as Render reads it: the 1.2 core schema, so `off` is a word, with the line of every value."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from localrender.errors import bad_input

Path = tuple[str | int, ...]


# What the library raises for single characters and values, beside the errors of its own that have a place.
_UNREADABLE = (yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


class Document(msgspec.Struct, frozen=True):
    """A parsed document: its data, and for each path its line and its scalar as written."""

    data: Any
    lines: dict[Path, int]
    written: dict[Path, str]


class _Loader(yaml.SafeLoader):
    """A safe loader without the resolvers of YAML 1.1 (`off`, `10:30`, dates)."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_CORE = (
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("tag:yaml.org,2002:int", r"^(?:[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    ("tag:yaml.org,2002:float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", list("-+0123456789.")),
    ("tag:yaml.org,2002:merge", r"^(?:<<)$", ["<"]),
)
for _tag, _pattern, _first in _CORE:
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def load(text: str, name: str) -> Document:
    """Parse a document.

    Args:
        text: The YAML.
        name: The file's name, for messages.

    Raises:
        LocalRenderError: The text is not YAML, or a key stands twice in one mapping.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        written: dict[Path, str] = {}
        if node is not None:
            _walk(node, (), lines, written, name)
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise bad_input(
            "blueprint_invalid", f"{name}:{line}: not YAML: {error.problem}", f"correct {name} at line {line}"
        ) from error
    except _UNREADABLE as error:
        told = "a character that is none, a value that does not fit its type, or nested too deep"
        raise bad_input("blueprint_invalid", f"{name}: not YAML: {told}", f"correct {name}") from error
    return Document(data, lines, written)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], written: dict[Path, str], name: str) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        written[path] = node.value
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, written, name)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            word = str(key.value)
            if word in seen:
                line = key.start_mark.line + 1
                raise bad_input(
                    "blueprint_invalid",
                    f"{name}:{line}: the key {word} stands twice in one mapping",
                    f"remove one of them in {name}",
                )
            seen.add(word)
            _walk(value, (*path, word), lines, written, name)
