"""Slack's own clients, bounded: what is asked, and what came back.

Checked of slack-sdk 3.47, and not as it is by default: neither 429 nor 5xx is tried again, an answer of any length is read,
a redirect is followed with the token, a 429 of the webhook's client is a value and of the other one an error, and its log
is told addresses. Its own way to ask is replaced for that; its retry handlers are used, and share one more attempt.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from deploylib.models import Secret, decoding
from deploylib.models.extras import install_command
from deploylib.system import threads

__all__ = ["SlackAnswer", "call_method", "post_to_webhook"]

ANSWER = 1 << 16  # bytes: a webhook answers "ok", a method with the message that it has posted
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MUTE = logging.Logger("slack", logging.CRITICAL + 1)  # noqa: LOG001 - no child of the root: it is told the address


@dataclass(frozen=True)
class SlackAnswer:
    """An answer of Slack.

    Attributes:
        status: of HTTP; 0: there was no answer, and *trouble* says why.
        text: of the webhook: ``ok``, or Slack's word for what is wrong.
        document: of a method.
        after: seconds for which Slack wants to be left alone.
    """

    status: int = 0
    text: str = ""
    document: Mapping[str, Any] | None = None
    after: float = 0.0
    trouble: str = ""


def post_to_webhook(address: Secret, body: dict[str, Any], *, within: float) -> SlackAnswer:
    """Post to an incoming webhook; whatever happens is an answer in time."""
    return _bounded(lambda: _post(_sound(address.reveal().strip(), "the webhook"), body, within), within, "the webhook")


def call_method(base: str, token: Secret, method: str, body: dict[str, Any], *, within: float) -> SlackAnswer:
    """Call a method of Slack; whatever happens is an answer in time.

    Args:
        base: ``https://slack.com/api/``.
        method: ``chat.postMessage``, ``chat.update``.
    """
    return _bounded(lambda: _call(_sound(base, "Slack's API"), token, method, body, within), within, "Slack")


class _NoAddress(Exception):
    """No address that can be asked; the argument says which."""


def _sound(url: str, what: str) -> str:
    """Require https, or http where nobody can listen in."""
    parts = urlsplit(url)
    scheme = {"https", "http"} if parts.hostname in LOOPBACK else {"https"}
    if not parts.hostname or parts.scheme not in scheme:
        raise _NoAddress(f"{what} is no https:// address")
    return url


def _bounded(ask: Callable[[], SlackAnswer], within: float, what: str) -> SlackAnswer:
    """Ask for a bounded time; a failure is an answer too."""

    def answer() -> SlackAnswer:
        try:
            return ask()
        except ImportError:
            return SlackAnswer(trouble=f"slack-sdk is not installed: {install_command('notify')}")
        except _NoAddress as error:
            return SlackAnswer(trouble=str(error))
        except Exception as error:  # noqa: BLE001 - a message that fails is a reason, whatever failed
            return SlackAnswer(trouble=_why(error, within, what))

    try:
        return threads.start(answer).result(within)
    except TimeoutError:
        return SlackAnswer(trouble=f"no answer within {within:g} s")
    except threads.NoThread:
        return SlackAnswer(trouble="no thread could be started")


def _why(error: Exception, within: float, what: str) -> str:
    """Say in the system's words why there is no answer.

    An exception's own text may quote the address.
    """
    reason = getattr(error, "reason", None)  # urllib wraps what it met
    cause = reason if isinstance(reason, Exception) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {within:g} s"
    words = cause.strerror if isinstance(cause, OSError) else ""
    return f"{what} could not be asked: {words or type(cause).__name__}"


def _post(url: str, body: dict[str, Any], within: float) -> SlackAnswer:
    from slack_sdk.webhook import WebhookClient, WebhookResponse

    class Bounded(WebhookClient):
        """Takes the beginning of an answer, and a redirect for an answer."""

        def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
            status, headers, body = _open(req, self.timeout)
            return WebhookResponse(url=url, status_code=status, body=body, headers=headers)

    client = Bounded(url, timeout=max(1, round(within)), logger=MUTE, retry_handlers=_handlers(within))
    got = client.send_dict(body)
    return SlackAnswer(got.status_code, got.body.strip(), after=_wait(got.status_code, got.headers))


def _call(base: str, token: Secret, method: str, body: dict[str, Any], within: float) -> SlackAnswer:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

    class Bounded(WebClient):
        """Takes what is no JSON for an empty answer."""

        def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
            del url
            status, headers, body = _open(req, self.timeout)
            return {"status": status, "headers": headers, "body": _document(body)}

    client = Bounded(
        token.reveal().strip(), base, timeout=max(1, round(within)), logger=MUTE, retry_handlers=_handlers(within)
    )
    try:
        got = client.api_call(method, json=body)
    except SlackApiError as error:
        got = error.response
    data = got.data if isinstance(got.data, dict) else {}
    headers = {str(name): str(value) for name, value in got.headers.items()}
    return SlackAnswer(got.status_code, document=data, after=_wait(got.status_code, headers))


def _document(text: str) -> str:
    """Take the JSON object that it is, or an empty one."""
    with suppress(decoding.Undecodable):
        if isinstance(document := decoding.json(text.encode(), Any, most=ANSWER), dict):
            return json.dumps(document)
    return "{}"


def _open(request: Request, timeout: float) -> tuple[int, dict[str, str], str]:
    """Ask once, and read the beginning of the answer."""
    try:
        with build_opener(_Unredirected).open(request, timeout=timeout) as got:
            return got.status, dict(got.headers), got.read(ANSWER).decode(errors="replace")
    except HTTPError as error:  # what the clients look for: they read the rest of it
        with error:
            beginning = io.BytesIO(error.read(ANSWER).decode(errors="replace").encode())
        del error.headers["Content-Type"]  # its charset may be none
        raise HTTPError(request.full_url, error.code, error.msg, error.headers, beginning) from None


class _Unredirected(HTTPRedirectHandler):
    """Follows no redirect: an address of Slack's does not move."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _handlers(within: float) -> list[Any]:
    """Make Slack's own handlers, which share one more attempt."""
    from slack_sdk.http_retry import builtin_handlers as handlers
    from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
    from slack_sdk.http_retry.response import HttpResponse

    class RateLimited(handlers.RateLimitErrorRetryHandler):
        """Waits as it is told to, where somebody still waits then."""

        def can_retry(self, *, response: HttpResponse | None = None, **others: Any) -> bool:
            headers = {name.lower(): values[0] for name, values in response.headers.items()} if response else {}
            wait = headers.get("retry-after", "1")
            soon = wait.isascii() and wait.isdecimal() and int(wait[:9]) + 1 < within
            return soon and super().can_retry(response=response, **others)

    pause = FixedValueRetryIntervalCalculator(within / 10)
    again = (handlers.ConnectionErrorRetryHandler, handlers.ServerErrorRetryHandler)
    return [RateLimited(), *(one(interval_calculator=pause) for one in again)]


def _wait(status: int, headers: Mapping[str, str]) -> float:
    """Read how long Slack wants to be left alone.

    What it says, at most an hour; where it says nothing, a minute.
    """
    if status != 429:
        return 0.0
    header = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(min(int(header[:9]), 3600)) if header.isascii() and header.isdecimal() else 60.0
