"""One message to a Slack webhook at the end of a run: what came of it, what is live, what to do next.

The message never decides anything: whatever happens to it is a `Delivery`, within a few seconds. The webhook's address is
its password, and the errors and logs of HTTP clients like to quote it: reasons are words of our own.
What others wrote, a commit's subject first of all, is shown as text: it makes no link, no mention and no second line.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from deploylib.errors import PersonNeeded
from deploylib.models import Secret
from deploylib.models.extras import install_command
from deploylib.models.results import Report
from deploylib.models.sections import Line, Topic, by_topic
from deploylib.notifications.interface import Delivery, Notice
from deploylib.settings import Config
from deploylib.system import threads

__all__ = ["Slack", "message", "post"]

ANSWER = 4096  # bytes: Slack answers "ok", or a few words
LINE, SECTION = 300, 1500  # Slack takes 3,000 a section, and some 13,000 over all: seven of ours stay below both
SIGNS = {"planned": "→", "paused": "→"}
BACK = {True: "↩ put back", False: "✗ NOT put back"}
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "'"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Slack:
    """A Slack webhook, whose address is its password."""

    webhook: Secret
    name: str = "Slack"

    @classmethod
    def of(cls, config: Config) -> Slack | None:
        """Make the one that the settings name; None where nobody wants to know."""
        return cls(config.webhook) if config.webhook is not None else None

    def send(self, notice: Notice, /) -> Delivery:
        """Post one message."""
        return post(self.webhook, message(notice))


def message(notice: Notice) -> dict[str, Any]:
    """Write the webhook's body."""
    report, url = notice.report, notice.url
    header, where, subject = _outcome(report), _said(report.environment), ""
    if report.commit is not None:
        where = f"{where} ← {_said(report.commit.short)}"
        subject = f' "{_said(report.commit.subject)}"' if report.commit.subject else ""
    told = by_topic(report)
    sections = [
        [f"*{header}*", f"{where}{subject}"],
        list(_services(told[Topic.LIVE], notice.previous)),
        [f"{BACK[line.ok]}: {_said(f'{line.name} {line.text}')}" for line in told[Topic.PUT_BACK]],
        list(dict.fromkeys(_skipped(told[Topic.WAIVED]))),
        [f"Why: {_said(line.text, SECTION - 100)}" for line in told[Topic.WHY]],
        [f"Next: {_said(line.text)}" for line in told[Topic.NEXT]],
        [f"<{url.replace('&', '&amp;')}|the run in CI>"] if re.fullmatch(r"https?://[^\s<>|]{1,1000}", url) else [],
    ]
    return {"text": f"{header}: {where}", "blocks": [_section(lines) for lines in sections if lines]}


def _outcome(report: Report) -> str:
    if report.exit_code == 0:
        return f"{SIGNS.get(report.outcome, '✓')} {_said(report.outcome)}"
    sign = "⚠" if report.exit_code == PersonNeeded.exit_code else "✗"
    return f"{sign} FAILED: {_said(report.outcome)} (exit code {report.exit_code})"


def _services(lines: tuple[Line, ...], previous: Mapping[str, str]) -> Iterator[str]:
    """A line a service; what could not be asked at the end is not claimed to be known."""
    live = {line.name: line.text for line in lines if line.name}
    for name in dict.fromkeys([*live, *previous]):
        new = _said(live[name][:7]) or "nothing" if name in live else "unknown"
        old = f"{_said(previous[name][:7]) or 'nothing'} → " if name in previous else ""
        same = name in live and live[name] == previous.get(name)
        yield f"{_said(name)}  " + (f"unchanged ({new})" if same else f"{old}{new}")


def _skipped(lines: tuple[Line, ...]) -> Iterator[str]:
    """The gates that somebody chose to go without; what a run had no need of is not told."""
    for line in lines:
        if line.by:
            yield f"– {_said(line.name)} skipped by {_said(line.by)}: {_said(line.reason or 'no reason')}"


def _said(text: str, limit: int = LINE) -> str:
    """Text of others as one line of at most *limit* characters, without markup, and without half an entity."""
    words = " ".join("".join(one if one.isprintable() else " " for one in text).split()).translate(ENTITIES)
    return words if len(words) <= limit else re.sub(r"&[a-z]*$", "", words[: limit - 1]) + "…"


def _section(lines: list[str]) -> dict[str, Any]:
    """A block; *verbatim* keeps Slack from making links and mentions of plain words. What is too much is counted."""
    shown = lines
    while len("\n".join(shown)) > SECTION:
        shown = shown[:-1]
    more = [f"… and {len(lines) - len(shown)} more"] if len(shown) < len(lines) else []
    return {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join([*shown, *more]), "verbatim": True}}


def post(webhook: Secret, body: dict[str, Any], *, within: float = 5.0) -> Delivery:
    """Post a message; every failure is a reason, and nothing is waited for after *within* seconds."""
    try:
        return threads.start(lambda: _post(webhook.reveal().strip(), body, within)).result(within)
    except TimeoutError:
        return Delivery(delivered=False, reason=f"no answer within {within:g} s")
    except RuntimeError:
        return Delivery(delivered=False, reason="no thread could be started")


def _post(url: str, body: dict[str, Any], within: float) -> Delivery:
    try:
        parts = urlsplit(url)
        scheme = {"https", "http"} if parts.hostname in LOOPBACK else {"https"}
        if not parts.hostname or parts.scheme not in scheme:
            return Delivery(delivered=False, reason="the webhook is no https:// address")
        status, said = _ask(url, body, within)
    except ImportError:
        return Delivery(delivered=False, reason=f"slack-sdk is not installed: {install_command('notify')}")
    except Exception as error:  # noqa: BLE001 - a message that fails is a reason, whatever failed
        return Delivery(delivered=False, reason=_why(error, within))
    if status == 200 and said == "ok":
        return Delivery(delivered=True)
    quoted = re.fullmatch(r"[a-z_]{1,40}", said) and said not in url
    words = f"{status}: {said}" if quoted else f"{status}, without Slack's ok"
    return Delivery(delivered=False, reason=f"the webhook answered {words}")


def _why(error: Exception, within: float) -> str:
    """In the system's words where it has some: an exception's own text may quote the address."""
    reason = getattr(error, "reason", None)  # urllib wraps what it met
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {within:g} s"
    words = cause.strerror if isinstance(cause, OSError) else ""
    return f"the webhook could not be asked: {words or type(cause).__name__}"


def _ask(url: str, body: dict[str, Any], within: float) -> tuple[int, str]:
    """Slack's client with its retry handlers, which share one more attempt, and with a log that nobody reads.

    Its own way to ask reads an answer of any length, and goes on to wherever a redirect points.
    """
    from slack_sdk.http_retry import RetryHandler
    from slack_sdk.http_retry import builtin_handlers as handlers
    from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
    from slack_sdk.http_retry.response import HttpResponse
    from slack_sdk.webhook import WebhookClient, WebhookResponse

    class Bounded(WebhookClient):
        """Takes the beginning of an answer, and a redirect for an answer."""

        def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
            try:
                with build_opener(Unredirected).open(req, timeout=self.timeout) as got:
                    said = got.read(ANSWER).decode(errors="replace")
                    return WebhookResponse(url=url, status_code=got.status, body=said, headers=dict(got.headers))
            except HTTPError as error:  # what the client looks for: it reads the rest of it
                with error:
                    beginning = io.BytesIO(error.read(ANSWER))
                raise HTTPError(url, error.code, error.msg, error.headers, beginning) from None

    class Unredirected(HTTPRedirectHandler):
        """A webhook's address does not move: where a redirect points to is nobody to tell anything."""

        def redirect_request(self, *_: Any, **__: Any) -> None:
            return None

    class RateLimited(handlers.RateLimitErrorRetryHandler):
        """Waits as long as it is told to, where somebody still waits for it then."""

        def can_retry(self, *, response: HttpResponse | None = None, **others: Any) -> bool:
            told = {name.lower(): values[0] for name, values in response.headers.items()} if response else {}
            wait = told.get("retry-after", "1")
            return wait.isdecimal() and int(wait) + 1 < within and super().can_retry(response=response, **others)

    pause = FixedValueRetryIntervalCalculator(within / 10)
    again = (handlers.ConnectionErrorRetryHandler, handlers.ServerErrorRetryHandler)
    retries: list[RetryHandler] = [RateLimited(), *(one(interval_calculator=pause) for one in again)]
    mute = logging.Logger("slack", logging.CRITICAL + 1)  # noqa: LOG001 - no child of the root: it is told the address
    client = Bounded(url, timeout=max(1, round(within)), logger=mute, retry_handlers=retries)
    answer = client.send_dict(body)
    return answer.status_code, answer.body.strip()
