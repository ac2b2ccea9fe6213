"""Endless, dripping and exploding answers to every command, with 400 MB of memory: the right exit code, and in time."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.hostile.evil import MEMORY, Ended, Evil
from tests.support.ends import WAYS, listening
from tests.support.trivial import SERVER

WITHIN = 200.0  # seconds on a busy machine: a read of the platform is given up after a minute and a half
GATE = ("--skip=scan", "--reason=tested elsewhere")
READS = {
    ("status",): {40},
    ("check",): {40},
    ("verify",): {40},
    ("logs",): {40},
    ("history",): {0},
    ("scan",): {0},
    ("deploy", "--dry-run", *GATE): {40},
    ("rollback", "--dry-run"): {40},
    ("finish",): {0},
}


pytestmark = [pytest.mark.load, pytest.mark.timeout(900)]


def check(way: str, ended: dict[tuple[str, ...], Ended], codes: Mapping[tuple[str, ...], set[int]]) -> None:
    """Each ended as it should, in time, with little memory, and with a word that an operator can read."""
    for command, one in ended.items():
        print(f"{way:14} {' '.join(command)[:24]:24} {one.code:3} {one.seconds:6.1f} s {one.memory >> 20:4} MB")
    for command, one in ended.items():
        assert one.code in codes[command], (command, one.said)
        assert one.seconds < WITHIN, (command, one.said)
        assert one.memory < MEMORY
        assert "Traceback" not in one.said


@pytest.mark.parametrize("way", WAYS)
def test_a_platform_whose_answers_do_not_end(evil: Evil, way: str) -> None:
    """Nothing is known, so that what goes forward stops, and nothing was changed."""
    writes = evil.product.writes()
    evil.proxy.path, evil.proxy.way = "/v1/", way

    check(way, evil.run(*READS), READS)

    assert evil.product.writes() == writes


# Render's own check is content; whoever else asks gets an answer without an end.
ANSWER = """
        if "Render" not in self.headers.get("User-Agent", ""):
            import time, zlib
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            packed = zlib.compressobj(9, zlib.DEFLATED, 31)
            if {way!r} == "bomb":
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            while True:
                if {way!r} == "dripping":
                    time.sleep(0.05)
                blanks = b" " * (1 if {way!r} == "dripping" else 1 << 20)
                self.wfile.write(packed.compress(blanks) if {way!r} == "bomb" else blanks)
"""


@pytest.mark.parametrize("way", ["endless", "dripping", "bomb"])
def test_a_service_whose_answer_does_not_end(evil: Evil, way: str) -> None:
    """It has not proven itself, so that what was live before is put back."""
    begins = "    def do_GET(self):\n"
    evil.changed(server=SERVER.replace(begins, begins + ANSWER.format(way=way)))
    release, served = ("deploy", *GATE), evil.product.served()

    check(way, evil.run(release), {release: {14}})

    assert evil.product.served() == served
    evil.changed()
    check("well again", evil.run(release), {release: {0}})


SLOW_STORE = {("history",): {40}, ("status",): {40}, ("deploy", *GATE): {40}, ("rollback", "--dry-run"): {40}}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.mark.parametrize("way", WAYS)
def test_a_store_whose_answers_do_not_end(evil: Evil, way: str) -> None:
    """Without the history nothing is known of what was done."""
    product = evil.product
    settings = product.read("pyproject.toml")
    bucket = re.sub(r'store = ".*"\nonly_this_machine = true', 'store = "s3://bucket"', settings)
    with listening(lambda to: WAYS[way](to, "application/xml")) as there:
        try:
            product.commit("A bucket", {"pyproject.toml": bucket})
            evil.changed()
            check(way, evil.run(*SLOW_STORE, AWS_ENDPOINT_URL_S3=there, **KEYS), SLOW_STORE)
        finally:
            product.commit("A folder", {"pyproject.toml": settings})
            product.git("push", "--quiet", "origin", "main")


@pytest.mark.parametrize("way", WAYS)
def test_a_webhook_whose_answer_does_not_end(evil: Evil, way: str) -> None:
    """It is told and recorded that nobody was told, some seconds later; the outcome is what it is."""
    evil.changed()
    with listening(lambda to: WAYS[way](to, "text/plain")) as there:
        ended = evil.run(("deploy", *GATE), SLACK_WEBHOOK_URL=f"{there}/services/x")
    check(way, ended, {("deploy", *GATE): {0}})
    assert ended["deploy", *GATE].seconds < 60
    assert "Slack was not told" in ended["deploy", *GATE].said
