"""Whether Slack was told, and if not why: each answer of a webhook and of a bot, and that it never stands in the way."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from deploylib.models import Secret
from deploylib.notifications import Delivery, Message, MessageKind
from deploylib.notifications.slack import SlackBot, SlackWebhook
from tests.support.ends import WAYS, listening
from tests.support.fakes import START
from tests.support.measured import peak_of
from tests.support.slack import CHANNEL, TOKEN, LoopbackSlack, Ordered, run_slack

WORD = "s3cr3t"
HELLO = Message(id="1", kind=MessageKind.TEXT, environment="staging", at=START, title="hello")
PROGRESS = msgspec.structs.replace(HELLO, kind=MessageKind.PROGRESS, run="r-1")
OUTCOME = msgspec.structs.replace(HELLO, kind=MessageKind.OUTCOME, run="r-1", title="done")


def post(there: LoopbackSlack, within: float = 2.0, message: Message = HELLO) -> Delivery:
    """By the webhook."""
    return SlackWebhook(Secret(there.webhook)).send(message, within=within)


def tell(there: LoopbackSlack, message: Message = HELLO, within: float = 2.0, channel: str = CHANNEL) -> Delivery:
    """By the bot."""
    return SlackBot(Secret(TOKEN), channel, there.api).send(message, within=within)


def to(webhook: str, within: float = 5.0) -> Delivery:
    """By a webhook at another address."""
    return SlackWebhook(Secret(webhook)).send(HELLO, within=within)


@pytest.fixture(autouse=True)
def _no_word_of_the_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Whatever is sent, address and token are in no log and on no stream; and no proxy of this machine is asked."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    caplog.set_level(logging.DEBUG)
    yield
    assert WORD not in "".join(record.getMessage() for record in caplog.get_records("call"))
    assert WORD not in "".join(capfd.readouterr())


@pytest.fixture
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack-sdk's handler of 429 adds up to a second by chance."""
    monkeypatch.setattr("random.random", lambda: 0.0)


def test_a_message_is_delivered_by_a_webhook() -> None:
    """Once, without a preview of any address."""
    with run_slack() as there:
        assert post(there) == Delivery(delivered=True, channel="Slack")
    ((method, body),) = there.asked
    assert (method, body["unfurl_links"], body["unfurl_media"]) == ("webhook", False, False)
    assert there.texts == ["*hello*"]


def test_a_message_is_delivered_by_a_bot_and_bears_its_sign() -> None:
    """By which it is changed, and answered under."""
    with run_slack() as there:
        posted = tell(there, PROGRESS, channel="#deploys")
        changed = tell(there, msgspec.structs.replace(OUTCOME, replaces=posted.sign))
        tell(there, msgspec.structs.replace(HELLO, kind=MessageKind.DETAILS, title="why", thread=posted.sign))

    assert posted.sign == changed.sign == f"{CHANNEL}/{there.messages[0].ts}"
    assert [method for method, _ in there.asked] == ["chat.postMessage", "chat.update", "chat.postMessage"]
    assert there.texts == ["*done*"]
    assert [one.thread for one in there.messages] == ["", there.messages[0].ts]
    assert there.asked[1][1]["parse"] == "none"  # of chat.update alone it is another one by default


TRIED_AGAIN = [
    Ordered(500),
    Ordered(503),
    Ordered(429, headers=(("Retry-After", "0"),)),
    Ordered(429, headers=(("retry-after", "0"),)),
    Ordered(way="reset"),
]


@pytest.mark.usefixtures("_no_chance")
@pytest.mark.parametrize("first", TRIED_AGAIN, ids=["500", "503", "429", "429 in small letters", "reset"])
def test_one_bad_answer_is_tried_again(first: Ordered) -> None:
    """By slack-sdk's handlers, none of which its clients have by themselves but that of the connection."""
    for send in (post, tell):
        with run_slack(first) as there:
            assert send(there).delivered
        assert len(there.asked) == 2
        assert there.texts == ["*hello*"]


LATER = [
    (Ordered(500), "answered 500", 2, 0),
    (Ordered(200, body="<html>log in</html>"), "answered 200", 1, 0),
    (Ordered(302, headers=(("Location", "/login"),)), "answered 302", 1, 0),
    (Ordered(307, headers=(("Location", "/login"),)), "answered 307", 1, 0),
    (Ordered(429, headers=(("Retry-After", "60"),)), "answered 429", 1, 60),
    (Ordered(429, headers=(("Retry-After", "9" * 40),)), "answered 429", 1, 3600),
    (Ordered(429, headers=(("Retry-After", "tomorrow"),)), "answered 429", 1, 60),
    (Ordered(403, body=f"no {WORD}"), "answered 403", 1, 0),
    (Ordered(200, body="[" * 5000), "answered 200", 1, 0),
    (Ordered(200, body='{"ok": true, "ts": 5}'), "answered 200", 1, 0),
    (Ordered(404, body="x", headers=(("Content-Type", "text/plain; charset=no"),)), "", 1, 0),
]


@pytest.mark.parametrize(
    ("answer", "reason", "asked", "after"),
    LATER,
    ids=["500", "page", "302", "307", "429", "429 for ever", "date", "echo", "deep", "no sign", "charset"],
)
def test_an_answer_that_is_no_delivery(answer: Ordered, reason: str, asked: int, after: float) -> None:
    """Its status is said, and nothing that may be the address; it takes no time, and may be sent again later."""
    for send in (post, tell):
        began = time.monotonic()
        with run_slack(always=answer) as there:
            sent = send(there, within=3)
        assert time.monotonic() - began < 10
        assert (sent.delivered, sent.final, sent.after) == (False, False, after)
        assert reason in sent.reason
        assert len(there.asked) == asked
        assert there.elsewhere == []  # nobody is told where a redirect points to
        assert WORD not in repr(sent)


WORDS = [
    (404, "no_service", "make the incoming webhook anew"),
    (403, "action_prohibited", "ask an administrator"),
    (410, "channel_is_archived", "name a channel that is not archived"),
    (200, "invalid_auth", "install the app in Slack again"),
    (200, "not_in_channel", "invite the app to the channel"),
    (200, "missing_scope", "chat:write"),
    (200, "team_added_to_org", ""),
    (200, "fatal_error", ""),
]


@pytest.mark.parametrize(("status", "word", "remedy"), WORDS)
def test_what_slack_calls_it_is_said_with_what_helps(status: int, word: str, remedy: str) -> None:
    """It waits: who mends it within a day has lost no message."""
    for send in (post, tell):
        with run_slack(always=Ordered(status, word)) as there:
            sent = send(there)
        assert (sent.reason, sent.final) == (word, False)
        assert sent.remedy.startswith(remedy) or remedy in sent.remedy
        assert bool(sent.remedy) == bool(remedy)


def test_a_word_that_is_a_part_of_the_address_is_not_said() -> None:
    """The webhook echoes what it was asked for."""
    with run_slack(always=Ordered(404, "services")) as there:
        assert post(there).reason == "the webhook answered 404, without Slack's ok"


@pytest.mark.parametrize("word", ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"])
@pytest.mark.parametrize("send", [post, tell])
def test_a_message_that_slack_cannot_lay_out_goes_without_blocks(send: type, word: str) -> None:
    """Words are words; only what is refused without blocks as well is not sent again."""
    with run_slack(Ordered(400 if send is post else 200, word)) as there:
        assert send(there).delivered
    assert ["blocks" in body for _, body in there.asked] == [True, False]
    assert there.texts == ["hello"]

    with run_slack(always=Ordered(400 if send is post else 200, word)) as there:
        sent = send(there)
    assert (sent.delivered, sent.final, sent.reason) == (False, True, word)
    assert len(there.asked) == 2


@pytest.mark.parametrize("word", ["cant_update_message", "message_not_found", "edit_window_closed"])
def test_a_message_that_cannot_be_changed_is_posted_anew_at_the_end_alone(word: str) -> None:
    """Progress is not told any more; the outcome is one new message, with a sign of its own."""
    with run_slack() as there:
        first = tell(there, PROGRESS)
        there.ordered = [Ordered(200, word, only="chat.update")] * 2
        progress = tell(there, msgspec.structs.replace(PROGRESS, replaces=first.sign))
        assert (progress.delivered, progress.final, progress.reason) == (False, True, word)
        outcome = tell(there, msgspec.structs.replace(OUTCOME, replaces=first.sign))

    assert outcome.delivered
    assert outcome.sign not in {"", first.sign}
    assert there.titles == ["hello", "done"]


def test_a_thread_that_is_gone_keeps_no_details_back() -> None:
    """They stand in the channel then."""
    with run_slack() as there:
        assert tell(there, msgspec.structs.replace(HELLO, thread=f"{CHANNEL}/1.000")).delivered
    assert there.texts == ["*hello*"]


@pytest.mark.parametrize("way", ["hang", "lost"])
def test_a_server_that_hangs_is_not_waited_for(way: str) -> None:
    """Beyond the limit."""
    for send in (post, tell):
        with run_slack(Ordered(way=way)) as there:
            began = time.monotonic()
            assert send(there, within=0.2) == Delivery(
                delivered=False, channel="Slack", reason="no answer within 0.2 s"
            )
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("way", ["endless", "dripping", "dripping_head", "bomb"])
def test_a_webhook_that_answers_without_an_end_takes_neither_memory_nor_time(way: str) -> None:
    """Only the beginning is read, also in the thread that nobody waits for any more."""
    imports = """
        import time
        from datetime import UTC, datetime
        from deploylib.notifications.slack import SlackWebhook
        from deploylib.notifications.interface import Message, MessageKind
        from deploylib.models import Secret
        message = Message(id="", kind=MessageKind.TEXT, environment="", at=datetime.now(UTC), title="a")
    """
    told = """
        assert not SlackWebhook(Secret(sys.argv[1])).send(message, within=1).delivered
        time.sleep(0.5)  # whatever goes on in the background
    """
    with listening(lambda to: WAYS[way](to, "text/plain")) as there:
        assert peak_of(told, f"{there}/{WORD}", imports=imports) < 16 << 20


def test_a_server_that_is_not_there() -> None:
    """In the system's words, after one more attempt."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert to(f"http://127.0.0.1:{port}/{WORD}\n").reason == "the webhook could not be asked: Connection refused"


def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is said to be one."""

    def nobody(*_args: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)

    assert to(f"https://slack.example/{WORD}").reason == "the webhook could not be asked: Name or service not known"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no https:// address"),
        (f"http://hooks.example/{WORD}", "no https:// address"),
        (f"file:///{WORD}", "no https:// address"),
        (f"https:///{WORD}", "no https:// address"),
        (f"https://[{WORD}", "ValueError"),
        (f"http://127.0.0.1:1{WORD}/", "ValueError"),
        (f"http://127.0.0.1/{WORD} a", "InvalidURL"),
    ],
)
def test_what_is_no_address_is_not_asked(url: str, reason: str) -> None:
    """Only https, and http where nobody can listen in; the errors that quote it are not quoted."""
    found = to(url)

    assert not found.delivered
    assert found.reason.endswith((reason, "InvalidURL"))
    assert WORD not in repr(found)
    assert not SlackBot(Secret(TOKEN), CHANNEL, "http://slack.example/api/").send(HELLO, within=1).delivered


def test_without_slack_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to have it."""
    monkeypatch.setitem(sys.modules, "slack_sdk.webhook", None)

    assert to(f"https://hooks.example/{WORD}").reason == "slack-sdk is not installed: pip install 'slack-sdk>=3.36'"


def test_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine at its limits is no reason to fail either."""

    def full(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)

    assert to("https://hooks.example").reason == "no thread could be started"
