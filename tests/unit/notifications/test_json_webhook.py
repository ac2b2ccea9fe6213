"""A message as JSON to any address: what Teams, Discord and one's own receiver get, and what is a delivery."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploylib.models import Secret
from deploylib.models.alerts import Alert, AlertState, Link, Severity
from deploylib.notifications import Delivery, Message, MessageKind, message
from deploylib.notifications.interface import TextLine
from deploylib.notifications.json_webhook import JsonWebhook, render_for
from tests.support.fakes import START

EVIL = "@everyone [x](https://evil.example) <b>"
HELLO = Message(
    id="7",
    kind=MessageKind.OUTCOME,
    environment="staging",
    at=START,
    title="✓ succeeded",
    text=f"staging ← bbbbbbb {EVIL}",
    sections=(
        (TextLine(label="the run in CI", url="https://ci.example/1"),),
        (TextLine(text="two"), TextLine(text="three")),
    ),
    mentions=("U0123",),
    replaces="C/1",
)


@contextmanager
def receiving(*statuses: int, headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A receiver that answers so, the last for ever; 0: not at all."""
    got: list[dict[str, Any]] = []
    left, over = [*statuses], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append({"key": self.headers["Idempotency-Key"], **body})
            status = left.pop(0) if len(left) > 1 else left[0]
            if not status:
                over.wait(10)
                return
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_port}/s3cr3t", got
        finally:
            over.set()
            serving.shutdown()
            thread.join()


def send(url: str, within: float = 1.0) -> Delivery:
    """Tell it."""
    return JsonWebhook(Secret(url)).send(HELLO, within=within)


def test_a_receiver_of_ones_own_gets_every_field() -> None:
    """As it was written; in ``text``, which many show as it is, nothing of others mentions or links. The id is also a header."""
    with receiving(204) as (url, got):
        assert send(url) == Delivery(delivered=True, channel="the webhook")
    (body,) = got
    assert body["key"] == body["id"] == "7"
    assert body["kind"] == "outcome"
    assert body["summary"] == HELLO.text
    assert body["text"].splitlines()[1] == "staging ← bbbbbbb @\u200beveryone [x](https:\u200b//evil.example) <b>"
    assert body["text"].splitlines()[2:] == ["the run in CI https://ci.example/1", "two", "three"]
    assert not {"mentions", "replaces", "thread", "channels"} & set(body)


def test_an_alert_is_there_as_it_was_made() -> None:
    """For who forwards it."""
    links = (Link(text="logs", url="https://logs.example"),)
    alert = Alert(
        id="a", environment="staging", state=AlertState.FIRING, title="down", severity=Severity.CRITICAL, links=links
    )
    body = render_for("own.example", message.alert_message(alert, START))

    assert json.loads(json.dumps(body["alert"])) == {
        "id": "a",
        "environment": "staging",
        "state": "firing",
        "title": "down",
        "severity": "critical",
        "links": [{"text": "logs", "url": "https://logs.example"}],
    }


def test_discord_gets_content_that_mentions_nobody() -> None:
    """Two thousand characters at most, without previews."""
    body = render_for("discord.com", HELLO)
    assert body["allowed_mentions"] == {"parse": []}
    assert body["content"].startswith("✓ succeeded\nstaging")

    long = Message(
        id="", kind=MessageKind.TEXT, environment="", at=START, title="a", sections=((TextLine(text="b" * 300),) * 30,)
    )
    assert len(render_for("ptb.discord.com", long)["content"]) <= 2000


def test_teams_gets_a_card() -> None:
    """A block for each part of the message."""
    (attachment,) = render_for("prod-1.westeurope.logic.azure.com", HELLO)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"].splitlines()[0] for block in attachment["content"]["body"]] == [
        "✓ succeeded",
        "staging ← bbbbbbb @\u200beveryone [x](https:\u200b//evil.example) <b>",
        "the run in CI https://ci.example/1",
        "two",
    ]
    assert "attachments" not in render_for("logic.azure.com.evil.example", HELLO)


@pytest.mark.parametrize("statuses", [(503, 200), (500,), (404,)], ids=["once", "always", "never there"])
def test_an_answer_that_is_no_delivery_waits(statuses: tuple[int, ...]) -> None:
    """A server in trouble is asked once more; a redirect is not followed."""
    with receiving(*statuses) as (url, got):
        sent = send(url)
    assert (sent.delivered, len(got)) == (statuses[-1] == 200, 1 if statuses[0] == 404 else 2)
    assert sent.delivered or (sent.reason == f"it answered {statuses[-1]}" and not sent.final)

    with receiving(307, headers={"Location": "/else"}) as (url, got):
        assert send(url).reason == "it answered 307"
    assert len(got) == 1
    with receiving(429, headers={"Retry-After": "90"}) as (url, _):
        assert send(url).after == 90


def test_a_receiver_that_hangs_or_is_not_there_is_not_waited_for() -> None:
    """And its address is in no reason."""
    with receiving(0) as (url, _):
        began = time.monotonic()
        hung = send(url, within=0.3)
        assert time.monotonic() - began < 5
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    gone = send(f"http://127.0.0.1:{port}/s3cr3t")

    assert not hung.delivered
    assert gone == Delivery(delivered=False, channel="the webhook", reason="no connection")
    assert "s3cr3t" not in repr((hung, gone))


@pytest.mark.parametrize(
    "url", ["", "http://hooks.example/s3cr3t", "file:///s3cr3t", "https://[s3cr3t", "https:///s3cr3t"]
)
def test_what_is_no_address_is_not_asked(url: str) -> None:
    """Only https, and http where nobody can listen in."""
    assert send(url).reason == "its address is no https:// address"
