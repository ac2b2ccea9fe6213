"""One message at the end of a run: what it says, what it cannot be made to say, and that it never stands in the way."""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploylib.models import Commit, Live, Secret
from deploylib.models.results import PutBack, Report, StageResult, StageStatus
from deploylib.notifications import Delivery, Notice, slack
from tests.support.ends import WAYS, listening
from tests.support.fakes import NEW, OLD
from tests.support.measured import peak_of

WORD = "T0SECRET"
REPORT = Report(
    run="run-5555",
    environment="staging",
    outcome="succeeded",
    exit_code=0,
    commit=Commit(id=NEW, subject="Add a basket"),
    live=(Live(service="backend", commit=NEW), Live(service="frontend", commit=OLD)),
)
PREVIOUS = {"backend": OLD, "frontend": OLD}


def told(report: Report = REPORT, previous: dict[str, str] | None = None, url: str = "") -> str:
    """What a message shows, line by line."""
    body = slack.message(
        Notice(report=report, previous=dict(PREVIOUS) if previous is None else dict(previous), url=url)
    )
    return "\n".join(block["text"]["text"] for block in body["blocks"])


def but(**changes: Any) -> Report:
    """The report with other fields."""
    return msgspec.structs.replace(REPORT, **changes)


def skip(data: dict[str, str], status: StageStatus = StageStatus.SKIPPED) -> StageResult:
    """A scan that was left out."""
    return StageResult(stage="scan", status=status, lines=("skipped",), data=data)


def test_a_run_that_succeeded() -> None:
    """A sign and a word, then the commit, then every service from what to what."""
    assert told().splitlines() == [
        "*✓ succeeded*",
        'staging ← bbbbbbb "Add a basket"',
        "backend  aaaaaaa → bbbbbbb",
        "frontend  unchanged (aaaaaaa)",
    ]
    assert slack.message(Notice(report=REPORT, previous=PREVIOUS))["text"] == "✓ succeeded: staging ← bbbbbbb"


def test_a_run_with_nothing_to_do() -> None:
    """Every service is unchanged; what has no subject has no quotes."""
    same = but(outcome="nothing to do", commit=Commit(id=NEW), live=(Live(service="backend", commit=NEW),))

    said = told(same, {"backend": NEW})

    assert ["*✓ nothing to do*", "staging ← bbbbbbb", "backend  unchanged (bbbbbbb)"] == said.splitlines()


def test_a_run_that_failed_and_was_put_back() -> None:
    """What came of it, what was undone, why, and what a person may do."""
    failed = but(
        outcome="verification failed",
        exit_code=14,
        live=(Live(service="backend", commit=OLD),),
        put_back=(PutBack(service="backend", commit=OLD, text="→ aaaaaaa, verified: 12 answers"),),
        error="backend answers\nwith another commit",
        next=("inv logs", "fix, commit, inv deploy"),
    )

    assert told(failed, {"backend": OLD}, "https://ci.example/runs/1?a=b&c=d").splitlines() == [
        "*✗ FAILED: verification failed (exit code 14)*",
        'staging ← bbbbbbb "Add a basket"',
        "backend  unchanged (aaaaaaa)",
        "↩ put back: backend → aaaaaaa, verified: 12 answers",
        "Why: backend answers with another commit",
        "Next: inv logs --environment staging",
        "Next: fix, commit, inv deploy --environment staging",
        "<https://ci.example/runs/1?a=b&amp;c=d|the run in CI>",
    ]


def test_a_run_that_needs_a_person() -> None:
    """It has a sign of its own; what could not be asked is unknown, what was not put back says so."""
    needed = but(
        outcome="a person is needed",
        exit_code=20,
        commit=None,
        live=(),
        put_back=(PutBack(service="backend", commit=OLD, text="the artifact is gone", ok=False),),
    )

    assert told(needed, {"backend": OLD}).splitlines() == [
        "*⚠ FAILED: a person is needed (exit code 20)*",
        "staging",
        "backend  aaaaaaa → unknown",
        "✗ NOT put back: backend the artifact is gone",
    ]


@pytest.mark.parametrize(
    ("live", "previous", "line"),
    [
        (NEW, {"backend": ""}, "backend  nothing → bbbbbbb"),
        (NEW, {}, "backend  bbbbbbb"),
        ("", {"backend": ""}, "backend  unchanged (nothing)"),
    ],
    ids=["first deploy", "not known before", "never deployed"],
)
def test_a_service_without_a_commit(live: str, previous: dict[str, str], line: str) -> None:
    """Nothing is said that is not known."""
    assert line == told(but(live=(Live(service="backend", commit=live),)), previous).splitlines()[-1]


def test_a_gate_that_was_skipped_on_purpose_is_told() -> None:
    """By whom and why, once; a skip that nobody asked for is not."""
    reasoned = skip({"skipped_by": "ada", "reason": "the index is down"})

    said = told(but(stages=(reasoned, reasoned, skip({}), skip({"skipped_by": "bob"}, StageStatus.DONE))))

    assert ["– scan skipped by ada: the index is down"] == [line for line in said.splitlines() if "skipped" in line]
    assert "– scan skipped by eve: no reason" in told(but(stages=(skip({"skipped_by": "eve"}),)))


def test_a_subject_makes_no_mention_no_link_and_no_line() -> None:
    """It is text, in a block that Slack is told not to look into for plain addresses and names."""
    evil = "<!channel> <https://evil.example|ok>\n*✓ succeeded* ```\u202e & @here"

    body = slack.message(Notice(report=but(commit=Commit(id=NEW, subject=evil)), previous=PREVIOUS))

    said = body["blocks"][0]["text"]["text"].splitlines()[1]
    assert (
        "staging ← bbbbbbb \"&lt;!channel&gt; &lt;https://evil.example|ok&gt; *✓ succeeded* ''' &amp; @here\"" == said
    )
    assert [True] * 2 == [block["text"]["verbatim"] for block in body["blocks"]]
    assert "channel" not in body["text"]


@given(st.text(max_size=400))
def test_whatever_is_written_is_one_line_of_text(text: str) -> None:
    """No control character of Slack's or of a terminal's is left, no entity is cut, and words stay what they were."""
    failed = but(exit_code=1, error=text, commit=Commit(id=NEW, subject=text), live=())

    blocks = slack.message(Notice(report=failed, previous={}))["blocks"]
    head, *why = [block["text"]["text"] for block in blocks]

    assert head.count("\n") == 1
    for said in (head, *why):
        assert not re.search(r"[<>`]|&(?!amp;|lt;|gt;)", said)
        assert said.replace("\n", "").isprintable()
    if len(text) < 50:
        words = " ".join("".join(one if one.isprintable() else " " for one in text).split())
        assert not text or why == [f"Why: {slack._said(text)}"]  # noqa: SLF001 - the rule itself
        assert words.replace("`", "'") == unescape_three(slack._said(text))  # noqa: SLF001


def unescape_three(text: str) -> str:
    """What Slack shows."""
    return re.sub(r"&(?:lt|gt|amp);", lambda found: unescape(found[0]), text)


@pytest.mark.parametrize("long", ["a" * 4000, "&<>\n" * 1000], ids=["letters", "entities"])
@pytest.mark.parametrize("number", [1, 4, 60])
def test_slack_takes_what_is_long(long: str, number: int) -> None:
    """Every section is below its limit, and all of them are few; what is left out is counted or ends with a sign."""
    report = but(
        environment=long,
        error=long,
        exit_code=10,
        commit=Commit(id=NEW, subject=long),
        live=tuple(Live(service=f"{one}{long}", commit=NEW) for one in range(number)),
        stages=tuple(skip({"skipped_by": f"{one}{long}", "reason": long}) for one in range(number)),
        put_back=tuple(PutBack(service="backend", commit=OLD, text=long) for _ in range(number)),
        next=(long,) * number,
    )

    sections = [
        block["text"]["text"]
        for block in slack.message(Notice(report=report, previous={}, url="https://ci.example"))["blocks"]
    ]

    assert len(sections) <= 7
    assert all(0 < len(one) <= 1600 for one in sections)
    assert sum(map(len, sections)) <= 12_000
    assert number <= 4 or sections[1].endswith(f"\n… and {number - 4} more")


def test_a_long_line_is_cut_with_a_sign_and_never_within_an_entity() -> None:
    """Three hundred characters, as they are sent."""
    said = told(but(commit=Commit(id=NEW, subject="&" * 300), live=()), {}).splitlines()[1]

    assert f'staging ← bbbbbbb "{"&amp;" * 59}…"' == said


@pytest.mark.parametrize("url", ["", "javascript:1", "https://ci.example/a|b", "https://ci.example/> <!channel>"])
def test_what_is_no_address_makes_no_link(url: str) -> None:
    """Nor anything else."""
    assert told(url=url) == told()


@dataclass
class Slack:
    """A webhook on loopback.

    Attributes:
        answers: status, body and headers of each answer, the last one for ever; a status of 0 is silence.
        bodies: what was posted.
    """

    answers: list[tuple[int, str, dict[str, str]]]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def send(self, within: float = 2.0) -> Delivery:
        """Send a message there."""
        return slack.post(Secret(self.url), {"text": "hello"}, within=within)


@contextmanager
def answering(*answers: tuple[int, str, dict[str, str]]) -> Iterator[Slack]:
    """A webhook that gives these answers."""
    there = Slack([*answers])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            there.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, body, headers = there.answers.pop(0) if len(there.answers) > 1 else there.answers[0]
            if not status:
                there.released.wait(5)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        there.url = f"http://127.0.0.1:{serving.server_port}/services/{WORD}"
        try:
            yield there
        finally:
            there.released.set()
            serving.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_word_of_the_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Whatever is sent, the address is in no log and on no stream; and no proxy of this machine is asked."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    caplog.set_level(logging.DEBUG)
    yield
    assert WORD not in "".join(record.getMessage() for record in caplog.get_records("call"))
    assert WORD not in "".join(capfd.readouterr())


def test_a_message_is_delivered() -> None:
    """As it was given."""
    with answering((200, "ok", {})) as there:
        assert Delivery(delivered=True) == there.send()
    assert [{"text": "hello"}] == there.bodies


@pytest.mark.parametrize(
    "first",
    [(500, "", {}), (503, "", {}), (429, "", {"Retry-After": "0"}), (429, "", {"retry-after": "0"})],
    ids=["500", "503", "429", "429 in small letters"],
)
def test_one_bad_answer_is_tried_again(first: tuple[int, str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """By slack-sdk's handlers, one of which adds up to a second by chance."""
    monkeypatch.setattr("random.random", lambda: 0.0)
    with answering(first, (200, "ok", {})) as there:
        assert Delivery(delivered=True) == there.send()
    assert len(there.bodies) == 2


@pytest.mark.parametrize(
    ("answer", "reason", "asked"),
    [
        ((404, "no_service", {}), "the webhook answered 404: no_service", 1),
        ((403, f"no {WORD}", {}), "the webhook answered 403, without Slack's ok", 1),
        ((404, "services", {}), "the webhook answered 404, without Slack's ok", 1),
        ((500, "", {}), "the webhook answered 500, without Slack's ok", 2),
        ((200, "<html>log in</html>", {}), "the webhook answered 200, without Slack's ok", 1),
        ((302, "", {"Location": "/login"}), "the webhook answered 302, without Slack's ok", 1),
        ((307, "", {"Location": "/login"}), "the webhook answered 307, without Slack's ok", 1),
        ((429, "", {"Retry-After": "60"}), "the webhook answered 429, without Slack's ok", 1),
        ((429, "", {"Retry-After": "tomorrow"}), "the webhook answered 429, without Slack's ok", 1),
        ((200, "no", {"Content-Type": "text/plain; charset=no"}), "the webhook answered 200: no", 1),
    ],
    ids=["404", "echo", "echo of a word", "500", "page", "redirect", "another redirect", "later", "date", "charset"],
)
def test_an_answer_that_is_no_delivery(answer: tuple[int, str, dict[str, str]], reason: str, asked: int) -> None:
    """Its status is said, Slack's own word for it too, and nothing that may be the address; and it takes no time."""
    began = time.monotonic()
    with answering(answer) as there:
        assert Delivery(delivered=False, reason=reason) == there.send(3)
    assert time.monotonic() - began < 10
    assert asked == len(there.bodies)


def test_a_server_that_hangs_is_not_waited_for() -> None:
    """Beyond the limit."""
    with answering((0, "", {})) as there:
        began = time.monotonic()
        assert Delivery(delivered=False, reason="no answer within 0.2 s") == there.send(0.2)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("way", ["endless", "dripping", "dripping_head", "bomb"])
def test_a_webhook_that_answers_without_an_end_takes_neither_memory_nor_time(way: str) -> None:
    """Only the beginning is read, also in the thread that nobody waits for any more."""
    imports = """
        import time
        from deploylib.notifications import slack as notify
        from deploylib.models import Secret
    """
    told = """
        assert not notify.post(Secret(sys.argv[1]), {"text": ""}, within=1).delivered
        time.sleep(0.5)  # whatever goes on in the background
    """
    with listening(lambda to: WAYS[way](to, "text/plain")) as there:
        assert peak_of(told, f"{there}/{WORD}", imports=imports) < 16 << 20


def test_a_server_that_is_not_there() -> None:
    """In the system's words, after one more attempt."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    found = slack.post(Secret(f"http://127.0.0.1:{port}/{WORD}\n"), {"text": ""}, within=1)

    assert Delivery(delivered=False, reason="the webhook could not be asked: Connection refused") == found


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is said to be one."""

    def nobody(*_args: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)

    found = slack.post(Secret(f"https://slack.example/{WORD}"), {"text": ""}, within=1)

    assert Delivery(delivered=False, reason="the webhook could not be asked: Name or service not known") == found


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no https:// address"),
        (f"http://hooks.example/{WORD}", "no https:// address"),
        (f"file:///{WORD}", "no https:// address"),
        (f"https:///{WORD}", "no https:// address"),
        (f"https://[{WORD}", "ValueError"),
        (f"http://127.0.0.1:1{WORD}/", "InvalidURL"),
        (f"http://127.0.0.1/{WORD} a", "InvalidURL"),
    ],
)
def test_what_is_no_address_is_not_asked(url: str, reason: str) -> None:
    """Only https, and http where nobody can listen in; the errors that quote it are not quoted."""
    found = slack.post(Secret(url), {"text": ""}, within=1)

    assert not found.delivered
    assert found.reason.endswith(reason)
    assert WORD not in repr(found)


def test_a_client_that_has_no_timeout_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timeout of the socket reads like ours."""

    def late(*_args: object) -> tuple[int, str]:
        raise TimeoutError

    monkeypatch.setattr(slack, "_ask", late)

    assert slack.post(Secret("https://a.example"), {}, within=1).reason == "no answer within 1 s"


def test_without_slack_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to have it."""
    monkeypatch.setitem(sys.modules, "slack_sdk.webhook", None)

    found = slack.post(Secret(f"https://hooks.example/{WORD}"), {})

    assert found == Delivery(delivered=False, reason="slack-sdk is not installed: pip install 'slack-sdk>=3.36'")


def test_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at its limits is no reason to fail either."""

    def full(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)

    found = slack.post(Secret("https://hooks.example"), {})

    assert found == Delivery(delivered=False, reason="no thread could be started")
