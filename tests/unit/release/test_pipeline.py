"""A whole run: what happens when all is well, and how little when it is not meant."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import httpx
import msgspec
import pytest

from deploylib.commands import release, status
from deploylib.errors import ForeignDeploy, Interrupted, SettingsError
from deploylib.models import Kind
from deploylib.models.results import StageStatus
from deploylib.release import aims, pipeline
from deploylib.store.folder import Folder
from deploylib.store.interface import Stored
from tests.support.fakes import NEW, FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import BLUEPRINT, REPO, Product
from tests.support.repository import Repository


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product that was never deployed."""
    return Product(repository, platform, clock)


def test_a_release_goes_through_every_stage(product: Product) -> None:
    """In order; each ends done or is left out with a reason; what is live is in the report and in the history."""
    report = product.deploy()

    assert ("succeeded", 0, product.first) == (report.outcome, report.exit_code, report.commit and report.commit.id)
    assert [stage.name for stage in pipeline.forward(product.env().config)] == [one.stage for one in report.stages]
    assert [product.first] * 2 == product.live()
    assert [(name, product.first) for name in ("api", "web")] == [(one.service, one.commit) for one in report.live]
    skipped = [one.lines[0] for one in report.stages if one.status is StageStatus.SKIPPED]
    assert skipped[2:] == ["skipped: the product has no database"] * 2
    assert skipped[:2] == [
        'skipped: the settings name no command (tests = "…")',
        "skipped: by ada: its tools are tested elsewhere",
    ]
    [run] = product.runs()
    assert msgspec.json.encode(report) == msgspec.json.encode(run.report)
    assert run.opened.author == "ada"


def test_a_second_run_has_nothing_to_do(product: Product) -> None:
    """Nothing is asked of the platform."""
    product.deploy()
    asked = len(product.asked())

    report = product.deploy()

    assert ("nothing to do", 0) == (report.outcome, report.exit_code)
    assert len(product.asked()) == asked


def test_only_what_changed_is_deployed(product: Product) -> None:
    """The other service keeps its older commit, and the release is both."""
    product.deploy()
    second = product.change("2", "web")

    report = product.deploy()

    assert report.outcome == "succeeded"
    assert [product.first, second] == product.live() == [one.commit for one in report.live]


def test_a_run_may_be_limited_to_a_service(product: Product) -> None:
    """Whatever else changed."""
    assert product.deploy(services=("web",)).outcome == "succeeded"
    assert ["", product.first] == product.live()


@pytest.mark.parametrize("wait", ["5x", "-1m", "soon", "9999999d"])
def test_a_wait_that_is_no_duration_is_refused_before_anything_is_asked(product: Product, wait: str) -> None:
    """And not when the lease is wanted, after the check."""
    with pytest.raises(SettingsError, match="--wait"):
        product.deploy(wait=wait)
    with pytest.raises(SettingsError, match="--wait"):
        product.roll_back(wait=wait)
    assert product.platform.requests == []


def test_a_dry_run_asks_for_nothing_and_writes_nothing(product: Product) -> None:
    """It says what would be done, by a client and a runner that refuse to write."""
    before = {path: path.stat().st_mtime_ns for path in product.repository.root.rglob("*")}

    report = product.deploy(dry_run=True)

    assert ("planned", 0, ["", ""]) == (report.outcome, report.exit_code, product.live())
    assert product.platform.writes() == []
    assert product.runs() == []
    assert before == {path: path.stat().st_mtime_ns for path in product.repository.root.rglob("*")}
    lines = [line for one in report.stages if one.stage == "deploy" for line in one.lines]
    assert lines == ["api  first deploy: nothing to put back", "web  first deploy: nothing to put back"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p.platform.services["srv-web"].update(autoDeploy="yes"),
        lambda p: p.platform.services.pop("srv-web"),
        lambda p: p.repository.commit({"web/a": "not pushed"}),
        lambda p: p.repository.root.joinpath("web/a").write_text("not committed"),
        lambda p: p.platform.begin("srv-web", NEW, "build_in_progress", "manual"),
    ],
    ids=["autodeploy", "no service", "not pushed", "not committed", "another deploy on its way"],
)
def test_a_run_that_is_refused_has_touched_nothing(product: Product, spoil: object) -> None:
    """Nothing is asked for, and the history does not know of it."""
    assert callable(spoil)
    spoil(product)

    try:
        exit_code = product.deploy().exit_code
    except SettingsError as error:
        exit_code = error.exit_code

    assert exit_code in {2, 32}
    assert product.platform.writes() == []
    assert not (product.repository.root / ".deploylib").exists()


def test_who_asks_for_it_waits_until_a_deploy_of_somebody_else_is_over(product: Product) -> None:
    """It is told once, and the release begins from what went live; a dry run does not wait, nor who waits too short."""
    product.deploy()
    second = product.change("2")
    theirs = product.platform.begin("srv-web", NEW, "build_in_progress", "manual")
    slept = len(product.clock.slept)
    assert product.deploy(dry_run=True, wait="10m").exit_code == ForeignDeploy.exit_code
    assert product.clock.slept[slept:] == []
    assert product.deploy(wait="4s").exit_code == ForeignDeploy.exit_code
    assert product.clock.slept[slept:] == [4.0]

    def end() -> None:
        if product.clock.slept[slept:].count(5.0) == 3:
            theirs["status"] = "live"

    product.clock.each_sleep = end
    report = product.deploy(wait="10m")

    assert ("succeeded", [second, second]) == (report.outcome, product.live())
    assert [note for note in product.view.notes if "waiting" in note] == [
        f"waiting, 10m at most: web: {theirs['id']} ({NEW[:7]}, trigger manual) is on its way"
    ]


def test_a_run_that_failed_before_it_changed_anything_is_the_last_run(product: Product) -> None:
    """It is in the history, and what `inv status` names; the commit is what was wrong, and not how it was asked for."""
    product.deploy()
    product.settings = {"tests": "/bin/sh -c 'echo one test is red; exit 1'"}
    second = product.change("2")

    report = product.deploy()

    assert (3, ["srv-api/deploys", "srv-web/deploys"]) == (report.exit_code, product.asked())
    newest = product.runs()[0]
    assert newest.report is not None
    assert (report.run, "blocked by a gate", "failed") == (
        newest.id,
        newest.report.outcome,
        newest.stages["tests"].status,
    )
    assert f"{report.run[-4:]} {second[:7]} blocked by a gate" == status.status(product.env()).last


def test_an_older_commit_than_what_is_live_is_refused(product: Product) -> None:
    """Going back is asked for by its name, and nothing of this attempt is recorded."""
    product.change("2")
    product.deploy()
    asked, runs = product.asked(), product.runs()

    report = product.deploy(commit=product.first)

    assert (2, True) == (report.exit_code, "inv rollback" in report.next[0])
    assert (asked, runs) == (product.asked(), product.runs())


NIGHTLY = "  - {type: cron, name: nightly, runtime: go, startCommand: ./n, schedule: '1 * * * *', rootDir: nightly}\n"


def test_a_check_finds_a_cron_job_that_would_be_built_from_another_commit(product: Product) -> None:
    """Render takes the tip of its branch, so nothing is deployed first; with the same files of it any commit will do."""
    product.platform.add("nightly", Kind.CRON, repo=REPO)
    old = product.commit({"render.yaml": BLUEPRINT + NIGHTLY, "nightly/a": "1"})
    tip = product.commit({"nightly/a": "2"})

    refused = product.deploy(commit=old, until="check")

    assert refused.exit_code == 2
    assert f"nightly: a cron job is built from the tip of its branch, and main is at {tip[:7]}" in refused.error
    assert f"inv deploy --environment staging --commit {tip[:7]}" in refused.next[0]
    assert product.asked() == []
    alike = product.platform.tips["srv-nightly"] = product.change("2")
    assert product.deploy(commit=tip).exit_code == 0
    assert product.platform.live("srv-nightly") == alike


def test_a_cron_job_that_is_not_deployed_keeps_no_release_from_going(product: Product) -> None:
    """What it serves is of that commit already, or it was not asked for."""
    product.platform.add("nightly", Kind.CRON, repo=REPO)
    served = product.commit({"render.yaml": BLUEPRINT + NIGHTLY, "nightly/a": "1"})
    product.platform.tips["srv-nightly"] = served
    assert product.deploy().exit_code == 0
    older = product.change("2")
    product.commit({"nightly/a": "2"})

    assert product.deploy(commit=older).exit_code == 0
    product.commit({"nightly/a": "3", "api/a": "3"})
    last = product.commit({"nightly/a": "4"})
    assert product.deploy(commit=f"{last}~1", services=("api",)).exit_code == 0
    assert product.platform.live("srv-nightly") == served


def test_a_run_may_stop_after_a_stage_and_go_on_later(product: Product) -> None:
    """The same run: a stage that is done is not done again."""
    paused = product.deploy(until="migrate")
    assert ("paused", [], ["", ""]) == (paused.outcome, product.asked(), product.live())

    report = product.deploy()

    assert (paused.run, "succeeded") == (report.run, report.outcome)
    assert len(product.runs()) == 1


def test_an_open_run_of_another_commit_is_abandoned(product: Product) -> None:
    """A new one begins."""
    paused = product.deploy(until="migrate")
    product.change("2")

    report = product.deploy()

    assert report.run != paused.run
    assert ["succeeded", "abandoned"] == [run.report and run.report.outcome for run in product.runs()]


def test_an_open_run_grows_too_old_to_go_on(product: Product) -> None:
    """After its deadline what it found may be true no more."""
    paused = product.deploy(until="migrate")
    product.clock.seconds += 20 * 60

    assert product.deploy().run != paused.run


def test_a_stage_must_exist(product: Product) -> None:
    """Those that do are named."""
    with pytest.raises(SettingsError, match="no stage 'proof'") as raised:
        product.deploy(until="proof")

    assert "verify" in raised.value.remedy


def test_an_interrupted_run_stays_open_and_goes_on(product: Product) -> None:
    """Nothing is put back on a signal; what was accepted is watched, and nothing is asked for twice."""
    env = product.env()
    product.platform.plans = {
        "srv-api": ["build_in_progress"] * 9 + ["live"],
        "srv-web": ["build_in_progress"] * 9 + ["live"],
    }

    def stop() -> None:
        product.clock.each_sleep = lambda: None
        raise Interrupted("stopped by SIGTERM", remedy="inv deploy")

    product.clock.each_sleep = stop
    report = product.deploy_to(env)

    assert (130, "interrupted") == (report.exit_code, report.outcome)
    assert "goes on" in report.next[0]
    assert product.runs()[0].report is None
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys"]

    again = product.deploy()

    assert (report.run, "succeeded") == (again.run, again.outcome)
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys"]


def test_a_dry_run_of_a_rollback_says_that_it_is_verified(product: Product) -> None:
    """As it will be."""
    assert product.deploy().outcome == "succeeded"
    product.change("2")
    assert product.deploy().outcome == "succeeded"

    stages = {each.stage: each.lines for each in product.roll_back(dry_run=True).stages}

    assert stages["verify"] == ("would ask each service that is restored",)


def test_an_interrupted_rollback_goes_on_by_a_rollback(product: Product) -> None:
    """Whoever is told to deploy would release again what was gone back from."""
    assert product.deploy().outcome == "succeeded"
    bad = product.change("2")
    assert product.deploy().outcome == "succeeded"
    product.platform.plans = {"srv-api": ["build_in_progress"] * 9 + ["live"]}
    env = product.env()

    def stop() -> None:
        product.clock.each_sleep = lambda: None
        raise Interrupted("stopped by SIGINT", remedy="inv deploy")

    product.clock.each_sleep = stop
    report = release.rollback(env)

    assert report.next == ("inv rollback --environment staging goes on where this stopped",)
    assert "open: inv rollback --environment staging goes on" in status.status(product.env()).last
    assert product.roll_back().outcome == "succeeded"
    assert bad not in product.live()


def test_a_signal_while_what_is_live_is_asked_for_at_the_end_is_heeded(product: Product) -> None:
    """The run stays open instead of ending without saying what is live, and the next command ends it."""
    env = product.env()

    def stop(_request: httpx.Request) -> None:
        if product.view.results and product.view.results[-1].stage == "verify":
            product.platform.also = lambda _request: None
            raise Interrupted("stopped by SIGTERM", remedy="inv deploy")

    product.platform.also = stop
    report = product.deploy_to(env)

    assert (130, "interrupted") == (report.exit_code, report.outcome)
    assert product.runs()[0].report is None

    again = product.deploy()

    assert (report.run, "succeeded", [product.first] * 2) == (again.run, again.outcome, product.live())


def test_a_signal_while_the_end_is_kept_for_those_who_look_is_heeded(product: Product) -> None:
    """The end itself is recorded, and the lease is free."""

    class Stopping(Folder):
        def put(self, key: str, pieces: Iterable[bytes], *, new: bool = False, expected: int = 0) -> Stored:
            if key.startswith("states/"):
                raise Interrupted("stopped by SIGTERM", remedy="inv deploy")
            return super().put(key, pieces, new=new, expected=expected)

    store = Stopping(product.repository.root / ".deploylib")
    report = product.deploy_to(dataclasses.replace(product.env(), kept_in=store))

    assert (130, "interrupted") == (report.exit_code, report.outcome)
    assert [run.report and run.report.outcome for run in product.runs()] == ["succeeded"]
    assert product.deploy().outcome == "nothing to do"


def test_what_a_run_of_another_commit_left_on_its_way_is_stopped(product: Product) -> None:
    """It could go live later; it is ours, so it is canceled."""
    product.platform.plans["srv-api"] = ["build_in_progress"] * 99
    product.clock.each_sleep = lambda: (_ for _ in ()).throw(Interrupted("stopped", remedy="inv deploy"))
    product.deploy()
    product.clock.each_sleep = lambda: None
    product.platform.plans.clear()
    second = product.change("2")

    report = product.deploy()

    assert report.outcome == "succeeded"
    assert "srv-api/deploys/dep-1/cancel" in product.asked()
    assert [second, second] == product.live()


def test_what_is_live_can_prove_itself_outside_a_run(product: Product) -> None:
    """``inv verify``: nothing is recorded; refused where no release was ever verified."""
    with pytest.raises(SettingsError, match="no release of 'staging' was ever verified"):
        release.verify(product.env())
    product.deploy()
    runs = product.runs()

    assert (0, "succeeded") == ((fine := release.verify(product.env())).exit_code, fine.outcome)
    product.platform.begin("srv-api", NEW, "live", "manual")
    assert release.verify(product.env()).exit_code == 32
    assert runs == product.runs()


def test_mending_turns_autodeploy_off_where_it_is_on_and_ours(product: Product) -> None:
    """The product's services, and no other of the account."""
    product.platform.add("foreign", repo="https://github.com/example/other", autoDeploy="yes")
    product.platform.services["srv-web"]["autoDeploy"] = "yes"
    product.platform.also = lambda request: httpx.Response(200, json={}) if request.method == "PATCH" else None

    assert aims.turn_off_auto_deploy(product.env()) == ("web",)
    assert product.platform.writes() == [("PATCH", "/services/srv-web", {"autoDeploy": "no"})]
