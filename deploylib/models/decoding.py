"""Text that others have written, as values.

Read here, or told as what cannot be read.

A file, an answer or a program's output may be cut, of another type, no UTF-8, or larger and deeper than anything that is
meant for us: TOML of 40 kB can take Python's reader six seconds. Editors put a byte order mark before it. Each library has errors of its own for that, and two of
them are no errors of that library; here it is one.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from typing import Any, TypeVar

import msgspec

__all__ = ["DEEPEST", "LARGEST", "LOCK", "Misshapen", "Undecodable", "decode_text", "json", "toml"]

LARGEST = 1_000_000  # bytes of a document that somebody has written
LOCK = 32_000_000  # of one that a program has written: the lock of a large workspace has several MB
DEEPEST = 64  # levels of any of them

T = TypeVar("T")
# Strings and remarks are passed over, also one that does not end: each byte is looked at once.
JSON = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
TOML = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*+"{0,5}+|"(?:[^"\\\n]|\\.)*+"?'
    rb"|'''(?:[^']|'(?!''))*+'{0,5}+|'[^'\n]*+'?|#[^\n]*+|[\[\]{}]",
    re.DOTALL,
)
PART = rb'(?:[\w-]++|"[^"\n]*+"|\'[^\'\n]*+\')[ \t]*+\.[ \t]*+'
DOTTED = re.compile(rb"(?<![\w-])(?:%b){%d}" % (PART, DEEPEST))


class Undecodable(ValueError):
    """A text that cannot be read.

    The text says why, and quotes nothing of it but names of keys.
    """


class Misshapen(Undecodable):
    """A text that can be read, and has another shape than asked."""


def json(body: bytes, kind: type[T], *, most: int = LARGEST) -> T:
    """Read a document of JSON.

    Args:
        most: bytes of it; more for what was bounded where it came from.

    Raises:
        Misshapen: it is of another kind.
        Undecodable: it is no whole document, no UTF-8, too large, or nested too deep.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    _bounded(body, most, JSON)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Misshapen(str(error)) from error
    except msgspec.DecodeError as error:
        raise Undecodable(str(error) if body else "it is empty") from error
    except UnicodeDecodeError as error:
        raise Undecodable("it is no UTF-8") from error
    except RecursionError as error:
        raise _deep() from error


def toml(body: bytes, *, most: int = LARGEST) -> dict[str, Any]:
    """Read a document of TOML.

    Args:
        most: bytes of it.

    Raises:
        Undecodable: it is none, no UTF-8, too large, or nested too deep.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    _bounded(body, most, TOML)
    if DOTTED.search(body):
        raise _deep()
    try:
        return tomllib.loads(body.decode())
    except tomllib.TOMLDecodeError as error:
        raise Undecodable(str(error)) from error
    except UnicodeDecodeError as error:
        raise Undecodable("it is no UTF-8") from error
    except (RecursionError, ValueError) as error:  # a number of thousands of digits is none of TOML's errors
        raise Undecodable("it has a number that is too long") from error


def decode_text(body: bytes) -> str:
    """Decode text as its byte order mark says, else as UTF-8.

    What cannot be read is replaced; it is for people.

    PowerShell before version 6 writes UTF-16, and browsers and pip read it.
    """
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if body.startswith(mark):
            return body.removeprefix(mark).decode(name, errors="replace")
    return body.decode("utf-8-sig", errors="replace")


def _bounded(body: bytes, most: int, tokens: re.Pattern[bytes]) -> None:
    """See that a document is small and flat enough to read.

    Raises:
        Undecodable: it is not; the bound is named.
    """
    if len(body) > most:
        raise Undecodable(f"it is larger than {most // 10**6} MB")
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for token in tokens.finditer(body):
        depth += (token[0] in b"[{") - (token[0] in b"]}")
        if depth > DEEPEST:
            raise _deep()


def _deep() -> Undecodable:
    return Undecodable(f"it is nested deeper than {DEEPEST} levels")
