"""What a request may say. Everything here is pure: text in, values or a Problem out."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from .database import NEWEST
from .problems import Problem

Mood = Literal["happy", "grateful", "curious", "calm"]
NAME_LENGTH = 80
MESSAGE_LENGTH = 1000

_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
_HIDDEN = r"\s\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff"  # spaces, and what shows nothing at all
_SHOWS = rf"\A(?=[\s\S]*[^{_HIDDEN}])"

RULES: dict[str, Any] = {"moods": get_args(Mood), "longest": {"name": NAME_LENGTH, "message": MESSAGE_LENGTH}}
"""What the page tells before it sends: it asks, so that each rule stands here alone."""

_MISTAKES = {
    "name": f"One line of 1 to {NAME_LENGTH} characters.",
    "message": f"1 to {MESSAGE_LENGTH} characters.",
    "mood": f"One of {', '.join(get_args(Mood))}, or nothing.",
    "limit": "A whole number from 1 to 100.",
    "after": "The id of an entry, as in `next`.",
}


class NewEntry(msgspec.Struct, frozen=True):
    """What somebody writes into the book; fields it does not know are left alone, so a newer frontend may send more."""

    name: Annotated[str, Meta(max_length=NAME_LENGTH, pattern=rf"{_SHOWS}[^\n\t{_CONTROL}]*\Z")]
    message: Annotated[str, Meta(max_length=MESSAGE_LENGTH, pattern=rf"{_SHOWS}[^{_CONTROL}]*\Z")]
    mood: Mood | None = None


class Page(msgspec.Struct, frozen=True):
    """Which entries are asked for."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    after: Annotated[int, Meta(ge=1, le=NEWEST)] = NEWEST


def page(query: Mapping[str, str]) -> Page:
    """Read `limit` and `after`."""
    try:
        return msgspec.convert(dict(query), Page, strict=False)
    except msgspec.ValidationError as error:
        raise _refused("That page cannot be shown.", error) from None


def new_entry(body: bytes) -> NewEntry:
    """Read an entry."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
    if isinstance(values, dict):
        values = {key: _trimmed(value) if isinstance(value, str) else value for key, value in values.items()}
    try:
        return msgspec.convert(values, NewEntry)
    except msgspec.ValidationError as error:
        raise _refused("The entry cannot be kept as it is.", error) from None


def _trimmed(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _refused(message: str, error: msgspec.ValidationError) -> Problem:
    """Name the field that the library speaks of, and say what it has to be."""
    field = re.search(r"`\$\.(\w+)|field `(\w+)`", str(error))
    name = (field[1] or field[2]) if field else ""
    return Problem(HTTPStatus.BAD_REQUEST, message, fields={name: _MISTAKES[name]} if name else {})
