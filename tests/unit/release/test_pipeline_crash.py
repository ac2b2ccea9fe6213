"""A run that was killed half-way through its recovery or its rollback: the next command ends what was begun, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec
import pytest

from deploylib.commands import release
from deploylib.models import Intent
from deploylib.models.results import Report
from deploylib.state.history import History
from deploylib.store.folder import Folder
from tests.support.fakes import FakeClock, RecordingView
from tests.support.in_memory import Platform
from tests.support.in_memory_product import FakeEnvironment, Product
from tests.support.repository import Repository


class Died(BaseException):
    """``kill -9``, as far as one process can do it to itself."""


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product with two releases."""
    made = Product(repository, platform, clock)
    assert made.deploy().outcome == "succeeded"
    made.change("2")
    assert made.deploy().outcome == "succeeded"
    return made


def dying(product: Product, monkeypatch: pytest.MonkeyPatch, kind: str, command: Callable[[], Any]) -> None:
    """Run a command that dies once it has written its first event of *kind*."""
    write = History.append

    def die(self: History, run: str, what: str, value: Any) -> None:
        write(self, run, what, value)
        if kind in {what, getattr(value, "stage", "")}:
            raise Died

    with monkeypatch.context() as patched:
        patched.setattr(History, "append", die)
        with pytest.raises(Died):
            command()
    leases = product.env().leases
    held = leases.read()
    assert held is not None
    leases.abandon(held.number)  # as the death of a process on this machine is known; here it was only a part of one


@dataclass(frozen=True)
class Meanwhile(Folder):
    """A store of which another command makes use while this one waits for the lease."""

    then: list[Callable[[], Any]] = field(default_factory=list)

    def probe(self) -> None:
        """Let it, once."""
        if self.then:
            self.then.pop()()


def waiting(product: Product, then: Callable[[], Any]) -> FakeEnvironment:
    """What a command works with that gets the lease when another one is done."""
    env = product.env()
    assert isinstance(env.store, Folder)
    return replace(env, kept_in=Meanwhile(env.store.root, [then]))


def broken(product: Product) -> str:
    """A commit of which one service goes live and the other does not build; what is live now."""
    good = product.live()[0]
    product.change("3")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress"] * 4 + ["build_failed"]}
    product.platform.requests.clear()
    return good


@pytest.mark.parametrize("kind", ["intent", "triggered", "deploy", "verify"])
@pytest.mark.parametrize("how", ["finish", "deploy"])
def test_a_run_is_ended_once_although_two_commands_wanted_to_go_on_with_it(
    product: Product, monkeypatch: pytest.MonkeyPatch, kind: str, how: str
) -> None:
    """The one that waits says what the other one has made of it, asks for nothing and records nothing."""
    product.change("3")
    dying(product, monkeypatch, kind, product.deploy)
    product.clock.seconds += 120
    ended: list[Report] = []
    env = waiting(product, lambda: ended.append(product.deploy()))

    report = release.finish(env) if how == "finish" else product.deploy_to(env)

    assert ("succeeded", 0) == (report.outcome, report.exit_code)
    assert msgspec.json.encode(report) == msgspec.json.encode(ended[0])
    assert isinstance(env.progress, RecordingView)
    assert any("another command has ended run" in text for text in env.progress.notes)
    assert [one.kind for one in env.history.read_events(report.run)].count("closed") == 1
    assert product.asked()[-2:] == ["srv-api/deploys", "srv-web/deploys"]
    assert len(product.asked()) == 6
    held = env.leases.read()
    assert held is not None
    assert held.state != "held"


@pytest.mark.parametrize("damage", ["cut", "emptied", "gone", "all gone", "of a newer program"])
@pytest.mark.parametrize("how", ["finish", "deploy"])
def test_a_run_that_cannot_be_read_any_more_is_neither_put_back_nor_ended(
    product: Product, monkeypatch: pytest.MonkeyPatch, how: str, damage: str
) -> None:
    """Another command has gone on with it, and nobody knows how far: it stays open."""
    product.change("3")
    dying(product, monkeypatch, "triggered", product.deploy)
    product.clock.seconds += 120
    asked, live = product.asked(), product.live()
    events = product.env().history.store.root / "runs" / product.runs()[0].id  # type: ignore[attr-defined]
    kept = {path: path.read_bytes() for path in events.iterdir()}
    first = min(kept)

    def spoil() -> None:
        for path in kept if damage == "all gone" else [first]:
            path.unlink()
        if "gone" not in damage:
            known = {"cut": kept[first][:40], "emptied": b"", "of a newer program": b'{"at": 1, "kind": [], "data": 2}'}
            first.write_bytes(known[damage])

    env = waiting(product, spoil)

    report = release.finish(env) if how == "finish" else product.deploy_to(env)

    assert ("not known yet", 41) == (report.outcome, report.exit_code)
    assert (asked, live) == (product.asked(), product.live())
    for path, content in kept.items():
        path.write_bytes(content)
    assert product.deploy().outcome == "succeeded"


@pytest.mark.parametrize("how", ["finish", "deploy"])
def test_what_another_command_began_to_put_back_while_one_waited_is_put_back(
    product: Product, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """And not deployed once more."""
    good = broken(product)
    dying(product, monkeypatch, "triggered", product.deploy)
    product.clock.seconds += 120
    env = waiting(product, lambda: dying(product, monkeypatch, "recovering", product.deploy))

    report = release.finish(env) if how == "finish" else product.deploy_to(env)

    assert ("build failed", 10) == (report.outcome, report.exit_code)
    assert [good] * 2 == product.live()
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys", "srv-api/rollback"]


@pytest.mark.parametrize("kind", ["recovering", "back-intent", "back-triggered", "back-shipped", "put-back"])
@pytest.mark.parametrize("how", ["finish", "deploy"])
def test_a_recovery_goes_on_where_it_was_killed(
    product: Product, monkeypatch: pytest.MonkeyPatch, kind: str, how: str
) -> None:
    """Never forward again, nothing asked for twice, and the first error is what the operator reads."""
    good = broken(product)
    dying(product, monkeypatch, kind, product.deploy)
    product.clock.seconds += 120

    report = product.finish() if how == "finish" else product.deploy()

    assert ("build failed", 10) == (report.outcome, report.exit_code)
    assert report.error == "web: the build failed"
    assert [good] * 2 == product.live()
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys", "srv-api/rollback"]
    assert [one.service for one in report.put_back] == ["api"]
    assert "verified: live at" in report.put_back[0].text
    assert product.env().leases.read().state != "held"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["recovering", "back-intent", "back-triggered"])
def test_a_newer_commit_ends_what_was_left_first(product: Product, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """So that what this run would put back is a release that was verified, and not a half."""
    good = broken(product)
    dying(product, monkeypatch, kind, product.deploy)
    product.clock.seconds += 120
    newest = product.change("4")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress"] * 4 + ["build_failed"]}

    report = product.deploy()

    assert report.exit_code == 10
    assert [good] * 2 == product.live()
    assert newest not in product.live()
    runs = product.runs()
    assert [one.report.outcome for one in runs[:2] if one.report] == ["build failed", "build failed"]


@pytest.mark.parametrize("kind", ["deploy", "verify"])
def test_what_was_all_live_is_completed_before_a_newer_commit(
    product: Product, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Verified and recorded as a release, so that the newer one can be put back to it."""
    third = product.change("3")
    dying(product, monkeypatch, kind, product.deploy)
    product.clock.seconds += 120
    product.change("4")
    product.platform.plans = {"srv-api": ["live"], "srv-web": ["build_in_progress"] * 4 + ["build_failed"]}

    report = product.deploy()

    assert report.exit_code == 10
    assert [third] * 2 == product.live()
    assert [one.report.outcome for one in product.runs()[:2] if one.report] == ["build failed", "succeeded"]
    held = product.env().leases.read()
    assert held is not None
    assert held.state == "released"


@pytest.mark.parametrize("kind", ["restoring", "intent", "triggered", "shipped", "rollback", "verify"])
@pytest.mark.parametrize("how", ["finish", "rollback"])
def test_a_rollback_goes_on_to_the_release_that_it_had_chosen(
    product: Product, monkeypatch: pytest.MonkeyPatch, kind: str, how: str
) -> None:
    """Half restored it is nearer to another release than to the one it had chosen, which is recorded therefore."""
    product.platform.requests.clear()
    dying(product, monkeypatch, kind, product.roll_back)
    product.clock.seconds += 120

    report = product.finish() if how == "finish" else product.roll_back()

    if how == "finish" and kind == "restoring":  # nothing was asked for yet
        assert report.outcome == "abandoned"
        return
    assert report.outcome == "succeeded"
    assert [product.first] * 2 == product.live()
    assert sorted(product.asked()) == ["srv-api/rollback", "srv-web/rollback"]
    assert report.commit is not None
    assert report.commit.id == product.first


@pytest.mark.parametrize(
    ("options", "then", "held"),
    [
        ({"reason": "it loses orders"}, {}, "it loses orders"),
        ({"reason": "it loses orders"}, {"reason": "and money"}, "and money"),
        ({"reason": "the schema fits", "skip": ("schema",)}, {}, "went back from it"),
        ({}, {}, "went back from it"),
    ],
)
def test_a_rollback_that_is_completed_later_holds_for_its_own_reason(
    product: Product, monkeypatch: pytest.MonkeyPatch, options: Any, then: Any, held: str
) -> None:
    """Who completes it need not know it; that of ``--skip`` is another."""
    dying(product, monkeypatch, "intent", lambda: product.roll_back(**options))
    product.clock.seconds += 120

    report = product.roll_back(**then) if then else product.finish()

    assert report.outcome == "succeeded"
    assert [hold.reason.endswith(held) for hold in product.env().holds.read()] == [True]


@pytest.mark.parametrize("kind", ["intent", "triggered", "shipped", "rollback", "verify"])
def test_a_deploy_completes_a_rollback_that_was_left_first(
    product: Product, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """By the stages of a rollback: what it goes back from is held, and is not released again."""
    bad = product.live()[0]
    dying(product, monkeypatch, kind, product.roll_back)
    product.clock.seconds += 120

    report = product.deploy()

    assert "held" in report.outcome
    assert [product.first] * 2 == product.live()
    assert [one.report.outcome for one in product.runs() if one.opened.back and one.report] == ["succeeded"]
    assert [hold.commits for hold in product.env().holds.read()] == [(bad,)]


def test_a_rollback_that_fails_in_part_needs_a_person(product: Product) -> None:
    """It is never rolled back; everything is held until somebody goes back or lifts the hold."""
    product.platform.requests.clear()
    product.platform.also = lambda request: (
        Platform.refused(request) if request.method == "POST" and "srv-web" in request.url.path else None
    )

    report = product.roll_back()

    assert report.exit_code == 20
    assert "a rollback is never rolled back" in report.error
    assert product.asked().count("srv-api/rollback") == 1
    assert product.first in product.live()
    assert product.env().holds.read()[0].everything


def stopped(product: Product) -> None:
    """The platform cancels all that it was at: it was started anew."""
    for one in (one for deploys in product.platform.deploys.values() for one in deploys):
        if one["status"] not in {"live", "deactivated", "canceled", "build_failed"}:
            one.update(status="canceled", plan=[])


def test_a_release_whose_deploy_the_platform_has_canceled_goes_on(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody watched, so nobody can have meant it: it is asked for once more, and is a release like any other."""
    third = product.change("3")
    dying(product, monkeypatch, "triggered", product.deploy)
    stopped(product)
    product.platform.requests.clear()

    report = product.deploy()

    assert ("succeeded", 0) == (report.outcome, report.exit_code)
    assert [third] * 2 == product.live()
    assert sorted(product.asked()) == ["srv-api/deploys", "srv-web/deploys"]
    assert [one.deploy_id for one in report.live] == [one.deploy_id for one in product.runs()[0].triggered.values()]


def test_a_release_whose_deploy_the_platform_has_canceled_can_be_finished(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it went live, and nothing does."""
    good = product.live()
    product.change("3")
    dying(product, monkeypatch, "triggered", product.deploy)
    stopped(product)
    product.platform.requests.clear()

    report = product.finish()

    assert ("abandoned", good, []) == (report.outcome, product.live(), product.asked())


@pytest.mark.parametrize("how", ["finish", "deploy"])
def test_a_recovery_whose_deploy_the_platform_has_canceled_goes_on(
    product: Product, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What was live is put back all the same."""
    good = broken(product)
    dying(product, monkeypatch, "back-triggered", product.deploy)
    stopped(product)
    product.platform.requests.clear()

    report = product.finish() if how == "finish" else product.deploy()

    assert ("build failed", 10) == (report.outcome, report.exit_code)
    assert [good] * 2 == product.live()
    assert product.asked() == ["srv-api/rollback"]


@pytest.mark.parametrize("how", ["finish", "rollback"])
def test_a_rollback_whose_deploy_the_platform_has_canceled_goes_on(
    product: Product, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """To the release that it had chosen."""
    dying(product, monkeypatch, "triggered", product.roll_back)
    stopped(product)

    report = product.finish() if how == "finish" else product.roll_back()

    assert report.outcome == "succeeded"
    assert [product.first] * 2 == product.live()


def test_a_deploy_whose_recorded_id_is_another_services_is_found_and_stopped(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that named it was one to another question, and the command died before it could find that out."""
    good, third = product.live(), product.change("3")

    def others(request: httpx.Request) -> httpx.Response:
        product.platform(request)
        return httpx.Response(201, json={"id": "dep-999"})

    product.platform.faults.append(("POST", "/srv-api/deploys", others))
    dying(product, monkeypatch, "triggered", product.deploy)

    report = product.finish()

    assert ("abandoned", good) == (report.outcome, product.live())
    ours = [one["status"] for one in product.platform.deploys["srv-api"] if one["commit"]["id"] == third]
    assert ours == ["canceled"]


def test_a_rollback_that_had_only_begun_is_not_taken_for_one_to_another_release(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One service is restored and the other was not asked yet: what is live is nearer to the release that was left."""
    dying(product, monkeypatch, "restoring", product.roll_back)
    product.platform.begin("srv-api", product.first, "live")
    product.clock.seconds += 120
    left = product.runs()[0]
    api = next(live for live in product.runs()[2].release if live.service == "api")
    now = product.runs()[1].release[0]
    intent = Intent(service="api", commit=product.first, existing=(), previous=now, from_deploy=api.deploy_id)
    product.env().history.append(left.id, "intent", intent)

    report = product.roll_back()

    assert (report.outcome, [product.first] * 2) == ("succeeded", product.live())
