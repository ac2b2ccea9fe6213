"""One run in many jobs: each records its part, and only the last one decides."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deploylib.cli.text import format_lease
from deploylib.commands import control, release
from deploylib.errors import LeaseHeld, SettingsError
from deploylib.models import StageName
from deploylib.models.results import Ending, Report, StageResult, StageStatus
from deploylib.settings import Variable
from deploylib.system import ci
from tests.support.fakes import FakeClock
from tests.support.in_memory import Platform
from tests.support.in_memory_product import Product
from tests.support.repository import Repository


@pytest.fixture
def product(repository: Repository, platform: Platform, clock: FakeClock) -> Product:
    """A product that was never deployed, in a CI run."""
    made = Product(repository, platform, clock)
    made.in_ci(41)
    return made


def job(product: Product, command: str, *services: str) -> Report:
    """One job's command, as the workflow has it."""
    return product.deploy(command, asked=command, services=services)


def test_jobs_do_a_part_each_and_the_last_one_completes_the_run(product: Product) -> None:
    """One run in the history, both services in it, and the environment is given back."""
    for report in (job(product, "changes"), job(product, "deploy", "api"), job(product, "deploy", "web")):
        assert (report.outcome, report.exit_code) == ("paused", 0)
        assert product.env().leases.read().taken  # type: ignore[union-attr]

    report = product.finish()

    assert ("succeeded", 0, "staging-41-1") == (report.outcome, report.exit_code, report.run)
    assert [product.first] * 2 == product.live()
    [run] = product.runs()
    assert run.stages["deploy"].part == ("api", "web")
    assert not product.env().leases.read().taken  # type: ignore[union-attr]


def test_changes_are_decided_once_and_told_to_the_jobs(product: Product) -> None:
    """Also one that has nothing to do only records it."""
    assert ("api", "web") == job(product, "changes").deploying
    product.deploy()
    product.in_ci(42)

    assert () == job(product, "changes").deploying
    assert "nothing to do" == product.finish().outcome


def test_a_job_that_failed_is_put_back_by_the_last_one(product: Product) -> None:
    """The first error is the outcome; the job itself puts nothing back, and another that begins later is stopped."""
    product.deploy()
    second, before = product.change("2"), product.first
    product.in_ci(42)
    product.platform.plans = {"srv-web": ["build_in_progress", "build_failed"]}
    job(product, "changes")
    assert job(product, "deploy", "api").exit_code == 0

    assert job(product, "deploy", "web").exit_code == 10
    assert [second, before] == product.live()
    assert release.verify(product.env()).exit_code == 3

    report = product.finish()

    assert ("build failed", 10) == (report.outcome, report.exit_code)
    assert [before] * 2 == product.live()
    assert [one.service for one in report.put_back] == ["api"]


def test_a_job_that_never_came_to_its_end_is_put_back(product: Product) -> None:
    """Nobody recorded why, so it is abandoned."""
    product.deploy()
    product.change("2")
    product.in_ci(42)
    job(product, "changes")
    job(product, "deploy", "api")

    report = product.finish()

    assert ("abandoned", 130) == (report.outcome, report.exit_code)
    assert "web" in report.error
    assert [product.first] * 2 == product.live()


def test_a_deploy_whose_acceptance_was_never_recorded_is_found_and_stopped(product: Product) -> None:
    """The machine was lost between the note and the answer."""
    product.deploy()
    second = product.change("2", "web")
    product.in_ci(42)
    job(product, "changes")
    env = product.env()

    def lost(*_: object) -> None:
        raise KeyboardInterrupt

    product.view.progress = lost  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):  # the process is gone in the moment the platform has accepted
        product.deploy_to(env, "deploy", services=("web",))
    folder = product.repository.root / ".deploylib" / "runs" / "staging-42-1"
    next(folder.glob("*-triggered.json")).unlink()

    report = product.finish()

    assert report.exit_code == 130
    assert product.live() == [product.first] * 2
    assert [one["status"] for one in product.platform.deploys["srv-web"] if one["commit"]["id"] == second] == [
        "canceled"
    ]


def test_a_run_of_which_nothing_was_recorded_is_told_too(product: Product) -> None:
    """Its first job died before it could."""
    report = product.finish()

    assert ("abandoned", 130) == (report.outcome, report.exit_code)
    assert [one.report and one.report.outcome for one in product.runs()] == ["abandoned"]


def test_finishing_twice_says_the_same(product: Product) -> None:
    """And does nothing."""
    product.deploy()
    asked = product.asked()

    assert product.finish() == product.runs()[0].report
    assert asked == product.asked()


def test_on_a_laptop_the_newest_open_run_is_finished(product: Product) -> None:
    """Also one of a CI whose machines are all gone; and none is no error."""
    job(product, "changes")
    product.environ = {"USER": "ada"}

    assert ("abandoned", "staging-41-1") == (product.finish().outcome, product.runs()[0].id)
    assert ("nothing to do", 0) == (product.finish().outcome, product.finish().exit_code)
    with pytest.raises(SettingsError, match="no run 'nope'"):
        product.finish("nope")


def test_a_closed_run_is_over_for_its_jobs(product: Product) -> None:
    """A new attempt is a new run."""
    job(product, "changes")
    product.finish()

    with pytest.raises(SettingsError, match="run staging-41-1 is closed"):
        job(product, "deploy", "web")
    product.in_ci(41, attempt=2)
    product.platform.plans = {}
    assert job(product, "changes").run == "staging-41-2"


def test_jobs_of_one_run_are_at_one_commit(product: Product) -> None:
    """Another one is refused before anything is touched."""
    job(product, "changes")
    product.change("2")

    with pytest.raises(SettingsError, match="this job has"):
        job(product, "deploy", "web")


def test_a_laptop_does_not_break_into_a_run_of_the_ci(product: Product) -> None:
    """The same commit, between two of its jobs."""
    job(product, "changes")
    product.environ = {"USER": "ada"}

    report = product.deploy()

    assert (LeaseHeld.exit_code, ["", ""]) == (report.exit_code, product.live())
    assert "staging-41-1 of grace" in report.error


def test_a_second_run_waits_and_is_superseded_by_a_newer_one(product: Product) -> None:
    """Its commit is in the history of what is live by then: exit 0, and it deploys nothing."""
    product.deploy()
    older, newer = product.change("2"), product.change("3")
    product.in_ci(42)
    product.repository.run("checkout", "--quiet", older)
    release.tests(product.env())  # run 42 begins, and another is quicker
    product.in_ci(43)
    assert product.deploy(commit=newer).outcome == "succeeded"
    product.in_ci(42)

    report = product.deploy("changes", asked="changes", commit=older)

    assert (0, "superseded by a newer release") == (report.exit_code, report.outcome)
    assert product.finish().outcome == "superseded by a newer release"
    assert [newer] * 2 == product.live()


def test_a_run_that_stood_in_a_queue_is_superseded_too(product: Product) -> None:
    """It began after the newer one had ended; its clone need not know the newer commit. A laptop is told to roll back."""
    older, newer = product.change("2"), product.change("3")
    product.deploy(commit=newer)
    product.in_ci(42)

    assert product.deploy(commit=older).outcome == "superseded by a newer release"

    product.environ = {"USER": "ada"}
    assert "inv rollback" in product.deploy(commit=older).next[0]
    assert [newer] * 2 == product.live()


def test_a_gate_is_skipped_only_with_a_reason(product: Product) -> None:
    """It is recorded who did it and why; nothing but a gate can be skipped."""
    with pytest.raises(SettingsError, match="needs a reason"):
        product.deploy(skip=("tests",), reason=" ")
    with pytest.raises(SettingsError, match="backup cannot be skipped"):
        product.deploy(skip=("backup",), reason="slow")

    report = product.deploy(skip=("tests", "scan"), reason="the login is down")

    skipped = next(one for one in report.stages if one.stage == "tests")
    assert {"skipped_by": "grace", "reason": "the login is down"} == skipped.data


@pytest.mark.parametrize(("says", "code"), [("print(1)", 0), ("exit('3 failed')", 3)])
def test_the_tests_of_the_product_are_a_gate(product: Product, says: str, code: int) -> None:
    """What they said last is told; nothing was asked of the platform when they failed."""
    product.settings = {"tests": f'python3 -c "{says}"'}

    report = product.deploy()

    assert code == report.exit_code
    assert (code == 0) == bool(product.asked())
    assert code == 0 or report.details == ("3 failed",)


def test_tests_see_no_secret_of_a_release(product: Product) -> None:
    """They are the product's own code."""
    product.environ["RENDER_API_KEY"] = "rnd_0"
    product.settings = {"tests": "python3 -c \"import os; print('key', repr(os.environ.get('RENDER_API_KEY')))\""}

    report = product.deploy()

    [tests] = [one for one in report.stages if one.stage == "tests"]
    assert (StageStatus.DONE, "key None") == (tests.status, tests.lines[0])


def test_a_second_command_of_the_same_run_leaves_it_to_the_first(product: Product) -> None:
    """Two terminals: the second one is refused, and neither closes the run nor writes into it."""
    product.environ = {"USER": "ada"}
    env = product.env()
    refused: list[Report] = []

    def other_terminal(stage: str) -> None:
        if stage == "deploy":
            refused.append(product.deploy())

    product.view.each_stage = other_terminal

    report = product.deploy_to(env)

    assert (LeaseHeld.exit_code, report.run) == (refused[0].exit_code, refused[0].run)
    kinds = [event.kind for event in product.env().history.read_events(report.run)]
    assert ("succeeded", 1, 1) == (report.outcome, kinds.count("closed"), kinds.count("opened"))
    assert product.asked() == ["srv-api/deploys", "srv-web/deploys"]


def test_nothing_is_asked_for_once_the_environment_was_lost(product: Product) -> None:
    """Somebody gave it back in our place: the fence stands before each deploy, and nothing is put back."""
    product.environ = {"USER": "ada"}
    env = product.env()

    def take_away(stage: str) -> None:
        if stage == "deploy":
            control.release_lease(product.env(), reason="its machine is gone")

    product.view.each_stage = take_away

    report = product.deploy_to(env)

    assert (LeaseHeld.exit_code, []) == (report.exit_code, product.asked())
    assert "by ada: its machine is gone" in report.details


def test_only_a_held_environment_is_given_back_and_with_a_reason(product: Product) -> None:
    """Both are told before anything is touched."""
    with pytest.raises(SettingsError, match="needs a reason"):
        control.release_lease(product.env(), reason="")
    with pytest.raises(SettingsError, match="nobody holds 'staging'"):
        control.release_lease(product.env(), reason="why")


def test_who_holds_an_environment_is_told(product: Product) -> None:
    """By run, person and page; afterwards whose it was."""
    assert ["nobody holds staging"] == format_lease(product.env().leases.read(), "staging")
    job(product, "changes")

    held = format_lease(product.env().leases.read(), "staging")
    assert held[:2] == [
        "staging is held by run staging-41-1 of grace",
        "https://github.com/owner/product/actions/runs/41",
    ]
    product.finish()
    assert "the last was run 41-1, released" in format_lease(product.env().leases.read(), "staging")[0]


def test_a_message_that_was_not_delivered_is_recorded_and_changes_nothing(product: Product) -> None:
    """Nobody listens there; the outcome is what it was, and the address is nowhere."""
    product.environ["SLACK_WEBHOOK_URL"] = "http://127.0.0.1:9/services/T0/B0/of-no-worth"

    report, notes = product.deploy(), product.view.notes

    assert ("succeeded", 0) == (report.outcome, report.exit_code)
    [undelivered] = [one for one in product.env().history.read_events(report.run) if one.kind == "undelivered"]
    assert undelivered.data["reason"]
    assert any(note.startswith("Slack was not told") for note in notes)
    told = "".join(path.read_text() for path in product.repository.root.joinpath(".deploylib").rglob("*.json"))
    assert "of-no-worth" not in told + str(notes)


def handed_over(product: Product, folder: Path, command: str) -> str:
    """What the job of the tests gives to those after it, through the file that GitHub names."""
    product.settings = {"tests": command}
    output = folder / "output"
    product.environ["GITHUB_OUTPUT"] = str(output)
    release.tests(product.env(), hand_over=True)
    del product.environ["GITHUB_OUTPUT"]
    assert product.runs() == []
    return output.read_text().strip().removeprefix("result=")


def test_tests_that_were_run_without_a_key_are_recorded_by_the_next_job(product: Product, tmp_path: Path) -> None:
    """They are not run again beside a key, and the release goes on."""
    product.environ[ci.HANDED_OVER[StageName.TESTS]] = handed_over(product, tmp_path, "/bin/echo 29 passed")
    product.settings = {"tests": "/bin/sh -c 'exit 3'"}

    assert job(product, "changes").exit_code == 0
    job(product, "deploy")
    assert product.finish().exit_code == 0

    (run,) = product.runs()
    assert (StageStatus.DONE, ("29 passed",)) == (run.stages["tests"].status, run.stages["tests"].lines)


def test_tests_that_failed_without_a_key_are_told_by_the_last_job(product: Product, tmp_path: Path) -> None:
    """The job between them does not begin; what failed is in the report, and nothing was asked for."""
    product.environ[ci.HANDED_OVER[StageName.TESTS]] = handed_over(
        product, tmp_path, "/bin/sh -c 'echo one test is red; exit 1'"
    )

    report = product.finish()

    assert ("blocked by a gate", 3) == (report.outcome, report.exit_code)
    assert "one test is red" in report.details
    assert product.asked() == []
    assert product.runs()[0].report is not None


@pytest.mark.parametrize("damage", ["{", "null", "[]", '{"commit": 7}', "\x00", "result"])
def test_what_is_no_result_of_tests_is_refused(product: Product, damage: str) -> None:
    """Neither passed nor failed: it says what to hand over."""
    product.environ[ci.HANDED_OVER[StageName.TESTS]] = damage

    with pytest.raises(SettingsError, match="--hand-over"):
        job(product, "changes")


def test_tests_of_another_commit_are_no_tests_of_this_one(product: Product, tmp_path: Path) -> None:
    """A job that has checked something else out hands over nothing of worth."""
    handed = handed_over(product, tmp_path, "/bin/true")
    product.change("2")
    product.environ[ci.HANDED_OVER[StageName.TESTS]] = handed

    with pytest.raises(SettingsError, match="has handed over is of"):
        job(product, "changes")


def scanned(product: Product, failure: Ending | None = None) -> str:
    """What the scan gives to the jobs after it."""
    result = StageResult(
        stage="scan",
        status=StageStatus.FAILED if failure else StageStatus.DONE,
        lines=("42 packages",),
        failure=failure,
    )
    return msgspec.json.encode(ci.GateResult(commit=product.first, result=result)).decode()


def test_a_scan_without_a_key_is_recorded_by_the_next_job(product: Product) -> None:
    """Clean or not: it is not done again, and what blocks it blocks the run."""
    product.environ[ci.HANDED_OVER[StageName.SCAN]] = scanned(product)
    assert product.deploy("changes", "changes", skip=(), reason="").exit_code == 0
    (run,) = product.runs()
    assert (StageStatus.DONE, ("42 packages",)) == (run.stages["scan"].status, run.stages["scan"].lines)

    product.in_ci(42)
    bad = Ending(outcome="blocked by a gate", exit_code=3, error="scan: 1 finding")
    product.environ[ci.HANDED_OVER[StageName.SCAN]] = scanned(product, bad)
    assert ("scan: 1 finding", 3) == ((report := product.finish()).error, report.exit_code)
    assert product.asked() == []


def test_variables_are_looked_at_by_the_job_that_has_the_key(product: Product) -> None:
    """The scan beside the tests could not; what is clean but for them is not yet clean."""
    product.environ[ci.HANDED_OVER[StageName.SCAN]] = scanned(product)
    product.settings = {"environment_variables": (Variable(name="TOKEN", services=("api",)),)}

    report = product.deploy("changes", "changes", skip=(), reason="")

    assert report.exit_code in {3, 4}, report
    assert "TOKEN" in str(report.details)


def test_all_jobs_that_are_run_again_decide_anew_also_of_some_services(product: Product) -> None:
    """What the first job decides is the whole of that attempt: what was asked for by hand is asked for again."""
    product.platform.plans = {"srv-web": ["build_in_progress", "build_failed"]}
    job(product, "changes", "web")
    job(product, "deploy", "web")
    assert product.finish().exit_code == 10
    product.in_ci(41, attempt=2)
    product.platform.plans = {}

    assert job(product, "changes", "web").deploying == ("web",)
    job(product, "deploy", "web")
    assert product.finish().outcome == "succeeded"


def test_failed_jobs_that_are_run_again_are_refused(product: Product) -> None:
    """They know nothing of the other services, so half a release would be called a success."""
    product.deploy()
    product.in_ci(42)
    second = product.change("2")
    product.platform.plans = {"srv-web": ["build_in_progress", "build_failed"]}
    job(product, "changes")
    job(product, "deploy", "api")
    job(product, "deploy", "web")
    product.finish()
    before, product.platform.plans = product.asked(), {}

    product.in_ci(42, attempt=2)
    with pytest.raises(SettingsError, match="only the failed jobs") as refused:
        job(product, "deploy", "web")

    assert "re-run all jobs" in refused.value.remedy
    assert before == product.asked()
    assert second not in product.live()

    for command, *services in (("changes",), ("deploy", "api"), ("deploy", "web")):
        assert job(product, command, *services).exit_code == 0
    assert product.finish().exit_code == 0
    assert [second] * 2 == product.live()


def test_a_run_that_died_in_its_gates_is_closed_by_the_next_one(product: Product) -> None:
    """Once nothing was heard of it for longer than a gate may take; one that is still at work is left alone."""
    product.settings = {"tests": "/bin/true"}
    release.tests(product.env())
    product.in_ci(42)
    assert product.deploy().exit_code == 0
    assert [True, False] == [state.report is not None for state in product.runs()]

    product.clock.seconds += 3600
    product.change("2")
    product.in_ci(43)
    assert product.deploy().exit_code == 0

    assert "abandoned" == product.runs()[2].report.outcome  # type: ignore[union-attr]
