"""What can go wrong on a connection, told apart by what it means for a write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploylib.errors import SettingsError
from deploylib.system import http, trust
from tests.support.answerer import answering

Handler = Callable[[httpx.Request], httpx.Response]


def failing(kind: type[httpx.RequestError]) -> Handler:
    """A transport that raises."""

    def handle(request: httpx.Request) -> httpx.Response:
        raise kind("secret words of the library", request=request)

    return handle


def session(handler: Handler, **options: Any) -> http.Session:
    """A session without a network."""
    return http.Session(transport=httpx.MockTransport(handler), **options)


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_without_a_connection_nothing_was_sent(kind: type[httpx.RequestError]) -> None:
    """Such a request is safe to repeat."""
    with session(failing(kind)) as asking, pytest.raises(http.NotSent):
        asking.request("POST", "https://a.example/")


@pytest.mark.parametrize(
    "kind", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError]
)
def test_trouble_after_the_connection_is_no_answer(kind: type[httpx.RequestError]) -> None:
    """Such a request may have been accepted; the error has the kind of trouble and not the library's words."""
    with session(failing(kind)) as asking, pytest.raises(http.NoAnswer, match=r"^[a-z ]+$") as raised:
        asking.request("POST", "https://a.example/")

    assert "secret" not in str(raised.value)


def test_an_answer_that_cannot_be_unpacked_is_no_answer() -> None:
    """A body that is not what its encoding says is no whole answer."""
    broken = {"Content-Encoding": "gzip", "Content-Length": "3"}

    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=broken, stream=httpx.ByteStream(b"not"))

    with session(handle) as asking, pytest.raises(http.NoAnswer):
        asking.request("GET", "https://a.example/")


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """Where it points to is not what was asked for."""
    with session(lambda _: httpx.Response(302, headers={"Location": "https://b.example/"})) as asking:
        answer = asking.request("GET", "https://a.example/")

    assert (302, False) == (answer.status, answer.ok)


def test_a_body_is_sent_as_json_and_none_without_a_type() -> None:
    """A request without a body claims no type."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"a": 1})

    with session(handle, base_url="https://a.example/v1") as asking:
        assert asking.request("POST", "/x", json={"b": 2}).json() == {"a": 1}
        asking.request("POST", "/x")

    assert ["application/json", None] == [one.headers.get("Content-Type") for one in seen]
    assert ("https://a.example/v1/x", b'{"b":2}') == (str(seen[0].url), seen[0].content)


@pytest.mark.parametrize(
    ("code", "expected"), [(199, False), (200, True), (204, True), (299, True), (300, False), (404, False)]
)
def test_only_a_2xx_is_well(code: int, expected: bool) -> None:  # noqa: FBT001 - the expected value
    """A redirect or an error is none."""
    assert expected == http.Answer(code, {}, b"").ok


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Text/HTML; charset=utf-8", "text/html"), ("application/json", "application/json"), ("", "")],
)
def test_a_content_type_is_the_media_type_alone(value: str, expected: str) -> None:
    """Without its parameters, in lower case."""
    assert expected == http.Answer(200, {"content-type": value}, b"").content_type


def test_a_body_that_is_no_json_is_none() -> None:
    """A page where JSON was expected is not an error of ours; and a body is not in the representation."""
    answer = http.Answer(200, {}, b"<html>password</html>")

    assert answer.json() is None
    assert "password" not in repr(answer)


@pytest.mark.parametrize(("host", "asked"), [("127.0.0.1", False), ("localhost", False), ("shop.example", True)])
def test_only_another_machine_is_asked_by_way_of_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str, *, asked: bool
) -> None:
    """A company's proxy knows nothing of what runs here."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with answering() as product, answering() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        port = product.url.rpartition(":")[2]
        with http.Session(timeout=5) as session:
            session.request("POST", f"http://{host}:{port}/v1/query", json={"package": {"name": "six"}})

        assert [len(each.asked) for each in (product, proxy)] == [0, 1] if asked else [1, 0]


@pytest.mark.parametrize("named", ["none", "folder", "empty", "other"])
def test_certificates_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """A variable of the machine may name what is not there any more, or what is no certificate."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "other").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / named))
    trust.find_trusted.cache_clear()
    try:
        with pytest.raises(SettingsError, match="the certificates that are trusted here cannot be read: ") as raised:
            http.Session()
    finally:
        trust.find_trusted.cache_clear()

    assert "SSL_CERT_FILE" in raised.value.remedy
