"""Keeps history and backups as objects, in a folder or a bucket.

- `open`: the store at an address, ``s3://bucket/prefix`` or a folder; its format is checked
- `Store`: what every kind of store can do; `Stored`: an object that was written
- `read_document`: a record of a known kind
- `format_version`: names the format of a store, and refuses one of a newer program
- `KeyTaken`, `Damaged`, `StoreRefused`: a key that is not free; an object that cannot be read; a store that says no

A new kind of store is a file beside `folder`, and a name in `stores.KINDS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploylib.models.face import look_up_in

if TYPE_CHECKING:
    from deploylib.store import format_version
    from deploylib.store.interface import Damaged, KeyTaken, Store, Stored, StoreRefused, read_document
    from deploylib.store.stores import open  # noqa: A004 - read as store.open

__all__ = ["Damaged", "KeyTaken", "Store", "StoreRefused", "Stored", "format_version", "open", "read_document"]

if not TYPE_CHECKING:  # or a name that is not there would be any name
    __getattr__ = look_up_in(
        __name__,
        {
            "Damaged": "interface",
            "KeyTaken": "interface",
            "StoreRefused": "interface",
            "Store": "interface",
            "Stored": "interface",
            "format_version": "format_version",
            "open": "stores",
            "read_document": "interface",
        },
    )
