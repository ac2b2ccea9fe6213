"""Tell every channel a person's words, or try them."""

from __future__ import annotations

import secrets

import msgspec

from deploylib.environment import Environment
from deploylib.errors import SettingsError, Unreachable
from deploylib.notifications import Delivery, Message, MessageKind, message

__all__ = ["notify"]

TEST = "✓ a test: messages of deploylib arrive here"
LONGEST = 10_000  # characters: what Slack shows whole
TESTS = {
    MessageKind.PROGRESS: "◌ a test: this message will change",
    MessageKind.OUTCOME: TEST,
    MessageKind.DETAILS: "the details of a run stand here",
}


def notify(env: Environment, *, text: str = "", test: bool = False) -> tuple[Delivery, ...]:
    """Tell every channel a text, or a test, which never waits.

    Args:
        text: of one line or several.
        test: a test in its place: where a bot tells, a message that is posted, changed, and answered under.

    Raises:
        SettingsError: there is no text, or too much of it, or no channel.
        Unreachable: one of the channels was not told; a text waits and goes out with the next command.
    """
    if not test and not text.strip():
        raise SettingsError("there is nothing to tell", remedy='inv notify "the database moves at noon"')
    if len(text) > LONGEST:
        raise SettingsError(
            f"a text of {len(text):,} characters is no message; {LONGEST:,} are the most",
            remedy="put it on a page, and tell its address",
        )
    messenger, at, name = env.messenger, env.clock.now(), f"{env.clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    if not messenger.channels:
        raise SettingsError(f"{env.name!r} has no channel that could be told", remedy=_way_to_a_channel(env))
    if test:
        sent = messenger.try_out(*_tests(env, name))
    else:
        sent = messenger.tell(message.text_message(env.name, at, name=name, text=text, author=env.author))
    if lost := [each for each in sent if not each.delivered]:
        undelivered = tuple(f"{each.channel}: {each.reason}" for each in lost)
        again = "it goes out with the next command; " if not test and not any(each.final for each in lost) else ""
        raise Unreachable(
            f"{lost[0].channel or 'nobody'} was not told: {lost[0].reason}",
            details=undelivered[1:],
            remedy=again + (lost[0].remedy or "inv notify --test tries it again"),
        )
    return sent


def _way_to_a_channel(env: Environment) -> str:
    """Say what has to be set.

    A variable that the settings do not name is not read.
    """
    if names := env.config.channel_variables:
        bot = "" if env.config.environment.slack_channel else "; or slack_channel in the settings, and SLACK_BOT_TOKEN"
        return f"set {' or '.join(names)}{bot}"
    name = "SLACK_WEBHOOK_URL"
    return f'slack_webhook_env = "{name}" in the settings, under [environments.{env.name}]; then set {name}'


def _tests(env: Environment, name: str) -> tuple[Message, ...]:
    """Make the three messages of a run, as a test."""
    text = message.text_message(env.name, env.clock.now(), name=name, text=TEST, author=env.author)
    return tuple(
        msgspec.structs.replace(text, kind=kind, run=f"test-{name}", title=title) for kind, title in TESTS.items()
    )
