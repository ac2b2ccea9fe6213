"""Eight ways in which an answer is none, each made of the true one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

PAGE = b"<!doctype html><title>Please log in</title><form action=/login></form>"
JSON = "application/json"


class Told(msgspec.Struct, frozen=True):
    """What the client gets: *length* is what the head claims of the body."""

    status: int
    kind: str
    body: bytes
    length: int


def told(status: int, body: bytes, kind: str = JSON, length: int | None = None) -> Told:
    """An answer, whose head is true unless a length is given."""
    return Told(status, kind, body, len(body) if length is None else length)


def html(status: int, _body: bytes, _other: bytes) -> Told:
    """A login page, with 200."""
    del status
    return told(200, PAGE, "text/html; charset=utf-8")


def half(status: int, body: bytes, _other: bytes) -> Told:
    """Half a document, of which the head says that it is whole."""
    return told(status, body[: len(body) // 2])


def cut(status: int, body: bytes, _other: bytes) -> Told:
    """The connection ends in the middle."""
    return told(status, body[: len(body) // 2], length=len(body) + 1)


def empty(status: int, _body: bytes, _other: bytes) -> Told:
    """Nothing at all, where a document must be."""
    return told(status, b"")


def null(status: int, _body: bytes, _other: bytes) -> Told:
    """The document that is nothing."""
    return told(status, b"null")


def shape(status: int, body: bytes, _other: bytes) -> Told:
    """A list in place of an object and an object in place of a list; every word is a number."""
    value = _numbered(_read(body))
    return told(status, json.dumps({"items": value} if isinstance(value, list) else [value]).encode())


def other(status: int, _body: bytes, other: bytes) -> Told:
    """The whole and true answer to another question."""
    return told(status, other)


def fault(_status: int, _body: bytes, _other: bytes) -> Told:
    """A gateway has lost the answer of a platform that has done what it was asked."""
    return told(502, b'{"message": "bad gateway"}')


WAYS: dict[str, Callable[[int, bytes, bytes], Told]] = {
    way.__name__: way for way in (html, half, cut, empty, null, shape, other, fault)
}


def _read(body: bytes) -> Any:
    return json.loads(body or b"null")


def _numbered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbered(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each) for each in value]
    return 7 if isinstance(value, str) else value
