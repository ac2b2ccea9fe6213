"""A bucket: pages, parts, refusals, and servers that do not keep what the library relies on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)
from botocore.stub import Stubber

from deploylib.dashboard import Site
from deploylib.dashboard.page import write_page
from deploylib.errors import SettingsError, Unreachable
from deploylib.store import StoreRefused, format_version
from deploylib.store.interface import KeyTaken
from deploylib.store.s3 import Bucket
from deploylib.store.s3_client import WORDS


class Ignoring:
    """A client of a server that does not know conditional writes: it leaves the header out, as such a server does."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **options: Any) -> Any:
        """Write, whatever is there."""
        options.pop("IfNoneMatch", None)
        return self._client.put_object(**options)


def test_a_server_that_ignores_conditional_writes_is_refused(s3: Any) -> None:
    """It would make two holders of one lease; nothing of the probe stays."""
    bucket = Bucket("s3://deploys/ignoring", Ignoring(s3))

    with pytest.raises(SettingsError, match="ignores conditional writes") as raised:
        bucket.probe()

    assert "If-None-Match" in raised.value.remedy
    assert [] == list(bucket.list(""))


def test_a_server_that_ignores_conditional_writes_is_found_by_a_look(s3: Any) -> None:
    """What it writes all the same is the empty object that was there."""
    bucket = Bucket("s3://deploys/looked", Ignoring(s3))
    format_version.write_format(bucket)
    before = list(bucket.list(""))

    with pytest.raises(SettingsError, match="ignores conditional writes") as raised:
        format_version.is_known_conditional(bucket)

    assert "docs/bucket.md" in raised.value.remedy
    assert before == list(bucket.list(""))


def test_a_server_that_knows_no_conditional_writes_is_told_by_its_answer(s3: Any) -> None:
    """As Backblaze B2 answers: 501, NotImplemented."""
    with Stubber(s3) as stub:
        stub.add_client_error("put_object", "NotImplemented", http_status_code=501)
        with pytest.raises(StoreRefused, match="does not know conditional writes") as raised:
            Bucket("s3://deploys/b2", s3).put_if_absent("a", b".")

    assert "docs/bucket.md" in raised.value.remedy


def test_without_credentials_one_is_told_where_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines for GitHub, which the environment is added to."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "auto")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    with pytest.raises(Unreachable, match="there are no credentials") as raised:
        Bucket("s3://deploys/x").put_if_absent("a", b".")

    assert "gh secret set AWS_ACCESS_KEY_ID" in raised.value.remedy


def test_all_pages_of_a_listing_are_read(s3: Any) -> None:
    """More keys than a page holds, and nothing of another prefix that begins alike; of one full page as well."""
    bucket, asked = Bucket("s3://deploys/pages", s3), list[str]()
    Bucket("s3://deploys/pages-of-others").put("x", [b"."])

    def turn_small(params: dict[str, Any], **_more: object) -> dict[str, Any]:
        asked.append(params.get("ContinuationToken", ""))
        return {**params, "MaxKeys": 3}  # the server's own is 1,000

    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", turn_small)
    for pages, number in ((1, 3), (3, 7)):
        for each in range(number):
            s3.put_object(Bucket="deploys", Key=f"pages/{each:04d}", Body=b".")
        asked.clear()

        assert [f"{each:04d}" for each in range(number)] == list(bucket.list(""))
        assert (pages, len(set(asked))) == (len(asked), len(asked))


def test_an_upload_that_fails_leaves_no_parts(s3: Any) -> None:
    """Parts of an upload that was not completed cost money and are in no listing."""
    bucket = Bucket("s3://deploys/parts")

    with pytest.raises(ZeroDivisionError):
        bucket.put("dump", (bytes(1 << 20) if number < 40 else bytes(1 // 0) for number in range(41)))

    assert [] == s3.list_multipart_uploads(Bucket="deploys").get("Uploads", [])


@pytest.mark.parametrize(
    ("address", "variables", "code"),
    [
        ("s3://deploys/x", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ("s3://deploys/x", {"AWS_ACCESS_KEY_ID": "nobody"}, "InvalidAccessKeyId"),
    ],
    ids=["wrong secret", "unknown key"],
)
def test_a_refusal_is_told_by_its_code(
    s3: Any, monkeypatch: pytest.MonkeyPatch, address: str, variables: dict[str, str], code: str
) -> None:
    """With what to check, and without a key."""
    assert s3
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Unreachable, match=f"refused .*: {code}") as raised:
        Bucket(address).put_if_absent("a", b".")

    assert "credentials" in raised.value.remedy
    assert "wrong" not in raised.value.diagnostics()


def test_a_server_that_is_not_there(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is named, and the kind of trouble."""
    assert s3
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(Unreachable, match="s3://deploys/x cannot be reached: EndpointConnectionError"):
        Bucket("s3://deploys/x").put_if_absent("a", b".")


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (EndpointConnectionError(endpoint_url="x"), 2),
        (ConnectTimeoutError(endpoint_url="x"), 2),
        (ReadTimeoutError(endpoint_url="x"), 2),
        (SSLError(endpoint_url="x", error="expired"), 1),
        (NoCredentialsError(), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_may_pass_is_tried_again(s3: Any, error: Exception, tries: int) -> None:
    """A server that is away for a moment is; a certificate or credentials that are wrong stay so."""

    class Away(Ignoring):
        tries = 0

        def get_object(self, **options: Any) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise error
            return self._client.get_object(**options)

    client = Away(s3)
    bucket = Bucket("s3://deploys/away", client)
    bucket.put("a", [b"."])
    why = WORDS.get(type(error).__name__, type(error).__name__)
    with pytest.raises(Unreachable, match=why) if tries == 1 else nullcontext():
        assert [b"."] == list(bucket.read("a"))

    assert tries == client.tries


def test_a_write_that_races_another_is_tried_again(s3: Any) -> None:
    """A 409 says that the other writer is not done yet; the answer that counts comes after it."""

    class Racing(Ignoring):
        tries = 0

        def put_object(self, **options: Any) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject")
            return self._client.put_object(**options)

    client = Racing(s3)

    assert Bucket("s3://deploys/racing", client).put_if_absent("a", b".")
    assert client.tries == 2


def test_parts_in_a_server_that_honours_conditions_on_plain_writes_alone(s3: Any) -> None:
    """A look before the completion finds what the condition would have."""

    class Half(Ignoring):
        def complete_multipart_upload(self, **options: Any) -> Any:
            options.pop("IfNoneMatch", None)
            return self._client.complete_multipart_upload(**options)

    bucket = Bucket("s3://deploys/half", Half(s3))
    bucket.put("dump", [b"first"])

    with pytest.raises(KeyTaken, match="dump"):
        bucket.put("dump", [bytes(17 << 20)], new=True)

    assert b"first" == b"".join(bucket.read("dump"))


def test_a_server_that_cannot_go_on_in_the_middle(s3: Any) -> None:
    """It would give the beginning twice."""

    class Whole(Ignoring):
        def get_object(self, **options: Any) -> Any:
            options.pop("Range", None)
            answer = self._client.get_object(**options)
            answer["Body"] = Dying(answer["Body"])
            return answer

    class Dying:
        def __init__(self, body: Any) -> None:
            self._body, self._times = body, 0

        def read(self, size: int) -> bytes:
            self._times += 1
            if self._times == 2:
                raise ConnectionResetError
            return bytes(self._body.read(size))

        def close(self) -> None:
            self._body.close()

    bucket = Bucket("s3://deploys/whole", Whole(s3))
    bucket.put("dump", [bytes(3 << 20)])

    with pytest.raises(Unreachable, match="broke off after 1048576 bytes: the server cannot go on in the middle"):
        list(bucket.read("dump"))


def test_what_is_written_is_encrypted_as_the_settings_say(s3: Any) -> None:
    """In one request and in parts; the server of the tests has no keys, so that it is not asked for it."""
    asked: list[tuple[str, str, str]] = []

    class Keyless(Ignoring):
        def put_object(self, **options: Any) -> Any:
            return self._without("put_object", options)

        def create_multipart_upload(self, **options: Any) -> Any:
            return self._without("create_multipart_upload", options)

        def _without(self, name: str, options: dict[str, Any]) -> Any:
            asked.append((name, options.pop("ServerSideEncryption"), options.pop("SSEKMSKeyId")))
            return getattr(self._client, name)(**options)

    bucket = Bucket("s3://deploys/encrypted", Keyless(s3), encryption="aws:kms", kms_key="alias/backups")
    bucket.put("small", [b"."])
    bucket.put("large", [bytes(17 << 20)])

    assert [(name, "aws:kms", "alias/backups") for name in ("put_object", "create_multipart_upload")] == asked


def test_a_delete_where_versions_are_locked_hides_the_object(s3: Any) -> None:
    """The lock keeps the version; the key is free, and in no listing."""
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    s3.put_object_lock_configuration(Bucket="locked", ObjectLockConfiguration=lock)
    bucket = Bucket("s3://locked/x")
    bucket.put("dump", [b"locked"], new=True)

    bucket.delete("dump")

    assert [] == list(bucket.list(""))
    (version,) = s3.list_object_versions(Bucket="locked", Prefix="x/dump")["Versions"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket="locked", Key="x/dump", VersionId=version["VersionId"])
    assert bucket.put_if_absent("dump", b"again")


def test_a_sweep_reads_every_page(s3: Any) -> None:
    """More uploads than a page holds."""

    class Paging(Ignoring):
        def list_multipart_uploads(self, **options: Any) -> Any:
            return self._client.list_multipart_uploads(MaxUploads=2, **options)

    for number in range(5):
        s3.create_multipart_upload(Bucket="deploys", Key=f"sweeping/{number}")
    s3.create_multipart_upload(Bucket="deploys", Key="sweeping-others/0")

    swept = Bucket("s3://deploys/sweeping", Paging(s3)).sweep("", 0)

    assert swept == ("0", "1", "2", "3", "4")
    assert ("0",) == Bucket("s3://deploys/sweeping-others").sweep("", 0)


class Garbling:
    """A client whose answers of one call are changed on their way."""

    def __init__(self, client: Any, call: str, change: Callable[[dict[str, Any]], object]) -> None:
        self._client, self._call, self._change = client, call, change

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        return real if name != self._call else self._changed(real)

    def _changed(self, real: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def call(**options: Any) -> dict[str, Any]:
            answer = real(**options)
            self._change(answer)
            return answer

        return call


@pytest.mark.parametrize(
    ("call", "change"),
    [
        ("get_object", lambda answer: answer.pop("ETag")),
        ("get_object", lambda answer: answer.pop("ContentLength")),
        ("head_object", lambda answer: answer.pop("LastModified")),
        ("head_object", lambda answer: answer["ResponseMetadata"]["HTTPHeaders"].pop("date")),
        ("head_object", lambda answer: answer["ResponseMetadata"]["HTTPHeaders"].update(date="yesterday")),
        ("list_objects_v2", lambda answer: answer.pop("IsTruncated")),
        ("list_objects_v2", lambda answer: answer["Contents"][0].pop("Key")),
        ("list_objects_v2", lambda answer: answer["Contents"][0].update(Key="of/another/place")),
        ("list_objects_v2", lambda answer: answer.update(IsTruncated=True)),
    ],
)
def test_half_an_answer_is_not_nothing(
    s3: Any, call: str, change: Callable[[dict[str, Any]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that answers something else is one that did not answer: an object is not absent for that."""
    monkeypatch.setattr("deploylib.store.s3_client.PAUSE", 0.0)
    Bucket("s3://deploys/half").put("a", [b"."])
    bucket = Bucket("s3://deploys/half", Garbling(s3, call, change))

    with pytest.raises(Unreachable):
        (list(bucket.read("a")), bucket.age("a"), list(bucket.list("")))


def test_a_page_in_a_bucket_is_shown_by_a_browser(s3: Any) -> None:
    """Each file says what it is; what is no file of a page says what it said before."""
    site = Site(product="shop", built_at=datetime(2026, 3, 1, tzinfo=UTC), every=3600.0, public=True, panels=())
    places = write_page(site, "s3://deploys/site", lambda text: text)
    Bucket("s3://deploys/site").put("dump", [b"."])

    kinds = {key: s3.head_object(Bucket="deploys", Key=f"site/{key}")["ContentType"] for key in ("index.html", "dump")}

    assert places == ("s3://deploys/site/index.html", "s3://deploys/site/status.json")
    assert kinds["index.html"] == "text/html; charset=utf-8"
    assert "html" not in kinds["dump"]


def test_a_page_of_others_in_a_bucket_is_left_as_it_is(s3: Any) -> None:
    """Its index is no page of ours; nothing beside it is written either."""
    s3.put_object(Bucket="deploys", Key="shop/index.html", Body=b"<h1>our shop</h1>")
    site = Site(product="shop", built_at=datetime.now(UTC), every=60, public=True, panels=())

    with pytest.raises(SettingsError, match=r"s3://deploys/shop/index\.html was not made by inv dashboard"):
        write_page(site, "s3://deploys/shop", lambda text: text)

    assert list(Bucket("s3://deploys/shop").list("")) == ["index.html"]
    for _ in range(2):
        write_page(site, "s3://deploys/ours", lambda text: text)


def test_a_bucket_of_this_machine_is_asked_without_a_proxy(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's variables say; one elsewhere is asked as they say."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert s3
    bucket = Bucket("s3://deploys/proxied")

    assert bucket.put_if_absent("a", b"1")
    assert b"".join(bucket.read("a")) == b"1"
