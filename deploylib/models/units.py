"""Durations, sizes and commands.

As people write them in settings, and as they read them in a report.
"""

from __future__ import annotations

import re
import shlex
from urllib.parse import urlsplit

from deploylib.errors import SettingsError

__all__ = ["age", "count", "is_address", "seconds", "size", "volume", "words"]

DURATIONS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 100 * 365 * 86400.0  # seconds: what is longer is a slip of the finger, and no moment can be that far away
SIZES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def seconds(text: str, where: str = "duration") -> float:
    """Read a duration such as ``90s``, ``5m``, ``24h``, ``500ms``.

    Raises:
        SettingsError: it is none, or longer than a century.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", text.strip())
    if not match:
        raise SettingsError(f"{where}: {text!r} is not a duration", remedy='write it like "90s", "5m" or "24h"')
    length = float(match[1]) * DURATIONS[match[2]]
    if length > LONGEST:
        raise SettingsError(
            f"{where}: {text.strip()[:40]} is longer than a century", remedy='write it like "5m" or "24h"'
        )
    return length


def size(text: str, where: str = "size") -> int:
    """Read a size such as ``200MB``, in bytes.

    Raises:
        SettingsError: it is none.
    """
    match = re.fullmatch(r"(\d{1,15})\s*(MB|GB|TB)", text.strip())
    if not match:
        raise SettingsError(f"{where}: {text!r} is not a size", remedy='write it like "200MB" or "2GB"')
    return int(match[1]) * SIZES[match[2]]


def words(line: str, where: str = "command") -> list[str]:
    """Read a command as a shell would take it apart.

    None is ever started by a shell.

    Raises:
        SettingsError: a quote that is not closed, or nothing at all.
    """
    try:
        parts = shlex.split(line)
    except ValueError as error:
        raise SettingsError(f"{where}: {line!r} is no command: {error}", remedy="close the quote") from error
    if not parts:
        raise SettingsError(f"{where}: {line!r} is no command", remedy="name a program, or leave it out")
    return parts


def age(elapsed: float) -> str:
    """Write seconds as a person says them.

    ``40 s``, ``12 min``, ``3 h``, ``2 d``.
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if elapsed >= length:
            return f"{elapsed / length:.0f} {unit}"
    return f"{max(0.0, elapsed):.0f} s"


def volume(amount: float) -> str:
    """Write bytes as people say them, in decimal units: ``3.4 KB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(number: float, thing: str) -> str:
    """Write a number with its noun: ``1 service``, ``2 services``."""
    written = f"{number:.15g}"
    return f"{written} {thing}" if number == 1 else f"{written} {thing}s"


def is_address(text: str) -> bool:
    """Tell whether anybody could be asked there.

    Who is asked at what is none answers nothing, and is not at fault.
    """
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable() and parts.port != 0
    except ValueError:  # of a port or a host
        return False
