"""A local advisory service: OSV's query for Python, npm's bulk advisories, and every way not to answer."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Answerer", "answering"]

PYTHON = {
    ("jinja2", "2.11.2"): {
        "id": "PYSEC-2021-66",
        "aliases": ["CVE-2020-28493", "GHSA-g3rq-g295-4j3m"],
        "summary": "slow for some input",
        "published": "2021-02-01T20:15:00Z",
        "modified": "2021-02-01T20:15:00Z",
        "affected": [
            {
                "package": {"name": "jinja2", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.11.3"}]}],
                "versions": ["2.11.2"],
            }
        ],
    }
}
NPM = {
    "minimist": [
        {
            "id": 1097678,
            "url": "https://github.com/advisories/GHSA-xvch-5gv4-984h",
            "title": "Prototype Pollution",
            "severity": "critical",
            "vulnerable_versions": "<1.2.6",
        }
    ]
}


@dataclass
class Answerer:
    """How it answers: ``"right"``, a status that it gives to everything, or ``"never"``."""

    how: str | int = "right"
    url: str = ""
    asked: list[Any] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextmanager
def answering(how: str | int = "right") -> Iterator[Answerer]:
    """A service on a free port of the loopback."""
    state = Answerer(how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = json.loads(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
            state.asked.append(asked)
            if self.path.endswith("/advisories/bulk"):
                self.answer({name: NPM[name] for name in asked if name in NPM})
            else:
                known = PYTHON.get((asked["package"]["name"], asked.get("version")))
                self.answer({"vulns": [known]} if known else {})

        def do_GET(self) -> None:
            name = self.path.strip("/")
            version = {"name": name, "version": "1.2.5", "dist": {"tarball": f"{state.url}/{name}.tgz"}}
            self.answer({"name": name, "dist-tags": {"latest": "1.2.5"}, "versions": {"1.2.5": version}})

        def answer(self, value: object) -> None:
            if state.how == "never":
                state.released.wait(60)
                return
            status = state.how if isinstance(state.how, int) else 200
            body = json.dumps(value if status == 200 else {"error": "no"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
