"""A Slack on loopback: an incoming webhook, ``chat.postMessage`` and ``chat.update``, with what Slack refuses and how.

What it knows is of docs.slack.dev (incoming webhooks, the two methods, rate limits, block kit): a section takes 3,000
characters, a message fifty blocks and some 13,200 characters; what is gone cannot be changed. An answer that is ordered comes
in the place of the usual one: a status, Slack's own word, silence, or a connection that breaks.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

__all__ = ["CHANNEL", "TOKEN", "LoopbackSlack", "Ordered", "Posted", "run_slack"]

TOKEN, CHANNEL, NAME = "xoxb-L00PBACK-s3cr3t", "C0DEPLOYS", "#deploys"
WEBHOOK = "/services/T0/B0/w3bh00ks3cr3t"
SECTION, BLOCKS, TOTAL = 3000, 50, 13_200


@dataclass(frozen=True)
class Ordered:
    """An answer in the place of the usual one.

    Attributes:
        status: 0: none, see *way*.
        word: Slack's, for what is wrong: of a method in its JSON, of the webhook as its text.
        way: ``hang``, ``reset``, or ``lost``: taken, and then no answer.
        only: of this method alone.
    """

    status: int = 200
    word: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    way: str = ""
    only: str = ""

    def text(self, method: str) -> str:
        """Its body."""
        if self.body is not None or method == "webhook":
            return self.body if self.body is not None else self.word
        return json.dumps({"ok": False, "error": self.word} if self.word else {"ok": True})


@dataclass
class Posted:
    """One message that Slack has taken, as it is now."""

    ts: str
    body: dict[str, Any]
    thread: str = ""
    edits: list[dict[str, Any]] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a person reads now."""
        body = self.edits[-1] if self.edits else self.body
        return "\n".join(block["text"]["text"] for block in body.get("blocks", [])) or str(body["text"])


@dataclass
class LoopbackSlack:
    """What it was asked, and what it has taken.

    Attributes:
        ordered: answers for the next requests, one each; the last of *always* for every one after that.
        asked: each request: its method or ``webhook``, and its body.
    """

    url: str = ""
    ordered: list[Ordered] = field(default_factory=list)
    always: Ordered | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    messages: list[Posted] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)
    elsewhere: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def webhook(self) -> str:
        """The address of the webhook."""
        return self.url + WEBHOOK

    @property
    def api(self) -> str:
        """The address of the methods."""
        return f"{self.url}/api/"

    @property
    def texts(self) -> list[str]:
        """What stands in the channel now, without threads."""
        return [one.text for one in self.messages if not one.thread]

    @property
    def titles(self) -> list[str]:
        """The first line of each of them."""
        return [text.splitlines()[0].strip("*") for text in self.texts]

    def take(self, method: str, body: dict[str, Any], token: str) -> tuple[int, str]:
        """Take a request as Slack does."""
        webhook = method == "webhook"
        if not webhook and token != f"Bearer {TOKEN}":
            return 200, json.dumps({"ok": False, "error": "invalid_auth"})
        with self._lock:
            word, told = self._taken(method, body)
        if webhook:
            return (400, word) if word else (200, "ok")
        return 200, json.dumps({"ok": False, "error": word} if word else {"ok": True, **told})

    def _taken(self, method: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        texts = [block.get("text", {}).get("text", "") for block in body.get("blocks", [])]
        if not body.get("text") and not texts:
            return "no_text", {}
        if len(texts) > BLOCKS or any(not 0 < len(text) <= SECTION for text in texts):
            return "invalid_blocks", {}
        if sum(map(len, texts)) > TOTAL:
            return "msg_blocks_too_long", {}
        if method != "webhook" and body.get("channel") not in {CHANNEL, NAME}:
            return "channel_not_found", {}
        if method == "chat.update":
            found = next((one for one in self.messages if one.ts == body.get("ts") and one.ts not in self.gone), None)
            if found is None or body["channel"] != CHANNEL:
                return "message_not_found" if found is None else "channel_not_found", {}
            found.edits.append(body)
            found.moments.append(time.monotonic())
            return "", {"channel": CHANNEL, "ts": found.ts, "text": body["text"]}
        thread = body.get("thread_ts", "")
        if thread and thread not in {one.ts for one in self.messages}:
            return "thread_not_found", {}
        posted = Posted(f"1700000000.{len(self.messages):06d}", body, thread, moments=[time.monotonic()])
        self.messages.append(posted)
        return "", {"channel": CHANNEL, "ts": posted.ts, "message": {"text": body["text"]}}

    def next_ordered(self, method: str) -> Ordered | None:
        """The answer that was ordered for this request."""
        with self._lock:
            for number, one in enumerate(self.ordered):
                if not one.only or one.only == method:
                    return self.ordered.pop(number)
            return self.always


class _Handler(BaseHTTPRequestHandler):
    """Answers for one Slack."""

    there: ClassVar[LoopbackSlack]

    def do_POST(self) -> None:
        there = self.there
        method = "webhook" if self.path == WEBHOOK else self.path.removeprefix("/api/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if method not in {"webhook", "chat.postMessage", "chat.update"}:
            there.elsewhere.append(self.path)
        there.asked.append((method, body))
        ordered = there.next_ordered(method)
        if ordered is None or ordered.way == "lost":
            usual = there.take(method, body, self.headers.get("Authorization", ""))
        if ordered is None:
            self.say(*usual)
        elif ordered.way == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif ordered.way:
            there.released.wait(20)
        else:
            self.say(ordered.status, ordered.text(method), ordered.headers)

    def do_GET(self) -> None:
        self.there.elsewhere.append(self.path)
        self.say(200, "ok")

    def say(self, status: int, body: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Answer."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: object) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """Who asks may have gone."""


@contextmanager
def run_slack(*ordered: Ordered, always: Ordered | None = None) -> Iterator[LoopbackSlack]:
    """Run it while the block does."""
    there = LoopbackSlack(ordered=[*ordered], always=always)
    with _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"there": there})) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        there.url = f"http://127.0.0.1:{serving.server_port}"
        try:
            yield there
        finally:
            there.released.set()
            serving.shutdown()
            thread.join()
