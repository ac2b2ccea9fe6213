"""Text that others have written, as values: read here, or told as what cannot be read.

A file, an answer or a program's output may be cut, of another type, no UTF-8, or nested until Python gives up. Each
library has errors of its own for that, and two of them are no errors of that library; here it is one.
"""

from __future__ import annotations

import tomllib
from typing import Any, TypeVar

import msgspec

__all__ = ["Misshapen", "Undecodable", "json", "toml"]

T = TypeVar("T")


class Undecodable(ValueError):
    """It cannot be read; the text says why, and quotes nothing of it but names of keys."""


class Misshapen(Undecodable):
    """It can be read, and is something else than what was asked for."""


def json(body: bytes, kind: type[T]) -> T:
    """A document of JSON.

    Raises:
        Misshapen: it is of another kind.
        Undecodable: it is no whole document, no UTF-8, or nested too deep.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Misshapen(str(error)) from error
    except msgspec.DecodeError as error:
        raise Undecodable(str(error) if body else "it is empty") from error
    except UnicodeDecodeError as error:
        raise Undecodable("it is no UTF-8") from error
    except RecursionError as error:
        raise Undecodable("it is nested too deep") from error


def toml(body: bytes) -> dict[str, Any]:
    """A document of TOML.

    Raises:
        Undecodable: it is none, no UTF-8, or nested too deep.
    """
    try:
        return tomllib.loads(body.decode())
    except tomllib.TOMLDecodeError as error:
        raise Undecodable(str(error)) from error
    except UnicodeDecodeError as error:
        raise Undecodable("it is no UTF-8") from error
    except (RecursionError, ValueError) as error:  # a number of thousands of digits is none of TOML's errors
        raise Undecodable("it is nested too deep, or has a number that is too long") from error
