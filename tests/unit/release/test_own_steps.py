"""Steps of a team's own: in their places, once per run, recorded, put back like a stage, the same on every machine."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

import deploylib
from deploylib.errors import Blocked, DeployError, Interrupted, SettingsError, VerificationFailed
from deploylib.models.results import StageStatus
from deploylib.release import own_steps
from deploylib.release.own_steps import OwnStep
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product, released
from tests.support.repository import Repository


@pytest.fixture(autouse=True)
def _no_steps() -> Iterator[None]:
    """Each test registers its own."""
    own_steps.REGISTERED.clear()
    yield
    own_steps.REGISTERED.clear()


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product whose first version is live, and whose second is committed."""
    made = released(repository, platform, clock)
    made.change("2", "api")
    return made


def test_steps_stand_in_their_places_and_are_done_once(product: Product) -> None:
    """They see what is released, and are recorded with what they return; a run with nothing to do calls none."""
    seen: list[OwnStep] = []

    @deploylib.stage(after="migrate")
    def warm_cache(step: OwnStep) -> str:
        seen.append(step)
        return "2 pages warmed"

    @deploylib.stage(before="backup")
    def tell_status_page(step: OwnStep) -> None:
        step.note("it begins")

    @deploylib.stage(after="verify")
    def source_maps(_step: OwnStep) -> tuple[str, ...]:
        return "sent", "2 files"

    report = product.deploy()
    again = product.deploy()

    stages = [result.stage for result in report.stages]
    assert stages == (
        [
            "check",
            "tests",
            "scan",
            "changes",
            "tell-status-page",
            "backup",
            "migrate",
            "warm-cache",
            "deploy",
            "verify",
            "source-maps",
        ]
    )
    assert ("succeeded", "nothing to do") == (report.outcome, again.outcome)
    recorded = product.runs()[1].stages
    assert [("2 pages warmed",), ("done",), ("sent", "2 files")] == [
        recorded[name].lines for name in ("warm-cache", "tell-status-page", "source-maps")
    ]
    [step] = seen
    assert ("staging", product.live()[0]) == (step.environment, step.commit)
    assert [("api", product.first, step.commit), ("web", product.first, product.first)] == [
        (each.name, each.old, each.new) for each in step.services
    ]


@pytest.mark.parametrize(
    "error", [ValueError("no cache"), Blocked("no cache", remedy="start the cache")], ids=["bug", "refusal"]
)
def test_a_step_that_fails_before_the_deploy_stops_the_run(product: Product, error: Exception) -> None:
    """With exit code 3, in the history, and nothing that serves has changed."""

    @deploylib.stage(after="migrate")
    def warm_cache(_step: OwnStep) -> None:
        raise error

    report = product.deploy()

    assert (3, [product.first] * 2, []) == (report.exit_code, product.live(), product.asked())
    assert "no cache" in report.error
    assert product.runs()[0].stages["warm-cache"].status is StageStatus.FAILED
    assert product.runs()[0].report == report


def test_a_step_that_fails_after_the_deploy_puts_back(product: Product) -> None:
    """As a release that does not prove itself."""

    @deploylib.stage(before="verify")
    def smoke(_step: OwnStep) -> None:
        raise RuntimeError("the basket is empty")

    report = product.deploy()

    assert (VerificationFailed.exit_code, [product.first] * 2) == (report.exit_code, product.live())
    assert ["api"] == [each.service for each in report.put_back]


def test_a_step_that_fails_after_the_proof_is_told_and_nothing_is_put_back(product: Product) -> None:
    """The release is live and verified; the step is not begun again."""
    calls: list[str] = []

    @deploylib.stage(after="verify")
    def source_maps(step: OwnStep) -> None:
        calls.append(step.commit)
        raise RuntimeError("no upload")

    report = product.deploy()

    assert ("succeeded", 0, product.live()[0]) == (report.outcome, report.exit_code, calls[0])
    [failed] = [result for result in report.stages if result.status is StageStatus.FAILED]
    assert ("source-maps", "source-maps: RuntimeError: no upload") == (failed.stage, failed.lines[0])
    assert product.runs()[0].release
    assert product.deploy().outcome == "nothing to do"
    assert len(calls) == 1


def test_a_step_that_was_done_is_not_done_again_on_another_machine(product: Product) -> None:
    """It belongs to the stage that it comes after; a machine that has nothing left to do of it need not know it."""
    calls: list[str] = []

    @deploylib.stage(after="migrate")
    def warm_cache(step: OwnStep) -> None:
        calls.append(step.commit)

    product.in_ci(7)
    assert product.deploy("migrate", asked="migrate").outcome == "paused"
    own_steps.REGISTERED.clear()

    assert product.deploy().outcome == "succeeded"
    assert len(calls) == 1


def test_a_step_that_is_left_must_be_registered_where_the_run_goes_on(product: Product) -> None:
    """Or it would be left out silently; nothing is deployed without it."""

    @deploylib.stage(after="migrate")
    def warm_cache(_step: OwnStep) -> None:
        """Nothing."""

    product.in_ci(7)
    assert product.deploy("backup", asked="backup").outcome == "paused"
    own_steps.REGISTERED.clear()

    report = product.deploy()

    assert (2, []) == (report.exit_code, product.asked())
    assert "warm-cache" in report.error
    assert "tasks.py" in report.next[0]


def test_a_step_that_was_killed_is_begun_again_and_the_run_goes_on(product: Product) -> None:
    """A signal fails nothing."""
    calls: list[str] = []

    @deploylib.stage(after="migrate")
    def warm_cache(step: OwnStep) -> None:
        calls.append(step.commit)
        if len(calls) == 1:
            raise Interrupted("stopped", remedy="inv deploy")

    assert product.deploy().exit_code == Interrupted.exit_code
    assert product.deploy().outcome == "succeeded"
    assert (2, 2) == (len(calls), len(product.runs()))


def test_finish_does_the_steps_that_are_left_behind_the_deploy(product: Product) -> None:
    """And puts back what one of them refuses."""

    @deploylib.stage(after="deploy")
    def smoke(_step: OwnStep) -> None:
        raise RuntimeError("the basket is empty")

    product.in_ci(7)
    assert product.deploy("deploy").outcome == "paused"
    assert product.live()[0] != product.first

    assert (VerificationFailed.exit_code, product.first) == (product.finish().exit_code, product.live()[0])


def test_a_release_stops_after_a_step_that_is_named(product: Product) -> None:
    """And says of a dry run what would be called."""

    @deploylib.stage(after="migrate")
    def warm_cache(_step: OwnStep) -> None:
        """Nothing."""

    dry = product.deploy(dry_run=True)
    [told] = [result for result in dry.stages if result.stage == "warm-cache"]
    assert (StageStatus.PLANNED, ("would run warm_cache (api)",)) == (told.status, told.lines)

    report = product.deploy("warm-cache")

    assert ("paused", "warm-cache", []) == (report.outcome, report.stages[-1].stage, product.asked())


def test_a_step_has_a_deadline(product: Product) -> None:
    """Nobody waits for it longer."""

    @deploylib.stage(after="migrate", deadline="1s")
    def warm_cache(_step: OwnStep) -> None:
        threading.Event().wait(20)

    report = product.deploy()

    assert (3, "warm-cache did not end within 1s") == (report.exit_code, report.error)


def test_a_program_of_a_step_sees_no_secret_that_is_not_named(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one that fails, or does not end, go unnoticed."""
    monkeypatch.setenv("RENDER_API_KEY", "a-key-of-render")
    product.environ["RENDER_API_KEY"] = "a-key-of-render"
    shown: list[str] = []
    command = (sys.executable, "-c", "import os; print(os.environ.get('RENDER_API_KEY', 'nothing'))")

    @deploylib.stage(after="migrate")
    def warm_cache(step: OwnStep) -> None:
        shown.extend((step.run(command), step.run(command, secrets=["RENDER_API_KEY"])))
        step.run((sys.executable, "-c", "raise SystemExit(9)"))

    report = product.deploy()

    assert ["nothing", "a-key-of-render"] == shown
    assert (3, True) == (report.exit_code, "warm-cache: " in report.error)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("verify", {"after": "migrate"}),
        ("mine", {}),
        ("mine", {"after": "nowhere"}),
        ("mine", {"after": "check", "before": "tests"}),
    ],
)
def test_a_step_without_a_name_or_a_place_of_its_own_is_refused(
    product: Product, name: str, places: dict[str, str]
) -> None:
    """Before anything is done."""

    def body(_step: OwnStep) -> None:
        """Nothing."""

    body.__name__ = name
    deploylib.stage(**places)(body)

    with pytest.raises(SettingsError) as refused:
        product.deploy()
    assert isinstance(refused.value, DeployError)
    assert product.asked() == []
