"""YAML 1.2 as Render reads it: ``off`` and ``yes`` are words, and every value knows its line.

The core schema of https://yaml.org/spec/1.2.2 (chapter 10.3): booleans are ``true`` and ``false`` in three spellings, and
neither dates nor numbers with underscores exist. A key that stands twice in one mapping is an error.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from localrender.errors import LocalRenderError, bad_input

__all__ = ["Document", "Location", "load_yaml"]

LARGEST = 1_000_000  # characters of a document: twice as many take PyYAML ten seconds
MOST = 100_000  # values of a document, counted as its aliases repeat them
DEEPEST = 64  # levels of a document
DEEP = f"it is nested deeper than {DEEPEST} levels"
MERGE = "tag:yaml.org,2002:merge"

Location = tuple[str | int, ...]
"""Where a value is: keys and numbers, from the top."""


class Document(msgspec.Struct, frozen=True):
    """A document: its value, and where each part of it stands.

    Attributes:
        data: its value.
        lines: the line of each place, from 1.
        written: each scalar as it is written: ``3.10`` where the value is 3.1.
    """

    data: Any
    lines: dict[Location, int]
    written: dict[Location, str]

    def line(self, place: Location) -> int:
        """Find the line of a place, or of the nearest around it."""
        around = (self.lines.get(place[:length]) for length in range(len(place), -1, -1))
        return next((line for line in around if line), 1)


class _Loader(yaml.SafeLoader):
    """Loads by the core schema; of PyYAML's own tags, only ``<<``."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def scan_to_next_token(self) -> None:
        """Pass over blanks.

        PyYAML takes no tab for one after a key, where YAML 1.2 (6.2) and Render do.
        """
        super().scan_to_next_token()
        while (self.flow_level or not self.allow_simple_key) and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Make a node, unless it is in too many others.

        PyYAML takes seconds for thousands, and then gives up.
        """
        self.depth += 1
        if self.depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=DEEP, problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(node, yaml.ScalarNode) and "\0" in node.value:  # which no path and no command can have
            raise yaml.MarkedYAMLError(problem="it holds a NUL character", problem_mark=node.start_mark)
        return node


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


def load_yaml(text: str, name: str) -> Document:
    """Read a document of YAML.

    Args:
        text: one document.
        name: how the file is called in messages.

    Raises:
        LocalRenderError: no YAML, a key that stands twice, or too large or too deep, also by its aliases.
    """
    document = Document(None, {}, {})
    if len(text) > LARGEST:
        raise _wrong(name, f"it is larger than {LARGEST // 10**6} MB")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return document
        _walk(node, (), document)
        return msgspec.structs.replace(document, data=loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _wrong(name, error.problem or "cannot be read", line) from error
    except yaml.YAMLError as error:
        raise _wrong(name, getattr(error, "reason", None) or "cannot be read") from error
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:  # of the library, for values
        raise _wrong(name, "a value does not fit its type") from error


def _wrong(name: str, told: str, line: int = 0) -> LocalRenderError:
    where = f"{name}:{line}" if line else name
    return bad_input("blueprint_invalid", f"{where}: not valid YAML: {told}", f"correct {name}")


def _walk(node: yaml.Node, place: Location, document: Document) -> None:
    """Note lines and scalars.

    What ``<<`` brings counts as written where it comes from.
    """
    if len(document.lines) > MOST:
        why = f"it has more than {MOST:,} values, counted as its aliases repeat them"
        raise yaml.MarkedYAMLError(problem=why, problem_mark=node.start_mark)
    if len(place) >= DEEPEST:  # by way of aliases
        raise yaml.MarkedYAMLError(problem=DEEP, problem_mark=node.start_mark)
    document.lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        document.written[place] = node.value
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _walk(item, (*place, number), document)
    elif isinstance(node, yaml.MappingNode):
        _walk_mapping(node, place, document)


def _walk_mapping(node: yaml.MappingNode, place: Location, document: Document) -> None:
    """Walk a mapping: first what ``<<`` brings, then its own keys.

    Of several under ``<<`` the first wins; the mapping's own keys win over all.
    """
    for value in (value for key, value in node.value if key.tag == MERGE):
        for brought in reversed(value.value) if isinstance(value, yaml.SequenceNode) else (value,):
            _walk(brought, place, document)
    document.lines[place] = node.start_mark.line + 1
    seen: set[str] = set()
    for key, value in ((key, value) for key, value in node.value if key.tag != MERGE):
        word = str(key.value)
        if word in seen:
            why = f"the key {word} stands twice in one mapping"
            raise yaml.MarkedYAMLError(problem=why, problem_mark=key.start_mark)
        seen.add(word)
        _walk(value, (*place, word), document)
