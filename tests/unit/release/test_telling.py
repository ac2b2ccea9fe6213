"""What is told of runs and operations: every message of every outcome, once, to a webhook and by a bot."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from deploylib import notify
from deploylib.commands import control
from deploylib.errors import Interrupted, SettingsError, Unreachable
from deploylib.models.results import Report
from deploylib.notifications import Outbox
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.repository import Repository
from tests.support.slack import CHANNEL, TOKEN, LoopbackSlack, Ordered, run_slack

FAILS = ["build_in_progress", "build_failed"]
NOTHING_BEFORE = (
    "nothing can be gone back to yet; from the next release on, to what is live now (told until 2026-03-08)"
)
GATES = "– scan skipped by ada: its tools are tested elsewhere"


@dataclass
class World:
    """A product and a Slack."""

    product: Product
    slack: LoopbackSlack

    def by_bot(self) -> World:
        """From now on a bot tells."""
        self.product.environment = {"slack_channel": CHANNEL}
        self.product.environ |= {"SLACK_BOT_TOKEN": TOKEN, "SLACK_API_URL": self.slack.api}
        return self

    def change(self, text: str) -> str:
        """A commit of both services."""
        self.product.clock.seconds += 1
        return self.product.commit({"api/a": text, "web/a": text}, f"Change {text} <!channel>")

    def fail(self) -> Report:
        """A release whose second service cannot be built."""
        self.product.platform.plans = {"srv-web": [*FAILS]}
        try:
            return self.product.deploy()
        finally:
            self.product.platform.plans = {}

    def golden(self, text: str, **commits: str) -> str:
        """The same text, in which commits bear names, and a time is some time."""
        text = re.sub(r"(took |verify |verified )\d+ s", r"\1N s", text)
        text = re.sub(r"\(run \w+\)", "(run R)", text)
        for name, commit in commits.items():
            text = text.replace(commit, f"({name})").replace(commit[:7], name)
        return text

    @property
    def waiting(self) -> list[str]:
        """The titles of what waits."""
        env = self.product.env()
        return [one.message.title for one in Outbox(env.store, "staging", env.clock).read_waiting()]


@pytest.fixture
def world(repository: Repository, platform: Platform, clock: FakeClock) -> Iterator[World]:
    """A product that was never deployed, and a webhook."""
    with run_slack() as there:
        made = World(Product(repository, platform, clock), there)
        made.product.environ |= {"SLACK_WEBHOOK_URL": there.webhook}
        yield made


def test_what_a_webhook_is_told_of_a_success(world: World) -> None:
    """One message, with all that a person asks: where, what, who, how long, from what to what, whose commits, what was left out."""
    one = world.product.first
    world.product.deploy()
    two = world.change("2")
    world.product.deploy()

    assert [world.golden(text, one=one, two=two) for text in world.slack.texts] == [
        (
            '*✓ succeeded*\nstaging ← one "change", by ada, took N s\n'
            "api nothing → one\nweb nothing → one\n"
            f"{GATES}\n"
            f"First week: {NOTHING_BEFORE}\n"
            "✓ check · – tests · – scan · ✓ changes · – backup · – migrate · ✓ deploy · ✓ verify N s"
        ),
        (
            '*✓ succeeded*\nstaging ← two "Change 2 &lt;!channel&gt;", by ada, took N s\n'
            "api one → two\nweb one → two\n"
            f"{GATES}\n"
            "First week: inv rollback --environment staging goes back to one (run R), verified N s ago; "
            "inv rollback --environment staging --dry-run says what it would do (told until 2026-03-08)\n"
            "1 commit:\n<https://github.com/Example/product/commit/(two)|two> Change 2 &lt;!channel&gt; (Ada)\n"
            "✓ check · – tests · – scan · ✓ changes · – backup · – migrate · ✓ deploy · ✓ verify N s"
        ),
    ]


def test_what_a_webhook_is_told_of_a_failure_and_who_is_called(world: World) -> None:
    """The reason and the next step in plain words, what was put back, and the authors that the settings know; nobody else."""
    one, email = world.product.first, world.product.repository.run("log", "-1", "--format=%ae")
    world.product.settings = {"slack_people": {email.upper(): "U0ADA", "eve@example.com": "U0EVE"}}
    world.product.deploy()
    two = world.change("2")
    assert world.fail().exit_code == 10

    assert "<@" not in world.slack.texts[0]
    assert world.golden(world.slack.texts[1], one=one, two=two) == (
        '*✗ FAILED: build failed (exit code 10)*\nstaging ← two "Change 2 &lt;!channel&gt;", by ada, took N s\n'
        "<@U0ADA> your commits are in it\n"
        "api unchanged (one)\nweb unchanged (one)\n"
        "↩ put back: api → one, verified: live at one; no failure for 15 s\n"
        f"{GATES}\n"
        "Why: web: the build failed\n"
        "Next: correct the build, commit, inv deploy --environment staging\n"
        f"First week: {NOTHING_BEFORE}\n"
        "1 commit:\n<https://github.com/Example/product/commit/(two)|two> Change 2 &lt;!channel&gt; (Ada)\n"
        "✓ check · – tests · – scan · ✓ changes · – backup · – migrate · ✗ deploy"
    )


def test_what_a_webhook_is_told_of_a_rollback(world: World) -> None:
    """What is taken back."""
    one = world.product.first
    world.product.deploy()
    two = world.change("2")
    world.product.deploy()
    world.product.roll_back(reason="the basket is empty")

    assert world.golden(world.slack.texts[2], one=one, two=two) == (
        '*✓ rollback succeeded*\nstaging ← one "change", by ada, took N s\n'
        "api two → one\nweb two → one\n"
        f"First week: {NOTHING_BEFORE}\n"
        "1 commit taken back:\n<https://github.com/Example/product/commit/(two)|two> Change 2 &lt;!channel&gt; (Ada)\n"
        "✓ check · ✓ rollback · ✓ verify N s"
    )


@pytest.mark.parametrize(("days", "told"), [(6.9, True), (7.1, False)])
def test_more_is_told_for_a_week_from_the_first_release(world: World, days: float, *, told: bool) -> None:
    """Then it ends by itself: also where what was tried before that release, and others after it, are in the history."""
    world.fail()
    world.change("2")
    first = world.product.deploy()
    world.product.clock.seconds += days * 86400
    world.change("3")

    assert first.first_week == (NOTHING_BEFORE,)
    assert bool(world.product.deploy().first_week) is told
    assert ("First week: inv rollback" in world.slack.texts[-1]) is told
    assert world.product.deploy().first_week == ()  # nothing to do


def test_what_a_person_does_beside_the_releases_is_told(world: World) -> None:
    """A hold, its end, and a lease that was given back in its holder's place; a text and a test as well."""
    control.hold(world.product.env(), reason="moving the <database>")
    control.lift(world.product.env(), reason="moved")
    env = world.product.env()
    env.make_lease("r-1").acquire(within=0)
    control.release_lease(env, reason="its runner is gone")
    notify(world.product.env(), text="the database moves at noon\nfor an hour")
    notify(world.product.env(), test=True)

    every = "every release, also going back: moving the &lt;database&gt;"
    assert world.slack.texts == [
        f"*⏸ held*\nstaging, by ada\n{every}",
        f"*▶ hold lifted*\nstaging, by ada\n{every}\nwhy it is lifted: moved",
        "*⚠ lease given back in its holder's place*\nstaging, by ada\nthat of run r-1 given back: its runner is gone",
        "*the database moves at noon*\nstaging, from ada\nfor an hour",
        "*✓ a test: messages of deploylib arrive here*\nstaging, from ada",
    ]


@pytest.mark.parametrize("bot", [False, True], ids=["webhook", "bot"])
def test_nothing_to_do_posts_nothing(world: World, *, bot: bool) -> None:
    """Nor does a look, or a run that was refused."""
    world = world.by_bot() if bot else world
    world.product.deploy()
    told = len(world.slack.asked)

    assert world.product.deploy().outcome == "nothing to do"
    control.hold(world.product.env(), reason="x")
    held = len(world.slack.asked)
    world.change("2")
    assert world.product.deploy().exit_code == 31
    assert world.product.deploy(dry_run=True).exit_code in {0, 31}

    assert len(world.slack.asked) == held == told + 1


def test_a_bot_keeps_one_message_a_run_with_its_details_under_it(world: World) -> None:
    """Posted once it is known that there is something to do, edited, and at last the outcome."""
    one = world.product.first
    world.by_bot().product.deploy()
    two = world.change("2")
    world.fail()

    first, first_details, second, details = world.slack.messages
    assert [posted.thread for posted in world.slack.messages] == ["", first.ts, "", second.ts]
    begun = {name: "\n".join(block["text"]["text"] for block in one.body["blocks"]) for name, one in [("two", second)]}
    assert world.golden(begun["two"], one=one, two=two).startswith(
        '*◌ deploying*\nstaging ← two "Change 2 &lt;!channel&gt;", by ada\n'
        "api one → two\nweb one → two\n"
        "1 commit:\n<https://github.com/Example/product/commit/(two)|two> Change 2 &lt;!channel&gt; (Ada)\n"
        "✓ check · – tests · – scan · ✓ changes"
    )
    assert world.slack.titles == ["✓ succeeded", "✗ FAILED: build failed (exit code 10)"]
    assert world.golden(details.text, one=one, two=two).startswith("*details*\n✓ check: ")
    assert "✗ deploy: web: the build failed" in details.text
    assert first_details.text.startswith("*details*\n✓ check: ")
    recorded = [event.data for event in world.product.env().history.read_events(world.product.runs()[0].id)]
    assert f"{CHANNEL}/{second.ts}" in recorded


def test_jobs_of_a_ci_edit_one_message_and_the_last_one_tells_the_outcome(world: World) -> None:
    """Also `inv finish` of the next day."""
    world.by_bot().product.in_ci(41)
    world.by_bot()
    for command, services in (("changes", ()), ("deploy", ("api",)), ("deploy", ("web",))):
        world.product.deploy(command, asked=command, services=services)
    assert world.slack.titles == ["◌ deploying"]
    world.product.clock.seconds += 600
    assert world.product.finish().outcome == "succeeded"

    assert world.slack.titles == ["✓ succeeded"]
    assert "by grace" in world.slack.texts[0]
    assert "actions/runs/41|the run in CI>" in world.slack.texts[0]
    assert [method for method, _ in world.slack.asked].count("chat.postMessage") == 2  # and the details


def test_a_kill_between_posting_and_recording_costs_one_message(world: World) -> None:
    """Whoever goes on does not know of it, and posts another one, which is the run's from then on."""
    world.by_bot().product.in_ci(41)
    world.by_bot()
    env = world.product.env()
    env.messenger.keep_sign = lambda _run, _sign: None  # as if it were killed there
    world.product.deploy_to(env, "changes", asked="changes")
    assert world.slack.titles == ["◌ deploying"]

    world.product.deploy("deploy", asked="deploy")
    assert world.product.finish().outcome == "succeeded"

    assert world.slack.titles == ["◌ deploying", "✓ succeeded"]


def test_a_run_that_is_interrupted_keeps_its_message(world: World) -> None:
    """The command that goes on with it edits the same one."""
    world.by_bot()
    env = world.product.env()

    def stopped(stage: str) -> None:
        if stage == "deploy":
            raise Interrupted("stopped by SIGTERM", remedy="inv deploy goes on")

    world.product.view.each_stage = stopped
    assert world.product.deploy_to(env).exit_code == 130
    assert world.slack.titles == ["◌ deploying"]

    assert world.product.deploy().outcome == "succeeded"
    assert world.slack.titles == ["✓ succeeded"]


@pytest.mark.parametrize("bot", [False, True], ids=["webhook", "bot"])
def test_what_slack_does_not_take_goes_out_with_the_next_command_in_order_and_once(world: World, *, bot: bool) -> None:
    """Of each outcome; and what came of the run is what it is."""
    world = world.by_bot() if bot else world
    world.slack.always = Ordered(503)
    assert world.product.deploy().outcome == "succeeded"
    world.change("2")
    assert world.fail().exit_code == 10
    assert any("Slack was not told: " in line for line in world.product.view.notes)
    control.hold(world.product.env(), reason="x")
    assert world.slack.messages == []
    titles = ["✓ succeeded", "✗ FAILED: build failed (exit code 10)", "⏸ held"]
    assert [title for title in world.waiting if title != "details"] == titles

    world.slack.always = None
    world.product.clock.seconds += 3600
    control.lift(world.product.env())

    assert world.slack.titles == [*titles, "▶ hold lifted"]
    assert ["_late: of 2026-03-01" in text for text in world.slack.texts] == [True, True, True, False]
    assert world.waiting == []
    kinds = [event.kind for event in world.product.env().history.read_events(world.product.runs()[0].id)]
    assert "undelivered" in kinds


def test_a_dead_slack_changes_neither_outcome_nor_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what a run takes it is a part of five seconds, however many messages there would have been."""
    for limit in ("OUTCOME_WITHIN", "FAILURE_WITHIN", "SILENT_WITHIN"):
        monkeypatch.setattr(f"deploylib.release.telling.{limit}", 0.5)
    monkeypatch.setattr("deploylib.release.telling.AT_ITS_END", 0.2)
    world.by_bot().slack.always = Ordered(way="hang")
    began = time.monotonic()
    assert world.product.deploy().outcome == "succeeded"
    world.change("2")
    assert world.fail().exit_code == 10
    took = time.monotonic() - began

    assert took < 60  # if each of some twenty messages were waited for, it would be twice as long at the least
    assert world.waiting == ["✓ succeeded", "details", "✗ FAILED: build failed (exit code 10)", "details"]


def test_a_text_that_is_not_told_waits_and_says_so_and_a_test_does_not(world: World) -> None:
    """Without a channel there is nobody to tell; and what nobody would read to its end is refused."""
    with pytest.raises(SettingsError, match="a text of 10,001 characters is no message; 10,000 are the most"):
        notify(world.product.env(), text="x" * 10_001)
    world.slack.always = Ordered(404, "no_service")
    with pytest.raises(Unreachable, match="Slack was not told: no_service") as text:
        notify(world.product.env(), text="noon")
    assert text.value.remedy.startswith("it goes out with the next command; make the incoming webhook anew")
    with pytest.raises(Unreachable) as test:
        notify(world.product.env(), test=True)
    assert test.value.remedy.startswith("make the incoming webhook anew")
    assert world.waiting == ["noon"]

    world.product.environ = {"USER": "ada"}
    with pytest.raises(SettingsError, match="no channel"):
        notify(world.product.env(), test=True)
    with pytest.raises(SettingsError, match="nothing to tell"):
        notify(world.product.env(), text="  ")


def test_a_test_by_a_bot_posts_changes_and_answers_under_it(world: World) -> None:
    """As a run does; it leaves nothing in the history."""
    sent = notify(world.by_bot().product.env(), test=True)

    assert [each.delivered for each in sent] == [True] * 3
    assert world.slack.titles == ["✓ a test: messages of deploylib arrive here"]
    assert [method for method, _ in world.slack.asked] == ["chat.postMessage", "chat.update", "chat.postMessage"]
    assert [*world.product.env().store.list("runs/")] == []


def test_no_secret_is_in_a_message(world: World) -> None:
    """However it got into what is told."""
    world.product.environ |= {"RENDER_API_KEY": "rnd_s3cr3tk3y"}
    control.hold(world.product.env(), reason="the key rnd_s3cr3tk3y was shown")
    notify(world.product.env(), text="rnd_s3cr3tk3y")

    assert "s3cr3tk3y" not in str(world.slack.asked)


def test_commits_that_this_clone_does_not_have_are_said_to_be_unknown(world: World) -> None:
    """Never taken for none."""
    world.product.deploy()
    world.change("2")
    telling: dict[str, Any] = {}
    env = world.product.env()
    object.__setattr__(env, "runner", env.runner)
    git = env.git

    def nobody_knows(*_args: object) -> tuple[()]:
        telling["asked"] = True
        raise SettingsError("git log failed", remedy="git fetch --unshallow")

    env.__dict__["git"] = type("Shallow", (type(git),), {"commits_since": nobody_knows})(git.root, git.runner)
    world.product.deploy_to(env)

    assert telling["asked"]
    assert "commits: unknown, this clone does not have the release before" in world.slack.texts[1]
    assert msgspec.json.encode(world.slack.texts)
