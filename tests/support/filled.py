"""A database with everything in it."""

from __future__ import annotations

import contextlib

import psycopg

from tests.support.everything import EVERYTHING, VIRTUAL, XML
from tests.support.servers import Base


def filled(base: Base) -> Base:
    """With everything in it that this server knows."""
    base.run(EVERYTHING)
    with contextlib.suppress(psycopg.errors.FeatureNotSupported):  # built without libxml
        base.run(XML)
    if base.client.major >= 18:
        base.run(VIRTUAL)
    return base
