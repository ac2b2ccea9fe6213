"""A bucket: pages, parts, refusals, and servers that do not keep what the library relies on."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploylib.errors import SettingsError, Unreachable
from deploylib.s3 import Bucket


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


def test_all_pages_of_a_listing_are_read(s3: Any) -> None:
    """More keys than a page holds, and nothing of another prefix that begins alike."""
    bucket = Bucket("s3://deploys/pages")
    Bucket("s3://deploys/pages-of-others").put("x", [b"."])
    for number in range(1003):
        s3.put_object(Bucket="deploys", Key=f"pages/{number:04d}", Body=b".")

    assert [f"{number:04d}" for number in range(1003)] == list(bucket.list(""))


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

    with pytest.raises(Unreachable, match=f"refused: {code}") as raised:
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
