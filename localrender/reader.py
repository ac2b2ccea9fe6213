"""What a Blueprint's values must be, and the words that say where one is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from localrender.errors import bad_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localrender.source import Repository
    from localrender.yaml12 import Document
    from localrender.yaml12 import Path as Where


class Reader:
    """A document, its name, and the repository it lies in."""

    def __init__(self, name: str, document: Document, repository: Repository) -> None:
        self.name = name
        self.document = document
        self.repository = repository

    def fail(self, where: Where, problem: str, remedy: str = "", code: str = "blueprint_invalid") -> NoReturn:
        """Refuse the Blueprint, naming file, line and path."""
        line = next(
            (self.document.lines[where[:n]] for n in range(len(where), -1, -1) if where[:n] in self.document.lines), 1
        )
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
        raise bad_input(
            code,
            f"{self.name}:{line}: {dotted or 'Blueprint'}: {problem}",
            remedy or f"correct {self.name} at line {line}",
        )

    def mapping(self, value: Any, where: Where, known: str = "") -> dict[str, Any]:
        """A mapping with known keys."""
        if not isinstance(value, dict):
            self.fail(where, "must be a mapping")
        for key in value:
            if known and key not in known.split():
                self.fail((*where, key), f"unknown key {key}")
        return value

    def items(self, parent: dict[str, Any], key: str, where: Where) -> Iterator[tuple[Any, Where]]:
        """The items of a list, each with its place."""
        value = parent.get(key) or []
        if not isinstance(value, list):
            self.fail((*where, key), "must be a list")
        yield from ((item, (*where, key, index)) for index, item in enumerate(value))

    def text(self, parent: dict[str, Any], key: str, where: Where, default: str = "") -> str:
        """A text."""
        value = parent.get(key, default)
        if not isinstance(value, str):
            self.fail((*where, key), "must be text")
        return value

    def number(self, parent: dict[str, Any], key: str, where: Where, default: int, most: int = 10**6) -> int:
        """A whole number."""
        value = parent.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            self.fail((*where, key), f"must be a whole number from 1 to {most}")
        return value

    def choice(self, value: Any, where: Where, choices: list[str]) -> str:
        """One of some words."""
        if value not in choices:
            self.fail(where, f"{value!r} is none of {', '.join(choices)}")
        return str(value)
