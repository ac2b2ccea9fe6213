"""The deploy workflow as GitHub would run it: every job on a machine of its own, joined only by the bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.edges import until
from tests.support.product import GUEST_BOOK
from tests.workflow.world import World, world

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One product, deployed by its first push; the stories below go on from each other."""
    with world(tmp_path_factory.mktemp("world")) as made:
        ended = made.go()
        assert ended.exit_code == 0, "\n".join(ended.outputs.values())
        assert {"rollback": "skipped", "dry-run": "skipped"}.items() <= ended.results.items()
        assert ended.results["deploy (frontend)"] == ended.results["deploy (backend)"] == "success"
        spans = [ended.spans[f"deploy ({name})"] for name in ("backend", "frontend")]
        assert max(begun for begun, _ in spans) < min(over for _, over in spans), spans
        assert re.search(r"tools for tests: downloaded, \d+\.\d s", ended.summaries["tests"])
        assert re.search(r"tools for scan: downloaded, \d+\.\d s", ended.summaries["scan"])
        assert "| done | changes |" in ended.summaries["finish"].replace("✓ ", "")
        yield made


def test_a_push_is_one_run_that_deploys_both_services_side_by_side(production: World) -> None:
    """One entry in the history, one message; that the two jobs ran at the same time is seen above."""
    (run,) = production.runs()
    assert run["report"]["outcome"] == "succeeded"
    assert production.product.served() == dict.fromkeys(("backend", "frontend"), production.product.head)
    assert {"backend", "frontend"} == set(run["shipped"])
    assert 1 == len(production.messages)


def test_a_change_of_the_frontend_deploys_only_that(production: World) -> None:
    """The backend's job does not begin."""
    head = production.product.change_frontend()
    before = len(production.product.deploys("backend"))

    ended = production.go()

    assert (0, "success") == (ended.exit_code, ended.results["deploy (frontend)"])
    assert "deploy (backend)" not in ended.results
    assert production.product.served()["frontend"] == head
    assert len(production.product.deploys("backend")) == before


def test_a_push_that_changes_no_service_has_an_empty_matrix_and_succeeds(production: World) -> None:
    """GitHub fails a matrix of nothing, so that job does not begin; the run is at its end, and says so."""
    production.product.commit("Words", {"NOTES.md": "nothing of a service\n"})

    ended = production.go()

    assert (0, "skipped", "success") == (ended.exit_code, ended.results["deploy"], ended.results["finish"])
    assert production.outcomes()[0] == "nothing to do"


def test_the_second_run_installs_from_the_cache(production: World) -> None:
    """Each job says where its tools came from, and in how many seconds; the job that keeps them has nothing to do."""
    production.product.change_frontend("From the cache")

    ended = production.go()

    for job, tools in (("tests", "tests"), ("scan", "scan"), ("prepare", "deploy"), ("finish", "deploy")):
        assert re.search(rf"tools for {tools}: from the cache, \d+\.\d s", ended.summaries[job]), ended.summaries[job]
    assert "tools for" not in ended.summaries["tools"]


def test_a_broken_backend_is_put_back_by_the_last_job(production: World) -> None:
    """What was live is live again, the run has failed, and it is told once, with what was put back."""
    product = production.product
    live = product.served()
    product.change_frontend("Goes live first")
    product.commit("Broken", {f"{GUEST_BOOK}/app.py": "raise SystemExit('broken on purpose')\n"})
    told = len(production.messages)

    ended = production.go()

    assert (1, "failure", "failure") == (ended.exit_code, ended.results["deploy (backend)"], ended.results["finish"])
    assert ended.results["deploy (frontend)"] == "success"  # its sibling's end is not its own
    assert "failed" in production.outcomes()[0]
    assert product.served() == live
    assert len(production.messages) == told + 1
    assert any("broken on purpose" in one.message or "exited" in one.message for one in ended.errors)
    product.git("revert", "--no-edit", "HEAD")


def test_a_job_that_dies_is_recovered_by_the_last_one(production: World) -> None:
    """Its runner is gone in the middle of a deploy: what is on its way is stopped, what went live is put back."""
    product = production.product
    live = product.served()
    product.change_frontend("Lost runner")
    product.change_backend("Lost runner")
    run = production.start()

    def deploys() -> bool:
        assert not run.is_over, f"it ended without a deploy on its way:\n{run.output[-4000:]}"
        return any(one["status"].endswith("progress") for one in product.deploys("backend", product.head))

    until(deploys, 900)
    run.kill_job("deploy (backend)")

    ended = run.wait(900)

    assert ended.exit_code == 1
    assert production.outcomes()[0] == "abandoned"
    assert product.served() == live
    assert all(one["status"] not in {"build_in_progress", "live"} for one in product.deploys("backend", product.head))


def test_jobs_that_failed_are_not_run_again_alone(production: World) -> None:
    """The other services of the release would be left out: it is refused, and running all of them again is a release."""
    product = production.product
    product.change_frontend("Again")
    product.change_backend("Again")
    live = product.served()
    run = production.start()
    until(lambda: [one for one in product.deploys("backend", product.head) if one["status"].endswith("progress")], 200)
    run.kill_job("deploy (backend)")
    assert run.wait(900).results["deploy"] == "failure"
    assert product.served() == live

    again = production.actions.rerun_failed(run).wait(900)

    assert (1, "failure") == (again.exit_code, again.results["deploy"])
    assert any("re-run all jobs" in text or "only the failed jobs" in text for text in again.outputs.values())
    assert product.served() == live
    assert production.go(action="deploy").exit_code == 0
    assert product.served() == dict.fromkeys(("backend", "frontend"), product.head)


def test_a_run_that_is_cancelled_is_put_back_by_the_last_job(production: World) -> None:
    """The jobs of the matrix write down where they are, and what went live is put back."""
    product = production.product
    live = product.served()
    product.change_frontend("Cancelled")
    product.change_backend("Cancelled")
    run = production.start()
    until(lambda: [one for one in product.deploys("backend", product.head) if one["status"].endswith("progress")], 200)
    run.cancel()

    ended = run.wait(900)

    assert (1, "cancelled") == (ended.exit_code, ended.results["deploy (backend)"]), ended.results
    assert production.outcomes()[0] == "abandoned"
    assert product.served() == live


def test_tests_are_skipped_only_with_a_reason_which_is_told(production: World) -> None:
    """Without one nothing is touched."""
    head = production.product.change_frontend("Urgent")

    refused = production.go(skip="tests")
    assert (1, "failure") == (refused.exit_code, refused.results["prepare"])
    assert any("--skip needs a reason" in one.message for one in refused.errors)

    ended = production.go(skip="tests", reason="the login is down")
    assert (0, "skipped") == (ended.exit_code, ended.results["tests"]), "\n".join(ended.outputs.values())
    assert production.product.served()["frontend"] == head
    assert "the login is down" in str(production.messages[-1])
    assert "octocat" in str(production.messages[-1])


def test_a_dry_run_writes_nothing(production: World) -> None:
    """Neither to the platform nor to the history."""
    production.product.change_frontend("Only looked at")
    writes, runs = production.product.writes(), len(production.runs())

    ended = production.go(action="dry run")

    said = "\n".join(ended.outputs.values())
    assert (0, "success", "skipped") == (ended.exit_code, ended.results["dry-run"], ended.results["finish"]), said
    assert (writes, runs) == (production.product.writes(), len(production.runs()))


def test_a_rollback_by_hand_restores_the_release_before(production: World) -> None:
    """As one run."""
    before = production.product.served()

    ended = production.go(action="rollback")

    assert (0, "success") == (ended.exit_code, ended.results["rollback"]), "\n".join(ended.outputs.values())
    assert production.product.served() != before
    assert production.runs()[0]["opened"]["back"]


def test_of_two_runs_at_once_one_waits_and_the_newest_is_live(production: World) -> None:
    """Never both at work: the other goes on after it, or is superseded by it."""
    product = production.product
    product.change_frontend("Older")
    older = production.start()
    head = product.change_frontend("Newer")
    newer = production.start()

    ended = [run.wait(1200) for run in (older, newer)]

    assert [0, 0] == [one.exit_code for one in ended], "\n".join(text for one in ended for text in one.outputs.values())
    assert product.served()["frontend"] == head
    assert set(production.outcomes()[:2]) <= {"succeeded", "superseded by a newer release"}
    assert "succeeded" in production.outcomes()[:2]
