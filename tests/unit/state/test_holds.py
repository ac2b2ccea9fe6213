"""What an environment refuses, until somebody lifts it or a release has mended it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploylib.cli import text
from deploylib.commands import control
from deploylib.errors import SettingsError
from deploylib.state.history import OPERATIONS
from deploylib.state.holds import Hold, Holds
from deploylib.store.folder import Folder
from deploylib.system import process
from tests.support.fakes import NEW, OLD, START, THIRD, FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product, released
from tests.support.repository import Repository


@pytest.fixture
def holds(tmp_path: Path, clock: FakeClock) -> Holds:
    """An environment that refuses nothing yet."""
    return Holds(Folder(tmp_path), "staging", clock)


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live."""
    return released(repository, platform, clock)


@pytest.mark.parametrize(
    ("hold", "commit", "back", "refused"),
    [
        (Hold(id="1", at=START, reason="bad", commits=(OLD,)), OLD, False, True),
        (Hold(id="1", at=START, reason="bad", commits=(OLD,)), NEW, False, False),
        (Hold(id="1", at=START, reason="bad", commits=(OLD,)), OLD, True, False),
        (Hold(id="1", at=START, reason="moving"), NEW, False, True),
        (Hold(id="1", at=START, reason="moving"), NEW, True, True),
        (Hold(id="1", at=START, reason="not put back", run="r"), NEW, False, True),
        (Hold(id="1", at=START, reason="not put back", run="r"), NEW, True, False),
    ],
    ids=["its commit", "another", "going back", "a person's", "and back", "a failed recovery's", "but not back"],
)
def test_what_a_hold_refuses(hold: Hold, commit: str, *, back: bool, refused: bool) -> None:
    """Commits by name; everything for a person; everything but the way out after a recovery that failed."""
    assert hold.refuses(commit, back=back) is refused


def test_a_hold_stands_until_it_is_lifted(holds: Holds, clock: FakeClock) -> None:
    """And the same refusal by the same run, after a crash, is no second one."""
    first = holds.place([OLD], "bad", run="run-1")
    clock.seconds += 1
    assert holds.place([OLD], "bad", run="run-1") == first
    second = holds.place((), "moving the database", author="ada")

    assert holds.read() == (first, second)
    holds.lift(first, author="ada")
    assert holds.read() == (second,)


def test_a_release_ends_only_the_holds_that_it_mends(holds: Holds, clock: FakeClock) -> None:
    """Those whose commits are all in its history; neither its own commit's, nor a person's."""
    placed = []
    for commits in ([OLD], [OLD, THIRD], [NEW], []):
        clock.seconds += 1
        placed.append(holds.place(commits, "why", run="run-1" if commits else ""))

    gone = holds.clear(NEW, "run-2", contains=lambda commit: commit in {OLD, NEW})

    assert gone == (placed[0],)
    assert holds.read() == tuple(placed[1:])


def test_a_rollback_ends_what_a_failed_recovery_has_placed(holds: Holds, clock: FakeClock) -> None:
    """And no hold of a commit: the older release does not mend it."""
    bad = holds.place([THIRD], "bad", run="run-1")
    clock.seconds += 1
    frozen = holds.place((), "not put back", run="run-1")

    assert holds.clear(OLD, "run-2", contains=lambda _: True, back=True) == (frozen,)
    assert holds.read() == (bad,)


def test_after_a_rollback_the_commit_is_held_and_a_newer_one_clears_it(product: Product) -> None:
    """Fix forward: the bad commit is refused with code 31, its descendant is let through, and then nothing is held."""
    bad = product.change("2")
    product.deploy()
    assert product.roll_back(reason="it loses orders").outcome == "succeeded"
    product.platform.requests.clear()

    refused = product.deploy()

    assert ("held", 31, []) == (refused.outcome, refused.exit_code, product.asked())
    assert "it loses orders (ada," in refused.error
    assert "inv hold.lift --environment staging" in refused.next[0]
    assert [hold.commits for hold in product.env().holds.read()] == [(bad,)]
    product.change("3")
    assert product.deploy().outcome == "succeeded"
    assert product.view.notes[-1] == "the hold is over: it loses orders"
    assert not product.env().holds.read()


def test_a_commit_that_was_put_back_after_it_was_live_is_held(product: Product) -> None:
    """It has not proven itself; a build that failed holds nothing, since it may do better the next time."""
    product.change("2")
    product.platform.plans["srv-web"] = ["build_failed"]
    assert product.deploy().exit_code == 10
    assert not product.env().holds.read()
    del product.platform.plans["srv-web"]

    def crash() -> None:
        if product.platform.live("srv-web") != product.first:
            moment = product.clock.now().isoformat()
            product.platform.events = [{"type": "server_failed", "serviceId": "srv-web", "timestamp": moment}]

    product.clock.each_sleep = crash
    assert product.deploy().exit_code == 14
    assert product.deploy().exit_code == 31


def test_a_person_holds_everything(product: Product) -> None:
    """A release and a rollback are refused before anything is asked for; a backup and a look are not."""
    product.change("2")
    product.deploy()
    product.change("3")
    product.platform.requests.clear()
    control.hold(product.env(), reason="moving the database")

    assert (31, 31) == (product.deploy().exit_code, product.roll_back().exit_code)
    assert product.deploy(dry_run=True).exit_code == 31
    assert product.deploy(until="backup", asked="backup").exit_code == 0
    assert product.asked() == []
    control.lift(product.env())
    assert product.deploy().exit_code == 0


def test_a_hold_needs_a_reason_and_something_to_lift(product: Product) -> None:
    """Nothing happens without."""
    with pytest.raises(SettingsError, match="a hold needs a reason"):
        control.hold(product.env(), reason=" ")
    with pytest.raises(SettingsError, match="holds nothing"):
        control.lift(product.env())
    control.hold(product.env(), reason="flaky", commit="HEAD")
    product.change("2")
    with pytest.raises(SettingsError, match="holds nothing"):
        control.lift(product.env(), commit="HEAD")
    assert [hold.reason for hold in control.lift(product.env(), commit=product.first)] == ["flaky"]


def test_a_recovery_that_fails_holds_everything_until_a_rollback(product: Product) -> None:
    """Nothing is built on a state that nobody asked for; going back is the way out, and ends the hold."""
    product.change("2")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_failed"]}
    product.platform.also = lambda request: (
        Platform.refused(request) if product.asked()[2:] and request.method == "POST" else None
    )
    assert product.deploy().exit_code == 20
    product.platform.also = lambda _request: None
    product.platform.plans.clear()
    product.change("3")

    refused = product.deploy()

    assert (31, True) == (refused.exit_code, "inv rollback --environment staging" in refused.next[0])
    assert product.roll_back().outcome == "succeeded"
    assert [product.first] * 2 == product.live()
    assert product.deploy().exit_code == 0


def test_a_hold_is_lifted_and_not_the_others_with_it(product: Product) -> None:
    """The database was moved: the commit that loses orders is as bad as before, and both were told when it was refused."""
    control.hold(product.env(), reason="it loses orders", commit="HEAD")
    control.hold(product.env(), reason="moving the database")
    refused = product.deploy()
    assert "refuses every release: moving the database (ada," in refused.error
    assert "it loses orders" in refused.details[0]
    assert f"inv hold.lift --environment staging --commit {product.first[:7]}" in refused.details[0]

    [lifted] = control.lift(product.env())

    assert lifted.reason == "moving the database"
    assert ["it loses orders"] == [one.reason for one in product.env().holds.read()]
    assert "it loses orders" in product.deploy().error
    assert ["it loses orders"] == [one.reason for one in control.lift(product.env())]


def test_of_several_holds_of_everything_the_one_is_lifted_that_is_named(product: Product) -> None:
    """Two people each had a reason, and each lifts their own."""
    for reason in ("moving the database", "the auditors are here"):
        control.hold(product.env(), reason=reason)
    with pytest.raises(SettingsError, match="several holds refuse every release") as told:
        control.lift(product.env())
    first, second = told.value.details
    assert "moving the database: inv hold.lift --environment staging --hold " in first

    control.lift(product.env(), hold=second.rpartition(" ")[2])

    left = product.env().holds.read()
    assert ["moving the database"] == [one.reason for one in left]
    [line] = text.format_holds(left, product.clock.now())
    assert text.format_lifted([], left, product.clock.now()) == ["lifted", f"still held: {line}"]


def test_the_reason_of_a_skipped_check_is_not_that_of_a_hold(product: Product) -> None:
    """Why the check was left out says nothing of what is wrong with the commit."""
    product.change("2")
    product.deploy()
    product.roll_back(skip=("schema",), reason="only an index was added")

    [hold] = product.env().holds.read()

    assert re.fullmatch(r"run \w{4} went back from it", hold.reason)


def test_holds_and_their_ends_are_in_the_history(product: Product) -> None:
    """With who placed and who lifted them."""
    control.hold(product.env(), reason="moving the database")
    product.environ = {"USER": "grace"}
    control.lift(product.env(), reason="moved")

    done = list(product.env().history.read_runs("staging", 5, OPERATIONS))

    assert [("lift", "grace"), ("hold", "ada")] == [(one.opened.operation, one.opened.author) for one in done]
    assert "every release, also going back: moving the database" in text.format_history(done)[0]


@pytest.mark.parametrize(
    ("environ", "named", "author"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "1", "GITHUB_ACTOR": "octocat"}, "Ada Lovelace", "octocat"),
        ({"DEPLOYLIB_RUN": "7", "USER": "root"}, "Ada Lovelace", "Ada Lovelace"),
        ({"USER": "root"}, "Ada Lovelace", "Ada Lovelace"),
        ({"USER": "root"}, "", "root"),
        ({}, "", process.user_name()),
    ],
    ids=["a CI", "a CI that names nobody", "git", "the environment", "the system"],
)
def test_who_did_it_is_always_known(product: Product, environ: dict[str, str], named: str, author: str) -> None:
    """As the CI says, as git calls its author, or as the system calls the user."""
    product.environ = environ
    if named:
        product.repository.run("config", "user.name", named)

    assert author
    assert product.env().author == author
