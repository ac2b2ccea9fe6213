"""What every kind of store can do.

An object store, where history and backups are kept.

An object is written whole or not at all, is never changed afterwards, and is listed in the order of its key. What a
killed writer leaves is no object and in no listing; `Store.sweep` removes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec

from deploylib.errors import Unreachable
from deploylib.models import decoding

__all__ = ["CONDITIONAL", "Damaged", "KeyTaken", "Store", "StoreRefused", "Stored", "read_document"]

T = TypeVar("T")
CONDITIONAL = "use a store that honours If-None-Match: Amazon S3, Cloudflare R2, MinIO, … (deploylib's docs/bucket.md)"
LARGEST = 32 << 20  # bytes of a record; a run's state with every event of fifty services is a hundredth of that


class KeyTaken(Exception):
    """An object of this key, its argument, is there already.

    It is as it was.
    """


class StoreRefused(Unreachable):
    """The store answered, and said no.

    No right, a lock that keeps an object, or a request that it does not know.
    """


class Damaged(Unreachable):
    """An object is there and cannot be read.

    Cut, emptied, changed, of a newer program, or put there by somebody else.

    Args:
        key: of the object.
        why: it cannot be read.
        cure: what to do about it.
    """

    def __init__(self, key: str, why: str, cure: str = "") -> None:
        super().__init__(
            f"{key} in the store cannot be read: {why}",
            remedy=cure or f"move {key} out of the store, and keep it aside; then the same command again",
        )
        self.key = key


class Stored(msgspec.Struct, frozen=True):
    """An object that has been written.

    Its size in bytes and its SHA-256, both taken in passing.
    """

    key: str
    size: int
    sha256: str


class Store(Protocol):
    """What the library needs of an object store.

    A kind of store has two more functions, by which `stores.open` chooses it: ``has_address`` and ``at``.
    """

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """Write an object from pieces.

        If they raise, there is no object and the error goes on.

        Args:
            key: of the object.
            pieces: read one after the other, never all in memory.
            new: the key must be free; found out when all pieces have been read, and of two writers one wins.
            expected: bytes that there may be, where somebody can tell; there may be more.

        Raises:
            KeyTaken: *new*, and the key is not free.
            Unreachable: the store did not answer, or refused (`StoreRefused`).
        """
        ...

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a small object unless there is one.

        False when there is. Of two writers one wins.
        """
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object in pieces.

        It ends when all of it was given, else it raises.

        Raises:
            KeyError: there is none.
            Unreachable: it broke off.
        """
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """List the keys with *prefix* that come after *after*, in order."""
        ...

    def age(self, key: str) -> float:
        """Count the seconds since an object was written.

        By the store's own clock, so that machines need not agree on the time; negative: the clock was put back since, and
        nobody knows how long ago that was.

        Raises:
            KeyError: there is none.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; it is no error if there is none.

        Raises:
            Refused: the object stays: no right to remove it, or a lock keeps it.
        """
        ...

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Remove what killed writers have left of objects that never came.

        Args:
            prefix: of their keys.
            older_than: seconds, by the store's clock; longer than a write may take.

        Returns:
            the keys that were being written, in order, one for each write.

        Raises:
            Refused: no right to look for them, or to remove them.
        """
        ...

    def probe(self) -> None:
        """Refuse a store in which two writers would both win.

        Both would have written one key.
        """
        ...

    def require_writable(self) -> None:
        """Refuse a store that may only be read.

        No object comes or goes by that.

        Raises:
            Unreachable: it may not be written, or did not answer.
            SettingsError: the disk says so.
        """
        ...


def read_document(store: Store, key: str, kind: type[T], *, cure: str = "") -> T:
    """Read a record of the store.

    One JSON document of a known kind.

    Raises:
        KeyError: there is none.
        Damaged: it is there, and is no such record.
        Unreachable: the store did not answer.
    """
    body = bytearray()
    for piece in store.read(key):
        body += piece
        if len(body) > LARGEST:
            raise Damaged(key, f"it is larger than {LARGEST >> 20} MB", cure)
    try:
        return decoding.json(bytes(body), kind, most=LARGEST)
    except decoding.Undecodable as error:
        raise Damaged(key, str(error), cure) from error
