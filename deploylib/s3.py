"""A store in a bucket: Amazon S3, or anything that speaks its protocol and honours conditional writes.

Facts from the S3 API reference: an upload in parts exists only once it is completed; of two ``If-None-Match: *`` writes
of one key one is answered 412 (or 409 while the other is on its way). A server that ignores the header would make two
holders of one lease, so it is found out by a probe and refused.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from deploylib.errors import SettingsError, Unreachable
from deploylib.store import Stored

__all__ = ["Bucket"]

PART = 16 << 20  # at 10,000 parts a dump of 156 GiB; one part at a time is in memory
CHUNK = 1 << 20
LOST, TAKEN = {"404", "NoSuchKey", "NotFound"}, {"412", "PreconditionFailed"}
RACING = {"409", "ConditionalRequestConflict"}


class Bucket:
    """The store at ``s3://bucket/prefix``; credentials and endpoint are found as boto3 finds them.

    Args:
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        client: an S3 client of boto3; made when it is not given.
    """

    def __init__(self, address: str, client: Any = None) -> None:
        parts = urlsplit(address)
        self.address, self._bucket = address, parts.netloc
        self._prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._client = client if client is not None else _client()

    def __repr__(self) -> str:
        return f"Bucket({self.address!r})"

    def probe(self) -> None:
        """Find out whether two writers of one key are told apart; see `Store.probe`.

        Raises:
            SettingsError: they are not.
            Unreachable: the bucket cannot be written.
        """
        key = f"probe/{secrets.token_hex(8)}"
        try:
            first, second = self.put_if_absent(key, b"1"), self.put_if_absent(key, b"2")
        finally:
            self.delete(key)
        if (first, second) != (True, False):
            raise SettingsError(
                f"{self.address} ignores conditional writes, so it cannot keep two deploys apart",
                remedy="use a store that honours If-None-Match: Amazon S3, Cloudflare R2, MinIO, …",
            )

    def put(self, key: str, pieces: Iterable[bytes]) -> Stored:
        """Write an object from pieces, in parts when it is large; see `Store.put`."""
        digest, size = hashlib.sha256(), 0
        upload, parts = "", []
        try:
            for number, part in enumerate(_parts(pieces), start=1):
                digest.update(part)
                size += len(part)
                if number == 1 and len(part) < PART:
                    self._call("put_object", key, Body=part, ContentMD5=_md5(part))
                    break
                upload = upload or self._call("create_multipart_upload", key)["UploadId"]
                body = {"UploadId": upload, "PartNumber": number, "Body": part, "ContentMD5": _md5(part)}
                parts.append({"PartNumber": number, "ETag": self._call("upload_part", key, **body)["ETag"]})
            if upload:
                self._call("complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            if upload:
                self._call("abort_multipart_upload", key, UploadId=upload)
            raise
        return Stored(key, size, digest.hexdigest())

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write a small object unless there is one; see `Store.put_if_absent`."""
        while True:
            code = self._try("put_object", key, Body=body, ContentMD5=_md5(body), IfNoneMatch="*")
            if code in TAKEN:
                return False
            if code not in RACING:
                return True

    def read(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces of 1 MiB; see `Store.read`."""
        found: dict[str, Any] = {}
        if self._try("get_object", key, into=found) in LOST:
            raise KeyError(key)
        yield from found["Body"].iter_chunks(CHUNK)

    def list(self, prefix: str) -> Iterator[str]:
        """The keys that begin with *prefix*, in order, page by page; see `Store.list`."""
        token: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", None, Prefix=self._prefix + prefix, **token)
            yield from (item["Key"].removeprefix(self._prefix) for item in page.get("Contents", []))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def age(self, key: str) -> float:
        """Seconds since the object was written, by the server's clock: ``Date`` of the answer; see `Store.age`."""
        found: dict[str, Any] = {}
        if self._try("head_object", key, into=found) in LOST:
            raise KeyError(key)
        now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        return max(0.0, float((now - found["LastModified"]).total_seconds()))

    def delete(self, key: str) -> None:
        """Remove an object; see `Store.delete`."""
        self._call("delete_object", key)

    def _call(self, name: str, key: str | None, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        code = self._try(name, key, into=found, **options)
        if code:
            raise self._refused(code)
        return found

    def _try(self, name: str, key: str | None, into: dict[str, Any] | None = None, **options: Any) -> str:
        """Call, and return the error's code, or nothing; what leaves here are our own errors."""
        from botocore.exceptions import BotoCoreError, ClientError

        where = {"Bucket": self._bucket, **({"Key": self._prefix + key} if key is not None else {})}
        try:
            answer = getattr(self._client, name)(**where, **options)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            if code in LOST | TAKEN | RACING:
                return code
            raise self._refused(code) from error
        except BotoCoreError as error:
            raise Unreachable(
                f"the store {self.address} cannot be reached: {type(error).__name__}",
                remedy="check its address, the region and the credentials (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, …)",
            ) from error
        if into is not None:
            into.update(answer)
        return ""

    def _refused(self, code: str) -> Unreachable:
        return Unreachable(
            f"the store {self.address} refused: {code}",
            remedy="check that the bucket exists and that the credentials may read, write and list it",
        )


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise SettingsError("the S3 client is missing", remedy="pip install 'deploylib[s3]'") from error
    options = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 5},
        request_checksum_calculation="when_required",  # other servers than Amazon's refuse the newer default
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client("s3", config=options)  # not the default one, which keeps old credentials


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of any size as parts of exactly `PART` bytes, but for the last; at least one part, maybe empty."""
    held, size, sent = [], 0, False
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        while size >= PART:
            whole = b"".join(held)
            yield whole[:PART]
            held, size, sent = [whole[PART:]], size - PART, True
    if size or not sent:
        yield b"".join(held)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
