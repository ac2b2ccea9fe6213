"""What a request may say. Everything here is pure: text in, values or a Problem out."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from .database import NEWEST
from .problems import Problem

MOODS = ("happy", "grateful", "curious", "calm")
NAME_LENGTH = 80
MESSAGE_LENGTH = 1000

_PAGE_LENGTH = 20
_LONGEST_PAGE = 100


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What somebody writes into the book."""

    name: str
    message: str
    mood: str | None


def page(query: Mapping[str, str]) -> tuple[int, int]:
    """Read `limit` and `after`."""
    fields: dict[str, str] = {}
    limit = _whole_number(query.get("limit"), default=_PAGE_LENGTH, largest=_LONGEST_PAGE)
    after = _whole_number(query.get("after"), default=NEWEST, largest=NEWEST)
    if limit is None:
        fields["limit"] = f"A whole number from 1 to {_LONGEST_PAGE}."
    if after is None:
        fields["after"] = "The id of an entry, as in `next`."
    if limit is None or after is None:
        raise Problem(HTTPStatus.BAD_REQUEST, "That page cannot be shown.", fields=fields)
    return limit, after


def new_entry(body: bytes) -> NewEntry:
    """Read an entry; fields it does not know are left alone, so a newer frontend may send more."""
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
    if not isinstance(values, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "The body has to be a JSON object.")

    fields: dict[str, str] = {}
    name = _text(values, "name", longest=NAME_LENGTH, fields=fields)
    message = _text(values, "message", longest=MESSAGE_LENGTH, fields=fields, allowed="\n\t")
    mood = values.get("mood")
    if mood is not None and mood not in MOODS:
        fields["mood"] = f"One of {', '.join(MOODS)}, or nothing."
    if fields:
        raise Problem(HTTPStatus.BAD_REQUEST, "The entry cannot be kept as it is.", fields=fields)
    return NewEntry(name, message, mood)


def _whole_number(text: str | None, *, default: int, largest: int) -> int | None:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(largest))):
        return None
    number = int(text)
    return number if 0 < number <= largest else None


def _text(values: Mapping[str, object], key: str, *, longest: int, fields: dict[str, str], allowed: str = "") -> str:
    value = values.get(key)
    if not isinstance(value, str):
        fields[key] = "Needed, as text."
        return ""
    text = value.replace("\r\n", "\n").strip()
    kinds = {character: unicodedata.category(character) for character in text}
    if all(kind[0] in "ZC" for kind in kinds.values()):  # spaces, and what shows nothing at all
        fields[key] = "Please write something."
    elif len(text) > longest:
        fields[key] = f"At most {longest} characters; this has {len(text)}."
    elif any(kind in ("Cc", "Cs") and character not in allowed for character, kind in kinds.items()):
        fields[key] = "Has characters that cannot be kept."
    return text
