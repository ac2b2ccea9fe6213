"""A webhook of Slack posts; a bot also changes what it posted.

Whatever happens to a message is a `Delivery`, within a few seconds. The webhook's address and the bot's token are passwords,
and the errors and logs of HTTP clients like to quote them: reasons are words of our own, or Slack's one word for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from deploylib.models import Secret
from deploylib.notifications.interface import Channel, Delivery, Message, MessageKind
from deploylib.notifications.slack_blocks import render, render_plainly
from deploylib.notifications.slack_client import SlackAnswer, call_method, post_to_webhook
from deploylib.settings import Config

__all__ = ["SlackBot", "SlackWebhook", "find_slack"]

NAME = "Slack"
WORD = re.compile(r"[a-z_]{1,40}")  # what Slack calls what is wrong
# Slack's words (docs.slack.dev, chat.postMessage, chat.update, incoming webhooks): what it means for the message, and to do.
UNFIT = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_attachments"}
)
NEVER = UNFIT | {"no_text", "invalid_payload", "invalid_arguments", "invalid_arg_name", "duplicate_message"}
GONE = frozenset({"cant_update_message", "message_not_found", "edit_window_closed", "channel_not_found"})
NO_THREAD = frozenset(
    {"thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked", "message_not_found"}
)
REMEDIES = {
    **dict.fromkeys(
        ("no_service", "no_active_hooks", "invalid_token", "no_team", "team_disabled"),
        "make the incoming webhook anew in Slack, and set its address",
    ),
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "no_permission"),
        "install the app in Slack again, and set its bot token (xoxb-…)",
    ),
    **dict.fromkeys(
        ("channel_not_found", "not_in_channel"), "invite the app to the channel (/invite), or correct slack_channel"
    ),
    **dict.fromkeys(("is_archived", "channel_is_archived"), "name a channel that is not archived"),
    **dict.fromkeys(
        ("action_prohibited", "restricted_action", "access_denied", "ekm_access_denied"),
        "ask an administrator of the workspace to let the app post there",
    ),
    "missing_scope": "give the app the scope chat:write, and install it again",
}


def find_slack(config: Config) -> Channel | None:
    """Find a bot, else a webhook; None: the settings name neither."""
    if config.slack_token is not None:
        return SlackBot(config.slack_token, config.environment.slack_channel, config.slack_api)
    return SlackWebhook(config.webhook) if config.webhook is not None else None


@dataclass(frozen=True)
class SlackWebhook:
    """An incoming webhook, whose address is its password."""

    webhook: Secret
    name: str = NAME
    changes: bool = False

    def send(self, message: Message, /, *, within: float) -> Delivery:
        """Post a message, without blocks where Slack does not take them."""

        def post(body: dict[str, Any]) -> SlackAnswer:
            return post_to_webhook(self.webhook, body, within=within)

        answer = _take(post, message)
        if answer.status == 200 and answer.text == "ok":
            return Delivery(delivered=True, channel=self.name)
        return _refusal(answer, _word(answer.text, self.webhook), "the webhook", "Slack's ok")


@dataclass(frozen=True)
class SlackBot:
    """A bot in a channel, where a run is one message.

    Attributes:
        api: where Slack's methods are.
    """

    token: Secret
    channel: str
    api: str
    name: str = NAME
    changes: bool = True

    def send(self, message: Message, /, *, within: float) -> Delivery:
        """Post a message, or change what it replaces.

        Where Slack does not let that be changed any more, an outcome is a new message; progress is not told then.
        """
        if not message.replaces:
            sent = self._post(message, within)
            return self._post(message, within, threaded=False) if message.thread and sent.reason in NO_THREAD else sent
        where, _, moment = message.replaces.partition("/")
        sent = self._ask("chat.update", {"channel": where, "ts": moment, "parse": "none"}, message, within)
        if sent.delivered or sent.reason not in GONE:
            return sent
        if message.kind is MessageKind.PROGRESS:
            return Delivery(delivered=False, channel=self.name, reason=sent.reason, final=True)
        return self._post(message, within)

    def _post(self, message: Message, within: float, *, threaded: bool = True) -> Delivery:
        thread = {"thread_ts": message.thread.partition("/")[2]} if message.thread and threaded else {}
        return self._ask("chat.postMessage", {"channel": self.channel, **thread}, message, within)

    def _ask(self, method: str, more: dict[str, Any], message: Message, within: float) -> Delivery:
        def call(body: dict[str, Any]) -> SlackAnswer:
            return call_method(self.api, self.token, method, {**body, **more}, within=within)

        answer = _take(call, message)
        document = answer.document or {}
        where, moment = document.get("channel"), document.get("ts")
        if answer.status == 200 and document.get("ok") is True and isinstance(where, str) and isinstance(moment, str):
            return Delivery(delivered=True, channel=self.name, sign=f"{where}/{moment}")
        return _refusal(answer, _word(str(document.get("error", "")), self.token), "Slack", "an ok")


def _take(send: Callable[[dict[str, Any]], SlackAnswer], message: Message) -> SlackAnswer:
    """Send a message with its blocks, or without where those are refused."""
    answer = send(render(message))
    word = answer.text or str((answer.document or {}).get("error", ""))
    return send(render_plainly(message)) if word in UNFIT else answer


def _word(word: str, secret: Secret) -> str:
    """Take Slack's own word, unless it is a part of the secret."""
    return word if WORD.fullmatch(word) and word not in secret.reveal() else ""


def _refusal(answer: SlackAnswer, word: str, who: str, expected: str) -> Delivery:
    """Say why a message did not arrive."""
    reason = answer.trouble or word or f"{who} answered {answer.status}, without {expected}"
    return Delivery(
        delivered=False,
        channel=NAME,
        reason=reason,
        remedy=REMEDIES.get(word, ""),
        final=word in NEVER,
        after=answer.after,
    )
