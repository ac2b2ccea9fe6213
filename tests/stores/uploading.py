"""A program that writes one object: ``python -m tests.stores.uploading ADDRESS KEY MEGABYTES [hang]``.

With ``hang`` it says so after the last piece and waits to be killed; else it says what it cost, as JSON.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from deploylib.store import open as open_store

MEGABYTE = 10**6


def pieces(count: int, *, hang: bool) -> Iterator[bytes]:
    """Pieces of a megabyte that do not compress and are not alike."""
    one = os.urandom(MEGABYTE)
    for number in range(count):
        yield number.to_bytes(8, "big") + one[8:]
    if hang:
        print("hanging", flush=True)
        time.sleep(600)


def main(address: str, key: str, count: str, *more: str) -> None:
    """Write the object."""
    store = open_store(address)
    began = time.monotonic()
    stored = store.put(key, pieces(int(count), hang="hang" in more), new=True)
    seconds = time.monotonic() - began
    print(json.dumps({"size": stored.size, "sha256": stored.sha256, "seconds": seconds, "peak": peak()}))


def peak() -> int:
    """The most memory that this process has had, in bytes.

    Linux counts into ``ru_maxrss`` what the parent had when it started us, so that there the kernel's other mark is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(*sys.argv[1:])
