"""Calls to an S3 server.

What is tried again, what an error means, and which answers are none.

botocore's own retries are off, because it hides them: a write that only one may win can have been done although its
answer was lost, and the 412 that the next try gets is then about our own first one. `Answer.doubtful` says so.

Sources: S3 API reference (error codes; 503 SlowDown; 200 with an error in its body, which botocore turns into a 500);
boto3 issue 4392 (checksums that other servers than Amazon's refuse).

botocore bounds neither the length of an answer nor the time in which it comes, only each wait for more of it. So each call
is made aside and waited for as long as it may take, and of an answer that is no object no more is read than one may have.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import msgspec

from deploylib.errors import SettingsError, Unreachable
from deploylib.models.extras import install_command
from deploylib.store.interface import CONDITIONAL, StoreRefused
from deploylib.system import Clock, Deadline, http, threads

__all__ = ["GONE", "LOST", "RACING", "TAKEN", "Broken", "Calls", "S3Answer", "chunks", "pause"]

TRIES = 6
PAUSE, LONGEST = 0.5, 8.0  # seconds: before the second try, and at most; together 7 to 16 seconds
PATIENCE = 90.0  # seconds after which nothing is tried again
WITHIN, WITH_A_BODY = 120.0, 1800.0  # seconds for a call, and for one that sends up to 128 MiB
PIECE_WITHIN = 60.0  # seconds for a piece of an object, of 1 MiB
ANSWER = 4 << 20  # bytes: a page of a listing is 1,000 keys of at most 1 KiB, each byte of them written as up to three
LOST, TAKEN = frozenset({"404", "NoSuchKey", "NotFound"}), frozenset({"412", "PreconditionFailed"})
RACING, GONE = frozenset({"409", "ConditionalRequestConflict"}), frozenset({"NoSuchUpload"})
PASSING = {
    "429", "BadDigest", "IncompleteBody", "OperationAborted", "RequestLimitExceeded", "RequestTimeout", "SlowDown",
    "Throttling", "ThrottlingException", "TooManyRequests",
}  # fmt: skip
UNKNOWN = "NotImplemented"  # what Backblaze B2 and OVH answer to a condition
KEYLESS = {"NoCredentialsError", "PartialCredentialsError"}
KEYS = "gh secret set AWS_ACCESS_KEY_ID, then gh secret set AWS_SECRET_ACCESS_KEY (for the workflow), and export both (here)"
ENCRYPTED = {"put_object", "create_multipart_upload"}
MARK = "written"
WORDS = {  # what boto3 calls it → what it is
    "NoCredentialsError": "there are no credentials",
    "PartialCredentialsError": "a part of the credentials is missing",
    "ParamValidationError": "the name of the bucket is none",
}
ASKED = {
    "delete_object": "a removal", "get_object": "a read", "head_object": "a read", "list_objects_v2": "a listing",
    "list_multipart_uploads": "a listing of uploads", "put_object": "a write", "create_multipart_upload": "a write",
}  # fmt: skip # which right is missing
NEEDED = {
    "complete_multipart_upload": {"ETag"}, "create_multipart_upload": {"UploadId"}, "get_object": {"ContentLength", "ETag"},
    "head_object": {"LastModified"}, "list_multipart_uploads": {"IsTruncated"}, "list_objects_v2": {"IsTruncated"},
    "put_object": {"ETag"}, "upload_part": {"ETag"},
}  # fmt: skip # an answer that was cut off in its head looks like one with nothing in it


class Broken(Exception):
    """An answer ended before it was whole.

    Its argument names the kind of trouble.
    """


class S3Answer(msgspec.Struct, frozen=True):
    """The answer to a call.

    Attributes:
        code: of an error that a caller expects (`LOST`, `TAKEN`, `RACING`, `GONE`); empty when it was done.
        data: the answer.
        doubtful: an earlier try may have been done, because nothing clear was heard of it.
    """

    code: str
    data: dict[str, Any]
    doubtful: bool


class Calls:
    """An S3 client at one place, ``s3://bucket/prefix``.

    Args:
        address: of the place.
        client: an S3 client of boto3; made when it is not given.
        encryption: what is asked of the server for every object, for example ``aws:kms``; empty: its default.
        kms_key: id of the key for that; empty: the account's default key.
    """

    def __init__(self, address: str, client: Any = None, *, encryption: str = "", kms_key: str = "") -> None:
        parts = urlsplit(address)
        self.address, self._bucket = address, parts.netloc
        self.prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._client = client if client is not None else _client()
        self._encryption = {"ServerSideEncryption": encryption} if encryption else {}
        if kms_key:
            self._encryption["SSEKMSKeyId"] = kms_key

    def attempt(self, name: str, key: str | None, *, stop: threading.Event | None = None, **options: Any) -> S3Answer:
        """Call, up to `TRIES` times while the trouble may pass.

        Args:
            name: of the client's method.
            key: of the object, without the prefix; None for calls about the bucket.
            stop: once set, nothing is tried again.
            options: of the method.

        Raises:
            Refused: the server answered with an error that no caller expects.
            Unreachable: it did not answer, or not in a usable way.
        """
        where = {"Bucket": self._bucket, **({"Key": self.prefix + key} if key is not None else {})}
        where |= self._encryption if name in ENCRYPTED else {}
        doubtful, deadline = False, Deadline.after(PATIENCE)
        for number in range(1, TRIES + 1):
            code, data, trouble = self._once(name, where | options)
            last = number == TRIES or deadline.has_passed() or (stop is not None and stop.is_set())
            if trouble is None or (last and code in RACING):
                return S3Answer(code, data, doubtful)
            if last:
                raise trouble
            doubtful |= code not in RACING
            pause(number, stop)
        raise AssertionError("the last try ends the loop")

    def call(self, name: str, key: str | None, **options: Any) -> dict[str, Any]:
        """Call; take every code of an error for an error."""
        answer = self.attempt(name, key, **options)
        if answer.code:
            raise self.make_refusal(answer.code, name)
        return answer.data

    def head(self, key: str) -> dict[str, Any] | None:
        """Read what the server knows of an object; None: there is none."""
        answer = self.attempt("head_object", key)
        return None if answer.code in LOST else answer.data

    def wrote(self, key: str, mark: str) -> bool:
        """Tell whether the object was written with this mark."""
        head = self.head(key)
        return head is not None and head.get("Metadata", {}).get(MARK) == mark

    def make_refusal(self, code: str, name: str) -> StoreRefused:
        """Make the error for a code of the server.

        *name* is the client's method that got it.
        """
        if code == UNKNOWN:
            text = f"the store {self.address} does not know conditional writes, so it cannot keep two deploys apart"
            return StoreRefused(text, remedy=CONDITIONAL)
        return StoreRefused(
            f"the store {self.address} refused {ASKED.get(name, 'an upload')}: {code}",
            remedy="check that the bucket exists and that the credentials may read, write and list it",
        )

    def unreachable(self, why: str) -> Unreachable:
        """Make the error for an answer that did not come."""
        if why in KEYLESS:
            return Unreachable(f"the store {self.address} cannot be reached: {WORDS[why]}", remedy=KEYS)
        return Unreachable(
            f"the store {self.address} cannot be reached: {WORDS.get(why, why)}",
            remedy="check its address, the region and the credentials (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL_S3, …)",
        )

    def _once(self, name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any], Unreachable | None]:
        """Try once: give the code, the answer, and the error.

        The error is raised if it is not tried again.
        """
        from botocore import exceptions
        from botocore.parsers import ResponseParserError

        try:
            asked = threads.start(lambda: getattr(self._client, name)(**options), name="store")
            data = asked.result(WITH_A_BODY if "Body" in options else WITHIN)
            if NEEDED.get(name, set()) <= set(data):
                return "", data, None
            if "Body" in data:
                data["Body"].close()
            return "", data, self.unreachable("half an answer")
        except exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "unknown"))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code in LOST | TAKEN | GONE:
                return code, {}, None
            if code in PASSING | RACING or (status >= 500 and status != 501):
                return code, {}, self.make_refusal(code, name)
            raise self.make_refusal(code, name) from error
        except (exceptions.BotoCoreError, ResponseParserError) as error:
            trouble = self.unreachable(type(error).__name__)
            trouble.__cause__ = error
            passing = (exceptions.ConnectionError, exceptions.HTTPClientError, ResponseParserError)
            if isinstance(error, passing) and not isinstance(error, exceptions.SSLError):
                return "", {}, trouble
            raise trouble from error
        except TimeoutError:
            return "", {}, self.unreachable("it answers without an end")


def pause(number: int, stop: threading.Event | None = None) -> None:
    """Wait after try *number*.

    Twice as long each time, half of it by chance, so that clients do not come back at once.
    """
    delay = min(LONGEST, PAUSE * 2 ** (number - 1)) * random.uniform(0.5, 1)  # noqa: S311 - nobody must not guess it
    if stop is None:
        Clock().sleep(delay)
    else:
        stop.wait(delay)


def chunks(body: Any, size: int) -> Iterator[bytes]:
    """Read an answer's body in pieces of at most *size* bytes.

    Raises:
        Broken: it ended before its length, or the connection did.
    """
    from botocore.exceptions import BotoCoreError
    from urllib3.exceptions import HTTPError

    try:
        while piece := threads.start(lambda: body.read(size), name="store").result(PIECE_WITHIN):
            yield piece
    except (BotoCoreError, HTTPError, OSError) as error:
        raise Broken(type(error).__name__) from error
    finally:
        body.close()


def _client() -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise SettingsError("the S3 client is missing", remedy=install_command("s3")) from error
    options = Config(
        connect_timeout=5,
        read_timeout=60,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": 1},
        request_checksum_calculation="when_required",  # other servers than Amazon's refuse the newer default
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.session.Session()  # not the default one, which keeps old credentials
        client = session.client("s3", config=options)
        if urlsplit(client.meta.endpoint_url).hostname in http.HERE:
            client = session.client("s3", config=options.merge(Config(proxies={})))
    except (BotoCoreError, ValueError) as error:  # an address that is none, a profile that is not there, a broken file
        raise SettingsError(
            f"the S3 client cannot be set up: {type(error).__name__}",
            remedy="see AWS_PROFILE, AWS_ENDPOINT_URL_S3 and ~/.aws/config",
        ) from error
    client.meta.events.register("before-send.s3", _bounded(client._endpoint.http_session))  # noqa: SLF001 - it has no name
    return client


def _bounded(sender: Any) -> Any:
    """Ask in botocore's place, and bound what is read.

    An answer that is no object is read only so far.
    """
    from botocore.exceptions import HTTPClientError
    from urllib3.exceptions import HTTPError

    def ask(request: Any, **_: Any) -> Any:
        whole, request.stream_output = not request.stream_output, True
        answer = sender.send(request)
        if whole or answer.status_code >= 300:
            try:
                body = answer.raw.read(ANSWER + 1)
            except (HTTPError, OSError) as error:
                raise HTTPClientError(error=error) from error
            if len(body) > ANSWER:
                answer.raw.close()
                raise HTTPClientError(error=Broken(f"more than {ANSWER >> 20} MB"))
            answer.raw.release_conn()
            answer.raw = SimpleNamespace(stream=lambda: (body,))
        return answer

    return ask
