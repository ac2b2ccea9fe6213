"""Whose certificates are believed."""

from __future__ import annotations

import functools
import ssl

import httpx

__all__ = ["find_trusted"]


@functools.cache
def find_trusted() -> ssl.SSLContext:
    """Find the authorities that are trusted, as httpx does.

    Read once, and not for each session.
    """
    return httpx.create_ssl_context()
