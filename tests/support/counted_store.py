"""A store in memory that counts requests as a bucket would be asked: a listing is one for each thousand keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from deploylib.store import KeyTaken, Stored

PAGE = 1000


@dataclass
class CountedStore:
    """Keeps objects in memory, and each request with its key."""

    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """Write an object."""
        body = b"".join(pieces)
        self.requests.append(f"put {key}")
        if new and key in self.objects:
            raise KeyTaken(key)
        self.objects[key] = body
        return Stored(key, len(body), hashlib.sha256(body).hexdigest())

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one."""
        self.requests.append(f"put {key}")
        return self.objects.setdefault(key, body) is body

    def read(self, key: str) -> Iterator[bytes]:
        """Give an object's content."""
        self.requests.append(f"get {key}")
        yield self.objects[key]

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Give the keys in order, page by page."""
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        for start in range(0, max(1, len(keys)), PAGE):
            self.requests.append(f"list {prefix}")
            yield from keys[start : start + PAGE]

    def age(self, key: str) -> float:
        """Nothing grows old."""
        self.requests.append(f"head {key}")
        _ = self.objects[key]
        return 0.0

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.requests.append(f"delete {key}")
        self.objects.pop(key, None)

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Nothing is left half-way."""
        return ()

    def probe(self) -> None:
        """Of two writers of one key one wins."""

    def require_writable(self) -> None:
        """It may be written."""
