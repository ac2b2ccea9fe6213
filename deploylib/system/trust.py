"""Whose certificates are believed."""

from __future__ import annotations

import functools
import ssl

import httpx

from deploylib.errors import SettingsError

__all__ = ["find_trusted"]


@functools.cache
def find_trusted() -> ssl.SSLContext:
    """Find the authorities that are trusted, as httpx does.

    Read once, and not for each session.

    Raises:
        SettingsError: what the machine's variables name cannot be read, or holds none.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        reason = "there is none in it" if isinstance(error, ssl.SSLError) else error.strerror
        message = f"the certificates that are trusted here cannot be read: {reason}"
        raise SettingsError(message, remedy="see SSL_CERT_FILE: a file of certificates in PEM; or unset it") from error
