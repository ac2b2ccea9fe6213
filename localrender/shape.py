"""What a Blueprint may look like: `blueprint.schema.json`, and what is wrong with a document in words.

The schema is the only list of keys, types, values and combinations; a rule that it does not hold, such as a reference to
another service, is in `localrender.documented`. The words name file, line, place, and what would be right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from localrender.yaml12 import Document, Location

__all__ = ["Remark", "check_schema", "remark_on"]

KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
MANY = 16


class Remark(msgspec.Struct, frozen=True, order=True):
    """Something to say about a place of a document.

    Attributes:
        line: where it is.
        place: the path to it, with the name of whose it is.
        text: what is wrong, and what would be right.
        is_note: nobody has to be stopped by it.
    """

    line: int
    place: str
    text: str
    is_note: bool = False

    def within(self, name: str) -> str:
        """Write it out: file, line, place, text."""
        return f"{name}:{self.line}: {self.place}: {self.text}"


def remark_on(document: Document, place: Location, text: str, *, is_note: bool = False) -> Remark:
    """Remark on a place of a document.

    The place is told by its path and the name of whose it is.
    """
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return Remark(document.line(place), f"{dotted or 'the file'}{_owner(document, place)}", text, is_note)


def check_schema(document: Document) -> list[Remark]:
    """List what the schema says of a document, by line, once each."""
    remarks = {remark for error in _validator().iter_errors(document.data) for remark in _remarks(document, error)}
    untyped = {(one.line, one.place) for one in remarks if one.text.startswith("must be ")}
    return sorted(one for one in remarks if "is none of" not in one.text or (one.line, one.place) not in untyped)


@cache
def _schema() -> dict[str, Any]:
    text = resources.files("localrender").joinpath("blueprint.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(_schema())


@cache
def _relatives(family: str) -> frozenset[str]:
    """Collect the keys of all shapes of a family."""
    shapes = _schema()["$defs"].values()
    return frozenset(key for shape in shapes if shape.get("family") == family for key in shape["properties"])


def _owner(document: Document, place: Location) -> str:
    """Name, in parentheses, what a place is in.

    A service and its variable, for example.
    """
    names, at = list[str](), document.data
    for part in place:
        try:
            at = at[part]
        except (KeyError, IndexError, TypeError):
            break
        name = at.get("name", at.get("key")) if isinstance(part, int) and isinstance(at, dict) else None
        if isinstance(name, str):
            names.append(name)
    return f" ({', '.join(names)})" if names else ""


def _remarks(document: Document, error: Any) -> Iterator[Remark]:
    place = tuple(error.absolute_path)
    rule, value = error.validator, error.instance
    if rule == "additionalProperties":
        for key in value.keys() - error.schema["properties"].keys():
            yield _misplaced(document, (*place, key), error.schema)
        return
    yield remark_on(document, place, _text(rule, value, error))


def _misplaced(document: Document, place: Location, schema: dict[str, Any]) -> Remark:
    """Explain a key that the shape does not have.

    Of a relative it is a wrong combination, else nobody knows it.
    """
    key = str(place[-1])
    if key in _relatives(schema.get("family", "")):
        return remark_on(document, place, f"{key} does not go with {schema['title']}")
    near = {_plain(one): one for one in (*_relatives(schema.get("family", "")), *schema["properties"])}
    similar = get_close_matches(_plain(key), near, 1)
    meant = f"; did you mean {near[similar[0]]}?" if similar else ""
    return remark_on(
        document, place, f"unknown key {key}, and Render's schema has none of that name{meant}", is_note=True
    )


def _plain(key: str) -> str:
    """Strip a key of what only tells spellings apart.

    ``publish_path`` is as near as ``publishPath``.
    """
    return key.lower().replace("_", "").replace("-", "")


def _text(rule: str, value: Any, error: Any) -> str:
    """Say what is wrong with a value.

    A variable's may be a secret, so it is not quoted.
    """
    wanted = error.validator_value
    if rule == "type":
        kinds = " or ".join(KINDS[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted))
        quotes = ": put it in quotes" if "text" in kinds and isinstance(value, bool | int | float) else ""
        return f"must be {kinds}, not {_kind(value)}{quotes}"
    if isinstance(error.schema, dict) and "says" in error.schema:
        return str(error.schema["says"])
    if rule in {"enum", "const"}:
        return _choice(value, wanted if rule == "enum" else [wanted], error.schema.get("hints", {}))
    if rule in {"minimum", "maximum"}:
        least, most = (error.schema.get(key) for key in ("minimum", "maximum"))
        return f"{value} must be {least} or more" if most is None else f"{value} must be from {least} to {most}"
    if rule == "required":
        return f"{next(key for key in wanted if error.message.startswith(repr(key)))} is missing"
    if rule in {"anyOf", "oneOf"}:
        keys = " or ".join(key for one in wanted for key in one["required"])
        return f"needs {'one of ' if rule == 'oneOf' else ''}{keys}{' alone' if rule == 'oneOf' else ''}"
    return "has a value that Render does not take"


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), "something else")


def _choice(value: Any, choices: Iterable[str], hints: dict[str, str]) -> str:
    words = list(choices)
    near = get_close_matches(str(value).lower(), words, 1)
    meant = f": {hints[value]}" if str(value) in hints else f"; did you mean {near[0]}?" if near else ""
    known = ", ".join(words)
    if len(words) > MANY:  # The plans are some fifty: a person looks for the near one, not for a wall of text.
        known = f"the {len(words)} values that Render takes ({', '.join(words[:3])}, …)"
    return f"{value!r} is none of {known}{meant}"
