"""A store in a bucket.

Amazon S3, or anything that speaks its protocol and honours conditional writes.

Facts from the S3 API reference: an upload in parts exists only once it is completed; of two ``If-None-Match: *`` writes
of one key one is answered 412 (or 409 while the other is on its way). A server that ignores the header would make two
holders of one lease, so it is found out by a probe and refused. Where the bucket keeps versions, a delete hides an
object and does not free its space; only the bucket's lifecycle rules do that, once no lock holds the version any more.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any, Self

from deploylib.errors import DeployError, SettingsError, Unreachable
from deploylib.models.interruption import suppress_failure
from deploylib.store.interface import CONDITIONAL, KeyTaken, Stored, StoreRefused
from deploylib.store.s3_client import LOST, TAKEN, TRIES, Broken, Calls, chunks, pause
from deploylib.store.s3_upload import Upload, parts, sizes, write_object

__all__ = ["Bucket"]

CHUNK = 1 << 20


class Bucket:
    """The store at ``s3://bucket/prefix``.

    Credentials and endpoint are found as boto3 finds them.

    Args:
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        client: an S3 client of boto3; made when it is not given.
        encryption: what is asked of the server for every object, for example ``aws:kms``; empty: its default.
        kms_key: id of the key for that.
    """

    def __init__(self, address: str, client: Any = None, *, encryption: str = "", kms_key: str = "") -> None:
        self.address = address
        self._calls = Calls(address, client, encryption=encryption, kms_key=kms_key)

    @staticmethod
    def has_address(address: str) -> bool:
        """Tell whether an address is a bucket's."""
        return address.startswith("s3://")

    @classmethod
    def at(cls, address: str, *, encryption: str = "", kms_key: str = "") -> Self:
        """Make the store in a bucket.

        Raises:
            SettingsError: the address names none.
        """
        if not address.removeprefix("s3://").partition("/")[0].strip():
            raise SettingsError(f"{address} names no bucket", remedy="use s3://bucket/prefix, or a folder")
        return cls(address, encryption=encryption, kms_key=kms_key)

    def __repr__(self) -> str:
        return f"Bucket({self.address!r})"

    def probe(self) -> None:
        """Find out whether two writers of one key are told apart.

        See `Store.probe`.

        Raises:
            SettingsError: they are not.
            Unreachable: the bucket cannot be written.
        """
        key = f"probe/{secrets.token_hex(8)}"
        try:
            first, second = self.put_if_absent(key, b"1"), self.put_if_absent(key, b"2")
        except DeployError:
            with suppress_failure(DeployError):  # what went wrong first is what counts
                self.delete(key)
            raise
        self.delete(key)
        if (first, second) != (True, False):
            raise SettingsError(
                f"{self.address} ignores conditional writes, so it cannot keep two deploys apart", remedy=CONDITIONAL
            )

    def require_writable(self) -> None:
        """Begin an upload and abort it, which makes no object.

        See `Store.require_writable`.
        """
        key = f"probe/{secrets.token_hex(8)}"
        begun = self._calls.call("create_multipart_upload", key)["UploadId"]
        self._calls.attempt("abort_multipart_upload", key, UploadId=begun)

    def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
        """Write an object from pieces, in parts when it is large.

        See `Store.put`, and `multipart` for its limits.
        """
        digest, size = hashlib.sha256(), 0
        with Upload(self._calls, key, new=new) as upload:
            for part in parts(pieces, sizes(expected)):
                digest.update(part)
                size += len(part)
                upload.add(part)
            upload.complete()
        return Stored(key, size, digest.hexdigest())

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a small object unless there is one; see `Store.put_if_absent`."""
        try:
            write_object(self._calls, key, body, new=True)
        except KeyTaken:
            return False
        return True

    def read(self, key: str) -> Iterator[bytes]:
        """Read an object in pieces of at most 1 MiB.

        Where a connection broke, the reading goes on; see `Store.read`.
        """
        answer = self._open(key)
        size, tag = int(answer["ContentLength"]), answer["ETag"]
        position = failures = 0
        while True:
            begun = position
            try:
                for piece in chunks(answer["Body"], CHUNK):
                    position += len(piece)
                    yield piece
                if position == size:
                    return
                raise Broken("too short" if position < size else "too long")  # noqa: TRY301 - one way to go on
            except Broken as error:
                failures = 1 if position - begun >= CHUNK else failures + 1
                if failures == TRIES or position >= size:
                    message = f"{self.address}/{key} broke off after {position} of {size} bytes: {error}"
                    raise Unreachable(message, remedy="check the way to the store, then run it again") from error
                pause(failures)
            answer = self._open(key, position, tag)

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """List the keys with *prefix*, in order, page by page.

        See `Store.list`.
        """
        token: dict[str, str] = {"StartAfter": self._calls.prefix + after} if after else {}
        seen: set[str] = set()
        while True:
            page = self._calls.call("list_objects_v2", None, Prefix=self._calls.prefix + prefix, **token)
            keys = [str(item.get("Key", "")) for item in page.get("Contents", [])]
            if not all(key.startswith(self._calls.prefix + prefix) for key in keys):
                raise self._calls.unreachable(f"it lists something else than {prefix}")
            yield from (key.removeprefix(self._calls.prefix) for key in keys)
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page.get("NextContinuationToken", "")}
            if token["ContinuationToken"] in seen | {""}:
                message = f"the store {self.address} lists {prefix} without an end"
                raise Unreachable(
                    message, remedy="run it again; if it stays so, see what stands between us and the store"
                )
            seen.add(token["ContinuationToken"])

    def age(self, key: str) -> float:
        """Count the seconds since the object was written, by server time.

        ``Date`` of the answer; see `Store.age`.
        """
        head = self._calls.head(key)
        if head is None:
            raise KeyError(key)
        return self._since(head, head["LastModified"])

    def delete(self, key: str) -> None:
        """Remove an object; see `Store.delete`."""
        try:
            self._calls.call("delete_object", key)
        except StoreRefused as error:
            raise StoreRefused(
                f"{self.address}/{key} stays: {error.message}",
                remedy="see who may delete there, and whether a lock (retention, legal hold) keeps it",
            ) from error

    def sweep(self, prefix: str, older_than: float) -> tuple[str, ...]:
        """Abort uploads that were begun and never ended, by the server's clock.

        See `Store.sweep`.

        MinIO lists uploads of one key only, so that nothing is found there; it removes them by itself after a day.
        """
        removed = []
        at: dict[str, str] = {}
        while True:
            page = self._calls.call("list_multipart_uploads", None, Prefix=self._calls.prefix + prefix, **at)
            for upload in page.get("Uploads", []):
                if not {"Key", "Initiated", "UploadId"} <= upload.keys():
                    raise self._calls.unreachable("it lists uploads without a name")
                key = upload["Key"].removeprefix(self._calls.prefix)
                if (
                    upload["Key"].startswith(self._calls.prefix + prefix)
                    and self._since(page, upload["Initiated"]) >= older_than
                ):
                    self._calls.attempt("abort_multipart_upload", key, UploadId=upload["UploadId"])
                    removed.append(key)
            marks = {"KeyMarker": page.get("NextKeyMarker"), "UploadIdMarker": page.get("NextUploadIdMarker")}
            before, at = at, {name: mark for name, mark in marks.items() if mark}
            if not page.get("IsTruncated") or at in ({}, before):
                return tuple(sorted(removed))

    def _open(self, key: str, position: int = 0, tag: str = "") -> dict[str, Any]:
        """Open this *tag* of an object at *position*."""
        rest: dict[str, Any] = {"Range": f"bytes={position}-", "IfMatch": tag} if position else {}
        answer = self._calls.attempt("get_object", key, **rest)
        if not position and answer.code in LOST:
            raise KeyError(key)
        begins = answer.data.get("ContentRange", "").startswith(f"bytes {position}-")
        if answer.code or (position and not begins):
            why = "it was replaced" if answer.code in TAKEN else answer.code or "the server cannot go on in the middle"
            raise Unreachable(
                f"{self.address}/{key} broke off after {position} bytes: {why}", remedy="run it again from the start"
            )
        return answer.data

    def _since(self, answer: dict[str, Any], moment: Any) -> float:
        """Count the seconds from a moment to the server's answer.

        Raises:
            Unreachable: the answer does not say when it was given.
        """
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return float((parsedate_to_datetime(date) - moment).total_seconds())
        except (ValueError, TypeError, OverflowError) as error:
            raise self._calls.unreachable(f"its clock says {date!r}") from error
