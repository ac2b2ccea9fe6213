"""An object of any length, sent to a bucket in parts.

One on its way while the next is read, nothing on the disk.

Why not ``upload_fileobj``: it holds ten chunks, refuses ``IfNoneMatch``, and ends at 78 GiB (measured with s3transfer
0.19.3). Facts from the S3 API reference: at most 10,000 parts, each but the last at least 5 MiB; an upload exists only
once it is completed. Cloudflare's documentation of R2: all parts but the last must be equally long.

Arithmetic: 2,000 parts of 16 MiB are 31 GiB, and 8,000 of 128 MiB another 1,000 GiB: 1.1 TB. Whoever can say beforehand
how much it may be gets equal parts for that, 16 MiB up to 125 GiB and never more than 128 MiB: up to 1.3 TB. In memory
are two parts: 32 MiB at first, 256 MiB at most.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from itertools import repeat
from math import ceil
from types import TracebackType
from typing import Any, Self

from deploylib.errors import DeployError, Interrupted, SettingsError, Unreachable
from deploylib.models.interruption import suppress_failure
from deploylib.store.interface import KeyTaken
from deploylib.store.s3_client import MARK, TAKEN, Calls
from deploylib.system import threads

__all__ = ["Upload", "parts", "sizes", "write_object"]

MIB = 1 << 20
FIRST, LARGE = 16 * MIB, 128 * MIB
EVEN, MOST = 2_000, 10_000
KINDS = {"html": "text/html; charset=utf-8", "json": "application/json", "svg": "image/svg+xml"}  # for a browser
LEAVE_WITHIN = 2.0  # seconds that an interrupted upload is given for the part on its way


def sizes(expected: int = 0) -> Iterator[int]:
    """Plan the length of each part, in bytes: `MOST` of them.

    Args:
        expected: bytes that the whole may have; it may have more. 0: nobody knows.
    """
    first = min(LARGE, max(FIRST, ceil(expected / (MOST - EVEN) / MIB) * MIB))
    even = min(MOST, max(EVEN, ceil(expected / first)))
    yield from repeat(first, even)
    yield from repeat(LARGE, MOST - even)


def parts(pieces: Iterable[bytes], lengths: Iterator[int]) -> Iterator[bytearray]:
    """Cut pieces of any size into parts of these lengths.

    The last one may be shorter; there is at least one, maybe empty.
    Two buffers take turns, so that memory is what the arithmetic says: a part may be used until the next but one is
    asked for.

    Raises:
        SettingsError: there are more bytes than lengths.
    """
    here, spare, filled, sent = bytearray(next(lengths)), bytearray(), 0, False
    for piece in pieces:
        left = memoryview(piece)
        while left:
            if filled == len(here):
                yield here
                length, sent = next(lengths, 0), True
                if not length:
                    raise SettingsError(
                        "the object is longer than the store can hold (10,000 parts of 16 to 128 MiB, about 1.1 TB)",
                        remedy='back up a database of this size by the platform\'s own means, and set backups = "none"',
                    )
                here, spare, filled = (spare if len(spare) == length else bytearray(length)), here, 0
            taken = min(len(left), len(here) - filled)
            with memoryview(here) as view:
                view[filled : filled + taken] = left[:taken]
            left, filled = left[taken:], filled + taken
    if filled or not sent:
        del here[filled:]
        yield here


def write_object(calls: Calls, key: str, body: bytes | bytearray, *, new: bool) -> None:
    """Write an object in one request.

    Raises:
        KeyTaken: *new*, and there is one that is not ours.
    """
    mark = secrets.token_hex(8)
    options: dict[str, Any] = {"Body": body, "ContentMD5": _md5(body), "Metadata": {MARK: mark}}
    if (kind := KINDS.get(key.rpartition(".")[2])) is not None:
        options["ContentType"] = kind
    answer = calls.attempt("put_object", key, **options, **_condition(new=new))
    if answer.code in TAKEN:
        if answer.doubtful and calls.wrote(key, mark):
            return
        raise KeyTaken(key)
    if answer.code:
        raise calls.make_refusal(answer.code, "put_object")


class Upload:
    """One object on its way.

    Left by an error, nothing of it stays.

    Args:
        calls: where.
        key: of the object.
        new: there must be none yet when it is completed.
    """

    def __init__(self, calls: Calls, key: str, *, new: bool) -> None:
        self._calls, self._key, self._new = calls, key, new
        self._only: bytearray | None = None
        self._id, self._mark = "", secrets.token_hex(8)
        self._sent: list[dict[str, Any]] = []
        self._pending: Future[dict[str, Any]] | None = None
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._stop.set()
        hurried = kind is not None and issubclass(kind, Interrupted)
        if self._pending is not None:  # a part that arrives after the abort would stay, until a later sweep
            wait([self._pending], LEAVE_WITHIN if hurried else None)
        if kind is not None and self._id:
            with suppress_failure(DeployError):  # what went wrong first is what counts; a later sweep finds the upload
                stop = self._stop if hurried else None
                self._calls.attempt("abort_multipart_upload", self._key, stop=stop, UploadId=self._id)

    def add(self, part: bytearray) -> None:
        """Send the next part, in the background.

        When this returns, the one before it may be overwritten.
        """
        if self._only is None and not self._id:
            self._only = part
            return
        if self._only is not None:
            self._id = self._calls.call("create_multipart_upload", self._key, Metadata={MARK: self._mark})["UploadId"]
            self._submit(self._only)
            self._only = None
        self._submit(part)

    def complete(self) -> None:
        """Make the object of what was sent.

        The only moment at which there is one.

        Raises:
            KeyTaken: there must be none yet, and there is.
            Unreachable: the server lost the upload, or another writer was at this key at the same time.
        """
        if not self._id:
            write_object(self._calls, self._key, self._only or b"", new=self._new)
            return
        self._wait()
        if (
            self._new and self._calls.head(self._key) is not None
        ):  # some servers honour the condition in `write_object` alone
            raise KeyTaken(self._key)
        ending: dict[str, Any] = {
            "UploadId": self._id,
            "MultipartUpload": {"Parts": self._sent},
            **_condition(new=self._new),
        }
        answer = self._calls.attempt("complete_multipart_upload", self._key, **ending)
        if not answer.code or (answer.doubtful and self._calls.wrote(self._key, self._mark)):
            return
        if answer.code in TAKEN:
            raise KeyTaken(self._key)
        raise Unreachable(
            f"the store {self._calls.address} did not complete the upload of {self._key}: {answer.code}",
            remedy="run it again; if it happens twice, see who else writes or sweeps there",
        )

    def _submit(self, part: bytearray) -> None:
        self._wait()
        self._pending = threads.start(partial(self._send, len(self._sent) + 1, part), name="upload")

    def _send(self, number: int, part: bytearray) -> dict[str, Any]:
        # A part that arrives twice replaces itself, so that it may be sent again whatever became of the first time.
        options = {"UploadId": self._id, "PartNumber": number, "Body": part, "ContentMD5": _md5(part)}
        answer = self._calls.call("upload_part", self._key, stop=self._stop, **options)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _wait(self) -> None:
        if self._pending is not None:
            self._sent.append(self._pending.result())
            self._pending = None


def _condition(*, new: bool) -> dict[str, Any]:
    return {"IfNoneMatch": "*"} if new else {}


def _md5(body: bytes | bytearray) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
