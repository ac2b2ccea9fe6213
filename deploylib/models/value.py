"""The base of all values, and the secret one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

__all__ = ["Id", "Moment", "Secret", "SettingsTable", "Value"]

Moment = Annotated[datetime, msgspec.Meta(tz=True)]  # one without a zone compares with no other
Id = Annotated[str, msgspec.Meta(pattern=r"\A([A-Za-z0-9][A-Za-z0-9._:/@+=~-]*)?\Z")]  # goes into paths and arguments


class Secret:
    """A value that no log, message or traceback shows.

    `reveal` is the only way to it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value itself, for the call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reveal() == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the values below.

    Immutable, compared by content, JSON without its defaults.
    """


class SettingsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the tables in the settings.

    An unknown key is an error.
    """
