"""The text of every message, in each channel: of every outcome, operation, alert and text that there is."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from deploylib.models import Secret
from deploylib.models.alerts import AlertState, Severity
from deploylib.notifications import Message, MessageKind
from deploylib.notifications.json_webhook import render_for
from deploylib.notifications.slack import SlackBot, SlackWebhook
from deploylib.notifications.slack_blocks import render
from tests.support.population import operation_titles, outcomes
from tests.support.slack import CHANNEL, TOKEN, LoopbackSlack, run_slack
from tests.support.told_messages import BY_A_BOT, GOLDEN, NEVER_TOLD, format_golden, make_messages

MESSAGES = dict(make_messages())


@pytest.fixture(scope="module")
def slack() -> Iterator[LoopbackSlack]:
    """One for all."""
    with run_slack() as there:
        yield there


def test_every_message_is_told_in_these_words() -> None:
    """Where one has changed on purpose: ``python -m tests.support.told_messages``, and read what is different."""
    assert format_golden() == GOLDEN.read_text()


def test_nothing_that_is_told_is_missing() -> None:
    """Each outcome that the code has, each title of an operation, each kind of message and state of an alert."""
    names = set(MESSAGES)

    assert {f"release: {outcome}" for outcome in outcomes().keys() - NEVER_TOLD} <= names
    assert {f"operation: {title}" for title in operation_titles()} <= names
    assert {f"alert: {state}, {severity}" for state in AlertState for severity in Severity} <= names
    assert {told.kind for told in MESSAGES.values()} == set(MessageKind)
    assert len(operation_titles()) >= 5


@pytest.mark.parametrize("name", MESSAGES)
def test_a_webhook_and_a_bot_tell_it_alike(name: str, slack: LoopbackSlack) -> None:
    """Posted to a real server: the same blocks, of a bot with the channel."""
    told = MESSAGES[name]
    slack.asked.clear()

    sent = [
        SlackWebhook(Secret(slack.webhook)).send(told, within=5),
        SlackBot(Secret(TOKEN), CHANNEL, slack.api).send(told, within=5),
    ]

    assert [each.delivered for each in sent] == [True, True]
    (_, webhook), (method, bot) = slack.asked
    assert webhook == render(told)
    assert (method, bot) == ("chat.postMessage", {**webhook, "channel": CHANNEL})


@pytest.mark.parametrize("name", [name for name, told in MESSAGES.items() if told.kind not in BY_A_BOT])
def test_discord_and_teams_are_given_the_text_of_the_document(name: str) -> None:
    """As long as it is short enough for them, and in whatever parts."""
    told: Message = MESSAGES[name]
    text = str(render_for("own.example", told)["text"])

    card = render_for("prod.logic.azure.com", told)["attachments"][0]["content"]["body"]

    assert render_for("discord.com", told)["content"] == text
    assert "\n".join(block["text"] for block in card).replace("\n\n", "\n") == text
    assert "@channel" not in json.dumps(card, ensure_ascii=False)
