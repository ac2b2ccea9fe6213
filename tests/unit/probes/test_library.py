"""One address is verified by a script, without settings, platform or run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploylib.errors import VerificationFailed
from deploylib.probes import Pace, verify
from tests.support.documents import examples
from tests.support.fakes import NEW, OLD

LIBRARY = Path(__file__).parents[3] / "docs" / "library.md"
QUICK = Pace(every=0.01, within=0.3, grace=0.0)


@contextmanager
def serving(answer: object) -> Iterator[str]:
    """A server that gives an answer at one path alone; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/health?full=1" else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/health?full=1"
        server.shutdown()


def test_an_address_is_verified_in_a_script() -> None:
    """The example of the documents as it stands."""
    [script] = examples(LIBRARY, "Verification")
    with serving({"status": "pass", "releaseId": NEW}) as address:
        env = os.environ | {"ADDRESS": address, "COMMIT": NEW}
        words = [sys.executable, "-c", script]
        done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == (f"commit answers {NEW[:7]} 5/5\n", "")
    assert len(script.strip().splitlines()) <= 10


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"releaseId": OLD}, f"it names {OLD[:7]}, which is neither"), ({"status": "pass"}, "and names no commit")],
    ids=["another commit", "no commit"],
)
def test_what_does_not_name_the_commit_is_not_verified(answer: object, said: str) -> None:
    """Without a platform that says what is live, nothing less than the commit's name is a proof."""
    with serving(answer) as address, pytest.raises(VerificationFailed, match=said) as raised:
        verify(address, NEW, pace=QUICK)

    assert raised.value.remedy


def test_an_address_that_answers_badly_is_not_verified() -> None:
    """Any other path of that server is none."""
    with serving({"releaseId": NEW}) as address, pytest.raises(VerificationFailed, match="status 404"):
        verify(address.partition("?")[0], NEW, pace=QUICK)
