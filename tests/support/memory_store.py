"""A store in memory, whose objects age by a clock that a test moves on; it can be cut off."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from deploylib.errors import Unreachable
from deploylib.store import KeyTaken, Stored
from deploylib.system import Clock


@dataclass
class MemoryStore:
    """Objects by key; several hands on it are several monitors."""

    clock: Clock
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    cut: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def through(self) -> MemoryStore:
        """The same objects, over a network of one's own."""
        return MemoryStore(self.clock, self.objects, self.keys, lock=self.lock)

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """Write an object; see `Store.put`."""
        body = b"".join(pieces)
        with self._reached():
            if new and key in self.objects:
                raise KeyTaken(key)
            if key not in self.objects:
                insort(self.keys, key)
            self.objects[key] = (body, self.clock.now())
        return Stored(key, len(body), hashlib.sha256(body).hexdigest())

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write it unless there is one."""
        with self._reached():
            if key in self.objects:
                return False
            self.put(key, [body])
        return True

    def read(self, key: str) -> Iterator[bytes]:
        """Give its content."""
        with self._reached():
            yield self.objects[key][0]

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """The keys that begin so, in order."""
        with self._reached():
            begin = bisect_left(self.keys, prefix)
            end = bisect_left(self.keys, prefix + "\U0010ffff")
            found = [key for key in self.keys[begin:end] if key > after]
        yield from found

    def age(self, key: str) -> float:
        """Seconds since it was written, by the test's clock."""
        with self._reached():
            return (self.clock.now() - self.objects[key][1]).total_seconds()

    def delete(self, key: str) -> None:
        """Remove it."""
        with self._reached():
            if self.objects.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Nobody leaves anything here."""
        return ()

    def probe(self) -> None:
        """Two writers of one key do not both win."""

    def require_writable(self) -> None:
        """It may be written, while it is reached."""
        with self._reached():
            pass

    def _reached(self) -> threading.RLock:
        if self.cut:
            raise Unreachable("the store does not answer", remedy="see the network")
        return self.lock
