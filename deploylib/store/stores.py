"""The kinds of stores, and the one place that chooses among them."""

from __future__ import annotations

from pathlib import Path

from deploylib.errors import SettingsError
from deploylib.store import format_version
from deploylib.store.folder import Folder
from deploylib.store.interface import Store
from deploylib.store.s3 import Bucket

__all__ = ["KINDS", "open"]

KINDS = (Bucket, Folder)


def open(address: str | Path, *, encryption: str = "", kms_key: str = "") -> Store:  # noqa: A001 - read as store.open
    """Open the store at an address.

    A folder is made by the first write.

    Args:
        address: ``s3://bucket/prefix``, or a folder.
        encryption: asked of a bucket for every object, for example ``aws:kms``; empty: its default.
        kms_key: id of the key for that.

    Raises:
        SettingsError: no kind of store has such an address, or a newer version of this program has written it.
        Unreachable: the store does not answer.
    """
    for kind in KINDS:
        if kind.has_address(str(address)):
            store: Store = kind.at(str(address), encryption=encryption, kms_key=kms_key)
            format_version.require(store)
            return store
    raise SettingsError(f"{address} is neither s3://bucket nor a folder", remedy="use s3://bucket/prefix, or a folder")
